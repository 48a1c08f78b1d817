"""WebDataset archives: indexed once, read at offsets."""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Endings of pictures.
PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "ppm", "pgm", "tif", "tiff")

_BRACES = re.compile(r"\{(?:(?P<first>\d+)\.\.(?P<last>\d+)|(?P<words>[^{}]*,[^{}]*))\}")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class Place:
    """Where the content of a file in an archive lies."""

    archive: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the content.

        Raises
        ------
        DataError
            The archive is gone, or shorter than it was.
        """
        try:
            with self.archive.open("rb") as file:
                file.seek(self.offset)
                found = file.read(self.size)
        except OSError as error:
            raise DataError(f"{self.archive} cannot be read ({error.strerror}).") from error
        if len(found) != self.size:
            raise DataError(f"{self.archive} is shorter than it was when it was indexed.")
        return found


@dataclass
class Sample:
    """The files of one key, by their endings."""

    name: str
    parts: dict[str, Place] = field(default_factory=dict)

    @property
    def picture(self) -> Place | None:
        """The first picture."""
        return next((self.parts[ending] for ending in PICTURES if ending in self.parts), None)


def expand(pattern: str) -> list[str]:
    """Write out the braces of a pattern: ``{000..012}`` and ``{a,b}``."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    if found["words"] is not None:
        inside = found["words"].split(",")
    else:
        numbers = range(int(found["first"]), int(found["last"]) + 1)
        inside = [str(number).zfill(len(found["first"])) for number in numbers]
    return [pattern[: found.start()] + one + rest for one in inside for rest in expand(pattern[found.end() :])]


def archives(pattern: str) -> list[Path]:
    """Return the archives that a brace pattern, a glob or a path names.

    Raises
    ------
    DataError
        One that is not there, none at all, or compressed ones.
    """
    found: list[Path] = []
    for text in expand(pattern):
        path = Path(text).expanduser()
        globbed = any(sign in path.name for sign in "*?[") and not path.exists()
        found += sorted(path.parent.glob(path.name), key=natural) if globbed else [path]
    if absent := [path for path in found if not path.is_file()]:
        more = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
        raise DataError(f"There is no archive {absent[0]}{more}, of {len(found):,} that wds:{pattern} names.")
    if not found:
        raise DataError(f"No archive matches wds:{pattern}.")
    for path in found:
        if path.name.endswith(_COMPRESSED):
            raise DataError(
                f"{path} is compressed, so that nothing in it can be looked up. Unpack it to a plain .tar file."
            )
    return found


def natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which ``2.tar`` comes before ``10.tar``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name) if part]


def index(paths: Sequence[Path]) -> tuple[list[Sample], Counter[str], list[str]]:
    """Index archives: samples in their order, what is not part of any by kind, and what is odd.

    Raises
    ------
    DataError
        An archive that cannot be read, or a key that has two files of one ending.
    """
    samples: list[Sample] = []
    skipped: Counter[str] = Counter()
    notices: list[str] = []
    for path in paths:
        found: dict[str, Sample] = {}
        try:
            for member in _members(path, skipped, notices):
                _add(found, path, member, skipped)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path} cannot be read as a tar archive ({error}). Fetch or write it again.") from error
        samples += found.values()
    return samples, skipped, notices


def _members(path: Path, skipped: Counter[str], notices: list[str]) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            if member.isreg() and not member.issparse():
                yield member
            elif not member.isdir():
                skipped["links and other things in archives"] += 1
        end = archive.offset
    with path.open("rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            notices.append(f"{path.name} has no mark at its end, and may have been cut off there.")


def _add(found: dict[str, Sample], path: Path, member: tarfile.TarInfo, skipped: Counter[str]) -> None:
    """Add a file to the sample of its key: its path up to the first dot of the name."""
    folder, _, name = member.name.rpartition("/")
    stem, dot, ending = name.partition(".")
    if not stem or name.startswith("__"):
        skipped["hidden files in archives"] += 1
        return
    if not dot:
        skipped["files without an ending in archives"] += 1
        return
    key = f"{folder}/{stem}"
    sample = found.setdefault(key, Sample(f"{path.name}:{key.lstrip('/')}"))
    if ending.lower() in sample.parts:
        raise DataError(f"{path} has two files {member.name!r}. Write it again with other keys.")
    sample.parts[ending.lower()] = Place(path, member.offset_data, member.size)
