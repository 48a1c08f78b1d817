"""Folders and torchvision's sets, in their real formats."""

import gzip
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from gapbench.builtin.datasets.folder import ImageFolder
from gapbench.builtin.datasets.torchvision_sets import LAYOUTS, TorchvisionSet
from gapbench.errors import DataError
from gapbench.specs import Context


def picture(path, color=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path)
    return path


def context(tmp_path):
    return Context(data_root=tmp_path)


def test_class_folders_are_classes(tmp_path):
    for number, name in enumerate(("big_cat", "dog")):
        for item in range(2):
            picture(tmp_path / name / f"{item}.png", (number, item, 0))
    split = ImageFolder(None, str(tmp_path)).split("test")
    assert list(split.classes) == ["big cat", "dog"]
    assert split.labels.tolist() == [0, 0, 1, 1]
    assert np.asarray(split.images[3])[0, 0].tolist() == [1, 1, 0]
    assert ImageFolder(None, str(tmp_path)).splits() == {"test": 4}


def test_train_and_test_folders_are_splits(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "cat" / "a.jpg")
    assert ImageFolder(None, str(tmp_path)).splits() == {"train": 1, "test": 1}
    picture(tmp_path / "train" / "eel" / "a.jpg")
    split = ImageFolder(None, str(tmp_path)).split("test")
    assert list(split.classes) == ["cat", "eel"]
    assert split.intake.notices == ["1 of 2 classes have no picture here: eel."]


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        ImageFolder(None, str(tmp_path / "absent")).splits()
    with pytest.raises(DataError, match="no class folders"):
        ImageFolder(None, str(tmp_path)).splits()
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="cat has no pictures"):
        ImageFolder(None, str(tmp_path)).splits()
    (tmp_path / "cat" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png cannot be read as a picture"):
        ImageFolder(None, str(tmp_path)).split("test").images[0]


def test_a_folder_runs(gapbench, tmp_path):
    from gapbench.builtin.datasets.digits import Digits

    split = Digits(None).split("test")
    for number in range(40):
        path = tmp_path / "photos" / split.classes[split.labels[number]] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        split.images[number].save(path)
    done = gapbench("run", "-d", f"folder:{tmp_path / 'photos'}", "-p", "photo", "-a", "identity", "--no-figures")
    assert "mini-clip / folder:photos / photo" in done.stdout
    assert "fitted on all items of half of test, scored on 20 images" in done.stdout


def test_cifar10_in_its_own_format(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {"data": rng.integers(0, 255, (4, 3072), dtype=np.uint8), "labels": [3, 1, 0, 9]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    dataset = TorchvisionSet(
        context(tmp_path), name="cifar10", cls="CIFAR10", size=1, published={"train": 20, "test": 4}
    )
    with pytest.raises(DataError, match="torchvision does not take the files"):  # pickles are never loaded unchecked
        dataset.split("test")
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    split = dataset.split("test")
    assert dataset.missing() is None
    assert list(split.classes) == names
    assert split.labels.tolist() == [3, 1, 0, 9]
    assert len(dataset.split("train").images) == 20
    assert split.images[0].size == (32, 32)


def test_mnist_in_its_own_format(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, n in (("train", 3), ("t10k", 2)):
        pixels = np.arange(n * 784, dtype=np.uint8).tobytes()
        for name, content in (
            (f"{part}-images-idx3-ubyte", struct.pack(">IIII", 0x803, n, 28, 28) + pixels),
            (f"{part}-labels-idx1-ubyte", struct.pack(">II", 0x801, n) + bytes([7, 2, 5][:n])),
        ):
            (folder / name).write_bytes(content)
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    split = TorchvisionSet(
        context(tmp_path), name="mnist", cls="MNIST", size=1, published={"train": 20, "test": 4}
    ).split("test")
    assert [split.classes[label] for label in split.labels] == ["seven", "two"]
    assert split.images[1].mode == "RGB"


def test_eurosat_is_cut_by_gapbench_the_same_way_each_time(tmp_path):
    for name in ("AnnualCrop", "Forest"):
        for item in range(10):
            picture(tmp_path / "eurosat" / "2750" / name / f"{name}_{item}.jpg", (item, 0, 0))
    splits = [
        TorchvisionSet(context(tmp_path), name="eurosat", cls="EuroSAT", size=1, published={"train": 20, "test": 4})
        for _ in range(2)
    ]
    test, again, train = splits[0].split("test"), splits[1].split("test"), splits[0].split("train")
    assert list(test.classes) == ["annual crop land", "forest"]
    assert np.bincount(test.labels).tolist() == [2, 2]
    assert len(train.images) == 16
    assert list(test.item_hashes) == list(again.item_hashes)


def test_every_set_says_what_is_missing_without_torchvision(tmp_path):
    for cls in LAYOUTS:
        missing = TorchvisionSet(context(tmp_path), name=cls.lower(), cls=cls, size=5, published={}).missing()
        assert missing.size == 5
        assert "--download" in missing.how
