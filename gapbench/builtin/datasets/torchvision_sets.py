"""torchvision's classification sets behind one class; torchvision downloads them and checks what it downloaded.

Class names are written as prompts use them: underscores become spaces, digits are words as in OpenAI's prompt list.
"""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.builtin.datasets.digits import CLASSES as DIGIT_WORDS
from gapbench.builtin.datasets.torchvision_more import BY_HAND, as_it_is, check_packages, settled, without_slashes
from gapbench.builtin.published import names_of
from gapbench.components import Dataset, Intake, Split
from gapbench.embeddings.fingerprint import hash_file
from gapbench.errors import DataError, MissingAssetError
from gapbench.specs import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image

    from gapbench.specs import Context

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

    ``train`` and ``test`` are keywords of the class; equal ones mean that there is no official split.
    """

    folder: str
    train: Mapping[str, Any]
    test: Mapping[str, Any]
    rename: Callable[[str], str] = _spaced
    classes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cut(self) -> bool:
        """Whether gapbench cuts the split itself."""
        return self.train == self.test


#: Told of sets of which torchvision has no official split.
OWN_SPLIT = "The split is gapbench's own, every fifth picture after a fixed shuffle: torchvision has no official one."

_BY_FLAG = ({"train": True}, {"train": False})
_BY_NAME = ({"split": "train"}, {"split": "test"})

LAYOUTS = {
    "STL10": Layout("stl10_binary", *_BY_NAME),
    "CIFAR10": Layout("cifar-10-batches-py", *_BY_FLAG),
    "CIFAR100": Layout("cifar-100-python", *_BY_FLAG),
    "Food101": Layout("food-101", *_BY_NAME),
    "OxfordIIITPet": Layout("oxford-iiit-pet", {"split": "trainval"}, {"split": "test"}),
    "Flowers102": Layout("flowers-102", *_BY_NAME),
    "DTD": Layout("dtd", *_BY_NAME),
    "EuroSAT": Layout("eurosat", {}, {}, rename=lambda name: EUROSAT_WORDS.get(name, _spaced(name))),
    "SVHN": Layout("", *_BY_NAME, classes=DIGIT_WORDS),
    "MNIST": Layout("MNIST", *_BY_FLAG, classes=DIGIT_WORDS),
    "FashionMNIST": Layout("FashionMNIST", *_BY_FLAG),
    "Caltech101": Layout("caltech101", {}, {}),
    "FGVCAircraft": Layout("fgvc-aircraft-2013b", {"split": "trainval"}, {"split": "test"}, rename=as_it_is),
    "StanfordCars": Layout("stanford_cars", *_BY_NAME, rename=as_it_is),
    "SUN397": Layout("SUN397", {}, {}, rename=without_slashes),
    "GTSRB": Layout("gtsrb", *_BY_NAME, classes=names_of("gtsrb")),
    "PCAM": Layout("pcam", *_BY_NAME, classes=names_of("pcam")),
    "Country211": Layout("country211", *_BY_NAME, classes=names_of("country211")),
}


class TorchvisionSet(Dataset):
    """One of torchvision's sets.

    Parameters
    ----------
    context
        Tells the data root, which is torchvision's ``root``.
    name
        gapbench's name of the set.
    cls
        torchvision's class.
    size
        Bytes to download.
    """

    def __init__(self, context: Context, *, name: str, cls: str, size: int) -> None:
        self.context = context
        self.name = name
        self.cls = cls
        self.size = size
        self.layout = LAYOUTS[cls]

    @property
    def _files(self) -> list[Path]:
        root = self.context.data_root
        if self.cls == "SVHN":
            return [path for path in (root / "train_32x32.mat", root / "test_32x32.mat") if path.is_file()]
        # Archives are left where torchvision put them, beside what they hold.
        archives = {".gz", ".zip", ".tgz", ".tar"}
        folder = root / self.layout.folder
        return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in archives)

    def files(self) -> Sequence[Path]:
        """Give all files below the set's folder."""
        return self._files

    def missing(self) -> Missing | None:
        """Say what is to be fetched; looks at folders only, so it costs nothing and needs no torchvision."""
        if self._files:
            return None
        where = self.context.data_root / self.layout.folder
        return Missing(
            what=f"dataset {self.name}",
            size=self.size,
            how=f"give its folder with --data-root (looked for {where}); {BY_HAND[self.cls]}"
            if self.cls in BY_HAND
            else f"run again with --download, or give its folder with --data-root (looked for {where})",
        )

    def download(self) -> None:
        """Fetch through torchvision."""
        if self.cls in BY_HAND:
            where = self.context.data_root / self.layout.folder
            raise MissingAssetError(f"Dataset {self.name} is not below {where}, and {BY_HAND[self.cls]}.")
        self.context.data_root.mkdir(parents=True, exist_ok=True)
        try:
            self._open("test", download=True)
            if not self.layout.cut:
                self._open("train", download=True)
        except Exception as error:
            raise MissingAssetError(
                f"Dataset {self.name} could not be fetched ({type(error).__name__}: {error}). Check the network, or put its "
                f"files below {self.context.data_root / self.layout.folder}."
            ) from error

    def _open(self, split: str, *, download: bool = False) -> Any:
        from torchvision import datasets

        check_packages(self.name, self.cls)
        cls = getattr(datasets, self.cls)
        keywords = self.layout.test if split == "test" else self.layout.train
        with warnings.catch_warnings(), _own_files_allowed(cls):
            warnings.simplefilter("ignore")  # about NumPy and PIL versions; nothing that a reader could act on
            return cls(str(self.context.data_root), download=download, **keywords, **self.layout.extra)

    @cached_property
    def _opened(self) -> dict[str, Any]:
        return {}

    def split(self, name: str) -> Split:
        """Read ``train`` or ``test``."""
        key = "both" if self.layout.cut else name
        if key not in self._opened:
            try:
                self._opened[key] = settled(self._open(name))
            except (RuntimeError, OSError, ValueError) as error:
                where = self.context.data_root / self.layout.folder
                raise DataError(
                    f"Dataset {self.name}: torchvision does not take the files below {where} ({error}). Remove them and "
                    "run with --download, or put the official ones there."
                ) from error
        whole = self._opened[key]
        labels = _labels(whole)
        names = self.layout.classes or tuple(self.layout.rename(c) for c in _class_names(whole))
        rows = _cut(labels, name) if self.layout.cut else np.arange(len(labels))
        return Split(
            images=_Pictures(whole, rows),  # type: ignore[arg-type]
            item_hashes=_hashes(whole, rows),
            classes=names,
            labels=labels[rows],
            intake=Intake(notices=[OWN_SPLIT] if self.layout.cut else []),
        )


@contextmanager
def _own_files_allowed(cls: Any) -> Iterator[None]:
    """Let STL-10 read files in its layout that are not the official ones.

    torchvision compares MD5 sums each time the set is opened and refuses everything else, also a small set that somebody
    made in the same layout. A download is checked all the same (by the archive's own sum), and what was read is identified
    by the hash of every picture, so other files can never pass for the official ones. Only STL-10: its files are plain
    numbers, while CIFAR's are pickles, which must not be loaded unchecked.
    """
    if cls.__name__ != "STL10":
        yield
        return
    check = cls._check_integrity
    cls._check_integrity = lambda self: check(self) or _present(self)
    try:
        yield
    finally:
        cls._check_integrity = check


def _present(dataset: Any) -> bool:
    from pathlib import Path

    folder = Path(dataset.root) / dataset.base_folder
    lists = [*getattr(dataset, "train_list", ()), *getattr(dataset, "test_list", ())]
    wanted = [entry[0] for entry in lists if entry[0] != "unlabeled_X.bin"]
    return all((folder / name).is_file() for name in wanted)


def _labels(dataset: Any) -> np.ndarray:
    for name in ("labels", "_labels", "targets", "y"):
        found = getattr(dataset, name, None)
        if found is not None and len(found) == len(dataset):
            return np.asarray(found, dtype=np.int64)
    raise MissingAssetError(
        f"torchvision's {type(dataset).__name__} keeps its labels where gapbench does not find them."
    )


def _class_names(dataset: Any) -> Sequence[str]:
    for name in ("classes", "categories"):
        if found := getattr(dataset, name, None):
            return [str(part).partition(" - ")[2] or str(part) for part in found]
    raise MissingAssetError(f"torchvision's {type(dataset).__name__} has no class names.")


def _cut(labels: np.ndarray, name: str) -> np.ndarray:
    """Cut a fixed split, every fifth item of each class for the test, after a fixed shuffle."""
    order = np.random.default_rng(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    test = np.sort(by_class[::5])
    return test if name == "test" else np.setdiff1d(np.arange(len(labels)), test)


class _Pictures:
    """RGB pictures of some rows, decoded on access."""

    def __init__(self, dataset: Any, rows: np.ndarray) -> None:
        self._dataset = dataset
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: int) -> Image:
        picture: Image = self._dataset[int(self._rows[item])][0].convert("RGB")
        return picture


def _hashes(dataset: Any, rows: np.ndarray) -> list[str]:
    """SHA-256 of each picture: of its bytes in the array, or of its file."""
    data = getattr(dataset, "data", None)
    if data is not None:
        array = np.asarray(data)
        return [hashlib.sha256(array[row].tobytes()).hexdigest() for row in rows]
    files = getattr(dataset, "_image_files", None) or getattr(dataset, "_images", None)
    if files is None and getattr(dataset, "samples", None):
        files = [sample[0] for sample in dataset.samples]
    if files is not None:
        from pathlib import Path

        return [hash_file(Path(files[row])) for row in rows]
    return [hashlib.sha256(dataset[int(row)][0].convert("RGB").tobytes()).hexdigest() for row in rows]
