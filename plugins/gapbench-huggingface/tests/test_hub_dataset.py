"""Datasets of the library: columns, splits, labels, captions, hashes, and what is told."""

import hashlib
import io
import json

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Features, List, Value
from gapbench_huggingface.copies import HubCopy, card_patterns
from gapbench_huggingface.hub_dataset import HubDataset
from PIL import Image
from tiny_data import NAMES, picture, rows

from gapbench import Context, Offer
from gapbench.errors import DataError, MissingAssetError, UsageError

LABELLED = Features({"image": datasets.Image(), "label": ClassLabel(names=NAMES)})


def table(n=6, start=0, features=None, **more):
    """Make a table of pictures and labels, with more columns."""
    kinds = {
        name: List(Value("string")) if isinstance(values[0], list) else Value("string") for name, values in more.items()
    }
    return datasets.Dataset.from_dict(rows(n, start, **more), features=features or Features({**LABELLED, **kinds}))


def saved(folder, **parts):
    datasets.DatasetDict(parts).save_to_disk(folder)
    return folder


def dataset(folder, tmp_path, **params):
    return HubDataset(Context(data_root=tmp_path / "data", offline=True), str(folder), **params)


def hashes(seeds):
    return [hashlib.sha256(picture(seed)).hexdigest() for seed in seeds]


def test_labels_and_hashes_of_encoded_bytes(tmp_path):
    folder = saved(tmp_path / "set", train=table(5), test=table(4, start=10))
    found = dataset(folder, tmp_path)
    assert found.missing() is None
    assert found.splits() == {"train": 5, "test": 4}
    assert found.offers() == {Offer.LABELS}
    split = found.split("test")
    assert list(split.item_hashes) == hashes(range(10, 14))
    assert list(split.classes) == ["red fox", "snow owl", "toad"]
    assert split.labels.tolist() == [0, 1, 2, 0]
    assert split.captions is None
    np.testing.assert_array_equal(np.asarray(split.images[2]), np.asarray(Image.open(io.BytesIO(picture(12)))))
    assert split.intake.read_as == "a table of pictures (image) and labels (label)"
    assert list(split.intake.notices) == ["Underscores in class names are read as spaces."]
    assert split.intake.skipped == {}


@pytest.mark.parametrize(
    ("names", "wanted", "splits", "told"),
    [
        (
            ["train", "validation"],
            "",
            {"train": "train", "test": "validation"},
            "There is no split 'test': 'validation' is scored.",
        ),
        (
            ["train", "dev", "test"],
            "",
            {"train": "train", "test": "test"},
            "The split 'dev' is not read; [split=dev] scores it.",
        ),
        (
            ["train", "dev", "test"],
            "dev",
            {"train": "train", "test": "dev"},
            "The split 'test' is not read; [split=test] scores it.",
        ),
        (["train"], "", {"test": "train"}, "There is no split 'test': 'train' is scored."),
        (["train", "test"], "train", {"test": "train"}, "The split 'test' is not read; [split=test] scores it."),
        (["everything"], "", {"test": "everything"}, "There is no split 'test': 'everything' is scored."),
    ],
)
def test_which_split_is_scored_is_told(tmp_path, names, wanted, splits, told):
    folder = saved(tmp_path / "set", **{name: table(3, 10 * i) for i, name in enumerate(names)})
    found = dataset(folder, tmp_path, split=wanted)
    assert set(found.splits()) == set(splits)
    for name, own in splits.items():
        assert list(found.split(name).item_hashes) == hashes(range(10 * names.index(own), 10 * names.index(own) + 3))
    assert told in found.split("test").intake.notices


def test_a_split_that_is_not_there_is_refused(tmp_path):
    folder = saved(tmp_path / "set", first=table(3), second=table(3, 10))
    with pytest.raises(DataError, match="first, second"):
        dataset(folder, tmp_path).splits()
    with pytest.raises(DataError, match="no split 'third'"):
        dataset(folder, tmp_path, split="third").splits()
    with pytest.raises(DataError, match="no split 'nowhere'"):
        dataset(folder, tmp_path, split="first").split("nowhere")


@pytest.mark.parametrize(
    ("more", "columns"),
    [
        ({"caption": ["one", "two", "three"]}, "caption"),
        ({"text": ["one", "two", "three"], "file_name": ["a", "b", "c"]}, "text"),
        ({"sentences": [["one", "uno"], ["two"], ["three"]]}, "sentences"),
        ({"caption_0": ["one"] * 3, "caption_1": ["two"] * 3}, "caption_0, caption_1"),
    ],
)
def test_captions_are_found_by_type_and_name(tmp_path, more, columns):
    features = Features(
        {"picture": datasets.Image()}
        | {name: List(Value("string")) if isinstance(v[0], list) else Value("string") for name, v in more.items()}
    )
    folder = saved(
        tmp_path / "set", test=datasets.Dataset.from_dict({"picture": rows(3)["image"], **more}, features=features)
    )
    found = dataset(folder, tmp_path)
    assert found.offers() == {Offer.CAPTIONS}
    split = found.split("test")
    expected = [
        [text for name in columns.split(", ") for text in np.atleast_1d(more[name][i]).tolist()] for i in range(3)
    ]
    assert [list(own) for own in split.captions] == expected
    assert split.labels is None
    assert f"captions ({columns})" in split.intake.read_as


def test_labels_and_captions_together(tmp_path):
    folder = saved(tmp_path / "set", test=table(3, caption=["one", "two", "three"]))
    found = dataset(folder, tmp_path)
    assert found.offers() == {Offer.LABELS, Offer.CAPTIONS}
    split = found.split("test")
    assert split.labels.tolist() == [0, 1, 2]
    assert list(split.captions) == [["one"], ["two"], ["three"]]


def test_several_columns_that_fit_are_refused_until_one_is_named(tmp_path):
    features = Features(
        {"image": datasets.Image(), "fine": ClassLabel(names=list("abc")), "coarse": ClassLabel(names=list("xyz"))}
    )
    columns = {"image": rows(3)["image"], "fine": [0, 1, 2], "coarse": [2, 1, 0]}
    folder = saved(tmp_path / "set", test=datasets.Dataset.from_dict(columns, features=features))
    with pytest.raises(DataError, match=r"fine, coarse. Name one, \[label=fine\]"):
        dataset(folder, tmp_path).offers()
    split = dataset(folder, tmp_path, label="coarse").split("test")
    assert (list(split.classes), split.labels.tolist()) == (list("xyz"), [2, 1, 0])
    assert "Columns that are not read: fine." in split.intake.notices
    two = saved(tmp_path / "two", test=table(3, caption=["a", "b", "c"], text=["d", "e", "f"]))
    with pytest.raises(DataError, match=r"caption, text\. Name one"):
        dataset(two, tmp_path).offers()
    assert list(dataset(two, tmp_path, caption="text").split("test").captions) == [["d"], ["e"], ["f"]]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"image": "nothing"}, r"no column 'nothing' \(image=\); it has image, label, path"),
        ({"image": "label"}, "no column of pictures 'label'"),
        ({"label": "image"}, "column 'image' holds pictures, which are no labels"),
        ({"caption": "label"}, "column 'label' holds class labels, which are no captions"),
        ({"caption": "nothing*"}, "no column 'nothing*'"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(tmp_path, params, said):
    folder = saved(tmp_path / "set", test=table(3, path=["a", "b", "c"]))
    with pytest.raises(DataError, match=said.replace("*'", r"\*'")):
        dataset(folder, tmp_path, **params).offers()


def test_pictures_alone_are_refused(tmp_path):
    one = datasets.Dataset.from_dict(
        {"image": rows(2)["image"], "id": ["a", "b"]},
        features=Features({"image": datasets.Image(), "id": Value("string")}),
    )
    with pytest.raises(DataError, match=r"image \(pictures\), id \(strings\)"):
        dataset(saved(tmp_path / "set", test=one), tmp_path).offers()


def test_strings_and_numbers_as_labels(tmp_path):
    kinds = {"image": datasets.Image(), "animal": Value("string"), "number": Value("int64")}
    columns = {"image": rows(4)["image"], "animal": ["toad", "owl", "toad", None], "number": [7, 10, 7, 2]}
    folder = saved(tmp_path / "set", test=datasets.Dataset.from_dict(columns, features=Features(kinds)))
    split = dataset(folder, tmp_path, label="animal").split("test")
    assert (list(split.classes), split.labels.tolist()) == (["owl", "toad"], [1, 0, 1])
    assert split.intake.skipped == {"pictures without a label": 1}
    split = dataset(folder, tmp_path, label="number").split("test")
    assert (list(split.classes), split.labels.tolist()) == (["2", "7", "10"], [1, 2, 1, 0])
    assert any("numbers" in sentence for sentence in split.intake.notices)


def test_what_cannot_be_used_is_counted(tmp_path):
    part = table(5, caption=["one", " ", "three", "four", "five"])
    columns = part.to_dict() | {"label": [0, 1, -1, 2, None]}
    columns["image"][3] = None
    folder = saved(tmp_path / "set", test=datasets.Dataset.from_dict(columns, features=part.features))
    split = dataset(folder, tmp_path).split("test")
    assert list(split.item_hashes) == hashes([0])
    assert split.intake.skipped == {
        "blank captions": 1,
        "pictures without a caption": 1,
        "pictures without a label": 2,
        "rows without a picture": 1,
    }


def test_a_picture_that_repeats_is_one_item_with_all_its_captions(tmp_path):
    columns = {"image": [rows(2)["image"][i] for i in (0, 0, 1, 0)], "caption": ["one", "uno", "two", "eins"]}
    kinds = Features({"image": datasets.Image(), "caption": Value("string")})
    split = dataset(saved(tmp_path / "set", test=datasets.Dataset.from_dict(columns, features=kinds)), tmp_path).split(
        "test"
    )
    assert [list(own) for own in split.captions] == [["one", "uno", "eins"], ["two"]]
    assert list(split.item_hashes) == hashes([0, 1])
    assert any(sentence.startswith("2 rows repeat the picture") for sentence in split.intake.notices)


def test_limit_draws_the_same_items_each_time(tmp_path):
    folder = saved(tmp_path / "set", test=table(30))
    one, other = (dataset(folder, tmp_path, limit=8).split("test") for _ in range(2))
    assert list(one.item_hashes) == list(other.item_hashes)
    assert len(one.item_hashes) == len(set(one.item_hashes)) == 8
    assert list(one.item_hashes) != hashes(range(8))
    assert "8 of 30 items are read, drawn by their positions." in one.intake.notices
    assert dataset(folder, tmp_path, limit=8).splits() == {"test": 8}
    assert not any(
        "items are read" in said for said in dataset(folder, tmp_path, limit=30).split("test").intake.notices
    )


def parquet(folder, **parts):
    folder.mkdir()
    for name, part in parts.items():
        part.to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return folder


def test_data_files_are_read_and_streamed(tmp_path):
    folder = parquet(tmp_path / "files", train=table(5), test=table(7, start=10))
    whole = dataset(folder, tmp_path).split("test")
    assert list(whole.item_hashes) == hashes(range(10, 17))
    assert whole.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    streamed = dataset(folder, tmp_path, streaming=True, limit=3).split("test")
    assert list(streamed.item_hashes) == hashes(range(10, 13))
    assert "Of 'test' the first 3 items are read, whatever their order is." in streamed.intake.notices
    with pytest.raises(UsageError, match=r"\[limit=1000\]"):
        dataset(folder, tmp_path, streaming=True)


def test_class_folders_and_a_table_of_metadata(tmp_path):
    for name in ("owl", "toad"):
        for number in range(2):
            path = tmp_path / "classes" / "train" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number + 10 * (name == "toad")))
    split = dataset(tmp_path / "classes", tmp_path).split("test")
    assert (list(split.classes), sorted(split.labels.tolist())) == (["owl", "toad"], [0, 0, 1, 1])
    assert sorted(split.item_hashes) == sorted(hashes([0, 1, 10, 11]))
    (tmp_path / "table" / "test").mkdir(parents=True)
    lines = []
    for number in range(3):
        (tmp_path / "table" / "test" / f"{number}.png").write_bytes(picture(number))
        lines.append(json.dumps({"file_name": f"{number}.png", "text": f"caption {number}"}))
    (tmp_path / "table" / "test" / "metadata.jsonl").write_text("\n".join(lines))
    split = dataset(tmp_path / "table", tmp_path).split("test")
    assert [list(own) for own in split.captions] == [["caption 0"], ["caption 1"], ["caption 2"]]
    assert list(split.item_hashes) == hashes(range(3))


def test_a_configuration_is_named(tmp_path):
    folder = tmp_path / "set"
    for config, start in (("small", 0), ("large", 20)):
        (folder / config).mkdir(parents=True)
        table(3, start).to_parquet(folder / config / "test.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: small\n  data_files:\n  - split: test\n    path: small/*.parquet\n"
        "- config_name: large\n  data_files:\n  - split: test\n    path: large/*.parquet\n---\n"
    )
    with pytest.raises(DataError, match="config=NAME"):
        dataset(folder, tmp_path).splits()
    assert list(dataset(folder, tmp_path, config="large").split("test").item_hashes) == hashes(range(20, 23))
    assert card_patterns(folder / "README.md", "large") == ["README.md", "large/*.parquet"]
    assert card_patterns(folder / "README.md", "") is None
    other = saved(tmp_path / "saved", test=table(3))
    with pytest.raises(UsageError, match="leave out config="):
        dataset(other, tmp_path, config="large").splits()


def test_what_is_no_dataset_is_refused_with_what_the_library_says(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"hf-dataset:.*empty cannot be read"):
        dataset(tmp_path / "empty", tmp_path).splits()
    with pytest.raises(UsageError, match="no folder"):
        dataset(tmp_path / "nothing", tmp_path).missing()


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path):
    columns = rows(3)
    columns["image"][1]["bytes"] = b"no picture"
    columns["image"][2]["bytes"] = picture(2, mode="I;16")
    folder = saved(tmp_path / "set", test=datasets.Dataset.from_dict(columns, features=LABELLED))
    images = dataset(folder, tmp_path).split("test").images
    with pytest.raises(DataError, match="split 'test', row 1 cannot be read"):
        images[1]
    with pytest.raises(DataError, match="row 2 is a grey picture of more than 8 bits"):
        images[2]


def test_a_repository_is_missing_until_it_is_fetched_and_never_fetched_unasked(tmp_path):
    found = dataset("some/thing", tmp_path)
    missing = found.missing()
    assert "some/thing" in missing.what
    assert "--download" in missing.how
    assert found.files() == ()
    for context in (Context(data_root=tmp_path, offline=True, download=True), Context(data_root=tmp_path)):
        with pytest.raises(MissingAssetError, match="only with --download, not offline"):
            HubDataset(context, "some/thing").download()


def test_a_copy_counts_once_its_note_is_written(tmp_path):
    context = Context(data_root=tmp_path / "data", offline=True)
    copy = HubCopy(context, "some/thing", config="", revision="", first=0)
    parquet_folder = copy.folder
    parquet_folder.parent.mkdir(parents=True)
    parquet(parquet_folder, test=table(3))
    assert HubDataset(context, "some/thing").missing() is not None
    copy.note.write_text("{}")
    assert HubDataset(context, "some/thing").missing() is None
    assert list(HubDataset(context, "some/thing").split("test").item_hashes) == hashes(range(3))
    assert HubDataset(context, "some/thing", revision="other").missing() is not None
    assert HubDataset(context, "some/thing", streaming=True, limit=3).missing() is not None


def test_first_items_of_streams_are_kept_with_their_bytes(tmp_path):
    folder = tmp_path / "classes"
    for number in range(4):
        path = folder / "test" / ("owl" if number < 2 else "toad") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    context = Context(data_root=tmp_path / "data", offline=True)
    copy = HubCopy(context, "some/thing", config="", revision="", first=3)
    copy.keep_first(datasets.load_dataset(str(folder), streaming=True))
    copy.note.write_text("{}")
    for path in folder.rglob("*.png"):
        path.unlink()
    found = HubDataset(context, "some/thing", streaming=True, limit=3)
    split = found.split("test")
    assert sorted(split.item_hashes) == sorted(hashes(range(3)))
    assert split.images[0].size == (24, 20)
    assert found.files()
