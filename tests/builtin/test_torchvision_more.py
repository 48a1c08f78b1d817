"""torchvision's sets with labels, files or names of their own, on a few pictures in the real layouts."""

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from gapbench.builtin.datasets.torchvision_more import check_packages
from gapbench.builtin.datasets.torchvision_sets import OWN_SPLIT, TorchvisionSet
from gapbench.builtin.published import names_of
from gapbench.errors import DataError, MissingAssetError
from gapbench.specs import Context


def picture(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade, 20, 30)).save(path)
    return path


def torchvision(tmp_path, cls):
    published = {"train": 1_000_000, "test": 1_000_000}
    return TorchvisionSet(Context(data_root=tmp_path), name=cls.lower(), cls=cls, size=1, published=published)


def test_aircraft(tmp_path):
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for number in range(3):
        picture(data / "images" / f"{number:07}.jpg", number)
    (data / "variants.txt").write_text("707-320\nF-16A/B\n")
    (data / "images_variant_trainval.txt").write_text("0000000 707-320\n")
    (data / "images_variant_test.txt").write_text("0000001 F-16A/B\n0000002 707-320\n")
    split = torchvision(tmp_path, "FGVCAircraft").split("test")
    assert list(split.classes) == ["707-320", "F-16A/B"]
    assert split.labels.tolist() == [1, 0]
    assert len(torchvision(tmp_path, "FGVCAircraft").split("train").images) == 1


def test_cars_are_read_and_never_fetched(tmp_path):
    cars = torchvision(tmp_path, "StanfordCars")
    assert "cars_test_annos_withlabels.mat" in cars.missing().how
    assert "--download cannot fetch it" in cars.missing().how
    with pytest.raises(MissingAssetError, match="--download cannot fetch it"):
        cars.download()
    root = tmp_path / "stanford_cars"
    kinds = [("fname", "O"), ("class", "O")]
    for part, where in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = [(f"{number:05}.jpg", label) for number, label in ((1, 2), (2, 1), (3, 2))]
        for name, _ in rows:
            picture(root / f"cars_{part}" / name)
        (root / where).parent.mkdir(parents=True, exist_ok=True)
        savemat(root / where, {"annotations": np.array([rows], dtype=kinds)})
    names = np.array([["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]], dtype=object)
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": names})
    split = cars.split("test")
    assert list(split.classes) == ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]
    assert split.labels.tolist() == [1, 0, 1]
    assert len(set(cars.split("train").item_hashes)) == 1


def test_sun397_is_cut_the_same_way_whatever_the_order_of_the_files(tmp_path, monkeypatch):
    root = tmp_path / "SUN397"
    for number in range(10):
        picture(root / "a" / "apse" / "indoor" / f"sun_a{number}.jpg", number)
        picture(root / "f" / "fire_station" / f"sun_f{number}.jpg", 100 + number)
    (root / "ClassName.txt").write_text("/a/apse/indoor\n/f/fire_station\n")
    split = torchvision(tmp_path, "SUN397").split("test")
    assert list(split.classes) == ["apse indoor", "fire station"]
    assert np.bincount(split.labels).tolist() == [2, 2]
    assert split.intake.notices[0] == OWN_SPLIT
    rglob = type(root).rglob
    monkeypatch.setattr(type(root), "rglob", lambda self, pattern: sorted(rglob(self, pattern), reverse=True))
    again = torchvision(tmp_path, "SUN397").split("test")
    assert list(again.item_hashes) == list(split.item_hashes)


def test_traffic_signs_have_the_classes_of_their_folders(tmp_path):
    root = tmp_path / "gtsrb"
    for label in (3, 42):  # torchvision would call them 0 and 1
        picture(root / "GTSRB" / "Training" / f"{label:05}" / "00000_00000.ppm", label)
    for number in range(2):
        picture(root / "GTSRB" / "Final_Test" / "Images" / f"{number:05}.ppm", number)
    table = root / "GT-final_test.csv"
    table.write_text("Filename;Width;ClassId\n00000.ppm;8;14\n00001.ppm;8;0\n")
    signs = torchvision(tmp_path, "GTSRB")
    assert signs.split("train").labels.tolist() == [3, 42]
    split = signs.split("test")
    assert [split.classes[label] for label in split.labels] == ["stop", "red and white circle 20 kph speed limit"]
    table.write_text("Filename;Width;ClassId\n00000.ppm;8;43\n")
    with pytest.raises(DataError, match=r"00000\.ppm is of none of the classes 0 to 42"):
        torchvision(tmp_path, "GTSRB").split("test")


def test_country211_has_the_names_of_all_countries(tmp_path):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    codes = [a + b for a in letters for b in letters][:211]
    for number, code in enumerate(codes):
        picture(tmp_path / "country211" / "test" / code / "a.jpg", number)
        picture(tmp_path / "country211" / "train" / code / "a.jpg", number)
    split = torchvision(tmp_path, "Country211").split("test")
    assert split.classes[:2] == ("Andorra", "United Arab Emirates")
    assert split.classes[-1] == "Zimbabwe"
    assert split.labels.tolist() == list(range(211))
    picture(tmp_path / "country211" / "test" / "ZZ" / "a.jpg")
    with pytest.raises(DataError, match="has 212 folders of countries; there must be 211"):
        torchvision(tmp_path, "Country211").split("test")


def test_pcam(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "pcam").mkdir()
    for part, n in (("train", 3), ("test", 2)):
        stem = tmp_path / "pcam" / f"camelyonpatch_level_2_split_{part}"
        with h5py.File(f"{stem}_x.h5", "w") as file:
            file["x"] = np.arange(n * 96 * 96 * 3, dtype=np.uint32).reshape(n, 96, 96, 3).astype(np.uint8)
        with h5py.File(f"{stem}_y.h5", "w") as file:
            file["y"] = np.array([1, 0, 1][:n], dtype=np.uint8).reshape(n, 1, 1, 1)
    split = torchvision(tmp_path, "PCAM").split("test")
    assert split.classes == names_of("pcam")
    assert split.labels.tolist() == [1, 0]
    assert split.images[1].size == (96, 96)
    assert len(torchvision(tmp_path, "PCAM").split("train").images) == 3


def test_a_package_that_a_set_needs_is_named(monkeypatch):
    if find_spec("h5py") is None:
        with pytest.raises(MissingAssetError, match="pip install h5py"):
            check_packages("pcam", "PCAM")
    monkeypatch.setattr("gapbench.builtin.datasets.torchvision_more.find_spec", lambda _: None)
    with pytest.raises(MissingAssetError, match="Dataset pcam is read with the package h5py"):
        check_packages("pcam", "PCAM")
    check_packages("mnist", "MNIST")
