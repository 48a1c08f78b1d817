"""Containers of embeddings: one set of arrays in each of them, and what lies in their place."""

import builtins
import json
from importlib.util import find_spec

import numpy as np
import pytest
from safetensors.numpy import save_file

from gapbench.embeddings.files import EmbeddingFile
from gapbench.embeddings.impostors import impostor
from gapbench.errors import DataError, MissingAssetError
from gapbench.specs import Offer, Pooling

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 1764714\n"
PAGE = "\n<!DOCTYPE html>\n<html><body>Not found</body></html>"

needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


def by_class(n=6, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(n, 4)).astype(np.float32),
        "text": rng.normal(size=(3, 4)).astype(np.float32),
        "label": np.arange(n) % 3,
    }


def captioned(n=6, seed=0):
    rng = np.random.default_rng(seed)
    rows = {name: rng.normal(size=(n, 4)).astype(np.float32) for name in ("image", "text")}
    return {**rows, "pair": np.arange(n)}


def npz(folder, arrays, **words):
    np.savez(folder / "e.npz", **arrays, **{name: np.array(word) for name, word in words.items()})
    return folder / "e.npz"


def safetensors(folder, arrays, **words):
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind != "U"}
    strings = {name: json.dumps(array.tolist()) for name, array in arrays.items() if array.dtype.kind == "U"}
    save_file(numbers, folder / "e.safetensors", metadata={**strings, **words})
    return folder / "e.safetensors"


def npy_folder(folder, arrays, **words):
    (folder / "e").mkdir()
    for name, array in {**arrays, **words}.items():
        np.save(folder / "e" / f"{name}.npy", array)
    return folder / "e"


CONTAINERS = (npz, safetensors, npy_folder)


def scored(path):
    return EmbeddingFile(path).embedded("test")


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("make", [by_class, captioned], ids=lambda one: one.__name__)
def test_one_set_of_arrays_is_one_set_of_items_in_each_container(tmp_path, container, make):
    arrays = {**make(), "names": np.array(["a", "b", "c"] if make is by_class else list("abcdef"))}
    (tmp_path / "plain").mkdir()
    expected = scored(npz(tmp_path / "plain", arrays))
    split = scored(container(tmp_path, arrays, encoder="CLIP of a friend", dataset="birds"))
    assert split.fingerprint == expected.fingerprint
    assert split.classes == expected.classes
    texts = split.captions or split.prompts
    assert list(texts.strings) == arrays["names"].tolist()
    np.testing.assert_array_equal(split.images[:], arrays["image"])
    assert "The file says: it was encoded by CLIP of a friend, the data are birds." in split.intake.notices


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.__name__)
def test_uncompressed_arrays_are_mapped_not_copied(tmp_path, container):
    assert isinstance(scored(container(tmp_path, by_class())).images, np.memmap)


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize(("kind", "how"), [("f2", "widened to float32, without loss"), ("f8", "rounded to float32")])
def test_other_floating_point_numbers_are_converted_and_told(tmp_path, container, kind, how):
    arrays = by_class()
    arrays["image"] = arrays["image"].astype(np.float16).astype(kind)
    split = scored(container(tmp_path, arrays))
    np.testing.assert_array_equal(split.images[:], arrays["image"].astype(np.float32))
    assert split.images[:].dtype == np.float32
    assert any(how in notice and "'image'" in notice for notice in split.intake.notices)


def test_bfloat16_is_widened_without_loss(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    arrays = {name: torch.tensor(array) for name, array in by_class().items()}
    arrays["image"] = arrays["image"].to(torch.bfloat16)
    save_tensors(arrays, tmp_path / "e.safetensors")
    split = scored(tmp_path / "e.safetensors")
    np.testing.assert_array_equal(split.images[:], arrays["image"].float().numpy())
    assert any("bfloat16" in notice for notice in split.intake.notices)


def test_a_float64_that_no_float32_can_hold_is_refused(tmp_path):
    arrays = by_class()
    arrays["image"] = arrays["image"].astype(np.float64)
    arrays["image"][3, 1] = 1e300
    with pytest.raises(DataError, match="array 'image', row 3, holds NaN or infinity"):
        scored(npz(tmp_path, arrays))


def test_a_training_split_by_class(tmp_path):
    more = by_class(n=9, seed=1)
    arrays = {**by_class(), "image_train": more["image"], "label_train": more["label"]}
    file = EmbeddingFile(npz(tmp_path, arrays))
    assert file.splits() == {"test": 6, "train": 9}
    train = file.embedded("train")
    np.testing.assert_array_equal(train.images[:], more["image"])
    assert train.labels.tolist() == more["label"].tolist()
    assert train.prompts is file.embedded("test").prompts
    assert train.fingerprint != file.embedded("test").fingerprint


def test_a_training_split_with_captions(tmp_path):
    more = {f"{name}_train": array for name, array in captioned(n=9, seed=1).items()}
    file = EmbeddingFile(npz(tmp_path, {**captioned(), **more}))
    assert file.splits() == {"test": 6, "train": 9}
    np.testing.assert_array_equal(file.embedded("train").captions.rows[:], more["text_train"])


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (by_class, {"label_train": None}, "has 'image_train', but not 'label_train'"),
        (captioned, {"text_train": None}, "has 'image_train', but not 'text_train'"),
        (captioned, {"pair_train": None}, "has 'image_train', but not 'pair_train'"),
        (by_class, {"label_train": np.full(9, 3)}, "array 'label_train', row 0, is 3"),
        (captioned, {"pair_train": np.full(9, 9)}, "rows of 'image_train' go from 0 to 8"),
        (by_class, {"image_train": np.random.default_rng(2).normal(size=(9, 5)).astype("f4")}, "of the training split"),
    ],
)
def test_a_training_split_that_does_not_fit_is_named(tmp_path, make, changes, message):
    arrays = {**make(), **{f"{name}_train": array for name, array in make(n=9, seed=1).items() if name != "text"}}
    if make is captioned:
        arrays["text_train"] = captioned(n=9, seed=1)["text"]
    arrays = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    with pytest.raises(DataError) as caught:
        scored(npz(tmp_path, arrays))
    assert message in str(caught.value)


def several_prompts():
    rng = np.random.default_rng(3)
    return {**by_class(), "text": rng.normal(size=(5, 4)).astype(np.float32), "owner": np.array([0, 0, 1, 2, 2])}


def test_several_prompts_a_class_count_with_their_mean(tmp_path):
    split = scored(npz(tmp_path, {**several_prompts(), "names": np.array(["a", "b", "c"])}))
    assert split.prompts.owner.tolist() == [0, 0, 1, 2, 2]
    assert split.classes == ("a", "b", "c")
    assert split.pooling is Pooling.MEAN
    assert any("5 prompts of 3 classes count with the mean" in notice for notice in split.intake.notices)


def test_pooling_and_weights_are_read_and_are_part_of_the_question(tmp_path):
    found = set()
    for number, (more, words) in enumerate(
        (({}, {}), ({}, {"pooling": "nearest"}), ({"weight": np.array([1.0, 0, 1, 1, 3])}, {}))
    ):
        (tmp_path / str(number)).mkdir()
        split = scored(safetensors(tmp_path / str(number), {**several_prompts(), **more}, **words))
        assert split.pooling == words.get("pooling", "mean")
        assert (split.prompts.weights is None) == (not more)
        found.add(split.fingerprint)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": np.array([0, 0, 2, 2, 2])}, "class 1 has no text"),
        ({"owner": np.array([0, 0, 1])}, "has 3 entries, but there are 5 rows"),
        ({"label": np.array([0, 1, 2, 0, 1, 3])}, "array 'label', row 5, is 3; classes go from 0 to 2"),
        ({"names": np.array(list("abcde"))}, "class 3 has no text"),
        ({"weight": np.array([1.0, 1, 0, 1, 1])}, "all prompts of class 1 weigh 0"),
        ({"weight": np.array([1.0, 1, -1, 1, 1])}, "numbers of at least 0"),
        ({"weight": np.ones(5), "pooling": np.array("nearest")}, "only pooling 'mean'"),
        ({"pooling": np.array("best")}, "says pooling 'best'"),
        ({"image_key": np.arange(6)}, "it must be uint64 (6,)"),
    ],
)
def test_prompts_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(DataError) as caught:
        scored(npz(tmp_path, {**several_prompts(), **changes}))
    assert message in str(caught.value)


def test_classes_beside_captions(tmp_path):
    arrays = {**captioned(), "class": np.arange(6) % 2, "class_names": np.array(["cat", "dog"])}
    file = EmbeddingFile(safetensors(tmp_path, arrays))
    assert file.offers() == {Offer.LABELS, Offer.CAPTIONS}
    assert file.embedded("test").labels.tolist() == [0, 1] * 3
    del arrays["class_names"]
    with pytest.raises(DataError, match="not 'class_names'"):
        scored(npz(tmp_path, arrays))


def test_arrays_that_are_not_read_are_told(tmp_path):
    notices = scored(npz(tmp_path, {**by_class(), "logits": np.zeros(3)})).intake.notices
    assert "Arrays that are not read: logits." in notices


def test_other_names_are_told_with_what_is_wanted(tmp_path):
    np.savez(tmp_path / "e.npz", img=np.ones(2), txt=np.ones(2))
    with pytest.raises(DataError, match=r"no array 'image' \(it has img, txt\).*image \(N, d\), text \(M, e\)"):
        scored(tmp_path / "e.npz")


# -- clip-retrieval: a row for each caption --------------------------------------------------------------------------


def clip_retrieval(folder, images, texts, kind="f4"):
    for side, rows in (("img_emb", images), ("text_emb", texts)):
        (folder / side).mkdir(parents=True)
        for number, part in enumerate(np.array_split(rows.astype(kind), 2)):
            np.save(folder / side / f"{side}_{number}.npy", part)
    return folder


def test_images_that_are_repeated_for_each_caption_are_one_image(tmp_path):
    own = captioned()
    which = np.array([2, 2, 0, 5, 0, 2, 1, 3, 4, 4])
    texts = captioned(n=10, seed=1)["text"]
    split = scored(clip_retrieval(tmp_path / "folder", own["image"][which], texts))
    order = [2, 0, 5, 1, 3, 4]  # of their first row
    np.testing.assert_array_equal(split.images[:], own["image"][order])
    np.testing.assert_array_equal(split.images[np.array([3, 0])], own["image"][[1, 2]])
    assert [order[image] for image in split.captions.owner] == which.tolist()
    assert any("10 rows of 'image' are 6 different images" in notice for notice in split.intake.notices)
    same = npz(tmp_path, {"image": own["image"][order], "text": texts, "pair": split.captions.owner})
    assert scored(same).fingerprint == split.fingerprint


def test_shards_of_other_types_are_told(tmp_path):
    arrays = captioned()
    split = scored(clip_retrieval(tmp_path, arrays["image"], arrays["text"], "f2"))
    assert "img_emb is float16 and was converted to float32." in split.intake.notices


# -- what CLIP_benchmark keeps ---------------------------------------------------------------------------------------


def test_a_cache_of_features_is_read_after_conversion(tmp_path):
    arrays, more = by_class(), by_class(n=9, seed=1)
    names = {"features_test": arrays["image"], "targets_test": arrays["label"], "text": arrays["text"]}
    names |= {"features_train": more["image"], "targets_train": more["label"], "features_val": more["image"]}
    file = EmbeddingFile(npy_folder(tmp_path, names))
    assert file.splits() == {"test": 6, "train": 9}
    assert file.embedded("test").fingerprint == scored(npz(tmp_path, arrays)).fingerprint
    assert file.embedded("test").intake.read_as == "features as CLIP_benchmark keeps them"
    assert file.embedded("test").intake.skipped == {"arrays of a validation split": 1}


def script_of(error):
    """Take the two lines of a program out of a message."""
    lines = str(error).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("import"))
    return "\n".join(lines[start : start + 2])


def test_files_of_torch_are_refused_with_a_script_that_converts_them(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array) for name, array in by_class().items()}
    torch.save(tensors, tmp_path / "e.pt")
    with pytest.raises(DataError, match=r"e\.pt is a file of torch.save: a pickle") as caught:
        scored(tmp_path / "e.pt")
    exec(script_of(caught.value), {})
    assert scored(tmp_path / "e.npz").labels.tolist() == by_class()["label"].tolist()
    (tmp_path / "cache").mkdir()
    for name, part in (("features_test", "image"), ("targets_test", "label")):
        torch.save(tensors[part], tmp_path / "cache" / f"{name}.pt")
    with pytest.raises(DataError, match=r"has files of torch.save \(features_test\.pt, targets_test\.pt\)") as caught:
        scored(tmp_path / "cache")
    exec(script_of(caught.value), {})
    np.save(tmp_path / "cache" / "text.npy", by_class()["text"])
    split = scored(tmp_path / "cache")
    assert split.fingerprint == scored(tmp_path / "e.npz").fingerprint
    assert split.intake.skipped == {"files of torch.save": 2}


@pytest.mark.parametrize("name", ["e.pkl", "e.npz"])
def test_pickles_are_refused_whatever_their_name_with_a_script(tmp_path, name):
    import pickle

    (tmp_path / name).write_bytes(pickle.dumps(by_class()))
    with pytest.raises(DataError, match=r"is a pickle, which can run code") as caught:
        scored(tmp_path / name)
    assert len(script_of(caught.value).splitlines()) == 2


def test_torch_files_under_another_name_are_known(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"image": torch.zeros(2)}, tmp_path / "e.npz")
    with pytest.raises(DataError, match=r"file of torch\.save"):
        scored(tmp_path / "e.npz")


# -- what lies in the place of a file --------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "word"), [(LFS, "git lfs pull"), (PAGE, "HTML page")])
@pytest.mark.parametrize(
    "place", ["e.npz", "e.safetensors", "e.parquet", "e.pt", "e/image.npy", "c/img_emb/img_emb_0.npy"]
)
def test_pointers_and_pages_are_called_that(tmp_path, place, content, word):
    for folder in ("e", "c"):
        (tmp_path / folder).mkdir()
    npy_folder(tmp_path / "e", by_class()).rename(tmp_path / "e2")
    for file in (tmp_path / "e2").iterdir():
        file.rename(tmp_path / "e" / file.name)
    clip_retrieval(tmp_path / "c", captioned()["image"], captioned()["text"])
    (tmp_path / place).write_text(content)
    path = tmp_path / place if "/" not in place else tmp_path / place.split("/")[0]
    with pytest.raises(DataError, match=word) as caught:
        scored(path)
    assert str(tmp_path / place) in str(caught.value)


def test_a_picture_that_is_a_pointer_is_called_that(tmp_path):
    from gapbench.builtin.datasets.pictures import PictureFiles

    (tmp_path / "cat.jpg").write_text(LFS)
    with pytest.raises(DataError, match=r"cat\.jpg is a Git LFS pointer"):
        PictureFiles([tmp_path / "cat.jpg"])[0]


def test_other_files_are_no_impostors(tmp_path):
    path = npz(tmp_path, by_class())
    assert impostor(path) == impostor(tmp_path) == impostor(tmp_path / "absent") == ""


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_safetensors_file_is_named(tmp_path, keep):
    path = safetensors(tmp_path, by_class())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"e\.safetensors is not a whole \.safetensors file"):
        scored(path)


@pytest.mark.parametrize("names", ["[1]", "cat", "{}", "[" * 5000])
def test_names_that_are_no_list_of_strings_are_named(tmp_path, names):
    path = safetensors(tmp_path, by_class(), names=names)
    with pytest.raises(DataError, match="'names' of the metadata, is no list of strings"):
        scored(path)


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one.__name__)
def test_names_with_halves_of_characters_are_named(tmp_path, container):
    with pytest.raises(DataError, match=r"names.*row 1, is no text"):
        scored(container(tmp_path, {**by_class(), "names": np.array(["a", "b\ud800", "c"])}))


@pytest.mark.parametrize("name", ["e.csv", "e.h5", "e.tar"])
def test_other_kinds_of_files_are_told_what_is_read(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"[Ww]hat is read"):
        scored(tmp_path / name)


def test_one_npy_file_is_told_to_be_one_array(tmp_path):
    np.save(tmp_path / "image.npy", by_class()["image"])
    with pytest.raises(DataError, match="Name the folder"):
        scored(tmp_path / "image.npy")


@pytest.mark.parametrize("names", [[], ["readme.md", "data.bin2"]])
def test_a_folder_of_other_things_is_told_what_is_read(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match="is no folder of embeddings"):
        scored(tmp_path)


# -- tables ----------------------------------------------------------------------------------------------------------


def table(arrays, **columns):
    import pyarrow as pa

    lists = {name: list(array) for name, array in arrays.items() if array.ndim == 2}
    return pa.table({**lists, **columns})


@needs_pyarrow
def test_a_parquet_file_of_pairs(tmp_path):
    from pyarrow import parquet

    arrays = captioned()
    columns = {"image_embedding": arrays["image"], "text_embedding": arrays["text"]}
    parquet.write_table(table(columns, caption=list("abcdef")), tmp_path / "e.parquet", row_group_size=2)
    split = scored(tmp_path / "e.parquet")
    assert split.captions.strings == tuple("abcdef")
    assert split.fingerprint == scored(npz(tmp_path, arrays)).fingerprint


@needs_pyarrow
def test_a_parquet_file_with_labels_has_one_text_a_class(tmp_path):
    from pyarrow import parquet

    arrays = {**by_class(), "names": np.array(["class 4", "class 7", "class 9"])}
    columns = {"image": arrays["image"], "text": arrays["text"][arrays["label"]]}
    numbers = np.array([4, 7, 9])[arrays["label"]]
    parquet.write_table(table(columns, label=numbers), tmp_path / "e.parquet")
    split = scored(tmp_path / "e.parquet")
    assert split.fingerprint == scored(npz(tmp_path, arrays)).fingerprint
    columns["text"][4] += 1
    parquet.write_table(table(columns, label=numbers), tmp_path / "e.parquet")
    with pytest.raises(DataError, match="rows 1 and 4 are of class 7 and have different texts"):
        scored(tmp_path / "e.parquet")


@needs_pyarrow
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], None, [2.0, 1.0]], "has 1 empty values"),
        ([[1.0, 2.0], [2.0], [2.0, 1.0]], "row 1, has 1 numbers, and row 0 has 2"),
        (["a", "b", "c"], "has no columns of image rows"),
        ([[1.0, 2.0], [2.0, float("nan")], [2.0, 1.0]], "row 1, holds NaN"),
    ],
)
def test_bad_columns_are_named(tmp_path, rows, message):
    import pyarrow as pa
    from pyarrow import parquet

    texts = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.5]]
    parquet.write_table(pa.table({"image": rows, "text": texts}), tmp_path / "e.parquet")
    with pytest.raises(DataError, match=message):
        scored(tmp_path / "e.parquet")


@needs_pyarrow
def test_a_damaged_table_is_named(tmp_path):
    for name in ("e.parquet", "e.arrow"):
        (tmp_path / name).write_bytes(b"PAR1 and no more")
        with pytest.raises(DataError, match="is not a whole table"):
            scored(tmp_path / name)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "e.parquet").write_bytes(b"PAR1")
    real = builtins.__import__

    def absent(name, *arguments, **keywords):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingAssetError, match=r"gapbench\[parquet\]"):
        scored(tmp_path / "e.parquet")


@needs_pyarrow
def test_folders_that_datasets_saved(tmp_path):
    datasets = pytest.importorskip("datasets")

    def made(arrays):
        features = {"image_emb": datasets.Sequence(datasets.Value("float32"), length=4)}
        features |= {"text_emb": datasets.Sequence(datasets.Value("float32"))}
        features |= {"label": datasets.ClassLabel(names=["cat", "dog", "eel"])}
        rows = {"image_emb": arrays["image"], "text_emb": by_class()["text"][arrays["label"]], "label": arrays["label"]}
        return datasets.Dataset.from_dict(rows, features=datasets.Features(features))

    more = by_class(n=9, seed=1)
    made(by_class()).save_to_disk(tmp_path / "one")
    both = {"train": made(more), "test": made(by_class()), "validation": made(by_class(n=3))}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "two")
    arrays = {**by_class(), "names": np.array(["cat", "dog", "eel"])}
    expected = scored(npz(tmp_path, arrays))
    assert scored(tmp_path / "one").fingerprint == expected.fingerprint
    file = EmbeddingFile(tmp_path / "two")
    assert file.splits() == {"test": 6, "train": 9}
    assert file.embedded("test").fingerprint == expected.fingerprint
    np.testing.assert_array_equal(file.embedded("train").images[:], more["image"])
    assert file.embedded("test").intake.skipped == {"rows of a validation split": 3}


# -- runs ------------------------------------------------------------------------------------------------------------


def test_held_out_fits_on_the_training_split(gapbench, tmp_path):
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(3, 8))
    rows = {}
    for behind, n in (("", 60), ("_train", 90)):
        labels = np.arange(n) % 3
        rows |= {f"image{behind}": (texts[labels] + rng.normal(size=(n, 8))).astype("f4"), f"label{behind}": labels}
    path = safetensors(tmp_path, {**rows, "text": texts.astype("f4")})
    done = gapbench(
        "run", "-d", f"embeddings:{path}", "-a", "identity", "-a", "mean-center", "--no-figures", "--out", "o"
    )
    assert "fitted on all items of train, scored on 60 images" in " ".join(done.stdout.split())


def test_two_files_of_one_name_stay_apart_beside_their_results(gapbench, tmp_path):
    shares = []
    for seed, folder in enumerate(("small", "large")):
        (tmp_path / folder).mkdir()
        arrays = by_class(n=60, seed=seed)
        npz(tmp_path / folder, arrays)
        units = {name: arrays[name] / np.linalg.norm(arrays[name], axis=1, keepdims=True) for name in ("image", "text")}
        best = (units["image"] @ units["text"].T).argmax(axis=1)
        shares.append(f"{100 * np.mean(best == arrays['label']):.1f}")
    assert len(set(shares)) == 2
    both = ("-d", "embeddings:small/e.npz", "-d", "embeddings:large/e.npz", "-a", "identity", "-m", "top1")
    done = gapbench("run", *both, "--protocol", "in-sample", "--no-figures", "--out", "small")
    for folder, share in zip(("small", "large"), shares, strict=True):
        for text in (done.stdout, (tmp_path / "small" / "README.md").read_text()):
            assert f"embeddings:{folder}/e.npz" in text
            assert share in text
    assert scored(tmp_path / "small" / "e.npz").labels.tolist() == by_class(n=60)["label"].tolist()
