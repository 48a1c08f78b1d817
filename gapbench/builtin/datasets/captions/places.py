"""Where pictures lie that a file names: beside it, or in a folder near it, found by listing each folder once."""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: More folders than this side by side are not looked into.
MOST_FOLDERS = 200

ADDRESS = re.compile(r"[a-z]+://(?P<path>[^?#]*)", re.IGNORECASE)

WINDOWS_DRIVE = re.compile(r"[A-Za-z]:/")


@dataclass
class Places:
    """Where pictures are, by the name that a file has for them.

    Parameters
    ----------
    found
        The one place of each.
    doubtful
        Places of those that have several.
    like
        For a name that is nowhere, a file whose name differs in capitals or in its ending alone.
    crowded
        Folders that have more than `MOST_FOLDERS` folders, which were not looked into.
    """

    found: dict[str, Path] = field(default_factory=dict)
    doubtful: dict[str, list[Path]] = field(default_factory=dict)
    like: dict[str, Path] = field(default_factory=dict)
    crowded: list[Path] = field(default_factory=list)


@dataclass
class _Listing:
    """A folder's files by their name in one normal form (an accent may be one character or two), and its folders."""

    folder: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def split_name(name: str) -> tuple[str, str]:
    r"""Split a name into folder and file, with ``/`` for ``\``; of an address only the file is left."""
    if address := ADDRESS.match(name):
        return "", unquote(address["path"].rpartition("/")[2])
    folder, _, file = name.replace("\\", "/").rpartition("/")
    parts = [part for part in folder.split("/") if part != "."]
    return "/".join(parts) or "/" * name.startswith(("/", "\\")), file


class Finder:
    """Finds pictures around a folder.

    Names are looked up beside the file, in the folders beside it and in theirs; only where none of the names of a folder
    is found there, in the folder above, in the folders of that, and in theirs. A folder that has another picture of a name
    that was found nearer is another set, and is left aside. Each folder is listed once.

    Parameters
    ----------
    here
        The folder that names are relative to.
    alone
        Look nowhere else than there and below.
    """

    def __init__(self, here: Path, *, alone: bool = False) -> None:
        self.here = here
        self.alone = alone
        self._listings: dict[Path, _Listing] = {}
        self._crowded: dict[Path, None] = {}

    def find(self, names: Sequence[str]) -> Places:
        """Find pictures by their names."""
        groups: dict[str, dict[str, list[str]]] = {}
        for name in names:
            folder, file = split_name(name)
            groups.setdefault(folder, {}).setdefault(normal(file), []).append(name)
        places = Places()
        for folder, wanted in groups.items():
            for way in _ways(folder):
                if self._find(way, wanted, places):
                    break
        if missing := [name for name in names if name not in places.found and name not in places.doubtful]:
            places.like |= self._like(missing)
            places.crowded += self._crowded
        return places

    def _find(self, folder: str, wanted: dict[str, list[str]], places: Places) -> bool:
        """Look for the files of one folder in the nearest tree that has any of them; say whether there is one."""
        if Path(folder).is_absolute():
            return bool(self._look([Path(folder)], "", wanted, set(), places))
        for near in (True,) if self.alone else (True, False):
            known: set[str] = set()
            for level in self._levels(near=near):
                known |= self._look(level, folder, wanted, known, places)
                if len(known) == len(wanted):
                    return True
            if known:
                return True
        return False

    def _look(
        self, level: Sequence[Path], folder: str, wanted: dict[str, list[str]], known: set[str], places: Places
    ) -> set[str]:
        """Look on one level for the files that are not known yet; return those that it has."""
        hits: dict[str, list[Path]] = {}
        for root in level:
            place = self._below(root, folder)
            if place is None:
                continue
            listing = self._listing(place)
            if known and not known.isdisjoint(listing.files.keys()):
                continue
            for file in wanted.keys() & listing.files.keys() - known:
                hits.setdefault(file, []).extend(place / written for written in listing.files[file])
        for file, paths in hits.items():
            for name in wanted[file]:
                if len(paths) == 1:
                    places.found[name] = paths[0]
                    continue
                exact = [path for path in paths if path.name == split_name(name)[1]]
                meant = _distinct(paths if len(_folders(paths)) > 1 or not exact else exact)
                if len(meant) == 1:
                    places.found[name] = meant[0]
                else:
                    places.doubtful[name] = meant
        return set(hits)

    def _like(self, names: Sequence[str]) -> dict[str, Path]:
        """Return files that names may mean, of the folders that were looked into."""
        near = {
            _stem(written): listing.folder / written
            for listing in reversed(self._listings.values())
            for same in listing.files.values()
            for written in same
        }
        files = {name: split_name(name)[1] for name in names}
        like = {name: near.get(_stem(file)) for name, file in files.items()}
        return {name: path for name, path in like.items() if path and normal(path.name) != normal(files[name])}

    def _levels(self, *, near: bool) -> Iterator[list[Path]]:
        """Yield folders from the nearest to the farthest."""
        if near:
            yield [self.here]
        beside = self._children([self.here]) if near else [self._above, *self._siblings]
        yield beside
        yield self._children(beside if near else self._siblings)

    @cached_property
    def _above(self) -> Path:
        return self.here.parent if self.here.name not in ("", "..") else self.here / ".."

    @cached_property
    def _siblings(self) -> list[Path]:
        own = os.path.realpath(self.here)
        return [folder for folder in self._children([self._above]) if os.path.realpath(folder) != own]

    def _children(self, folders: Sequence[Path]) -> list[Path]:
        found = [folder / name for folder in folders for name in self._listing(folder).folders]
        if len(found) > MOST_FOLDERS:
            self._crowded.update(dict.fromkeys(folders))
            return []
        return found

    def _below(self, root: Path, folder: str) -> Path | None:
        """Return a folder below another, whichever way its accents are written; None where it is not there."""
        if not folder:
            return root
        with suppress(OSError, ValueError):  # no name of a folder: too long, say
            if (root / folder).is_dir():
                return root / folder
        if folder.isascii():
            return None
        place = root
        for part in folder.split("/"):
            same = [one for one in self._listing(place).folders if normal(one) == normal(part)]
            if not same:
                return None
            place /= same[0]
        return place

    def _listing(self, folder: Path) -> _Listing:
        """List a folder, once."""
        if folder not in self._listings:
            listing = self._listings[folder] = _Listing(folder)
            with suppress(OSError, ValueError), os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    if entry.is_dir():
                        if not entry.name.startswith((".", "__MACOSX")):
                            listing.folders.append(entry.name)
                    elif entry.is_file():
                        listing.files.setdefault(normal(entry.name), []).append(entry.name)
        return self._listings[folder]


def normal(name: str) -> str:
    """Write a name in one normal form: an accent may be one character or two."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _stem(file: str) -> str:
    return normal(os.path.splitext(file)[0]).casefold()  # noqa: PTH122 - of a name, not of a path


def _ways(folder: str) -> Iterator[str]:
    """Yield where a folder may be: as it is named, or, of a path of another machine, by its last parts."""
    yield folder
    if Path(folder).is_absolute() or WINDOWS_DRIVE.match(f"{folder}/"):
        parts = [part for part in folder.split("/") if part]
        yield from ("/".join(parts[start:]) for start in range(1, len(parts)))


def _folders(paths: Sequence[Path]) -> set[Path]:
    return {path.parent for path in paths}


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Keep one path of each file: links may lead to the same one."""
    return list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]
