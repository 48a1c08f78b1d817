"""Embedding files: both modes, memory-mapped, and an error with file, array and row for whatever is wrong."""

import numpy as np
import pytest

from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import DataError
from gapbench.specs import Offer


def good(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.normal(size=(6, 4)).astype(np.float32),
        "text": rng.normal(size=(3, 4)).astype(np.float32),
        "label": np.array([0, 1, 2, 0, 1, 2]),
        "names": np.array(["cat", "dog", "eel"]),
    }
    arrays.update(changes)
    return {name: array for name, array in arrays.items() if array is not None}


def saved(tmp_path, **changes):
    path = tmp_path / "file.npz"
    np.savez(path, **good(**changes))
    return path


def test_class_mode(tmp_path):
    split = EmbeddingFile(saved(tmp_path)).embedded("test")
    assert EmbeddingFile(saved(tmp_path)).offers() == {Offer.LABELS}
    assert split.classes == ("cat", "dog", "eel")
    assert split.labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(split.images[:], good()["image"])


def test_caption_mode(tmp_path):
    path = saved(tmp_path, label=None, pair=np.array([5, 0, 5], dtype=np.int32))
    file = EmbeddingFile(path)
    assert file.offers() == {Offer.CAPTIONS}
    assert file.embedded("test").captions.owner.tolist() == [5, 0, 5]


def test_uncompressed_arrays_are_mapped_and_compressed_ones_read(tmp_path):
    assert isinstance(EmbeddingFile(saved(tmp_path)).embedded("test").images, np.memmap)
    np.savez_compressed(tmp_path / "small.npz", **good())
    small = EmbeddingFile(tmp_path / "small.npz").embedded("test")
    np.testing.assert_array_equal(small.images, good()["image"])


def test_the_fingerprint_is_the_content(tmp_path):
    one = EmbeddingFile(saved(tmp_path)).embedded("test").fingerprint
    changed = good()["image"].copy()
    changed[0, 0] += 1
    assert EmbeddingFile(saved(tmp_path, image=changed)).embedded("test").fingerprint != one


def with_row(value, row=4):
    image = good()["image"].copy()
    image[row] = value
    return image


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": good()["image"].astype(np.float64)}, "array 'image' is float64; it must be float32"),
        ({"text": good()["text"].astype(np.float16)}, "array 'text' is float16"),
        ({"image": with_row(np.nan)}, "array 'image', row 4, holds NaN"),
        ({"image": with_row(np.inf, 2)}, "array 'image', row 2, holds NaN or infinity"),
        ({"image": with_row(0.0)}, "array 'image', row 4, is all zeros"),
        ({"text": np.ones((3, 5), np.float32)}, "'image' has 4 dimensions and array 'text' 5"),
        ({"image": np.ones(6, np.float32)}, "must be (N, d)"),
        ({"image": np.ones((0, 4), np.float32)}, "at least one row"),
        ({"label": np.array([0, 1, 2, 0, 1, 3])}, "array 'label', row 5, is 3; rows of 'text' go from 0 to 2"),
        ({"label": np.array([0, 1, 2, 0, -1, 2])}, "array 'label', row 4, is -1"),
        ({"label": np.array([0, 1])}, "has 2 entries, but there are 6 rows"),
        ({"label": np.array([0.0] * 6)}, "must be whole numbers"),
        ({"label": None}, "neither 'label' nor 'pair'"),
        ({"pair": np.array([0, 1, 2])}, "both 'label' and 'pair'"),
        ({"label": None, "pair": np.array([0, 1, 6])}, "array 'pair', row 2, is 6"),
        ({"image": None}, "has no array 'image'"),
        ({"names": np.array(["cat"])}, "must be 3 strings"),
        ({"names": np.array(["cat", 1, None], dtype=object)}, "array 'names' holds pickled Python objects"),
    ],
)
def test_bad_content_is_named(tmp_path, changes, message):
    path = saved(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        EmbeddingFile(path).embedded("test")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, 500])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"file\.npz is not a whole \.npz file"):
        EmbeddingFile(path).embedded("test")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no embedding file"):
        EmbeddingFile(tmp_path / "absent.npz").missing()


def folder(tmp_path, shards=(4, 7), texts=None, dtype=np.float16):
    rng = np.random.default_rng(1)
    for side, sizes in (("img_emb", shards), ("text_emb", texts or shards)):
        (tmp_path / side).mkdir()
        for number, size in enumerate(sizes):
            np.save(tmp_path / side / f"{side}_{number}.npy", rng.normal(size=(size, 3)).astype(dtype))
    return tmp_path


def test_a_clip_retrieval_folder_is_read_shard_by_shard(tmp_path):
    split = EmbeddingFile(folder(tmp_path, shards=(2,) * 11)).embedded("test")
    assert split.images.shape == (22, 3)
    np.testing.assert_array_equal(split.images[20:22], np.load(tmp_path / "img_emb" / "img_emb_10.npy"))
    assert split.captions.owner.tolist() == list(range(22))


def test_a_folder_whose_sides_differ_is_named(tmp_path):
    with pytest.raises(DataError, match="row by row they must be pairs"):
        EmbeddingFile(folder(tmp_path, texts=(4, 6))).embedded("test")


def test_a_folder_without_one_side_is_named(tmp_path):
    (tmp_path / "img_emb").mkdir()
    with pytest.raises(DataError, match=r"has no img_emb/\*\.npy"):
        EmbeddingFile(tmp_path).embedded("test")


def test_the_command_line_names_a_bad_file_without_a_traceback(gapbench, tmp_path):
    path = saved(tmp_path, image=with_row(np.nan))
    done = gapbench("run", "-d", f"embeddings:{path}", code=1)
    words = " ".join((done.stdout + done.stderr).split())
    assert "row 4, holds NaN" in words
    assert "Traceback" not in words


def test_published_files_are_read(shared_file):
    file = EmbeddingFile(shared_file("mind_the_gap_clip.npz"))
    assert file.splits() == {"test": 500}
    assert file.embedded("test").images.shape == (500, 512)
