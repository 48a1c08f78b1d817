"""Folders of pictures as people have them: splits, names of classes, litter, deep greys, and what is refused."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from gapbench.builtin.datasets.class_names import imagenet_names
from gapbench.builtin.datasets.folder import ImageFolder
from gapbench.builtin.datasets.pictures import PictureFiles
from gapbench.errors import DataError


def picture(path, color=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path)
    return path


def fill(root, *classes, n=2):
    for number, name in enumerate(classes):
        for item in range(n):
            picture(root / name / f"{item}.png", (number, item, len(str(root)) % 250))


def folder(root, **params):
    return ImageFolder(None, str(root), **params)


# -- splits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "scored", "fitted"),
    [
        (["train", "val"], "val", "train"),
        (["Train", "Test"], "Test", "Train"),
        (["training", "validation"], "validation", "training"),
        (["train", "valid", "test"], "test", "train"),
        (["train", "dev", "eval"], "eval", "train"),
        (["val"], "val", None),
        (["train"], "train", None),
    ],
)
def test_split_folders_are_known_by_the_names_that_people_give_them(tmp_path, parts, scored, fitted):
    for number, part in enumerate(parts, 1):
        fill(tmp_path / part, "cat", "dog", n=number)
    sizes = {part: 2 * number for number, part in enumerate(parts, 1)}
    found = folder(tmp_path)
    expected = {"test": sizes[scored], **({"train": sizes[fitted]} if fitted else {})}
    assert found.splits() == expected
    assert found.split("test").intake.read_as == f"class folders below {scored}/"
    unused = [part for part in parts if part not in (scored, fitted)]
    assert [part for part in parts if f"{part}/ is not read" in " ".join(found.split("test").intake.notices)] == unused


def test_another_split_can_be_scored(tmp_path):
    for number, part in enumerate(("train", "Val", "test"), 1):
        fill(tmp_path / part, "cat", "dog", n=number)
    assert folder(tmp_path, split="val").splits() == {"train": 2, "test": 4}
    assert folder(tmp_path, split="train").splits() == {"test": 2}
    with pytest.raises(DataError, match="has no split 'dev'; it has Val, test, train"):
        folder(tmp_path, split="dev").splits()


def test_a_class_called_like_a_split_is_a_class_beside_others(tmp_path):
    fill(tmp_path, "bus", "train", "val")
    assert list(folder(tmp_path).split("test").classes) == ["bus", "train", "val"]
    with pytest.raises(DataError, match="no folders called train"):
        folder(tmp_path, split="val").splits()


def test_split_folders_without_class_folders_are_refused(tmp_path):
    picture(tmp_path / "train" / "0.png")
    picture(tmp_path / "test" / "1.png")
    with pytest.raises(DataError, match="called like a split and holds pictures, but no class folders"):
        folder(tmp_path).splits()


def test_two_folders_of_one_split_are_refused(tmp_path):
    fill(tmp_path / "train", "cat", "dog")
    fill(tmp_path / "Train", "cat", "dog")
    if len(list(tmp_path.iterdir())) == 2:  # where the file system tells them apart
        with pytest.raises(DataError, match="one split by their names"):
            folder(tmp_path).splits()


def test_folders_of_no_pictures_beside_split_folders_are_no_classes(tmp_path):
    fill(tmp_path / "train", "cat", "dog")
    fill(tmp_path / "val", "cat", "dog")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "boxes.json").write_text("{}")
    assert folder(tmp_path).splits() == {"train": 4, "test": 4}


def test_folders_that_hold_only_folders_are_refused_with_the_one_to_give(tmp_path):
    fill(tmp_path / "images", "cat", "dog")
    with pytest.raises(
        DataError, match=r"hold folders, and no pictures: images\. If they are no classes.*folder:.*images"
    ):
        folder(tmp_path).splits()
    assert folder(tmp_path / "images").splits() == {"test": 4}


def test_pictures_in_folders_inside_class_folders_are_told(tmp_path):
    fill(tmp_path, "cat", "dog")
    picture(tmp_path / "cat" / "indoors" / "2.png")
    split = folder(tmp_path).split("test")
    assert split.labels.tolist() == [0, 0, 0, 1, 1]
    assert split.intake.notices == ["1 pictures lie in folders inside class folders, and belong to these classes."]


# -- litter ------------------------------------------------------------------------------------------------------------


def test_what_systems_leave_is_skipped_and_counted(tmp_path):
    fill(tmp_path, "cat", "dog")
    picture(tmp_path / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png")
    picture(tmp_path / "__MACOSX" / "cat" / "0.png")
    picture(tmp_path / "@eaDir" / "0.png")
    (tmp_path / "cat" / "._0.png").write_bytes(b"x")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "dog" / "notes.txt").write_text("x")
    (tmp_path / "dog" / "LICENSE").write_text("x")
    picture(tmp_path / "cover.png")
    os.symlink(tmp_path / "nothing.png", tmp_path / "dog" / "link.png")
    split = folder(tmp_path).split("test")
    assert len(split.images) == 4
    assert split.intake.skipped == {
        "hidden files and folders": 2,
        "files and folders of the system": 3,
        ".txt files": 1,
        "files without a suffix": 1,
        "links to nothing": 1,
        "pictures outside class folders": 1,
    }


def test_links_that_go_round_end(tmp_path):
    fill(tmp_path, "cat", "dog")
    os.symlink(tmp_path / "cat", tmp_path / "cat" / "again")
    os.symlink(tmp_path / "dog", tmp_path / "dog" / "self")
    assert folder(tmp_path).splits() == {"test": 4}


def test_a_folder_called_like_a_picture_is_a_folder(tmp_path):
    fill(tmp_path, "cat", "dog")
    picture(tmp_path / "cat" / "album.png" / "7.png")
    (tmp_path / "dog" / "album.jpg").mkdir()
    assert folder(tmp_path).splits() == {"test": 5}


def test_an_empty_class_folder_is_refused_and_an_absent_one_told(tmp_path):
    fill(tmp_path / "train", "cat", "dog")
    fill(tmp_path / "test", "cat")
    (tmp_path / "test" / "dog").mkdir()
    split = folder(tmp_path).split("test")
    assert list(split.classes) == ["cat", "dog"]
    assert "1 of 2 classes have no picture here: dog." in split.intake.notices
    (tmp_path / "test" / "eel").mkdir()
    with pytest.raises(DataError, match="class folder eel has no pictures"):
        folder(tmp_path).splits()


# -- names of classes --------------------------------------------------------------------------------------------------

CODES = {"n00000101": "red", "n00000102": "green"}
LISTS = {
    "words.txt": "".join(f"{code}\t{name}, a colour\n" for code, name in CODES.items()),
    "LOC_synset_mapping.txt": "".join(f"{code} {name}, a colour\n" for code, name in CODES.items()),
    "imagenet_class_index.json": json.dumps({str(k): [code, name] for k, (code, name) in enumerate(CODES.items())}),
    "classes.txt": "\ufeffred\ngreen\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_codes_take_their_names_from_the_list_beside_them(tmp_path, name):
    fill(tmp_path, *CODES)
    (tmp_path / name).write_text(LISTS[name], encoding="utf-8")
    split = folder(tmp_path).split("test")
    assert list(split.classes) == ["red", "green"]
    assert "'n00000101' is 'red'" in split.intake.notices[0]
    assert split.intake.skipped == {}  # the list is read


def test_a_list_can_be_anywhere_and_can_have_classes_without_a_folder(tmp_path):
    fill(tmp_path / "photos", "cat", "dog")
    (tmp_path / "all.txt").write_text("dog\neel\ncat\n")
    split = folder(tmp_path / "photos", names=str(tmp_path / "all.txt")).split("test")
    assert list(split.classes) == ["dog", "eel", "cat"]
    assert split.labels.tolist() == [2, 2, 0, 0]


def test_codes_without_names_are_refused_unless_they_are_the_names(tmp_path):
    fill(tmp_path, *CODES)
    with pytest.raises(DataError, match=r"codes, such as n00000101.*\[names=folders\]"):
        folder(tmp_path).split("test")
    assert list(folder(tmp_path, names="folders").split("test").classes) == list(CODES)


def test_imagenets_codes_have_the_names_of_clips_authors(tmp_path):
    names = imagenet_names()
    assert len(names) == 1000
    assert list(names) == sorted(names)
    assert (names["n01440764"], names["n02128385"], names["n15075141"]) == ("tench", "leopard", "toilet paper")
    fill(tmp_path, "n02128385", "n01440764")
    split = folder(tmp_path).split("test")
    assert list(split.classes) == ["tench", "leopard"]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("classes.txt", "red\n", "has 1 names, and there are 2 class folders"),
        ("classes.txt", "\n", "is empty"),
        ("words.txt", "n00000101\tred\n", "has no name for the class folder 'n00000102'"),
        ("imagenet_class_index.json", "{", "is no JSON"),
        ("imagenet_class_index.json", '{"0": 3}', "must be a list of names"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path, name, text, match):
    fill(tmp_path, *CODES)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=match):
        folder(tmp_path).splits()


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_and_told(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    fill(tmp_path, "cat", "dog")
    Image.fromarray(ramp).save(tmp_path / "cat" / f"deep{suffix}")
    split = folder(tmp_path).split("test")
    shown = np.asarray(split.images[2])
    np.testing.assert_array_equal(shown[..., 0], np.rint(ramp / 65535 * 255).astype(np.uint8))
    assert shown.shape == (64, 64, 3)
    told = ["1 PNG pictures have 16 bits; in grey ones 65535 is white."]
    assert split.intake.notices == (told if suffix == ".png" else [])


def test_the_value_of_white_can_be_given_and_nothing_is_clipped(tmp_path):
    path = tmp_path / "twelve.png"
    Image.fromarray(np.array([[0, 4095]], dtype=np.uint16)).save(path)
    assert np.asarray(PictureFiles([path], white=4095)[0])[0].tolist() == [[0, 0, 0], [255, 255, 255]]
    with pytest.raises(DataError, match=r"twelve.png: its values go from 0 to 4095, and 1000 is taken for white"):
        PictureFiles([path], white=1000)[0]


def test_what_is_white_is_part_of_what_a_picture_is(tmp_path):
    path = tmp_path / "twelve.png"
    Image.fromarray(np.array([[0, 4095]], dtype=np.uint16)).save(path)
    hashes = {PictureFiles([path], white=white).hashes()[0] for white in (0, 4095, 65535)}
    assert len(hashes) == 3


def test_floating_point_pictures_go_from_0_to_1(tmp_path):
    path = tmp_path / "float.tif"
    Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32)).save(path)
    assert np.asarray(PictureFiles([path])[0])[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[-1, 0.5]], dtype=np.float32)).save(path)
    with pytest.raises(DataError, match=r"go from -1 to 0\.5"):
        PictureFiles([path])[0]


def test_32_bits_need_a_word_about_white(tmp_path):
    path = tmp_path / "whole.tif"
    Image.fromarray(np.array([[0, 7]], dtype=np.int32)).save(path)
    with pytest.raises(DataError, match=r"whole.tif: its values have 32 bits.*\[white=65535\]"):
        PictureFiles([path])[0]
    assert np.asarray(PictureFiles([path], white=7)[0])[0, :, 0].tolist() == [0, 255]


def test_a_picture_that_is_too_large_is_named(tmp_path, monkeypatch):
    path = picture(tmp_path / "poster.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"poster.png is too large"):
        PictureFiles([path])[0]


@pytest.mark.parametrize("suffix", [".jfif", ".avif", ".webp", ".pgm"])
def test_other_formats_are_read(tmp_path, suffix):
    fill(tmp_path, "cat")
    Image.new("L" if suffix == ".pgm" else "RGB", (8, 6)).save(
        tmp_path / "cat" / f"x{suffix}", **({"format": "JPEG"} if suffix == ".jfif" else {})
    )
    split = folder(tmp_path).split("test")
    assert [split.images[row].mode for row in range(3)] == ["RGB"] * 3


def test_a_limit_takes_the_same_pictures_whatever_else_is_there(tmp_path):
    fill(tmp_path, "cat", "dog", n=20)
    first = folder(tmp_path, limit=10)
    kept = {path.relative_to(tmp_path).as_posix() for path in first.files()}
    assert len(kept) == 10
    assert first.split("test").intake.notices == ["10 of 40 pictures are read, chosen by their names."]
    (tmp_path / "dog").rename(tmp_path / "dog2")
    (tmp_path / "dog2").rename(tmp_path / "dog")
    assert {path.relative_to(tmp_path).as_posix() for path in folder(tmp_path, limit=10).files()} == kept
    smaller = {path.relative_to(tmp_path).as_posix() for path in folder(tmp_path, limit=5).files()}
    assert smaller < kept
