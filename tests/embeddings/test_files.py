"""Embedding files: both modes, memory-mapped, and an error with file, array and row for whatever is wrong."""

import io
import os
import zipfile

import numpy as np
import pytest

from gapbench.embeddings.arrays import hash_array
from gapbench.embeddings.files import EmbeddingFile
from gapbench.embeddings.npz import open_npy
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
        ({"image": good()["image"].astype(np.int32)}, "array 'image' is int32; it must be float32, float16 or float64"),
        ({"text": good()["text"].astype(np.complex64)}, "array 'text' is complex64"),
        ({"image": with_row(np.nan)}, "array 'image', row 4, holds NaN"),
        ({"image": with_row(np.inf, 2)}, "array 'image', row 2, holds NaN or infinity"),
        ({"image": with_row(0.0)}, "array 'image', row 4, is all zeros"),
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


def zipped(path, arrays, compression=zipfile.ZIP_STORED, cut=None, date=(2020, 1, 1, 0, 0, 0)):
    """Write an ``.npz`` file member by member; ``cut`` names one whose last bytes are left out."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, array)
            content = stream.getvalue()[: -8 if name == cut else None]
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date), content, compression)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["image", "text", "label", "names"])
def test_an_array_that_is_shorter_than_it_says_is_named(tmp_path, name, compression):
    path = zipped(tmp_path / "file.npz", good(), compression, cut=name)
    with pytest.raises(DataError, match=rf"file\.npz, array '{name}' is cut short"):
        EmbeddingFile(path).embedded("test")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte_anywhere_is_named_or_changes_nothing(tmp_path, compression):
    content = zipped(tmp_path / "file.npz", good(), compression).read_bytes()
    expected = EmbeddingFile(tmp_path / "file.npz").embedded("test")
    refused = 0
    for place in range(len(content)):
        path = tmp_path / "flipped.npz"
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            found = EmbeddingFile(path).embedded("test").fingerprint
        except DataError as error:
            found = str(error)
        assert found == expected.fingerprint or str(path) in found, place  # a date, say, may be another one
        refused += found != expected.fingerprint
    assert refused > len(content) / 2


def test_a_checksum_is_compared_once_a_process_while_the_file_stays(tmp_path):
    path = zipped(tmp_path / "file.npz", good())
    EmbeddingFile(path).embedded("test")
    before, content = path.stat(), bytearray(path.read_bytes())
    content[content.index(b"image.npy") + 200] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match="array 'image' does not match its checksum"):
        EmbeddingFile(path).embedded("test")


def test_an_absurd_shape_is_refused_before_memory_is_taken(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**15, 10**6)})
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
            archive.writestr("image.npy", stream.getvalue(), compression)
        with pytest.raises(DataError, match="array 'image' is cut short"):
            EmbeddingFile(tmp_path / "file.npz").embedded("test")
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "img_emb" / "img_emb_0.npy").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match=r"img_emb_0\.npy is not a whole"):
        open_npy(tmp_path / "img_emb" / "img_emb_0.npy")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "file.npz")
    with pytest.raises(DataError, match="is not a file"):
        EmbeddingFile(tmp_path / "file.npz").embedded("test")


def test_the_same_arrays_in_another_container_have_one_fingerprint(tmp_path):
    arrays = good()
    expected = EmbeddingFile(saved(tmp_path)).embedded("test").fingerprint
    turned = {**arrays, "image": np.asfortranarray(arrays["image"]), "text": arrays["text"].astype(">f4")}
    for number, path in enumerate(
        (
            zipped(tmp_path / "dated.npz", arrays, date=(2024, 5, 6, 7, 8, 10)),
            zipped(tmp_path / "small.npz", arrays, zipfile.ZIP_DEFLATED),
            zipped(tmp_path / "order.npz", dict(reversed(arrays.items()))),
            zipped(tmp_path / "turned.npz", turned),
            zipped(tmp_path / "int.npz", {**arrays, "label": arrays["label"].astype(np.uint8)}),
        )
    ):
        split = EmbeddingFile(path).embedded("test")
        assert split.fingerprint == expected, number
        np.testing.assert_array_equal(split.prompts.rows[:], arrays["text"])
        assert split.prompts.rows[:].dtype == np.dtype(np.float32)


def test_pairs_in_a_folder_and_in_a_file_have_one_fingerprint(tmp_path):
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(20_000, 3)).astype(np.float32) for _ in range(2))
    np.savez(tmp_path / "file.npz", image=images, text=texts, pair=np.arange(20_000, dtype=np.int32))
    found = {EmbeddingFile(tmp_path / "file.npz").embedded("test").fingerprint}
    for number, cuts in enumerate(([], [1], [8191, 8193, 12_000])):
        for side, rows in (("img_emb", images), ("text_emb", texts)):
            (tmp_path / str(number) / side).mkdir(parents=True)
            for shard, part in enumerate(np.split(rows, cuts)):
                np.save(tmp_path / str(number) / side / f"{side}_{shard}.npy", part)
        found.add(EmbeddingFile(tmp_path / str(number)).embedded("test").fingerprint)
    assert len(found) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"image": with_row(1.5)},
        {"text": good()["text"][:, ::-1].copy()},
        {"label": np.array([0, 1, 2, 0, 2, 1])},
        {"names": np.array(["cat", "dog", "ant"])},
        {"names": None},
    ],
)
def test_other_values_labels_or_names_have_another_fingerprint(tmp_path, changes):
    expected = EmbeddingFile(saved(tmp_path)).embedded("test").fingerprint
    assert EmbeddingFile(saved(tmp_path, **changes)).embedded("test").fingerprint != expected


def test_minus_zero_is_another_value_than_zero():
    zeros = np.zeros((2, 3), np.float32)
    assert hash_array(zeros) != hash_array(-zeros)
    assert hash_array(zeros) != hash_array(zeros.reshape(3, 2))


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
