"""One of every kind of file that gapbench reads, all sound: what is damaged, and what command lines name."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from pkgutil import resolve_name

import numpy as np

ALIGNERS = ("identity", "mean-center", "procrustes")
N, CLASSES, DIM = 40, 4, 6

STUDY = """
name = "small"
title = "A small study"
datasets = ["embeddings:t.npz"]
aligners = ["identity", "mean-center"]
metrics = ["top1"]
seeds = [0, 1]

[[reference]]
metric = "top1"
value = 0.5
source = "somebody 2026, table 1"
prompts = "given"
"""

PLUGIN = '''
"""A plugin of one file."""

import gapbench


class Half:
    """Nothing but half."""

    def fit(self, data):
        return self

    def transform_images(self, rows):
        return rows / 2

    def transform_texts(self, rows):
        return rows / 2


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="half", factory=f"{__name__}:Half", summary="Half.", family="toy", acts_on="both")]
'''


def two_cones():
    """Return images, texts and labels of two cones."""
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(CLASSES, DIM)).astype("f4")
    labels = np.arange(N) % CLASSES
    images = (texts[labels] + 0.6 * rng.normal(size=(N, DIM)) + 0.4).astype("f4")
    return images, texts, labels


def make(root):
    """Write everything below ``root``; runs gapbench, so that it is done in a process of its own."""
    root.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(root)
    try:
        _inputs(root)
        _results(root)
        _store(root)
        _figures(root)
        _signatures(root)
    finally:
        os.chdir(before)


def _inputs(root):
    from PIL import Image
    from safetensors.numpy import save_file

    images, texts, labels = two_cones()
    np.savez(root / "t.npz", image=images, text=texts, label=labels, names=np.array(list("abcd")))
    np.savez_compressed(root / "pairs.npz", image=images, text=images[::-1] + texts[0], pair=np.arange(N)[::-1])
    arrays = {"image": images, "text": texts, "label": labels}
    save_file(arrays, root / "t.safetensors", metadata={"names": '["a", "b", "c", "d"]', "encoder": "of a friend"})
    for side, rows in (("img_emb", images), ("text_emb", images - 1)):
        (root / "clip" / side).mkdir(parents=True)
        np.save(root / "clip" / side / f"{side}_0.npy", rows[: N // 2])
        np.save(root / "clip" / side / f"{side}_1.npy", rows[N // 2 :].astype("f2"))
    (root / "small.toml").write_text(STUDY)
    (root / "half.py").write_text(PLUGIN)
    (root / "templates.txt").write_text("# two of them\na photo of a {}\na drawing of the {}\n")
    (root / "table.toml").write_text('pooling = "nearest"\na = ["an a", "one a"]\nb = "a b"\nc = ["c"]\nd = ["d"]\n')
    written = {name: [f"an {name}", f"one {name}"] for name in "abcd"}
    (root / "prompts-list.json").write_text(json.dumps(["a {}", "the {c}"]))
    (root / "prompts-table.json").write_text(json.dumps(written))
    (root / "prompts-sets.json").write_text(json.dumps({"digits": ["a {c}"], "stl10": ["the {c}"]}))
    (root / "prompts-cupl.json").write_text(json.dumps({"digits": written}))
    pictures = root / "pictures"
    for name in "ab":
        (pictures / name).mkdir(parents=True)
        for number in range(2):
            pixels = (np.random.default_rng(number).random((8, 8, 3)) * 255).astype("u1")
            Image.fromarray(pixels).save(pictures / name / f"{number}.png")
    (pictures / "captions.csv").write_text("image,caption\na/0.png,one\na/1.png,two\nb/0.png,three\n")
    (pictures / "captions.json").write_text(
        '{"images":[{"id":1,"file_name":"a/0.png"},{"id":2,"file_name":"b/1.png"}],'
        '"annotations":[{"image_id":1,"caption":"one"},{"image_id":2,"caption":"two"}]}'
    )


def _results(root):
    import gapbench
    from gapbench.host.discovery import discover
    from gapbench.leaderboard.build import build
    from gapbench.leaderboard.kept import keep_study
    from gapbench.model.request import Request
    from gapbench.model.study import load_study
    from gapbench.results.add import add

    board = root / "board"
    gapbench.run(study="small.toml", out=board)
    gapbench.run(datasets=["embeddings:pairs.npz"], aligners=list(ALIGNERS), out=root / "leaderboards" / "local")
    gapbench.run(
        datasets=["embeddings:t.npz"], aligners=list(ALIGNERS), metrics=["top1", "centroid-l2"], out=root / "more"
    )
    assert not add(root / "more" / "records" / "run.jsonl", board).refused
    study = load_study("small.toml")
    keep_study(board, study, Request(study="small.toml"))
    build(board, study, discover().metric_specs())
    shutil.rmtree(board / "figures", ignore_errors=True)
    shutil.copytree(board, root / "leaderboards" / "small")


def _store(root):
    from gapbench.embeddings.items import item_digests
    from gapbench.embeddings.store import Store

    store = Store(root / "kept")
    images, texts, _ = two_cones()
    digests = item_digests(f"{row:064x}" for row in range(N))
    identity = {"encoder_name": "e", "dataset_name": "d", "split": "test"}
    store.write_images("k" * 64, digests, images, code="c" * 64, identity=identity)
    store.write_texts("e" * 64, list("abcd"), texts, code="c" * 64, identity={"encoder_name": "e"})
    store.memos.remember("dataset", "a name", (), {"items": "0" * 64, "n": N, "classes": list("abcd")})


def _figures(root):
    from helpers import BY_NAME, class_split

    from gapbench.figures.draw import _keep
    from gapbench.figures.pair import PairData, draw_pair
    from gapbench.state import save_aligner
    from gapbench.testing.fits import fit_aligner

    images, texts, labels = two_cones()
    data = PairData(
        images_before=images, texts_before=texts, images_after=images - 1, texts_after=texts + 1, owner=np.arange(CLASSES),
        labels=labels, classes=tuple("abcd"), title="e, d, given", after="mean-center", scores=("top1 50.0 %", "top1 60.0 %"),
    )  # fmt: skip
    _keep(data, root / "figures" / "pair-e-d.npz")
    draw_pair(data, root / "figures" / "pca-e-d", method="pca")
    save_aligner(fit_aligner(new_aligner(), BY_NAME["procrustes"], class_split()), root / "aligner.safetensors")


def new_aligner():
    """Return the aligner whose fit is kept, not fitted."""
    from helpers import BY_NAME

    spec = BY_NAME["procrustes"]
    params = {name: param.default for name, param in spec.params.items()}
    return resolve_name(spec.factory)(**spec.options, **params)


def _signatures(root):
    from gapbench.results.signatures import sign

    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(root / "key")]
    if shutil.which("ssh-keygen"):
        subprocess.run(command, check=True, capture_output=True)
        (root / "signers").write_text(f'keeper namespaces="gapbench" {(root / "key.pub").read_text()}')
        (root / "signed.sig").write_bytes(sign(b"records", root / "key"))
