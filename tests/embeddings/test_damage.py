"""A damaged store: whatever file, byte or kind of damage, it is told and healed, and never used."""

import json
import os
import warnings

import numpy as np
import pytest
from helpers import ToyMaterials

from gapbench.embeddings import entry, housekeeping
from gapbench.embeddings.memo import sealed
from gapbench.errors import GapbenchWarning


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def filled(root):
    """Fill a store with a file of each kind; gives what is read from it."""
    materials = ToyMaterials(root)
    expected = materials.embed()
    agreed(materials.store, root)
    return expected


def agreed(store, root):
    """Say that other code agrees with the entry of images."""
    (folder,) = (root / "store" / "images").glob("*/*")
    store.agree(entry.find(folder, entry.IMAGES), "other")


def files_of(root):
    store = root / "store"
    return sorted(path for path in store.rglob("*") if path.is_file() and path.suffix != ".lock")


def kinds(root):
    """Group the files of a store by what they are."""
    groups = {}
    for path in files_of(root):
        kind = path.parent.name if "memo" in path.parts else f"{path.relative_to(root).parts[1]} {path.name}"
        groups.setdefault(kind, []).append(path)
    return groups


def same(one, other):
    return (
        np.array_equal(one.images[:], other.images[:])
        and np.array_equal(one.captions.rows[:], other.captions.rows[:])
        and list(one.captions.strings) == list(other.captions.strings)
        and np.array_equal(one.captions.owner, other.captions.owner)
        and (one.fingerprint, one.classes, one.labels.tolist())
        == (other.fingerprint, other.classes, other.labels.tolist())
    )


def looked_at(root):
    """Run on a store: what it gives, what it tells, and what `cache verify` said before."""
    problems = housekeeping.verify(ToyMaterials(root).store)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        split = ToyMaterials(root).embed()
    assert all(issubclass(one.category, GapbenchWarning) for one in told)
    return split, [str(one.message) for one in told], problems


@pytest.mark.parametrize("of_each", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_any_flipped_byte_is_told_and_healed(tmp_path, of_each):
    """Flip bytes at random places, as many in each of eleven kinds of file; sizes and times stay as they are.

    That a damage was healed shows in the next round, in which it would be found beside the next one.
    """
    expected = filled(tmp_path)
    rng = np.random.default_rng(0)
    groups = kinds(tmp_path)
    assert set(groups) == {
        "dataset", "encoder", "agreement",
        "images checksums.json", "images identity.json", "images img_emb_0.npy", "images items_0.npy",
        "texts checksums.json", "texts identity.json", "texts text_emb_0.npy", "texts texts_0.jsonl",
    }  # fmt: skip
    for kind, paths in groups.items():
        for number in range(of_each):
            path = paths[number % len(paths)]
            flip(path, rng)
            entry._CHECKED.clear()  # as in a process that has not looked yet
            materials = ToyMaterials(tmp_path)
            housekeeping.entries(materials.store)
            assert [problem.path for problem, _ in housekeeping.verify(materials.store)] == [owner(path)]
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                split = materials.embed()
                if kind == "agreement":
                    fp = materials.encoder_fingerprint(materials.toy_encoder)
                    digests = materials.known_manifest(materials.toy_dataset, "test").item_digests
                    assert len(materials.store.missing_images(fp, "other", digests)) == len(digests)
                    agreed(materials.store, tmp_path)
            assert same(split, expected), (kind, number)
            (one,) = told
            assert one.category is GapbenchWarning
            assert str(owner(path)) in str(one.message)
    assert housekeeping.verify(ToyMaterials(tmp_path).store) == []


def flip(path, rng):
    """Change one byte of a file, as a fault of the disk does."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def owner(path):
    """Give what a file is a part of: its memo, or its entry."""
    parts = path.parts
    for kind in ("images", "texts"):
        if kind in parts:
            at = parts.index(kind)
            return type(path)(*parts[: at + 3])
    return path


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def missing(path):
    path.unlink()


def folder(path):
    path.unlink()
    (path / "below").mkdir(parents=True)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("damage", [emptied, cut, missing, folder, pipe, link, dangling])
def test_files_that_are_cut_or_something_else_are_told_and_healed(tmp_path, damage):
    expected = filled(tmp_path)
    for paths in kinds(tmp_path).values():
        damage(paths[0])
        store = ToyMaterials(tmp_path).store
        housekeeping.entries(store)
        split, told, problems = looked_at(tmp_path)
        assert same(split, expected)
        agreement = "agreement" in paths[0].parts
        if "memo" in paths[0].parts and damage is missing:
            assert (told, problems) == ([], [])  # as if it had never been
        else:
            assert len(told) == (not agreement), (paths[0], told)  # other code has not asked yet
            assert [problem.path for problem, _ in problems] == [owner(paths[0])]
        housekeeping.prune(store)
        agreed(store, tmp_path)
        assert housekeeping.verify(store) == []
        split, told, _ = looked_at(tmp_path)
        assert same(split, expected)
        assert told == []


def test_an_entry_that_is_no_folder_is_told_and_healed(tmp_path):
    for number, make in enumerate((lambda path: path.write_text("x"), os.mkfifo, lambda path: path.symlink_to("."))):
        root = tmp_path / str(number)
        root.mkdir()
        expected = ToyMaterials(root).embed()
        for kind in ("images", "texts"):
            (folder,) = (root / "store" / kind).glob("*/*")
            folder.rename(root / f"old {kind}")
            make(folder)
        split, told, problems = looked_at(root)
        assert same(split, expected)
        assert len(told) == len(problems) == 2


def test_what_is_damaged_after_it_was_checked_in_this_process_is_noticed(tmp_path):
    expected = ToyMaterials(tmp_path).embed()
    images, texts = np.array(expected.images[:]), np.array(expected.captions.rows[:])
    materials = ToyMaterials(tmp_path)
    materials.embed()
    arrays = sorted((tmp_path / "store").rglob("*_emb_0.npy"))
    assert len(arrays) == 2
    for array in arrays:
        flip(array, np.random.default_rng(0))  # size and time of change stay, but not the time of the change of those
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        split = materials.embed()
    np.testing.assert_array_equal(split.images[:], images)
    np.testing.assert_array_equal(split.captions.rows[:], texts)
    assert len(told) == 2


def test_labels_changed_behind_a_right_checksum_are_not_used(tmp_path):
    materials = ToyMaterials(tmp_path)
    expected = materials.embed()
    (memo,) = (tmp_path / "store" / "memo" / "dataset").iterdir()
    content = json.loads(memo.read_bytes())["memo"]
    labels = content["value"]["labels"]
    content["value"]["labels"] = labels[1:] + labels[:1]
    memo.write_bytes(sealed(json.dumps(content).encode()))
    split, (told,), _ = looked_at(tmp_path)
    assert same(split, expected)
    assert "its fingerprint is not that of what it holds" in told


PLUGIN = """
import gapbench

@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name="toy", factory="gapbench.testing.toys:ToyEncoder", summary="Toy.")]

@gapbench.hookimpl
def gapbench_datasets():
    return [
        gapbench.DatasetSpec(
            name="toys", factory="gapbench.testing.toys:ToyDataset", summary="Toys.", licence="MIT",
            offers=frozenset({gapbench.Offer.LABELS}), splits={"train": 24, "test": 16},
        )
    ]
"""


def test_damage_is_told_in_one_line_on_the_terminal(gapbench, tmp_path):
    (tmp_path / "toys.py").write_text(PLUGIN)
    toys = ("--plugin", "toys.py", "-e", "toy", "-d", "toys", "-p", "photo", "-a", "identity", "-m", "top1")
    env = {"GAPBENCH_CACHE": str(tmp_path / "store")}
    first = gapbench("run", *toys, "--no-figures", "--out", "one", env=env)
    arrays = sorted((tmp_path / "store").rglob("*_emb_0.npy"))
    for array in arrays:
        flip(array, np.random.default_rng(0))
    assert gapbench("cache", "verify", env=env, code=1).stderr.count("damaged:") == len(arrays) == 3
    again = gapbench("run", *toys, "--no-figures", "--out", "two", env=env)
    lines = [line for line in again.stderr.splitlines() if line.startswith("warning: ")]
    assert len(lines) == 3
    assert all(line.startswith("warning: The stored embeddings in ") for line in lines)
    assert first.stdout.replace("one", "two").splitlines()[:5] == again.stdout.splitlines()[:5]
    gapbench("cache", "verify", env=env)
