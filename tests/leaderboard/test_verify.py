"""Verifying a leaderboard on the command line: what a run leaves holds, what was changed is named, in few words or in full."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

import gapbench
from gapbench.errors import DataError
from gapbench.host.discovery import discover
from gapbench.host.installed import Installed
from gapbench.leaderboard.build import build
from gapbench.leaderboard.kept import keep_study, kept_study, study_of_folder
from gapbench.model.identity import sealed
from gapbench.model.request import Request
from gapbench.model.study import Reference, Study, load_study
from gapbench.results import journal
from gapbench.results.verify import verify_folder, verify_records, well
from gapbench.verification.board import verify

BOARDS = Path(__file__).parents[2] / "leaderboards"
BOARD_NAMES = sorted(path.parent.name for path in BOARDS.glob("*/README.md") if path.parent.name != "local")
LOCAL = Study(name="local", title="Local run")


@pytest.fixture(scope="module")
def installed():
    return Installed(discover())


@pytest.fixture(scope="module")
def whole(tmp_path_factory, installed):
    """Give a folder with the results of a small run, and its pages."""
    folder = tmp_path_factory.mktemp("whole")
    gapbench.run(
        datasets=["color-digits"],
        prompts=["photo", "captions"],
        aligners=["identity", "mean-center", "random-rotation"],
        metrics=["top1", "i2t-recall@1", "t2i-recall@1", "ece", "centroid-l2"],
        out=folder,
    )
    build(folder, LOCAL, installed.registry.metric_specs())
    return folder


@pytest.fixture
def board(whole, tmp_path):
    """Give a copy that may be changed."""
    shutil.copytree(whole, tmp_path / "board")
    return tmp_path / "board"


def changed(folder, change, lines=None):
    """Change records as somebody would who seals them again."""
    path = journal.run_file(folder)
    content = []
    for number, stored in enumerate(journal.read(path)):
        data = msgspec.to_builtins(stored.record)
        if lines is None or number in lines:
            change(data)
        content.append(journal.line_of(sealed(msgspec.convert(data, type(stored.record)))))
    path.write_bytes(b"".join(content))


def test_a_run_verifies_and_each_row_says_what_was_checked(whole, installed):
    done = verify_folder(whole, installed)
    assert well(done)
    assert [verdict.state for verdict in done.verdicts] == ["verified"] * 6
    photo, captions = done.verdicts[0], done.verdicts[-1]
    assert set(photo.values) == {"top1"}
    assert set(photo.intervals) == {"top1", "ece", "centroid-l2"}
    assert set(photo.as_told) == {"ece", "centroid-l2"}
    assert photo.labels == 2
    assert set(captions.values) == {"i2t-recall@1", "t2i-recall@1"}
    assert captions.labels == 0
    assert {state for verdict in done.verdicts for state in verdict.code.values()} == {"as recorded"}


def test_every_metric_of_gapbench_verifies(tmp_path, installed):
    gapbench.run(
        datasets=["color-digits"],
        prompts=["photo", "captions"],
        aligners=["identity", "collapse-to-mean"],
        metrics=list(installed.registry.metric_specs()),
        fit_size=50,
        out=tmp_path,
    )
    done = verify_folder(tmp_path, installed)
    assert well(done), [verdict.reasons for verdict in done.verdicts]
    assert len({name for verdict in done.verdicts for name in (*verdict.values, *verdict.as_told)}) > 45


@pytest.mark.parametrize(
    ("protocol", "more"),
    [
        ("in-sample", {"fit_size": 30}),
        ("in-sample", {}),
        ("held-out", {"shots": [3]}),
        ("held-out", {"fit_size": [5, "all"]}),
        ("held-out", {"aligners": ["identity", "gap-shift[delta=auto]", "procrustes[pull=0.3,center=true]"]}),
    ],
)
def test_every_protocol_verifies(tmp_path, installed, protocol, more):
    options = {"aligners": ["identity", "mean-center"], **more}
    gapbench.run(
        datasets=["digits"],
        prompts=["photo"],
        metrics=["top1"],
        protocol=protocol,
        seeds=[0, 1],
        out=tmp_path,
        **options,
    )
    done = verify_folder(tmp_path, installed)
    assert well(done), [verdict.reasons for verdict in done.verdicts]


def test_a_conflict_fails_both_runs_and_says_so(board, installed):
    path = journal.run_file(board)
    record = journal.read(path)[0].record
    value = record.metrics["centroid-l2"]
    other = msgspec.structs.replace(
        record,
        metrics={
            **record.metrics,
            "centroid-l2": msgspec.structs.replace(value, value=value.value + 0.01, ci95=(0.0, 1.0)),
        },
        timing=msgspec.structs.replace(record.timing, fit_s=1.0),
    )
    path.write_bytes(path.read_bytes() + journal.line_of(sealed(other)))
    failed = [verdict for verdict in verify_folder(board, installed).verdicts if verdict.reasons]
    assert len(failed) == 2
    assert all("another run of the same cell does not agree" in " ".join(verdict.reasons) for verdict in failed)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"no JSON}", "line 2, is damaged"),
        (b'{"schema_version": 99}', "schema version 99"),
        (b'{"schema_version": 2}', "no record"),
        (b"\xff", "is damaged"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_checked(board, installed, line, words):
    path = journal.run_file(board)
    lines = path.read_bytes().split(b"\n")
    lines[1] = line
    path.write_bytes(b"\n".join(lines))
    done = verify_records(path, installed)
    (failed,) = [verdict for verdict in done.verdicts if verdict.reasons]
    assert failed.line == 2
    assert words in failed.reasons[0]
    assert len(done.verdicts) == 6


def test_a_torn_last_line_is_told_and_fails_nothing(board, installed):
    path = journal.run_file(board)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:300])
    result = verify(board, LOCAL, installed)
    assert result.ok
    assert result.done.verdicts[-1].state == "no result"
    assert "is cut off" in result.done.verdicts[-1].remarks[0]


def test_a_cell_that_failed_is_told_and_fails_nothing(gapbench, tmp_path):
    (tmp_path / "boom.py").write_text(
        "import gapbench\n"
        "class Boom:\n"
        "    def fit(self, data):\n"
        "        raise ValueError('no luck')\n"
        "@gapbench.hookimpl\n"
        "def gapbench_aligners():\n"
        "    return [gapbench.AlignerSpec(name='boom', factory='boom:Boom', summary='s', family='f', needs=frozenset(),"
        " acts_on=gapbench.ActsOn.IMAGES)]\n"
    )
    words = ("-d", "digits", "-p", "photo", "-a", "identity", "-a", "boom", "-m", "top1", "--plugin", "boom.py")
    gapbench("run", *words, "--no-figures", code=1)
    told = " ".join(gapbench("leaderboard", "verify", "local").stdout.split())
    assert "1 of 1 records verified" in told
    assert "1 lines without a result" in told
    assert "no luck" in told
    assert "code of boom: not installed (1 records)" in told or "code of boom.py: not installed (1 records)" in told


STUDY = """
name = "mine"
title = "My own & study"
about = "Why I ask."
datasets = ["digits"]
encoders = ["mini-clip"]
prompts = ["photo"]
aligners = ["identity", "mean-center", "random-rotation"]
metrics = ["top1", "centroid-l2"]
[[reference]]
metric = "top1"
value = 0.5
source = "a paper"
prompts = "photo"
"""


def test_a_study_of_ones_own_is_kept_with_its_results(gapbench, tmp_path):
    (tmp_path / "mine.toml").write_text(STUDY)
    gapbench("run", "--study", "mine.toml")
    (tmp_path / "mine.toml").unlink()
    folder = tmp_path / "leaderboards" / "mine"
    kept = kept_study(folder)
    assert (kept.study.about, kept.request) == ("Why I ask.", Request(study="mine.toml"))
    before = (folder / "README.md").read_bytes()
    assert b"My own &amp; study" in before
    assert b"\ngapbench run --study mine.toml\n" in before
    assert b"a paper" in before
    for study in (["mine"], [folder, "--figures"]):
        assert "3 of 3 records verified" in gapbench("leaderboard", "verify", *study).stdout
    gapbench("leaderboard", "build", "mine")
    assert (folder / "README.md").read_bytes() == before
    lines = journal.run_file(folder).read_bytes().splitlines(keepends=True)
    journal.run_file(folder).write_bytes(b"".join(line for line in lines if b"random-rotation" not in line))
    gapbench("leaderboard", "build", "mine")
    told = " ".join(gapbench("leaderboard", "verify", "mine", code=1).stdout.split())
    assert "the study has random-rotation, and the table mini-clip / digits / photo has not" in told


def test_a_study_that_ships_is_not_kept_and_is_told_by_the_records(whole, tmp_path):
    keep_study(tmp_path, LOCAL, Request(seeds=(0, 1)))
    assert kept_study(tmp_path).request == Request(seeds=(0, 1))
    keep_study(tmp_path, load_study("digits"), Request(study="digits"))
    assert kept_study(tmp_path) is None
    assert study_of_folder(whole) == LOCAL
    assert study_of_folder(tmp_path / "nothing", "toy") == Study(name="toy")
    journal.run_file(tmp_path).parent.mkdir(exist_ok=True)
    line = sealed(msgspec.structs.replace(journal.read(journal.run_file(whole))[0].record, study="digits"))
    journal.run_file(tmp_path).write_bytes(journal.line_of(line))
    assert study_of_folder(tmp_path) == load_study("digits")


def test_a_damaged_kept_study_is_a_sentence(gapbench, board):
    (board / "study.json").write_bytes(b'{"study": \xff')
    told = gapbench("leaderboard", "verify", "board", code=None)
    assert told.returncode in (1, 2)
    assert "is no study" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("study", "request_", "words"),
    [
        ({}, {}, "name"),
        ({"name": "../x"}, {}, "cannot be the name of a folder"),
        ({"name": "x", "colour": "red"}, {}, "unknown field 'colour'"),
        ({"name": "x", "shots": [1] * 200 + list(range(1, 200))}, {}, "shots must be"),
        ({"name": "x", "seeds": [-1]}, {}, "seeds must be"),
        ({"name": "x", "title": 5}, {}, "is not a study"),
        ({"name": "x", "shots": [1], "fit_size": 5}, {}, "two ways of saying"),
        ({"name": "x"}, {"command": "curl https://example.org | sh"}, "no option command"),
        ({"name": "x"}, {"jobs": 10**9}, "jobs must be"),
        ({"name": "x"}, {"protocol": "fair"}, "protocol must be"),
    ],
)
def test_a_kept_study_is_held_to_the_rules_of_a_study_file(tmp_path, study, request_, words):
    (tmp_path / "study.json").write_text(json.dumps({"study": study, "request": request_}))
    with pytest.raises(DataError, match=r"study\.json is no study") as told:
        kept_study(tmp_path)
    assert words in str(told.value)


def test_a_kept_study_comes_back_as_it_was(tmp_path):
    reference = (Reference(metric="top1", value=0.5, source="a paper", prompts="photo", aligner="dn"),)
    for study, request in (
        (Study(name="x", fit_size=("all", 5), seeds=(0, 1, 2), reference=reference), Request()),
        (Study(name="x", shots=(1, 5)), Request(study="x.toml", out=Path("a b"), timeout=0.5, plugins=(Path("p.py"),))),
        (Study(name="x", fit_size=7), Request(encoders=("a'b", "$(c)"), fit_size=(7,), no_figures=True, jobs=2)),
    ):
        keep_study(tmp_path, study, request)
        kept = kept_study(tmp_path)
        assert (kept.study, kept.request) == (study, request)


def test_a_kept_study_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "board").mkdir()
    keep_study(tmp_path, Study(name="x"), Request())
    (tmp_path / "board" / "study.json").symlink_to(tmp_path / "study.json")
    with pytest.raises(DataError, match="it is a link"):
        kept_study(tmp_path / "board")


def test_the_command_verifies_builds_and_finds_stale_tables(gapbench, board):
    (board / "README.md").unlink()
    stale = gapbench("leaderboard", "verify", "local", "--out", "board", code=1)
    assert "README.md is not what the records give" in " ".join(stale.stdout.split())
    built = gapbench("leaderboard", "build", "local", "--out", "board")
    assert {"README.md", "table.csv", "table.tex"} <= {line.split("/")[-1] for line in built.stdout.split()}
    assert "6 of 6 records verified" in gapbench("leaderboard", "verify", "board").stdout
    before = {path.name: path.read_bytes() for path in board.iterdir() if path.is_file()}
    gapbench("leaderboard", "build", "board")
    assert {path.name: path.read_bytes() for path in board.iterdir() if path.is_file()} == before
    readme = board / "README.md"
    readme.write_text(readme.read_text().replace("99.", "100."))
    found = json.loads(gapbench("leaderboard", "verify", "board", "--json", code=1).stdout)
    assert found["stale"] == ["README.md"]
    assert not found["ok"]
    assert {row["state"] for row in found["rows"]} == {"verified"}
    assert found["rows"][0]["from_outcomes"]["values"] == ["top1"]
    assert found["rows"][0]["code"] == {"gapbench": "as recorded"}
    assert found["rows"][0]["from_embeddings"] is None


def test_few_failures_are_told_and_all_are_counted(gapbench, board):
    path = journal.run_file(board)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines * 4).replace(b'"seed":0', b'"seed":1'))
    told = gapbench("leaderboard", "verify", "board", code=1).stdout
    assert told.count("does not match its own checksum") == 20
    assert "and 4 more rows" in told
    assert len(json.loads(gapbench("leaderboard", "verify", "board", "--json", code=1).stdout)["rows"]) == 24


def test_there_must_be_records(gapbench):
    for what in ("build", "verify"):
        assert "gapbench run --out" in gapbench("leaderboard", what, "nothing", code=2).stderr


def test_a_study_that_is_not_there_is_named_with_the_one_that_was_meant(gapbench, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "leaderboards" / "my-study")
    for what in ("build", "verify"):
        told = gapbench("leaderboard", what, "mystudy", code=2).stderr
        assert "There is no leaderboard" in told
        assert "Did you mean 'my-study'?" in told
        told = gapbench("leaderboard", what, "digits", code=2).stderr
        assert "`gapbench run --study digits` makes it" in told
        told = gapbench("leaderboard", what, "digits", "--out", "elsewhere", code=2).stderr
        assert "`gapbench run --study digits --out elsewhere` makes it" in told
    assert [path.name for path in (tmp_path / "leaderboards").iterdir()] == ["my-study"]


def test_the_committed_leaderboards_are_what_their_records_give(gapbench):
    for name in BOARD_NAMES:
        done = gapbench("leaderboard", "verify", name, "--out", BOARDS / name)
        assert ("records verified" if (BOARDS / name / "records").is_dir() else "not run here yet") in done.stdout


def test_the_committed_page_across_studies_is_what_they_give(gapbench, tmp_path):
    assert {"clip-stl10", "color-digits", "digits", "mind-the-gap-coco"} <= set(BOARD_NAMES)
    for name in BOARD_NAMES:
        shutil.copytree(BOARDS / name, tmp_path / "leaderboards" / name)
    gapbench("leaderboard", "build")
    assert (tmp_path / "leaderboards" / "README.md").read_text() == (BOARDS / "README.md").read_text()


def test_latex_shows_text_as_it_is():
    from gapbench.leaderboard.exports import escape

    assert escape("a_b & 5 % {x} \\y $z #1 ~^") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \$z \#1 \textasciitilde{}\textasciicircum{}"
    )


def test_all_values_are_computed_again_from_embeddings(gapbench, board):
    told = " ".join(gapbench("leaderboard", "verify", "board", "--recompute").stdout.split())
    assert "all values of 6 records computed again from the embeddings, gap metrics too, by the recorded code" in told
    changed(board, lambda data: data["code"]["gapbench"].update(sha256="0" * 64))
    gapbench("leaderboard", "build", "board")
    told = " ".join(gapbench("leaderboard", "verify", "board", "--recompute").stdout.split())
    assert "gap metrics too, by other code than the recorded" in told
    assert "code of gapbench: other code (6 records)" in told


def test_recomputing_nothing_is_an_error_with_the_reasons(gapbench, board):
    def elsewhere(data):
        data["dataset"]["fingerprint"] = "0" * 64

    changed(board, elsewhere)
    gapbench("leaderboard", "build", "board")
    assert gapbench("leaderboard", "verify", "board").returncode == 0
    told = " ".join(gapbench("leaderboard", "verify", "board", "--recompute", code=1).stdout.split())
    assert "nothing was recomputed" in told
    assert "6 records could not be computed again: other data under the same names here" in told
    found = json.loads(gapbench("leaderboard", "verify", "board", "--recompute", "--json", code=1).stdout)
    assert found["failures"] == ["nothing could be recomputed"]
    assert all("other data" in row["not_from_embeddings"] for row in found["rows"])


def test_rows_that_are_not_at_hand_are_listed_and_the_others_are_computed(gapbench, board):
    def unknown(data):
        data["label"] = data["aligner"]["name"] = "theirs"
        data["aligner"]["distribution"] = "their-plugin"
        data["code"]["their-plugin"] = {"version": "1", "sha256": ""}

    changed(board, unknown, lines=[1])
    gapbench("leaderboard", "build", "board")
    told = " ".join(gapbench("leaderboard", "verify", "board", "--recompute").stdout.split())
    assert "all values of 5 records computed again" in told
    assert "1 records could not be computed again: There is no aligner 'theirs'" in told
    assert "code of their-plugin: not installed (1 records)" in told
