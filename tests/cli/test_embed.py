"""`gapbench embed`: a run on the file gives what the run on the dataset gives, and nothing is replaced unasked."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from helpers import ToyMaterials

from gapbench.embeddings import write
from gapbench.embeddings.files import EmbeddingFile
from gapbench.embeddings.items import Items
from gapbench.embeddings.write import arrays_of, check_target, write_embeddings
from gapbench.errors import UnwritableError, UsageError

ALIGNERS = [
    word for name in ("identity", "mean-center", "procrustes", "gap-shift[delta=auto]") for word in ("-a", name)
]

PROMPTS = """
import gapbench

class Two:
    def prompts(self, classes):
        prompts = [f"{word} {name}" for name in classes for word in ("a photo of a", "the digit")]
        owner = [c for c in range(len(classes)) for _ in range(2)]
        return gapbench.PromptSet(prompts=prompts, owner=owner, weights=[1.0, 3.0] * len(classes))

@gapbench.hookimpl
def gapbench_prompts():
    return [gapbench.PromptSpec(name="two", factory="two:Two", summary="Two prompts a class, weighted.")]
"""


def measured(folder):
    """Return what each cell of a results folder measured, in full."""
    found = {}
    for path in (folder / "records").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            assert record["status"] == "ok", record["reason"]
            parts = (record["metrics"], record["items"], record["chosen"])
            found[record["label"], record["protocol"]["name"], record["seed"]] = parts
    return found


def same_bits(gapbench, tmp_path, source, file, metrics, aligners, seeds="0:2"):
    """Run on a dataset and on the file that is made of it, and compare all that was measured."""
    done = gapbench("embed", *source, "--out", file)
    assert f"Score it with -d embeddings:{file}" in done.stdout
    run = ("run", *aligners, *(word for name in metrics for word in ("-m", name)), "--seeds", seeds, "--no-figures")
    gapbench(*run, *source, "--out", "one")
    gapbench(*run, "-d", f"embeddings:{file}", "--out", "two")
    one = measured(tmp_path / "one")
    assert measured(tmp_path / "two") == one
    assert len(one) >= len(aligners) // 2, one.keys()
    return one


@pytest.mark.parametrize("name", ["e.npz", "e.safetensors"])
@pytest.mark.parametrize("captioned", [True, False])
def test_all_that_fitting_and_scoring_see_comes_back(tmp_path, name, captioned):
    split = ToyMaterials(tmp_path).embed()
    assert split.keys is not None
    assert split.labels is not None
    n = len(split.classes)
    if not captioned:
        weights, owner = np.arange(1.0, 2 * n + 1), np.arange(2 * n) % n
        texts = replace(split.captions, rows=split.captions.rows[: 2 * n], keys=split.captions.keys[: 2 * n])
        texts = replace(texts, owner=owner, cut=owner > 0, weights=weights, strings=())
        split = replace(split, captions=None, prompts=texts)
    arrays = arrays_of({"test": split, "train": split}, captioned=captioned)
    write_embeddings(tmp_path / name, arrays, {"encoder": "toy", "pooling": "mean"}, force=False)
    for part in ("test", "train"):
        found = EmbeddingFile(tmp_path / name).embedded(part)
        assert found.classes == tuple(split.classes)
        for attribute in ("images", "labels", "keys"):
            np.testing.assert_array_equal(getattr(found, attribute)[:], getattr(split, attribute)[:])
        mine, theirs = ((one.captions if captioned else one.prompts) for one in (found, split))
        assert list(mine.strings) == list(theirs.strings)
        for attribute in ("rows", "owner", "keys", "cut", "weights"):
            one, other = getattr(mine, attribute), getattr(theirs, attribute)
            assert (one is None) == (other is None), attribute
            if one is not None:
                np.testing.assert_array_equal(one[:], other[:])
        orders = [Items(one, captioned=captioned) for one in (found, split)]
        np.testing.assert_array_equal(orders[0].order, orders[1].order)
        assert orders[0].fingerprint == orders[1].fingerprint


@pytest.mark.slow
def test_a_run_on_the_file_is_the_run_on_the_dataset_bit_by_bit(gapbench, tmp_path):
    pictures(tmp_path / "cut")  # without a training split: halves are drawn, by what identifies the pictures
    source = ["-e", "mini-clip", "-d", "folder:cut", "-p", "photo"]
    one = same_bits(gapbench, tmp_path, source, "e.npz", ["top1", "centroid-l2", "paired-cos"], ALIGNERS[:4], "3:4")
    assert all(len(metrics) == 3 for metrics, _, _ in one.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "prompts", "file"), [("digits", "two", "e.npz"), ("color-digits", "captions", "e.safetensors")]
)
def test_all_metrics_are_the_same_with_weights_and_with_captions(gapbench, tmp_path, dataset, prompts, file):
    (tmp_path / "two.py").write_text(PROMPTS)
    source = ["-e", "mini-clip", "-d", dataset, "-p", prompts, *(["--plugin", "two.py"] if prompts == "two" else [])]
    one = same_bits(gapbench, tmp_path, source, file, ["*"], ALIGNERS)
    assert all(len(metrics) > 10 for metrics, _, _ in one.values())


def pictures(folder):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")


def test_one_encoder_one_dataset_and_one_set_of_texts(gapbench, tmp_path):
    more = gapbench("embed", "-e", "mini-clip", "-d", "digits", "-p", "photo", "-p", "plain", "--out", "e.npz", code=2)
    assert "this names 2: mini-clip / digits / photo; mini-clip / digits / plain" in " ".join(more.stderr.split())
    none = gapbench("embed", "-e", "mini-clip", "-d", "digits", "-p", "captions", "--out", "e.npz", code=1)
    assert "the dataset has no captions" in " ".join(none.stderr.split())
    assert list(tmp_path.glob("*e.npz*")) == []


def test_what_is_there_stays_without_force(gapbench, tmp_path):
    np.savez(tmp_path / "given.npz", **pairs())
    (tmp_path / "e.safetensors").write_text("mine")
    source = ("embed", "-d", "embeddings:given.npz", "--out", "e.safetensors")
    assert "--force" in gapbench(*source, code=2).stderr
    assert (tmp_path / "e.safetensors").read_text() == "mine"
    gapbench(*source, "--force")
    given, written = (EmbeddingFile(tmp_path / name).embedded("test") for name in ("given.npz", "e.safetensors"))
    assert given.fingerprint == written.fingerprint


def pairs():
    rng = np.random.default_rng(0)
    image, text = (rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 6))
    return {"image": image, "text": text, "pair": np.array([0, 0, 1, 2, 3, 3]), "names": np.array(list("abcdef"))}


def test_pairs_go_into_a_clip_retrieval_folder_and_come_back(tmp_path):
    told = write_embeddings(tmp_path / "folder", {**pairs(), "image_train": pairs()["image"]}, {}, force=False)
    assert "A clip-retrieval folder does not hold the training split." in told
    split = EmbeddingFile(tmp_path / "folder").embedded("test")
    np.testing.assert_array_equal(split.images[:], pairs()["image"])
    np.testing.assert_array_equal(split.captions.rows[:], pairs()["text"])
    assert split.captions.owner.tolist() == pairs()["pair"].tolist()
    assert split.captions.strings in ((), tuple("abcdef"))  # with pyarrow they are written
    with pytest.raises(UsageError, match="--force"):
        write_embeddings(tmp_path / "folder", pairs(), {}, force=False)
    write_embeddings(tmp_path / "folder", {**pairs(), "text": -pairs()["text"]}, {}, force=True)
    np.testing.assert_array_equal(
        EmbeddingFile(tmp_path / "folder").embedded("test").captions.rows[:], -pairs()["text"]
    )
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["e.npz", "e.safetensors", "folder"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, name):
    write_embeddings(tmp_path / name, pairs(), {}, force=False)
    before = EmbeddingFile(tmp_path / name).embedded("test").fingerprint

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.np, "save", full)
    monkeypatch.setattr(write.np, "savez", full)
    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(UnwritableError, match=f"{name} cannot be written .No space left on device"):
        write_embeddings(tmp_path / name, pairs(), {}, force=True)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert EmbeddingFile(tmp_path / name).embedded("test").fingerprint == before


def test_folders_and_links_of_others_are_never_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    (tmp_path / "e.npz").mkdir()
    os.symlink(tmp_path / "folder", tmp_path / "link.npz")
    for name in ("folder", "e.npz", "link.npz"):
        with pytest.raises(UsageError, match="stays"):
            check_target(tmp_path / name, force=True)
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize(("name", "message"), [("e.csv", "as .npz, as .safetensors"), ("folder", "class prompts")])
def test_forms_that_cannot_hold_it_are_refused_before_the_work(tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        check_target(tmp_path / name, force=False, captioned=False)
