"""ImageNet, V2, A, R and Sketch in the layouts in which they are published."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from gapbench.builtin.datasets.class_names import imagenet_codes, imagenet_names
from gapbench.builtin.datasets.imagenet import VARIANTS, ImageNet
from gapbench.errors import DataError

CODES = imagenet_codes()
NAMES = list(imagenet_names().values())


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade % 250, shade // 250, 7)).save(path)
    return path


def imagenet(path, variant="imagenet", **params):
    return ImageNet(None, str(path), variant=variant, **params)


def devkit(root, truth, order):
    """Write ground truth and ``meta.mat`` as the kit has them: classes by numbers of its own, and inner nodes after them."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in truth))
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(number, code, "words", "gloss", 0) for number, code in enumerate(order, 1)]
    rows.append((len(rows) + 1, "n00001740", "entity", "gloss", 3))
    savemat(data / "meta.mat", {"synsets": np.array([[row] for row in rows], dtype=kinds)})
    return data


def test_class_folders_and_all_thousand_classes(tmp_path):
    for row in (0, 2, 999):
        picture(tmp_path / "val" / CODES[row] / f"ILSVRC2012_val_{row:08d}.JPEG", row)
    for item in range(2):
        picture(tmp_path / "train" / CODES[5] / f"{CODES[5]}_{item}.JPEG", item)
    found = imagenet(tmp_path)
    assert found.splits() == {"train": 2, "test": 3}
    split = found.split("test")
    assert list(split.classes) == NAMES
    assert split.labels.tolist() == [0, 2, 999]
    assert found.split("train").labels.tolist() == [5, 5]
    assert split.intake.read_as == "class folders below val/"
    assert any("997 of 1,000 classes have no picture here" in notice for notice in split.intake.notices)
    assert imagenet(tmp_path / "val").split("test").labels.tolist() == [0, 2, 999]
    assert imagenet(tmp_path, limit=2).splits() == {"train": 2, "test": 2}


@pytest.mark.parametrize("inside", [True, False])
def test_one_folder_and_the_development_kit(tmp_path, inside):
    where = tmp_path / "val" if inside else tmp_path
    for number in (1, 2, 3):
        picture(where / f"ILSVRC2012_val_{number:08d}.JPEG", number)
    (where / "notes.txt").write_text("")
    kit = devkit(tmp_path, [2, 1, 3], [CODES[7], CODES[900], CODES[0]])
    found = imagenet(tmp_path)
    split = found.split("test")
    by_number = sorted(zip([path.name for path in split.images.paths], split.labels.tolist(), strict=True))
    assert [label for _, label in by_number] == [900, 7, 0]
    assert list(split.classes) == NAMES
    assert split.intake.read_as == "pictures in one folder, and the development kit"
    assert split.intake.skipped == {".txt files": 1}
    assert {kit / "meta.mat", kit / "ILSVRC2012_validation_ground_truth.txt"} < set(found.files())


def test_a_kit_that_is_absent_or_does_not_fit_is_named(tmp_path):
    path = picture(tmp_path / "val" / "ILSVRC2012_val_00000002.JPEG")
    with pytest.raises(DataError, match=r"unpack ILSVRC2012_devkit_t12\.tar\.gz"):
        imagenet(tmp_path).splits()
    data = devkit(tmp_path, [1], [CODES[0]])
    with pytest.raises(DataError, match=r"val_00000002\.JPEG has no label: .* labels 1"):
        imagenet(tmp_path).splits()
    path.rename(path.with_name("cat.jpg"))
    with pytest.raises(DataError, match=r"cat\.jpg has no label"):
        imagenet(tmp_path).splits()
    (path.with_name("cat.jpg")).rename(path.with_name("ILSVRC2012_val_00000001.JPEG"))
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("7\n")
    with pytest.raises(DataError, match="line 1: 7 is no class"):
        imagenet(tmp_path).splits()
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("a\n")
    with pytest.raises(DataError, match="Unpack the kit anew"):
        imagenet(tmp_path).splits()
    (data / "meta.mat").write_bytes(b"no")
    with pytest.raises(DataError, match=r"meta\.mat cannot be read"):
        imagenet(tmp_path).splits()


def test_folders_of_v2_are_numbers_and_no_words(tmp_path):
    inner = tmp_path / "imagenetv2-matched-frequency-format-val"
    for row in (0, 2, 10, 100, 999):
        picture(inner / str(row) / "a.jpeg", row)
    for path in (tmp_path, inner):
        split = imagenet(path, "imagenet-v2").split("test")
        assert list(split.classes) == NAMES
        assert sorted(split.labels.tolist()) == [0, 2, 10, 100, 999]
        assert [int(path.parent.name) for path in split.images.paths] == split.labels.tolist()
    picture(inner / "1000" / "a.jpeg")
    with pytest.raises(
        DataError, match=r"of its 6 folders 1000 are none of ImageNet's classes, which are called 0 to 999"
    ):
        imagenet(tmp_path, "imagenet-v2").splits()
    picture(tmp_path / "imagenetv2-top-images-format-val" / "0" / "a.jpeg")
    with pytest.raises(DataError, match="Say which of them is to be scored"):
        imagenet(tmp_path, "imagenet-v2").splits()


@pytest.mark.parametrize("variant", ["imagenet-a", "imagenet-r"])
def test_a_and_r_have_their_two_hundred_classes(tmp_path, variant):
    codes = imagenet_codes(VARIANTS[variant].codes)
    for code in codes:
        picture(tmp_path / variant / code / "a.jpg", CODES.index(code))
    (tmp_path / variant / "README.txt").write_text("")
    split = imagenet(tmp_path, variant).split("test")
    assert list(split.classes) == [imagenet_names()[code] for code in sorted(codes)]
    assert split.labels.tolist() == list(range(200))
    other = {"imagenet-a": "imagenet-r", "imagenet-r": "imagenet-a"}[variant]
    with pytest.raises(DataError, match=f"its 200 classes are those of {VARIANTS[variant].title}"):
        imagenet(tmp_path / variant, other).splits()
    absent = next(code for code in CODES if code not in codes)
    picture(tmp_path / variant / absent / "a.jpg")
    with pytest.raises(DataError, match=f"it has 201 class folders, and {VARIANTS[variant].title} has 200"):
        imagenet(tmp_path, variant).splits()


def test_two_hundred_other_classes_are_told(tmp_path):
    for code in CODES[:200]:
        picture(tmp_path / code / "a.jpg")
    strange = len(set(CODES[:200]) - set(imagenet_codes("imagenet_a_synsets")))
    notices = imagenet(tmp_path, "imagenet-a").split("test").intake.notices
    assert any(f"{strange} of the 200 classes are not in ImageNet-A" in notice for notice in notices)


def test_sketches_lie_below_their_folder(tmp_path):
    picture(tmp_path / "sketch" / CODES[3] / "sketch_0.JPEG")
    split = imagenet(tmp_path, "imagenet-sketch").split("test")
    assert split.labels.tolist() == [3]
    assert len(split.classes) == 1000


def test_what_is_no_imagenet_is_refused(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        imagenet(tmp_path / "absent").splits()
    with pytest.raises(DataError, match="has no class folders; ImageNet has them, called codes"):
        imagenet(tmp_path).splits()
    picture(tmp_path / "cat" / "a.jpg")
    with pytest.raises(DataError, match="of its 1 folders cat are none of ImageNet's classes"):
        imagenet(tmp_path).splits()


@pytest.mark.slow
def test_a_run_tells_what_is_odd(gapbench, tmp_path):
    rng = np.random.default_rng(0)
    first, again = (CODES[row] for row, name in enumerate(NAMES) if name == "missile")
    for code in (first, again, *CODES[:8]):
        for item in range(2):
            path = tmp_path / "v2" / str(CODES.index(code)) / f"{item}.jpeg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(path)
    done = gapbench(
        *("run", "-d", f"imagenet-v2:{tmp_path / 'v2'}", "-p", "photo[names=openai]", "-a", "identity"),
        *("-m", "top1", "--no-figures", "--out", "out"),
    )
    assert "classes have no picture here" in " ".join(done.stderr.split())
    assert "classes share their texts with another" in (tmp_path / "out" / "README.md").read_text()
