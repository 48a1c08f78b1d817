"""WebDataset archives: keys, classes, captions, patterns, splits, and what is told."""

import hashlib
import json

import numpy as np
import pytest
from gapbench_huggingface.tars import Place, archives, expand, natural
from gapbench_huggingface.webdataset import WebDataset
from tiny_data import picture, tar

from gapbench import Context, Offer
from gapbench.errors import DataError


def dataset(pattern, **params):
    return WebDataset(Context(data_root="/nowhere", offline=True), str(pattern), **params)


def hashes(seeds):
    return [hashlib.sha256(picture(seed)).hexdigest() for seed in seeds]


def labelled(numbers, start=0, ending="png"):
    return [
        file
        for number in numbers
        for file in (
            (f"s{number:04}.{ending}", picture(start + number)),
            (f"s{number:04}.cls", str(number % 3).encode()),
        )
    ]


def benchmark(root, shards=2, each=3):
    """Write CLIP_benchmark's layout."""
    for split, start in (("train", 0), ("test", 100)):
        for shard in range(shards):
            numbers = range(shard * each, (shard + 1) * each)
            tar(root / split / f"{shard}.tar", labelled(numbers, start))
        (root / split / "nshards.txt").write_text(f"{shards}\n")
    (root / "classnames.txt").write_text("red fox\nsnow owl\ntoad\n")
    (root / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n")
    return root


def test_the_layout_of_clip_benchmark(tmp_path):
    found = dataset(benchmark(tmp_path))
    assert found.offers() == {Offer.LABELS}
    assert found.splits() == {"train": 6, "test": 6}
    split = found.split("test")
    assert list(split.item_hashes) == hashes(range(100, 106))
    assert list(split.classes) == ["red fox", "snow owl", "toad"]
    assert split.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert split.captions is None
    assert split.images[1].size == (24, 20)
    assert split.intake.read_as == "WebDataset, 2 archives, class names of classnames.txt"
    assert any("zeroshot_classification_templates.txt is not read" in said for said in split.intake.notices)


def test_shards_that_are_not_there_are_missed(tmp_path):
    benchmark(tmp_path)
    (tmp_path / "test" / "1.tar").unlink()
    with pytest.raises(DataError, match=r"has 1 archives, nshards\.txt says 2"):
        dataset(tmp_path).splits()


def test_shards_are_read_in_the_order_of_their_numbers(tmp_path):
    for shard in (0, 2, 10):
        tar(tmp_path / f"{shard}.tar", labelled([shard]))
    assert list(dataset(tmp_path).split("test").item_hashes) == hashes([0, 2, 10])
    assert sorted([tmp_path / "b10", tmp_path / "b9"], key=natural) == [tmp_path / "b9", tmp_path / "b10"]


def test_archives_called_after_splits(tmp_path):
    tar(tmp_path / "train-000.tar", labelled(range(2)))
    tar(tmp_path / "train-001.tar", labelled(range(2, 3)))
    tar(tmp_path / "val-000.tar", labelled(range(10, 12)))
    found = dataset(tmp_path)
    assert found.splits() == {"train": 3, "test": 2}
    assert "There is no split 'test': 'val' is scored." in found.split("test").intake.notices
    assert dataset(tmp_path, split="train").splits() == {"test": 3}


def test_braces_and_globs(tmp_path):
    assert expand("a-{008..011}.tar") == ["a-008.tar", "a-009.tar", "a-010.tar", "a-011.tar"]
    assert expand("{x,y}-{0..1}") == ["x-0", "x-1", "y-0", "y-1"]
    for shard in range(3):
        tar(tmp_path / f"s-{shard:02}.tar", labelled([shard]))
    for pattern in ("s-{00..02}.tar", "s-*.tar"):
        assert list(dataset(tmp_path / pattern).split("test").item_hashes) == hashes(range(3))
    assert list(dataset(tmp_path / "s-01.tar").split("test").item_hashes) == hashes([1])
    with pytest.raises(DataError, match=r"There is no archive .*s-03.tar and 1 more, of 5"):
        archives(str(tmp_path / "s-{00..04}.tar"))
    with pytest.raises(DataError, match="No archive matches"):
        archives(str(tmp_path / "t-*.tar"))


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "webp"])
def test_endings_of_pictures(tmp_path, ending):
    tar(tmp_path / "a.tar", labelled(range(2), ending=ending))
    assert list(dataset(tmp_path).split("test").item_hashes) == hashes(range(2))


def test_captions_of_text_files_are_one_a_line(tmp_path):
    files = [
        ("a/1.png", picture(1)),
        ("a/1.txt", b"one\nuno\n\n"),
        ("b/1.png", picture(2)),
        ("b/1.txt", "zw\u00f6lf".encode()),
    ]
    split = dataset(tar(tmp_path / "a.tar", files)).split("test")
    assert [list(own) for own in split.captions] == [["one", "uno"], ["zwölf"]]
    assert split.labels is None


def test_labels_and_captions_of_json(tmp_path):
    fields = [{"caption": "one", "label": "toad"}, {"captions": ["two", "dos"], "label": "snow_owl"}]
    files = [
        file
        for i, own in enumerate(fields)
        for file in ((f"{i}.jpg", picture(i)), (f"{i}.json", json.dumps(own).encode()))
    ]
    found = dataset(tar(tmp_path / "a.tar", files))
    assert found.offers() == {Offer.LABELS, Offer.CAPTIONS}
    split = found.split("test")
    assert list(split.classes) == ["snow owl", "toad"]
    assert split.labels.tolist() == [1, 0]
    assert [list(own) for own in split.captions] == [["one"], ["two", "dos"]]


def test_a_text_file_goes_before_the_json(tmp_path):
    files = [("1.png", picture(1)), ("1.txt", b"of the text"), ("1.json", b'{"caption": "of the json"}')]
    assert [list(own) for own in dataset(tar(tmp_path / "a.tar", files)).split("test").captions] == [["of the text"]]


def test_classes_without_names_are_told_and_a_file_gives_them(tmp_path):
    tar(tmp_path / "data" / "a.tar", labelled(range(3)))
    split = dataset(tmp_path / "data").split("test")
    assert list(split.classes) == ["0", "1", "2"]
    assert any("[classes=FILE]" in said for said in split.intake.notices)
    (tmp_path / "names.txt").write_text("1\n2\n0\n")
    split = dataset(tmp_path / "data", classes=str(tmp_path / "names.txt")).split("test")
    assert list(split.classes) == ["1", "2", "0"]
    assert split.labels.tolist() == [0, 1, 2]  # a number is a place in the file, whatever the names are
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match="label '2' is none of the 2 in"):
        dataset(tmp_path / "data", classes=str(tmp_path / "names.txt")).split("test")
    with pytest.raises(DataError, match="no file of class names"):
        dataset(tmp_path / "data", classes="nowhere.txt").files()


def test_what_is_not_read_is_counted(tmp_path):
    files = [*labelled(range(2)), ("._s0000.png", b"x"), ("README", b"x"), ("s7.cls", b"0"), ("s8.png", picture(8))]
    split = dataset(tar(tmp_path / "a.tar", files)).split("test")
    assert list(split.item_hashes) == hashes(range(2))
    assert split.intake.skipped == {
        "files without an ending in archives": 1,
        "hidden files in archives": 1,
        "pictures without a label": 1,
        "samples without a picture": 1,
    }


def test_archives_that_are_cut_off_are_not_taken_for_whole(tmp_path):
    path = tar(tmp_path / "a.tar", labelled(range(3)))
    whole = path.read_bytes()
    assert not any("cut off" in said for said in dataset(path).split("test").intake.notices)
    path.write_bytes(whole[: dataset(path)._indexed["test"][0][2].picture.offset + 10])
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        dataset(path).split("test")
    end = dataset_end(whole)
    path.write_bytes(whole[:end])
    assert any("may have been cut off" in said for said in dataset(path).split("test").intake.notices)
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        dataset(path).split("test")


def dataset_end(content):
    """Return where the last member ends: the blocks of zeros after it are the mark."""
    end = len(content)
    while content[end - 512 : end] == bytes(512):
        end -= 512
    return end


def test_compressed_archives_and_keys_that_repeat_are_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="Unpack it"):
        dataset(tmp_path / "a.tar.gz").splits()
    path = tar(tmp_path / "b.tar", [*labelled([1]), *labelled([1])])
    with pytest.raises(DataError, match="two files"):
        dataset(path).splits()


def test_limit_draws_the_same_samples_each_time(tmp_path):
    path = tar(tmp_path / "a.tar", labelled(range(30)))
    one, other = (dataset(path, limit=9).split("test") for _ in range(2))
    assert list(one.item_hashes) == list(other.item_hashes)
    assert len(set(one.item_hashes)) == 9
    assert set(one.item_hashes) < set(hashes(range(30)))
    assert list(one.item_hashes) != hashes(range(9))
    assert "9 of 30 samples are read, drawn by their keys." in one.intake.notices
    assert dataset(path, limit=9).splits() == {"test": 9}


@pytest.mark.parametrize("files", [[], [("1.txt", b"a text")], [("1.png", b"no label")]])
def test_archives_without_what_is_needed_are_refused(tmp_path, files):
    with pytest.raises(DataError, match="no pictures"):
        dataset(tar(tmp_path / "a.tar", files)).splits()


def test_an_archive_that_changes_is_noticed(tmp_path):
    path = tar(tmp_path / "a.tar", labelled(range(2)))
    images = dataset(path).split("test").images
    np.testing.assert_array_equal(np.asarray(images[0]).shape, (20, 24, 3))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match="shorter than it was"):
        images[1]
    with pytest.raises(DataError, match="cannot be read"):
        Place(tmp_path / "gone.tar", 0, 1).read()
