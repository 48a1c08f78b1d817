"""Whether the files of a torchvision set are all there, and how they are made whole.

torchvision takes some sets for complete as soon as their folder exists. Here a set is held to what it is made of: the files
that it cannot do without, the contents of its archives where these are still beside it, torchvision's own checksums, and
every picture that its lists name.
"""

from __future__ import annotations

import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.embeddings.sums import remembered_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STL10_FILES = ("test_X.bin", "test_y.bin", "train_X.bin", "train_y.bin", "class_names.txt")
#: Bytes of a picture of STL-10: 96 x 96 pixels of three colours.
_STL10_PICTURE = 3 * 96 * 96

_GZIP_SIZE = 4  # the last bytes of a gzip file: how long its content is


def absent(root: Path, needed: Sequence[str], leftovers: Sequence[str]) -> str:
    """Return what shows at a glance that a set is not whole: a file that is not there, or one that only unpacking has."""
    for name in needed:
        if not (root / name).exists():
            return f"{root / name} is not there"
    for name in leftovers:
        if (root / name).exists():
            return f"{root / name} is still there, so that unpacking was interrupted"
    return ""


def stl10_torn(folder: Path) -> str:
    """Return which pictures of STL-10, official or own ones, are not as many as their labels."""
    for part in ("test", "train"):
        pictures, labels = (folder / f"{part}_{kind}.bin" for kind in "Xy")
        if pictures.stat().st_size != _STL10_PICTURE * labels.stat().st_size:
            n = pictures.stat().st_size / _STL10_PICTURE
            return f"{pictures} holds {n:g} pictures for {labels.stat().st_size} labels"
    return ""


def torn(archive: Path) -> str:
    """Return which file of an archive is not beside it in its whole length; of an archive that is cut itself, nothing."""
    try:
        for name, size in _members(archive):
            path = archive.parent / name
            if not path.is_file():
                return f"{path} is not there"
            if path.stat().st_size != size:
                return f"{path} has {path.stat().st_size:,} of {size:,} bytes"
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile):
        return ""  # what is beside it was unpacked from another copy
    return ""


def _members(archive: Path) -> Iterator[tuple[str, int]]:
    """Yield name and length of each file in an archive."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield from ((one.filename, one.file_size) for one in file.infolist() if not one.is_dir())
    elif archive.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(archive) as tar:
            yield from ((one.name, one.size) for one in tar if one.isfile())
    else:  # one gzip file
        with archive.open("rb") as single:
            single.seek(-_GZIP_SIZE, 2)
            yield archive.stem, int.from_bytes(single.read(), "little")


def unlisted(dataset: Any) -> str:
    """Return which picture that an opened set lists is not there, or is empty."""
    files = getattr(dataset, "_image_files", None) or getattr(dataset, "_images", None) or []
    for path in map(Path, files):
        if not path.is_file() or path.stat().st_size == 0:
            return f"{path} is {'empty' if path.is_file() else 'not there'}"
    return ""


@contextmanager
def remembered_sums() -> Iterator[None]:
    """Let torchvision read no file again for its MD5 that has not changed since."""
    from torchvision.datasets import utils

    before = utils.calculate_md5
    utils.calculate_md5 = lambda path, *_, **__: remembered_sum(Path(path), "md5")
    try:
        yield
    finally:
        utils.calculate_md5 = before


@contextmanager
def taken_as_incomplete(cls: Any) -> Iterator[None]:
    """Let torchvision fetch and unpack a set although its folder exists: the first question whether it is whole gets a no.

    Archives that are here, and have the right sum, are unpacked again and not fetched.
    """
    name = "_check_exists" if hasattr(cls, "_check_exists") else "_check_integrity"
    check, own = getattr(cls, name), name in vars(cls)
    asked: list[bool] = []

    def answer(self: Any) -> Any:
        asked.append(True)
        return check(self) if len(asked) > 1 else False

    setattr(cls, name, answer)
    try:
        yield
    finally:
        if own:
            setattr(cls, name, check)
        else:
            delattr(cls, name)


@contextmanager
def own_files_allowed(cls: Any) -> Iterator[None]:
    """Let STL-10 read files in its layout that are not the official ones; what is half there is refused before.

    torchvision compares MD5 sums each time the set is opened and refuses everything else, also a small set that somebody
    made in the same layout. A download is checked all the same (by the archive's own sum), and what was read is identified
    by the hash of every picture, so other files can never pass for the official ones. Only STL-10: its files are plain
    numbers, while CIFAR's are pickles, which must not be loaded unchecked.
    """
    if cls.__name__ != "STL10":
        yield
        return
    check = cls._check_integrity
    cls._check_integrity = lambda self: check(self) or _stl10_whole(Path(self.root) / self.base_folder)
    try:
        yield
    finally:
        cls._check_integrity = check


def _stl10_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in STL10_FILES) and not stl10_torn(folder)


def stl10_official(dataset: Any, split: str) -> bool:
    """Whether the files of a split of STL-10 have the MD5 sums of the published ones."""
    folder = Path(dataset.root) / dataset.base_folder
    sums = dataset.test_list if split == "test" else dataset.train_list
    return all(remembered_sum(folder / name, "md5") == md5 for name, md5 in sums if name != "unlabeled_X.bin")
