"""What a plan, and a run, say of the user's own data."""

import json

import pytest
from PIL import Image

from gapbench.builtin.datasets.digits import Digits
from gapbench.results import journal

RUN = ("-e", "mini-clip", "-p", "photo", "-a", "identity", "-m", "top1", "--no-figures", "--out", "out")


@pytest.fixture
def photos(tmp_path):
    """Digits in train/ and Val/; two pictures of Val/ are damaged, one is there twice, and there is litter."""
    for part, rows in (("train", range(60)), ("Val", range(60, 120))):
        split = Digits(None).split("test")
        for row in rows:
            path = tmp_path / "photos" / part / split.classes[split.labels[row]] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            split.images[row].save(path)
    val = sorted((tmp_path / "photos" / "Val").rglob("*.png"))
    bad = [val[3], val[40]]
    bad[0].write_bytes(b"no picture")
    bad[1].write_bytes(bad[1].read_bytes()[:60])
    (val[0].parent / "copy.png").write_bytes(val[0].read_bytes())
    (val[0].parent / ".DS_Store").write_text("x")
    return tmp_path / "photos", bad


def words(done):
    return " ".join((done.stdout + done.stderr).split())


def test_check_opens_every_file_and_shows_what_was_understood(gapbench, photos):
    root, bad = photos
    long = "template:a photo of a {} on " + "very " * 30 + "old paper"
    done = gapbench("plan", "-d", f"folder:{root}", "-e", "mini-clip", "-p", "photo", "-p", long, "--check", code=1)
    text = words(done)
    assert "61 images, 10 classes (read as class folders below Val/)" in text
    assert "60 images, 10 classes (read as class folders below train/)" in text
    assert "2 images occur more than once, bit by bit" in text
    assert "Not read: hidden files and folders (1)." in text
    assert "2 pictures cannot be read" in text
    assert all(str(path) in text for path in bad)
    assert "10 texts, the first one: 'a photo of a eight'" in text
    assert "10 texts are longer than mini-clip reads: the end is cut off" in text
    assert "all pictures were opened and can be read" in text  # of train/


def test_without_check_pictures_are_not_opened(gapbench, photos):
    root, _ = photos
    done = gapbench("plan", "-d", f"folder:{root}", "-e", "mini-clip", "-p", "photo")
    text = words(done)
    assert "61 images, 10 classes (read as class folders below Val/)" in text
    assert "the first one: 'a photo of a eight'" in text
    assert "cannot be read" not in text
    assert "opened" not in text


def test_json_has_the_same(gapbench, photos):
    root, _ = photos
    done = gapbench("plan", "-d", f"folder:{root}", "-e", "mini-clip", "-p", "photo", "--check", "--json", code=1)
    look = json.loads(done.stdout)["data"]
    test, train = look["splits"]
    assert (test["images"], test["classes"], test["repeated"], len(test["unreadable"])) == (61, 10, 2, 2)
    assert test["intake"] == {
        "read_as": "class folders below Val/",
        "skipped": {"hidden files and folders": 1},
        "notices": [],
        "published": True,
    }
    assert train["unreadable"] == []
    assert test["fewest"][1] <= 6 <= test["most"][1]
    assert look["prompts"][0]["first"] == "a photo of a eight"


def test_a_run_names_all_unreadable_pictures_or_leaves_them_out(gapbench, photos, tmp_path):
    root, bad = photos
    done = gapbench("run", "-d", f"folder:{root}", *RUN, code=1)
    assert "2 pictures cannot be read" in words(done)
    assert all(path.name in words(done) for path in bad)
    done = gapbench("run", "-d", f"folder:{root}", *RUN, "--skip-unreadable")
    (record,) = [stored.record for stored in journal.read_folder(tmp_path / "out")]
    assert record.dataset.n == 59
    assert record.items.skipped == {"hidden files and folders": 1, "pictures that cannot be read": 2}
    assert "pictures that cannot be read (2)" in (tmp_path / "out" / "README.md").read_text()
    assert words(done).count("Left out: ") == 2


def test_what_was_left_out_is_not_remembered_for_a_run_that_does_not(gapbench, photos):
    root, bad = photos
    gapbench("run", "-d", f"folder:{root}", *RUN, "--skip-unreadable")
    assert "2 pictures cannot be read" in words(gapbench("run", "-d", f"folder:{root}", *RUN, code=1))
    for path in bad:
        Image.new("RGB", (8, 8)).save(path)
    gapbench("run", "-d", f"folder:{root}", *RUN)


def test_split_and_limit_stand_for_the_parameters_of_each_dataset(gapbench, photos, tmp_path):
    root, _ = photos
    gapbench("run", "-d", f"folder:{root}", *RUN, "--split", "train", "--limit", "30")
    (record,) = [stored.record for stored in journal.read_folder(tmp_path / "out")]
    assert (record.dataset.name, record.dataset.n) == ("folder:photos[limit=30,split=train]", 30)
    gapbench("run", "-d", f"folder:{root}[limit=30,split=train]", *RUN)
    assert len(list(journal.read_folder(tmp_path / "out"))) == 1  # the same question


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-d", "digits", "--split", "val"), "--split val: dataset 'digits' has no split to choose"),
        (("-d", "digits", "--limit", "5"), "--limit 5: dataset 'digits' has no limit to choose"),
        (("-d", "folder:x[split=test]", "--split", "val"), "says otherwise"),
        (("-d", "folder:x", "--limit", "0"), "--limit"),
    ],
)
def test_they_are_refused_where_they_have_no_effect(gapbench, options, told):
    done = gapbench("plan", *options, code=2)
    assert told in words(done)
