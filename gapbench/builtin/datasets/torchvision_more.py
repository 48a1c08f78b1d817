"""torchvision's sets that keep labels, files or names in ways of their own, brought into the usual form."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError, MissingAssetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Sets that torchvision reads and cannot fetch: where they come from.
BY_HAND: Mapping[str, str] = {
    "StanfordCars": (
        "--download cannot fetch it, since its authors' address is gone: put cars_train/, cars_test/, devkit/ and "
        "cars_test_annos_withlabels.mat there"
    )
}

#: Packages that torchvision needs for a set beside its own.
_PACKAGES = {"PCAM": "h5py"}


def check_packages(name: str, cls: str) -> None:
    """Refuse a set whose package is not installed.

    Raises
    ------
    MissingAssetError
        Says how to get it.
    """
    package = _PACKAGES.get(cls)
    if package and find_spec(package) is None:
        raise MissingAssetError(
            f"Dataset {name} is read with the package {package}, which is not installed. Run: pip install {package}"
        )


def as_it_is(name: str) -> str:
    """Keep a class name: slashes and hyphens belong to it."""
    return name.strip()


def without_slashes(name: str) -> str:
    """Return a class name such as ``apse/indoor`` as prompts use it."""
    return name.replace("_", " ").replace("/", " ").strip()


def settled(dataset: Any) -> Any:
    """Return what torchvision opened its labels and files under the names that the others have.

    Raises
    ------
    DataError
        Its folders are not those of the set, so that labels would be wrong.
    """
    settle = _SETTLE.get(type(dataset).__name__)
    if settle is not None:
        settle(dataset)
    return dataset


def _of_samples(dataset: Any) -> None:
    dataset._image_files = [path for path, _ in dataset._samples]  # noqa: SLF001 - torchvision has no public name for them
    dataset._labels = [int(label) for _, label in dataset._samples]  # noqa: SLF001


def _gtsrb(dataset: Any) -> None:
    """Read the labels of training pictures from their folders; torchvision counts the folders that are there."""
    samples = dataset._samples  # noqa: SLF001
    if dataset._split == "train":  # noqa: SLF001
        samples = [(path, _number(Path(path).parent)) for path, _ in samples]
    if wrong := next((path for path, label in samples if not 0 <= label < _GTSRB_CLASSES), None):
        raise DataError(f"GTSRB: {wrong} is of none of the classes 0 to {_GTSRB_CLASSES - 1}.")
    dataset._samples = samples  # noqa: SLF001
    _of_samples(dataset)


_GTSRB_CLASSES = 43
_COUNTRIES = 211


def _number(folder: Path) -> int:
    return int(folder.name) if folder.name.isdecimal() else -1


def _country211(dataset: Any) -> None:
    """Hold the set to its number of countries: their names are listed by the order of the folders."""
    if len(dataset.classes) != _COUNTRIES:
        raise DataError(
            f"Country211: {Path(dataset.samples[0][0]).parent.parent} has {len(dataset.classes)} folders of countries; "
            f"there must be {_COUNTRIES}."
        )


def _sun397(dataset: Any) -> None:
    """Sort the pictures: torchvision lists them in the order of the file system, and the split is cut by position."""
    pairs = sorted(zip(dataset._image_files, dataset._labels, strict=True))  # noqa: SLF001
    dataset._image_files = [path for path, _ in pairs]  # noqa: SLF001
    dataset._labels = [label for _, label in pairs]  # noqa: SLF001


def _pcam(dataset: Any) -> None:
    """Read all labels at once."""
    name = dataset._FILES[dataset._split]["targets"][0]  # noqa: SLF001
    with dataset.h5py.File(dataset._base_folder / name) as file:  # noqa: SLF001
        dataset._labels = file["y"][:].reshape(-1).tolist()  # noqa: SLF001


_SETTLE: Mapping[str, Callable[[Any], None]] = {
    "Country211": _country211,
    "GTSRB": _gtsrb,
    "PCAM": _pcam,
    "StanfordCars": _of_samples,
    "SUN397": _sun397,
}
