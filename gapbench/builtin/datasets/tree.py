"""What lies in a folder of pictures: the pictures, and everything else by kind."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gapbench.builtin.datasets.pictures import SUFFIXES
from gapbench.errors import DataError

HIDDEN, SYSTEM, LINKS = "hidden files and folders", "files and folders of the system", "links to nothing"
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"})


@dataclass
class Listing:
    """One folder: the visible folders in it, its own pictures, and how many things of other kinds it holds."""

    folders: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def listing(folder: Path) -> Listing:
    """List a folder, in the order of the names.

    Raises
    ------
    DataError
        It cannot be read.
    """
    found = Listing()
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                _sort_in(found, entry)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read ({error.strerror}).") from error
    return found


def _sort_in(found: Listing, entry: os.DirEntry[str]) -> None:
    name = entry.name.lower()
    if name in _SYSTEM:
        found.skipped[SYSTEM] += 1
    elif name.startswith("."):
        found.skipped[HIDDEN] += 1
    elif entry.is_dir():
        found.folders.append(Path(entry.path))
    elif entry.is_symlink() and not Path(entry.path).exists():
        found.skipped[LINKS] += 1
    elif (suffix := Path(name).suffix) in SUFFIXES:
        found.pictures.append(Path(entry.path))
    else:
        found.skipped[f"{suffix} files" if suffix else "files without a suffix"] += 1


@dataclass
class Tree:
    """All pictures below a folder: those in it, and those in folders below it."""

    own: list[Path]
    deeper: list[Path]
    skipped: Counter[str]

    @property
    def pictures(self) -> list[Path]:
        """All of them, in the order of their paths."""
        return sorted(self.own + self.deeper)


def tree(folder: Path) -> Tree:
    """Look through a folder and all folders below it; each is entered once, however links go round.

    Raises
    ------
    DataError
        A folder cannot be read.
    """
    first = listing(folder)
    found = Tree(first.pictures, [], first.skipped)
    waiting, seen = list(first.folders), {os.path.realpath(folder)}
    while waiting:
        below = waiting.pop()
        if (real := os.path.realpath(below)) in seen:
            continue
        seen.add(real)
        inside = listing(below)
        found.deeper += inside.pictures
        found.skipped += inside.skipped
        waiting += inside.folders
    return found
