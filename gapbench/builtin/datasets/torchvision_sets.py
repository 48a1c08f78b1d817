"""torchvision's classification sets behind one class; torchvision downloads them, and what is not whole is noticed."""

from __future__ import annotations

import hashlib
import socket
import warnings
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.builtin.datasets.torchvision_files import (
    absent,
    own_files_allowed,
    remembered_sums,
    stl10_official,
    stl10_torn,
    taken_as_incomplete,
    torn,
    unlisted,
)
from gapbench.builtin.datasets.torchvision_layouts import LAYOUTS
from gapbench.builtin.datasets.torchvision_more import BY_HAND, check_packages, settled
from gapbench.builtin.fetching import cause, retried, told
from gapbench.components import Dataset, Intake, Split
from gapbench.embeddings.disk import tell
from gapbench.embeddings.fingerprint import fingerprint, hash_file, stamp
from gapbench.embeddings.memo import Memos
from gapbench.embeddings.store import default_root
from gapbench.errors import DataError, MissingAssetError
from gapbench.specs import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image

    from gapbench.specs import Context

#: Told of sets of which torchvision has no official split.
OWN_SPLIT = "The split is gapbench's own, every fifth picture after a fixed shuffle: torchvision has no official one."


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
    published
        Number of pictures of each split as published.
    """

    def __init__(self, context: Context, *, name: str, cls: str, size: int, published: Mapping[str, int]) -> None:
        self.context = context
        self.name = name
        self.cls = cls
        self.size = size
        self.published = published
        self.layout = LAYOUTS[cls]
        self._opened: dict[str, Any] = {}

    @property
    def _folder(self) -> Path:
        return self.context.data_root / self.layout.folder

    @property
    def _files(self) -> list[Path]:
        if not self.layout.folder:
            return [path for name in self.layout.needed if (path := self.context.data_root / name).is_file()]
        # Archives are left where torchvision put them, beside what they hold.
        archives = {".gz", ".zip", ".tgz", ".tar"}
        return sorted(path for path in self._folder.rglob("*") if path.is_file() and path.suffix not in archives)

    def files(self) -> Sequence[Path]:
        """Give all files below the set's folder."""
        return self._files

    def missing(self) -> Missing | None:
        """Say what is to be fetched or repaired.

        Looks at names and sizes only, without torchvision; where a repair is allowed (``--download``) at the contents, too.
        """
        if not self._files:
            what = f"dataset {self.name}"
        elif why := self._fault() if self.context.download and not self.context.offline else self._glance():
            what = f"all of dataset {self.name} ({why})"
        else:
            return None
        return Missing(
            what=what,
            size=self.size,
            how=f"give its folder with --data-root (looked for {self._folder}); {BY_HAND[self.cls]}"
            if self.cls in BY_HAND
            else f"run again with --download, or give its folder with --data-root (looked for {self._folder})",
            folder=self.context.data_root,
        )

    def _glance(self) -> str:
        """Say what shows in names and sizes that the set is not whole."""
        why = absent(self.context.data_root, self.layout.needed, self.layout.leftovers)
        return why or (stl10_torn(self._folder) if self.cls == "STL10" else "")

    def _fault(self) -> str:
        """Say why the set is not whole; what was found whole is looked at again only when a file has changed."""
        if why := self._glance():
            return why
        archives = [path for name in self.layout.archives if (path := self.context.data_root / name).is_file()]
        memos, name = Memos(default_root()), f"{self.cls}|{self.context.data_root.resolve()}|{version('torchvision')}"
        state = {"files": fingerprint(stamp([*self._files, *archives]))}
        if memos.recall("whole", name, ()) == state:
            return ""
        why = next((why for archive in archives if (why := torn(archive))), "")
        for split in ("test", "train"):
            try:
                why = why or unlisted(self._open(split))
            except (RuntimeError, OSError, ValueError) as error:
                why = f"torchvision does not take the files below {self._folder}: {error}"
        if not why:
            memos.remember("whole", name, (), state)
        return why

    def download(self) -> None:
        """Fetch, or repair, through torchvision; archives that are here and whole are only unpacked again."""
        if self.cls in BY_HAND:
            raise MissingAssetError(f"Dataset {self.name} is not below {self._folder}, and {BY_HAND[self.cls]}.")
        from torchvision import datasets

        if self._files:
            tell(f"Dataset {self.name} is not whole; files in {self._folder} that it is made of are replaced.")
        self._opened.clear()
        folder = self.context.data_root
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with told(f"dataset {self.name}") as bar, _patience(), _bars(datasets.utils, bar):
                retried(self._fetch)
        except Exception as error:
            raise MissingAssetError(
                f"Dataset {self.name} could not be fetched. {cause(error, folder=folder)} Or put its files below "
                f"{self._folder}."
            ) from error
        if why := self._fault():
            raise MissingAssetError(f"Dataset {self.name} is not whole after the download: {why}.")

    def _fetch(self) -> None:
        from torchvision import datasets

        cls = getattr(datasets, self.cls)
        with taken_as_incomplete(cls) if self.layout.folder else nullcontext():
            self._opened["test"] = self._construct("test", download=True)
        if not self.layout.cut:
            self._opened["train"] = self._construct("train", download=True)

    def _open(self, split: str) -> Any:
        """Open a split, once."""
        key = "test" if self.layout.cut else split
        if key not in self._opened:
            self._opened[key] = self._construct(split, download=False)
        return self._opened[key]

    def _construct(self, split: str, *, download: bool) -> Any:
        from torchvision import datasets

        check_packages(self.name, self.cls)
        cls = getattr(datasets, self.cls)
        keywords = self.layout.test if split == "test" else self.layout.train
        with warnings.catch_warnings(), remembered_sums(), own_files_allowed(cls):
            warnings.simplefilter("ignore")  # about NumPy and PIL versions; nothing that a reader could act on
            return settled(cls(str(self.context.data_root), download=download, **keywords))

    def split(self, name: str) -> Split:
        """Read ``train`` or ``test``.

        Raises
        ------
        DataError
            The set is not whole, or not the one that torchvision knows.
        """
        if why := self._fault():
            raise DataError(
                f"Dataset {self.name} is not whole ({why}). Run again with --download, which repairs it, or put the "
                f"official files below {self._folder}."
            )
        whole = self._open(name)
        labels = _labels(whole)
        names = self.layout.classes or tuple(self.layout.rename(c) for c in _class_names(whole))
        rows = _cut(labels, name) if self.layout.cut else np.arange(len(labels))
        return Split(
            images=_Pictures(whole, rows),  # type: ignore[arg-type]
            item_hashes=_hashes(whole, rows),
            classes=names,
            labels=labels[rows],
            intake=self._intake(whole, name, len(rows)),
        )

    def _intake(self, whole: Any, split: str, n: int) -> Intake:
        """Say whether these are the published files, and whose split it is."""
        notices = [OWN_SPLIT] if self.layout.cut else []
        if n != self.published[split]:
            why = f"It has {n:,} pictures where the published set has {self.published[split]:,}"
        elif self.cls == "STL10" and not stl10_official(whole, split):
            why = "Its files do not have the MD5 of the published ones"
        else:
            return Intake(notices=notices)
        notices.append(f"{why}: these are own files, not the official {self.name}.")
        return Intake(published=False, notices=notices)


@contextmanager
def _patience(seconds: float = 60.0) -> Iterator[None]:
    """Let no server be waited for without end: torchvision sets no limit itself."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _bars(utils: Any, bar: type[Any] | None) -> Iterator[None]:
    """Let torchvision count what it fetches where no terminal shows its bars."""
    before = utils.tqdm
    utils.tqdm = bar or before
    try:
        yield
    finally:
        utils.tqdm = before


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
