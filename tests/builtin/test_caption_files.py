"""Caption files as people have them: each form is read, and each fault is named with its place and a way out."""

import json
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gapbench.builtin.datasets import SPECS
from gapbench.builtin.datasets.captions import CaptionFile
from gapbench.builtin.datasets.captions.places import MOST_FOLDERS
from gapbench.builtin.datasets.captions.standard import StandardSet
from gapbench.errors import DataError

NAMES = ("a.jpg", "b.jpg", "c.jpg")


@pytest.fixture
def tmp_path(tmp_path):
    """Give a folder without other tests' folders beside it: pictures are looked for there as well."""
    folder = tmp_path / "sets" / "own"
    folder.mkdir(parents=True)
    return folder


def pictures(folder, names=NAMES):
    """Save pictures of which each is another one."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (number, len(names), 0)).save(folder / name)
    return list(names)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(path, part="test", **params):
    """Read a split: captions by the name of the picture."""
    dataset = CaptionFile(None, str(path), **params)
    found = dataset.split(part)
    assert len(found.images) == len(found.item_hashes) == dataset.splits()[part]
    return {image.name: list(own) for image, own in zip(found.images.paths, found.captions, strict=True)}


def intake(path, part="test", **params):
    return CaptionFile(None, str(path), **params).split(part).intake


def refused(path, *told, **params):
    with pytest.raises(DataError) as error:
        CaptionFile(None, str(path), **params).splits()
    assert str(path) in str(error.value)
    for one in told:
        assert one in str(error.value), str(error.value)
    return str(error.value)


COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 8, "caption": "one \n"},
        {"image_id": 7, "caption": "two"},
        {"image_id": 8, "caption": "3"},
    ],
}
EXPECTED = {"a.jpg": ["one", "two, or so"], "b.jpg": ["three"]}
ROWS = [(name, text) for name, texts in EXPECTED.items() for text in texts]


def karpathy(*splits, folder="", captions=5):
    """Return Karpathy's form, with a picture for each split: ``0.jpg`` and so on, captions ``0 of 0.jpg`` and so on."""
    images = [
        {
            "filename": f"{number}.jpg",
            "split": split,
            "sentences": [{"raw": f"{k} of {number}.jpg", "sentid": 5 * number + k} for k in range(captions)],
        }
        for number, split in enumerate(splits)
    ]
    return {"images": [image | ({"filepath": folder} if folder else {}) for image in images], "dataset": "x"}


# -- forms ------------------------------------------------------------------------------------------------------------

FORMS = {
    "csv": ("x.csv", 'image,caption\na.jpg,one\na.jpg,"two, or so"\nb.jpg,three\n', "CSV (columns 'image' and 'caption')"),
    "empty fields at the end": ("x.csv", 'image,caption\na.jpg,one,\na.jpg,"two, or so",,\nb.jpg,three,,\n,,,\n', "CSV"),
    "capitals": ("x.csv", 'Image,Caption\na.jpg,one\na.jpg,"two, or so"\nb.jpg,three\n', "CSV"),
    "blanks": ("x.csv", ' image , caption\na.jpg, one\na.jpg, "two, or so"\nb.jpg , three \n', "CSV"),
    "byte-order mark": ("x.csv", '\ufefffile_name,text\na.jpg,one\na.jpg,"two, or so"\nb.jpg,three\n', "CSV"),
    "windows": ("x.csv", 'image,caption\r\na.jpg,one\r\na.jpg,"two, or so"\r\n\r\nb.jpg,three\r\n', "CSV"),
    "other order": ("x.csv", 'id,Title,File Name,score\n1,one,a.jpg,0\n2,"two, or so",a.jpg,0\n3,three,b.jpg,1\n', "CSV"),
    "semicolons": ("x.csv", "image;caption\na.jpg;one\na.jpg;two, or so\nb.jpg;three\n", "CSV with semicolons"),
    "bars": ("x.txt", "img|sentence\na.jpg|one\na.jpg|two, or so\nb.jpg|three\n", "table with bars"),
    "open_clip": ("train.csv", "filepath\ttitle\na.jpg\tone\na.jpg\ttwo, or so\nb.jpg\tthree\n", "TSV"),
    "kaggle": ("captions.txt", "image,caption\na.jpg,one\na.jpg,two, or so\nb.jpg,three\n", "CSV"),
    "numbered": ("x.csv", 'path,caption_0,caption_1\na.jpg,one,"two, or so"\nb.jpg,three,\n', "CSV"),
    "a list in a cell": ("x.csv", 'raw,filename\n"[""one"", ""two, or so""]",a.jpg\n"[\'three\']",b.jpg\n', "CSV"),
    "one other column": ("metadata.csv", 'file_name,prompt\na.jpg,one\na.jpg,"two, or so"\nb.jpg,three\n', "'prompt'"),
    "address": ("x.tsv", "url\tcaption\nhttps://x.y/a.jpg?z=1\tone\nhttp://x.y/a.jpg\ttwo, or so\nb.jpg\tthree\n", "TSV"),
    "flickr8k": ("Flickr8k.token.txt", "a.jpg#0\tone\na.jpg#1\ttwo, or so\nb.jpg#0\tthree\n", "Flickr token file"),
    "flickr30k": (
        "results.csv",
        "image_name| comment_number| comment\na.jpg| 0| one\na.jpg| 1| two, or so\nb.jpg| 0| three\n",
        "table with bars",
    ),
    "coco": (
        "captions.json",
        {
            "info": {},
            "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
            "annotations": [{"id": k, "image_id": 1 + (name == "b.jpg"), "caption": text} for k, (name, text) in enumerate(ROWS)],
        },
        "COCO-captions JSON",
    ),
    "karpathy": (
        "dataset_flickr30k.json",
        {
            "images": [
                {"filename": name, "split": "test", "sentences": [{"raw": text} for text in texts]}
                for name, texts in EXPECTED.items()
            ]
        },
        "Karpathy JSON, split test",
    ),
    "blip": ("coco_test.json", [{"image": name, "caption": texts} for name, texts in EXPECTED.items()], "BLIP JSON"),
    "blip, one a line": ("coco_train.json", [{"image": n, "caption": t, "image_id": "x"} for n, t in ROWS], "BLIP JSON"),
    "list": ("x.json", [{"file_name": name, "text": text} for name, text in ROWS], "JSON list (columns 'file_name' and 'text')"),
    "lines": ("metadata.jsonl", "".join(json.dumps({"file_name": n, "text": t}) + "\n" for n, t in ROWS), "JSON lines"),
    "lines, as json": ("x.json", "\n".join(json.dumps({"file_name": n, "text": t}) for n, t in ROWS), "JSON lines"),
    "object": ("x.json", EXPECTED, "JSON object of pictures"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_read_and_named(tmp_path, form):
    file, content, read_as = FORMS[form]
    pictures(tmp_path, ["a.jpg", "b.jpg"])
    path = write(tmp_path / file, content)
    assert read(path) == EXPECTED
    assert read_as in intake(path).read_as
    assert sum(intake(path).skipped.values()) == (form == "numbered")


def test_pictures_are_those_of_the_file(tmp_path):
    pictures(tmp_path)
    split = CaptionFile(None, str(write(tmp_path / "x.csv", "image,caption\nc.jpg,x\na.jpg,y\n"))).split("test")
    with Image.open(tmp_path / "c.jpg") as picture:
        assert np.array_equal(np.asarray(split.images[0]), np.asarray(picture))


@pytest.mark.parametrize("text", ['a 5" nail', 'it says "stop"', '"stop" it says', "[a man] walks", "a | b; c"])  # fmt: skip
def test_signs_of_a_caption_stay(tmp_path, text):
    pictures(tmp_path)
    assert read(write(tmp_path / "x.tsv", f"image\tcaption\na.jpg\t{text}\nb.jpg\tplain\n"))["a.jpg"] == [text]


def test_a_caption_in_quotes_may_have_lines(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "x.csv", 'image,caption\na.jpg,"one\ntwo ""2"""\nb.jpg,x\n')
    assert read(path) == {"a.jpg": ['one\ntwo "2"'], "b.jpg": ["x"]}


def test_commas_without_quotes_are_told(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "captions.txt", "image,caption\na.jpg,one\nb.jpg,a, b , and c\n")
    assert read(path)["b.jpg"] == ["a, b , and c"]
    (notice,) = intake(path).notices
    assert notice.startswith("1 captions without quotes")
    assert "line 3" in notice


def test_the_broken_line_of_flickr30k_is_told(tmp_path):
    pictures(tmp_path)
    lines = 'a.jpg| 3| A dog . \na.jpg| 4   A dog runs across the grass .\nb.jpg| 0| " Hi " , he says .\n'
    path = write(tmp_path / "results.csv", f"image_name| comment_number| comment\n{lines}")
    assert read(path) == {"a.jpg": ["A dog .", "A dog runs across the grass ."], "b.jpg": ['" Hi " , he says .']}
    assert intake(path).notices == [
        "Line 3 lacks the sign between number and caption; it was read as caption 4 of a.jpg."
    ]


def test_the_picture_that_flickr8k_never_published_is_counted(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "Flickr8k.token.txt", "a.jpg#0\tx\n2258277193_586949ec62.jpg.1#0\ty\n")
    assert read(path) == {"a.jpg": ["x"]}
    assert intake(path).skipped == {"captions of a picture that was never published": 1}


# -- splits -----------------------------------------------------------------------------------------------------------


def test_karpathys_splits_are_kept(tmp_path):
    pictures(tmp_path / "val2014", [f"{number}.jpg" for number in range(6)])
    content = karpathy("train", "restval", "val", "test", "test", "train", folder="val2014")
    path = write(tmp_path / "annotations" / "dataset_coco.json", content)
    assert CaptionFile(None, str(path)).splits() == {"test": 2, "train": 3}
    assert set(read(path)) == {"3.jpg", "4.jpg"}
    assert set(read(path, "train")) == {"0.jpg", "1.jpg", "5.jpg"}
    assert intake(path, "train").read_as == "Karpathy JSON, splits train and restval, pictures from ../val2014/"
    assert CaptionFile(None, str(path), split="val", fit="restval").splits() == {"test": 1, "train": 1}
    assert set(read(path, split="VAL ")) == {"2.jpg"}
    assert CaptionFile(None, str(path), split="train").splits() == {"test": 2, "train": 1}
    assert CaptionFile(None, str(path), split="all").splits() == {"test": 6}
    assert CaptionFile(None, str(path), fit="none").splits() == {"test": 2}
    assert intake(path).notices == ["The split val is not read; [split=val] scores it."]
    assert intake(path, split="test").notices == []
    refused(path, "no split 'trial'", "train (2 pictures), restval (1 pictures)", "[split=val]", split="trial")
    refused(path, "nothing is left to fit on", "[fit=val]", split="all", fit="val")
    refused(path, "'test' cannot be scored and fitted on", fit="test")


def test_without_a_test_split_val_is_scored_or_the_only_one(tmp_path):
    pictures(tmp_path, [f"{number}.jpg" for number in range(3)])
    path = write(tmp_path / "k.json", karpathy("train", "validation", "train"))
    assert set(read(path)) == {"1.jpg"}
    assert intake(path).read_as.startswith("Karpathy JSON, split val,")
    assert CaptionFile(None, str(write(path, karpathy("train", "train")))).splits() == {"test": 2}
    refused(write(path, karpathy("one", "two")), "no split 'test'", "one (1 pictures), two (1 pictures)", "[split=one]")
    with pytest.raises(DataError, match="no split 'test'"):
        standard(write(path, karpathy("train", "val", "val", "val"))).splits()


def test_deep_greys_are_told(tmp_path):
    Image.fromarray(np.full((2, 2), 4095, dtype=np.uint16)).save(tmp_path / "a.png")
    path = write(tmp_path / "x.csv", "image,caption\na.png,x\n")
    for white, grey in ((0, 16), (4095, 255)):
        split = CaptionFile(None, str(path), white=white).split("test")
        assert np.unique(np.asarray(split.images[0])).tolist() == [grey]
        assert split.intake.notices == [f"1 PNG pictures have 16 bits; in grey ones {white or 65535} is white."]


def test_a_table_may_have_a_column_of_splits(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "x.csv", "Split,image,caption\nTrain,a.jpg,x\nvalidation,b.jpg,y\n test ,c.jpg,z\n")
    assert CaptionFile(None, str(path)).splits() == {"test": 1, "train": 1}
    assert read(path, split="val") == {"b.jpg": ["y"]}
    write(path, "split,image,caption\ntrain,a.jpg,x\n,b.jpg,y\n")
    refused(path, "line 3: the split is blank")
    write(path, "split,image,caption\n,a.jpg,x\n,b.jpg,y\n")
    assert CaptionFile(None, str(path)).splits() == {"test": 2}
    refused(path, "has no splits", "[split=val]", split="val")
    assert CaptionFile(None, str(path), split="test").splits() == {"test": 2}
    refused(path, "has no splits", "[fit=val]", fit="val")


def test_a_folder_of_hugging_face_has_the_splits_of_its_folders(tmp_path):
    for split, names in (("train", ["a.png", "b.png"]), ("validation", ["c.png"]), ("test", ["a.png"])):
        pictures(tmp_path / split, names)
        lines = "".join(json.dumps({"file_name": name, "text": f"{split} {name}"}) + "\n" for name in names)
        write(tmp_path / split / "metadata.jsonl", lines)
    assert read(tmp_path) == {"a.png": ["test a.png"]}
    assert read(tmp_path, "train") == {"a.png": ["train a.png"], "b.png": ["train b.png"]}
    assert read(tmp_path, split="val") == {"c.png": ["validation c.png"]}
    assert read(tmp_path / "train") == read(tmp_path, "train")
    (tmp_path / "test" / "a.png").unlink()  # the one of train is another picture
    with pytest.raises(DataError, match=r"1 of 3 pictures are not there: 'a\.png'"):
        CaptionFile(None, str(tmp_path)).splits()


def test_flickr8ks_lists_of_splits_are_used_where_they_lie_beside(tmp_path):
    pictures(tmp_path / "Flicker8k_Dataset", [*NAMES, "d.jpg"])
    path = write(tmp_path / "Flickr8k.token.txt", "".join(f"{name}#0\tx\n" for name in (*NAMES, "d.jpg")))
    assert CaptionFile(None, str(path)).splits() == {"test": 4}
    for part, name in (("train", "a.jpg"), ("dev", "b.jpg"), ("test", "c.jpg")):
        write(tmp_path / f"Flickr_8k.{part}Images.txt", f"{name}\n")
    dataset = CaptionFile(None, str(path))
    assert dataset.splits() == {"test": 1, "train": 1}
    assert dataset.split("test").intake.skipped == {"captions of pictures in none of the lists of splits": 1}
    assert tmp_path / "Flickr_8k.devImages.txt" in dataset.files()
    write(tmp_path / "Flickr_8k.devImages.txt", "a.jpg\n")
    with pytest.raises(DataError, match=r"'a\.jpg', which is in the list of the split train"):
        CaptionFile(None, str(path)).splits()


# -- columns ----------------------------------------------------------------------------------------------------------


def test_columns_can_be_named(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "x.csv", "image,filename,caption,title\na.jpg,b.jpg,one,two\n")
    refused(path, "line 1", "'image' and 'filename' may both be meant", "[image=image]")
    refused(path, "'caption' and 'title' may both be meant", "[caption=caption]", image="filename")
    assert read(path, image="filename", caption="title") == {"b.jpg": ["two"]}
    refused(path, "there is no column 'nothing'", "'image', 'filename'", image="nothing", caption="title")
    refused(path, "the column 'title' cannot hold pictures and captions", image="title", caption="title")
    write(path, "image,caption,Caption 2,text3\na.jpg,one,two,three\n")
    refused(path, "'caption' and 'Caption 2' and 'text3' may both be meant")
    write(path, "image,caption,Caption 2,caption,score\na.jpg,one,two,three,4\n")
    assert read(path) == {"a.jpg": ["one", "two", "three"]}
    assert read(write(path, "url,image,caption\nhttp://x.y/b.jpg,a.jpg,one\n")) == {"a.jpg": ["one"]}
    coco = write(tmp_path / "x.json", COCO)
    refused(coco, "COCO-captions JSON, which has no columns", caption="title")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("picture_id,label\n1,cat\n", ("line 1", "no column of pictures", "'picture_id', 'label'")),
        ("image,label\na.jpg,cat\n", ("line 1", "no column of captions", "'image', 'label'", "[image=NAME,caption=NAME]")),
        ("a.jpg,a cat\nb.jpg,a dog\n", ("line 1: there is no header", "'a.jpg'")),
        ("a.jpg\ta cat\n", ("line 1: there is no header", "'a.jpg'")),
        ("\n\n", ("is empty",)),
        ("image,caption\n", ("names no pictures",)),
        ("[]", ("names no pictures",)),
        ('[{"image_id": 3, "caption": "x"}]', ("no column of pictures", "'image_id', 'caption'")),
        ('{"type": "captions", "data": {}}', ("no caption file that is known", "'type', 'data'", "Karpathy")),
        ("3", ("no column",)),
        ('{"images": [], "annotations": 3}', ("'annotations' is no list",)),
        ('{"images": [{"id": 1}], "annotations": []}', ("image 1", "'file_name'", "'id'")),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "bbox": []}]}', ("captions_*.json",)),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 2, "caption": "x"}]}', ("annotation 1", "2")),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}], "annotations": []}', ("image 2", "'a.jpg'")),
        ('{"images": [{"filename": "a.jpg", "sentences": []}]}', ("image 1", "'split'")),
        ('{"images": [{"filename": "a.jpg", "split": "test", "sentences": [{"tokens": []}]}]}', ("image 1", "'raw'")),
        ('[{"image": "a.jpg", "caption": "x"},\n {"image": "b.jpg"', ("line 2", "no valid JSON")),
        ('[{"image": "a.jpg", "caption": 3}]', ("object 1", "the caption 3 is a number")),
        ('[{"image": "a.jpg", "caption": {"en": "x"}}]', ("object 1", "is an object")),
        ('[{"image": null, "caption": "x"}]', ("object 1", "the picture's name is null")),
        ('[{"image": "a.jpg", "caption": "\\ud800x"}]', ("object 1", "half a character")),
        ('["a.jpg"]', ("object 1", "'a.jpg' is no object")),
    ],
)  # fmt: skip
def test_what_has_no_known_form_is_told_with_what_was_found(tmp_path, content, told):
    pictures(tmp_path)
    refused(write(tmp_path / "x.txt", content), *told)


def test_lines_of_json_name_their_line(tmp_path):
    pictures(tmp_path)
    refused(write(tmp_path / "x.jsonl", '{"image": "a.jpg", "text": "x"}\n\n{"image": \n'), "line 3", "no valid JSON")
    refused(write(tmp_path / "x.jsonl", '{"image": "a.jpg", "text": "x"}\n{"text": "x"}\n'), "line 2", "name is null")


# -- rows that are no rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("image,caption,split\na.jpg,one,test\nb.jpg,two, or three,test\n", ("line 3", "4 fields", "quotes")),
        ("caption,image\none,a.jpg\ntwo, or three,b.jpg\n", ("line 3", "3 fields", "quotes")),
        ("image,caption\na.jpg\n", ("line 2", "1 field", "Complete it")),
        ("image,caption\n,one\n", ("line 2", "the picture's name is blank")),
        ('image,caption\na.jpg,"one\nb.jpg,two\nc.jpg,he is 5\'10"\n', ("line 2", "closes in line 4", "look like rows")),
        ('image,caption\na.jpg,"one" and\nb.jpg,"two"\n', ("line 2", "expected after", '("")')),
        (b"image,caption\na.jpg,one\nb.jpg,d\xe9j\xe0 vu\n", ("line 3", "0xe9", "Latin-1", "iconv", "UTF-8")),
        ("image,caption\na.jpg,\u00e9t\u00e9\n".encode("utf-16"), ("line 1", "UTF-16", "iconv")),
        (b"image,caption\na.jpg,\0\n", ("line 2", "zero byte")),
        ("a.jpg#0\tone\nb.jpg two\n", ("line 2", "'picture.jpg#0'")),
    ],
)  # fmt: skip
def test_a_row_that_may_mean_two_things_is_refused_by_its_line(tmp_path, content, told):
    pictures(tmp_path)
    refused(write(tmp_path / "x.csv", content), *told)


BLANKS = ["", "   ", "\u00a0", "\u3000", "\n", "\u200b", "\ufeff \t"]


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_captions_are_counted_and_not_read(tmp_path, blank):
    pictures(tmp_path)
    table = write(tmp_path / "x.csv", f'image,caption\na.jpg,one\na.jpg,"{blank}"\nb.jpg,two\nc.jpg,"{blank}"\n')
    objects = [{"image": "a.jpg", "caption": ["one", blank]}, {"image": "b.jpg", "caption": "two"}]
    for path in (table, write(tmp_path / "x.json", [*objects, {"image": "c.jpg", "caption": blank}])):
        assert read(path) == {"a.jpg": ["one"], "b.jpg": ["two"]}
        assert intake(path).skipped == {"blank captions": 2, "pictures without a caption": 1}


def test_null_captions_are_counted_and_not_read(tmp_path):
    pictures(tmp_path)
    lines = [{"image": "a.jpg", "text": "one"}, {"image": "a.jpg", "text": None}, {"image": "b.jpg"}]
    path = write(
        tmp_path / "x.json", [*lines, {"image": "a.jpg", "text": float("nan")}, {"image": "a.jpg", "text": "None"}]
    )
    assert read(path) == {"a.jpg": ["one"]}
    assert intake(path).skipped == {"null captions": 4, "pictures without a caption": 1}
    refused(write(path, [{"image": "a.jpg", "text": None}]), "no picture with a caption")


def test_a_picture_of_coco_without_an_annotation_is_counted(tmp_path):
    pictures(tmp_path)
    content = {**COCO, "images": [*COCO["images"], {"id": 9, "file_name": "c.jpg"}]}
    path = write(tmp_path / "x.json", content)
    assert read(path) == {"a.jpg": ["two"], "b.jpg": ["one", "3"]}
    assert intake(path).skipped == {"pictures without a caption": 1}


def test_repeated_captions_are_told(tmp_path):
    pictures(tmp_path)
    path = write(tmp_path / "x.csv", "image,caption\na.jpg,one\na.jpg,one\nb.jpg,one\n")
    assert read(path) == {"a.jpg": ["one", "one"], "b.jpg": ["one"]}
    assert intake(path).notices == ["1 captions repeat a caption of the same picture; they are kept."]


# -- where pictures lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("disk", "table"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_an_accent_may_be_one_character_or_two(tmp_path, disk, table):
    name = "Forêt/près d'été.png"
    pictures(tmp_path, [unicodedata.normalize(disk, name)])
    path = write(tmp_path / "x.csv", f"image,caption\n{unicodedata.normalize(table, name)},one\n")
    assert list(read(path).values()) == [["one"]]


@pytest.mark.parametrize(
    ("lies", "file", "named"),
    [
        ("a.jpg", "x.csv", "a.jpg"),
        ("a.jpg", "x.csv", "./a.jpg"),
        ("images/a.jpg", "x.csv", "a.jpg"),
        ("images/a.jpg", "x.csv", "images/a.jpg"),
        ("images/a.jpg", "x.csv", "images\\a.jpg"),
        ("images/a.jpg", "x.csv", ".\\images\\a.jpg"),
        ("images/val2014/a.jpg", "x.csv", "val2014/a.jpg"),
        ("images/val2014/a.jpg", "x.csv", "a.jpg"),
        ("val2014/a.jpg", "annotations/x.csv", "val2014/a.jpg"),
        ("val2014/a.jpg", "annotations/x.csv", "a.jpg"),
        ("images/val2014/a.jpg", "annotations/x.csv", "a.jpg"),
        ("images/val2014/a.jpg", "annotations/x.csv", "val2014/a.jpg"),
        ("images/a.jpg", "annotations/x.csv", "../images/a.jpg"),
        ("set/images/a.jpg", "set/x.csv", "set/images/a.jpg"),
        ("images/a.jpg", "x.csv", "/of/another/machine/images/a.jpg"),
        ("images/a.jpg", "x.csv", "C:\\data\\images\\a.jpg"),
    ],
)
def test_pictures_are_found_near_the_file(tmp_path, lies, file, named):
    pictures(tmp_path / "set", [lies])
    path = write(tmp_path / "set" / file, f"image,caption\n{named},one\n")
    (found,) = CaptionFile(None, str(path)).split("test").images.paths
    assert found.resolve() == (tmp_path / "set" / lies).resolve()


def test_pictures_are_found_from_the_working_folder(tmp_path, monkeypatch):
    pictures(tmp_path / "val", ["a.jpg"])
    write(tmp_path / "annotations" / "x.csv", "image,caption\na.jpg,one\n")
    monkeypatch.chdir(tmp_path / "annotations")
    assert read("x.csv") == {"a.jpg": ["one"]}
    assert intake("x.csv").read_as.endswith("pictures from ../val/")
    assert intake("x.csv").notices == [
        "It names no folder of its pictures; they are taken from ../val/, outside its own."
    ]


def test_an_absolute_name_is_where_it_says(tmp_path):
    pictures(tmp_path / "far" / "away", ["a.jpg"])
    path = write(tmp_path / "set" / "x.csv", f"image,caption\n{tmp_path}/far/away/a.jpg,one\n")
    assert read(path) == {"a.jpg": ["one"]}


def test_all_missing_pictures_are_counted_in_one_error(tmp_path):
    pictures(tmp_path / "images")
    lines = "".join(f"{name},x\n" for name in (*NAMES, *(f"{number}.jpg" for number in range(7))))
    path = write(tmp_path / "x.csv", f"image,caption\n{lines}")
    told = refused(path, "7 of 10 pictures are not there", "'0.jpg' (line 5), '1.jpg' (line 6)", "and 2 more", "ln -s")
    assert "'5.jpg'" not in told
    assert len(told) < 600


def test_a_picture_that_differs_in_capitals_or_ending_is_pointed_out(tmp_path):
    pictures(tmp_path / "images", ["a.jpg", "b.png"])
    path = write(tmp_path / "x.csv", "image,caption\nA.JPG,x\nb.jpg,y\nc,z\n")
    told = refused(
        path, "3 of 3 pictures", f"'A.JPG' (line 2; {tmp_path / 'images' / 'a.jpg'} is there)", "b.png is there"
    )
    assert "'c' (line 4)" in told


def test_a_name_in_two_folders_is_refused_with_both(tmp_path):
    for folder in ("images", "masks"):
        pictures(tmp_path / folder)
    path = write(tmp_path / "x.csv", "image,caption\na.jpg,x\nb.jpg,y\n")
    refused(path, "2 of 2 pictures", f"{tmp_path}/images/a.jpg and {tmp_path}/masks/a.jpg", "line 2")
    write(path, "image,caption\nimages/a.jpg,x\nmasks/b.jpg,y\n")
    assert read(path) == {"a.jpg": ["x"], "b.jpg": ["y"]}
    pictures(tmp_path)
    write(path, "image,caption\na.jpg,x\n")
    assert CaptionFile(None, str(path)).split("test").images.paths == [tmp_path / "a.jpg"]


def test_a_link_to_the_same_folder_is_no_doubt(tmp_path):
    pictures(tmp_path / "images")
    (tmp_path / "link").symlink_to("images")
    path = write(tmp_path / "x.csv", "image,caption\na.jpg,x\n")
    assert read(path) == {"a.jpg": ["x"]}


@pytest.mark.parametrize("masks", ["images/masks", "masks"])
def test_a_missing_picture_is_not_taken_from_another_set(tmp_path, masks):
    pictures(tmp_path / "set" / "images", ["a.jpg", "b.jpg"])
    pictures(tmp_path / "set" / masks if "/" in masks else tmp_path / masks)
    path = write(tmp_path / "set" / "x.csv", "image,caption\na.jpg,x\nb.jpg,y\nc.jpg,z\n")
    refused(path, "1 of 3 pictures are not there: 'c.jpg' (line 4)")


def test_one_picture_under_two_names_is_one_picture(tmp_path):
    pictures(tmp_path / "images")
    path = write(tmp_path / "x.csv", "image,caption\nimages/a.jpg,x\nb.jpg,y\na.jpg,z\n.\\images\\a.jpg,w\n")
    assert read(path) == {"a.jpg": ["x", "z", "w"], "b.jpg": ["y"]}


def test_thousands_of_folders_are_not_opened(tmp_path, monkeypatch):
    pictures(tmp_path / "set" / "0000", ["a.jpg"])
    for number in range(1, MOST_FOLDERS + 5):
        (tmp_path / "set" / f"{number:04}").mkdir()
    path = write(tmp_path / "set" / "x.csv", "image,caption\na.jpg,x\n")
    opened = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: opened.append(folder) or scan(folder))
    refused(path, "1 of 1 pictures are not there", "it has too many")
    assert len(opened) < 10
    write(path, "image,caption\n0000/a.jpg,x\n")
    assert read(path) == {"a.jpg": ["x"]}


def test_each_folder_is_listed_once_and_no_picture_is_looked_for_by_itself(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    names = [f"{number:05}.jpg" for number in range(2_000)]
    for name in names:
        (tmp_path / "images" / name).write_bytes(name.encode())
    path = write(tmp_path / "x.csv", "image,caption\n" + "".join(f"{name},{k}\n" for name in names for k in range(5)))
    calls = []
    scan, is_file = os.scandir, Path.is_file
    monkeypatch.setattr(os, "scandir", lambda folder: calls.append(folder) or scan(folder))
    monkeypatch.setattr(Path, "is_file", lambda self: calls.append(self) or is_file(self))
    dataset = CaptionFile(None, str(path))
    assert dataset.splits() == {"test": 2_000}
    assert len(dataset.files()) == 2_001
    assert len(calls) == 3  # the file, its folder, and the one of the pictures


# -- a part of a file -------------------------------------------------------------------------------------------------


def test_a_limit_takes_the_same_pictures_whatever_their_order_and_folder(tmp_path):
    names = [f"{number}.jpg" for number in range(30)]
    pictures(tmp_path / "images", names)
    lines = [f"{name},x {name}\n" for name in names]
    path = write(tmp_path / "x.csv", "image,caption\n" + "".join(lines))
    back = write(tmp_path / "y.csv", "image,caption\n" + "".join(f"images/{line}" for line in reversed(lines)))
    few, more = read(path, limit=7), read(path, limit=12)
    assert len(few) == 7
    assert few == read(back, limit=7)
    assert few.items() < more.items()
    assert list(few) != names[:7]
    assert list(few) == sorted(few, key=names.index)
    assert intake(path, limit=7).notices == ["7 of 30 pictures are read, chosen by their names."]
    assert read(path, limit=30) == read(path)
    assert intake(path, limit=30).notices == []
    gone = next(name for name in names if name not in few)
    (tmp_path / "images" / gone).unlink()
    assert read(path, limit=7) == few
    refused(path, "1 of 30 pictures", gone)


def test_a_limit_does_not_depend_on_the_order_of_pictures_of_one_name(tmp_path):
    names = [f"{folder}/{number}.jpg" for folder in "abc" for number in range(4)]
    pictures(tmp_path, names)
    taken = []
    for order in (names, names[::-1], names[5:] + names[:5]):
        path = write(tmp_path / "x.csv", "image,caption\n" + "".join(f"{name},{name}\n" for name in order))
        taken.append(sorted(text for (text,) in CaptionFile(None, str(path), limit=5).split("test").captions))
    assert taken[0] == taken[1] == taken[2]
    assert len(taken[0]) == 5


def test_a_limit_holds_for_both_splits(tmp_path):
    pictures(tmp_path, [f"{number}.jpg" for number in range(8)])
    path = write(tmp_path / "k.json", karpathy(*["train", "test"] * 4))
    assert CaptionFile(None, str(path), limit=3).splits() == {"test": 3, "train": 3}


def test_pictures_that_are_missing_from_the_fit_alone_have_a_way_out(tmp_path):
    pictures(tmp_path, ["1.jpg"])
    path = write(tmp_path / "k.json", karpathy("train", "test"))
    refused(path, "1 of 2 pictures are not there", "[fit=none]")
    assert CaptionFile(None, str(path), fit="none").splits() == {"test": 1}


# -- paths that are no caption file -----------------------------------------------------------------------------------


def test_paths_that_hold_no_captions_are_named(tmp_path):
    refused(tmp_path / "nothing.csv", "There is no caption file")
    refused(tmp_path, "is a folder without metadata.jsonl or metadata.csv")
    write(tmp_path / "captions.txt", "image,caption\n")
    refused(tmp_path, f"captions:{tmp_path / 'captions.txt'}")
    write(tmp_path / "metadata.csv", "file_name,text\n")
    write(tmp_path / "metadata.jsonl", "{}")
    refused(tmp_path, "metadata.jsonl and metadata.csv")
    with pytest.raises(DataError, match="There is no caption file"):
        CaptionFile(None, "~nobody/x.csv").splits()


# -- the usual test sets ----------------------------------------------------------------------------------------------


def standard(path, pictures=3, folds=1, **params):
    return StandardSet(
        None, str(path), name="coco-5k", usual="dataset_coco.json", pictures=pictures, folds=folds, **params
    )


def test_a_standard_set_has_its_pictures_and_five_captions_of_each(tmp_path):
    pictures(tmp_path, [f"{number}.jpg" for number in range(5)])
    content = karpathy("test", "train", "test", "val", "test")
    content["images"][2]["sentences"].append({"raw": "a sixth"})
    path = write(tmp_path / "dataset_coco.json", content)
    dataset = standard(path)
    assert dataset.splits() == {"test": 3, "train": 1}
    split = dataset.split("test")
    assert [image.name for image in split.images.paths] == ["0.jpg", "2.jpg", "4.jpg"]
    assert split.captions == [[f"{k} of {number}.jpg" for k in range(5)] for number in (0, 2, 4)]
    assert split.intake.skipped == {"captions beyond the first five": 1}
    assert dataset.split("train").intake.skipped == {}
    assert standard(path, fit="val").split("train").captions == [[f"{k} of 3.jpg" for k in range(5)]]
    with pytest.raises(DataError, match=r"has 3 pictures; the test split of coco-5k has 4\. Give dataset_coco\.json"):
        standard(path, pictures=4).splits()
    content["images"][0]["sentences"].pop()
    with pytest.raises(DataError, match=r"1 pictures have fewer than five captions, the first is '0\.jpg'"):
        standard(write(path, content)).splits()


def test_a_fold_is_a_part_in_the_order_of_the_file(tmp_path):
    pictures(tmp_path, [f"{number}.jpg" for number in range(10)])
    path = write(tmp_path / "dataset_coco.json", karpathy(*["test"] * 10))
    found = [standard(path, pictures=10, folds=5, fold=fold).split("test") for fold in range(1, 6)]
    assert [[image.name for image in one.images.paths] for one in found] == [
        [f"{2 * fold}.jpg", f"{2 * fold + 1}.jpg"] for fold in range(5)
    ]
    assert found[1].intake.notices == ["Fold 2 of 5: pictures 3 to 4 of the test split, in the order of the file."]


def test_a_file_without_splits_is_a_test_split_where_its_name_says_so(tmp_path):
    pictures(tmp_path)
    content = [{"image": name, "caption": [f"{name} {k}" for k in range(5)]} for name in NAMES]
    split = standard(write(tmp_path / "coco_karpathy_test.json", content)).split("test")
    assert split.intake.notices == ["The file has no splits; its 3 pictures are taken for the test split."]
    for name in ("coco_karpathy_val.json", "latest.json"):
        with pytest.raises(DataError, match="nothing says that they are those of its test split"):
            standard(write(tmp_path / name, content)).splits()


def test_the_standard_sets_have_the_numbers_of_their_protocols():
    specs = {spec.name: spec for spec in SPECS if spec.factory.endswith(":StandardSet")}
    sizes = {
        name: (spec.options["pictures"], spec.options["folds"], spec.splits["test"]) for name, spec in specs.items()
    }
    assert sizes == {
        "coco-5k": (5_000, 1, 5_000),
        "coco-1k": (5_000, 5, 1_000),
        "flickr30k-1k": (1_000, 1, 1_000),
        "flickr8k-1k": (1_000, 1, 1_000),
    }
    assert specs["coco-1k"].params["fold"].choices == (1, 2, 3, 4, 5)


# -- on the command line ----------------------------------------------------------------------------------------------


def test_plan_and_run_take_a_file_with_splits_and_parameters(gapbench, tmp_path):
    names = [f"{number}.jpg" for number in range(24)]
    pictures(tmp_path, names)
    write(tmp_path / "k.json", karpathy(*["train", "test"] * 12, captions=2))
    words = ("-d", "captions:k.json[limit=8]", "-a", "identity", "-m", "i2t-recall@1")
    planned = " ".join(gapbench("plan", *words).stdout.split())
    assert "captions:k.json[limit=8]" in planned
    for split in ("test", "train"):
        assert f"8 images, 16 captions (read as Karpathy JSON, split {split}, pictures from its own folder)" in planned
    done = gapbench("run", *words, "--no-figures", "--out", "out")
    told = " ".join(done.stderr.split())
    assert "captions:k.json[limit=8] (test): 8 of 12 pictures are read, chosen by their names." in told
    assert "captions:k.json[limit=8] (train): 8 of 12 pictures" in told
    assert "scored on 8 images" in done.stdout


def test_the_command_line_shows_the_parameters_and_refuses_other_numbers_of_pictures(gapbench, tmp_path):
    shown = gapbench("show", "captions").stdout
    for name in ("split=", "fit=train", "limit=0", "image=", "caption="):
        assert name in shown
    pictures(tmp_path)
    write(tmp_path / "captions_test.csv", "image,caption\n" + "".join(f"{name},x\n" for name in NAMES))
    planned = gapbench("plan", "-d", "flickr30k-1k:captions_test.csv", "-a", "identity")
    assert "has 3 pictures; the test split of flickr30k-1k has 1,000." in " ".join(planned.stdout.split())


# -- the page ---------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "captions.md"
EXAMPLES = re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("file", "text"), [pytest.param(file, text, id=file) for _, file, text in EXAMPLES])
def test_an_example_of_the_page_says_what_all_of_them_say(tmp_path, file, text):
    pictures(tmp_path / "images", ["cat.jpg", "dog.jpg"])
    assert read(write(tmp_path / file, text)) == {"cat.jpg": ["a cat", "a cat, asleep"], "dog.jpg": ["a dog"]}


def test_the_page_has_an_example_of_each_form_and_its_command_plans(gapbench, tmp_path):
    assert len(EXAMPLES) == 10
    pictures(tmp_path, ["cat.jpg", "dog.jpg"])
    for _, file, text in EXAMPLES:
        write(tmp_path / file, text)
    (command,) = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    planned = gapbench(*command.split()[1:]).stdout
    assert "captions:pets.csv" in planned
    assert "2 images" in planned


def test_what_the_page_says_of_names_and_parameters_is_so(tmp_path):
    page = PAGE.read_text()
    spec = next(spec for spec in SPECS if spec.name == "captions")
    named = set(re.findall(r"[\[,](\w+)=", page)) - {"fold"}
    assert named == set(spec.params)
    table = re.search(r"^\| picture \|(.*)\n\| caption \|(.*)$", page, flags=re.MULTILINE)
    pictures(tmp_path, ["a.jpg"])
    for image in re.findall(r"`(\w+)`", table[1]):
        for caption in re.findall(r"`(\w+)`", table[2]):
            path = write(tmp_path / "x.csv", f"{image.upper()},{caption.replace('_', ' ')}\na.jpg,x\n")
            assert read(path) == {"a.jpg": ["x"]}, (image, caption)
    for spec in SPECS:
        if spec.factory.endswith(":StandardSet"):
            assert f"`{spec.name}:PATH`" in page
