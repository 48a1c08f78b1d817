"""How torchvision lays out its sets: their splits, their class names, and the files that they are made of.

Class names are written as prompts use them: underscores become spaces, digits are words as in OpenAI's prompt list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gapbench.builtin.datasets.digits import CLASSES as DIGIT_WORDS
from gapbench.builtin.datasets.torchvision_files import STL10_FILES
from gapbench.builtin.datasets.torchvision_more import as_it_is, without_slashes
from gapbench.builtin.published import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: CIFAR-10, SVHN and others have plain names; only these need words of their own.
EUROSAT_WORDS = {
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road",
    "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments",
    "River": "river",
    "SeaLake": "lake or sea",
}


def _spaced(name: str) -> str:
    return name.replace("_", " ").replace("/", " or ").strip()


@dataclass(frozen=True)
class Layout:
    """How torchvision names the splits of a set, and where its files lie below the data root.

    ``train`` and ``test`` are keywords of the class; equal ones mean that there is no official split. Below the data root a
    whole set has all of ``needed``, none of ``leftovers``, and what is in ``archives``, where these are still there.
    """

    folder: str
    train: Mapping[str, Any]
    test: Mapping[str, Any]
    rename: Callable[[str], str] = _spaced
    classes: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()

    @property
    def cut(self) -> bool:
        """Whether gapbench cuts the split itself."""
        return self.train == self.test


_BY_FLAG = ({"train": True}, {"train": False})
_BY_NAME = ({"split": "train"}, {"split": "test"})


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_IDX = tuple(f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))


def _idx(folder: str, classes: tuple[str, ...] = ()) -> Layout:
    """Lay out MNIST, or a set in its format."""
    files = _below(f"{folder}/raw", *_IDX)
    return Layout(folder, *_BY_FLAG, classes=classes, needed=files, archives=tuple(f"{name}.gz" for name in files))


LAYOUTS = {
    "STL10": Layout("stl10_binary", *_BY_NAME, needed=_below("stl10_binary", *STL10_FILES)),
    "CIFAR10": Layout(
        "cifar-10-batches-py",
        *_BY_FLAG,
        needed=_below(
            "cifar-10-batches-py", *(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"
        ),
    ),
    "CIFAR100": Layout("cifar-100-python", *_BY_FLAG, needed=_below("cifar-100-python", "train", "test", "meta")),
    "Food101": Layout(
        "food-101",
        *_BY_NAME,
        needed=_below("food-101", "images", "meta/train.json", "meta/test.json"),
        archives=("food-101.tar.gz",),
    ),
    "OxfordIIITPet": Layout(
        "oxford-iiit-pet",
        {"split": "trainval"},
        {"split": "test"},
        needed=_below("oxford-iiit-pet", "images", "annotations/trainval.txt", "annotations/test.txt"),
        archives=_below("oxford-iiit-pet", "images.tar.gz", "annotations.tar.gz"),
    ),
    "Flowers102": Layout(
        "flowers-102",
        *_BY_NAME,
        needed=_below("flowers-102", "jpg", "imagelabels.mat", "setid.mat"),
        archives=_below("flowers-102", "102flowers.tgz"),
    ),
    "DTD": Layout(
        "dtd",
        *_BY_NAME,
        needed=_below("dtd", "dtd/images", "dtd/labels/train1.txt", "dtd/labels/test1.txt"),
        archives=_below("dtd", "dtd-r1.0.1.tar.gz"),
    ),
    "EuroSAT": Layout(
        "eurosat",
        {},
        {},
        rename=lambda name: EUROSAT_WORDS.get(name, _spaced(name)),
        needed=_below("eurosat", "2750"),
        archives=_below("eurosat", "EuroSAT.zip"),
    ),
    "SVHN": Layout("", *_BY_NAME, classes=DIGIT_WORDS, needed=("train_32x32.mat", "test_32x32.mat")),
    "MNIST": _idx("MNIST", DIGIT_WORDS),
    "FashionMNIST": _idx("FashionMNIST"),
    "Caltech101": Layout(
        "caltech101",
        {},
        {},
        needed=_below("caltech101", "101_ObjectCategories"),
        leftovers=_below("caltech101", "caltech-101.zip", "caltech-101"),
    ),
    "FGVCAircraft": Layout(
        "fgvc-aircraft-2013b",
        {"split": "trainval"},
        {"split": "test"},
        rename=as_it_is,
        needed=_below("fgvc-aircraft-2013b/data", "images", "images_variant_trainval.txt", "images_variant_test.txt"),
        archives=("fgvc-aircraft-2013b.tar.gz",),
    ),
    "StanfordCars": Layout(
        "stanford_cars",
        *_BY_NAME,
        rename=as_it_is,
        needed=_below("stanford_cars", "devkit", "cars_train", "cars_test", "cars_test_annos_withlabels.mat"),
    ),
    "SUN397": Layout(
        "SUN397",
        {},
        {},
        rename=without_slashes,
        needed=_below("SUN397", "ClassName.txt"),
        archives=("SUN397.tar.gz",),
    ),
    "GTSRB": Layout(
        "gtsrb",
        *_BY_NAME,
        classes=names_of("gtsrb"),
        needed=_below("gtsrb", "GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"),
    ),
    "PCAM": Layout(
        "pcam",
        *_BY_NAME,
        classes=names_of("pcam"),
        needed=_below("pcam", *(f"camelyonpatch_level_2_split_{p}_{k}.h5" for p in ("train", "test") for k in "xy")),
    ),
    "Country211": Layout(
        "country211",
        *_BY_NAME,
        classes=names_of("country211"),
        needed=_below("country211", "train", "test"),
        archives=("country211.tgz",),
    ),
}
