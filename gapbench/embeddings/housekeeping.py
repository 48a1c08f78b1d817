"""Keeping house in a store: what is there, what is damaged, and removing what nobody needs while others work in it.

Entries may come and go while one looks. What is being written is held by a lock, and stays.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapbench.embeddings.disk import discard, held, open_regular, read_regular, reason, remove, writing
from gapbench.embeddings.entry import IDENTITY, IMAGES, TEXTS, DamagedEntry, check, read_shape
from gapbench.embeddings.store import lock_file, lock_name
from gapbench.errors import DataError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gapbench.embeddings.store import Store

LAYOUTS = {layout.kind: layout for layout in (IMAGES, TEXTS)}

INTERRUPTED, WRITING = "left by an interrupted run", "being written"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in the store: embeddings of images or texts, a memo, or what a run writes or left half-written."""

    kind: str
    key: str
    what: str
    rows: int = 0
    dim: int = 0
    size: int
    complete: bool = True
    path: Path


def entries(store: Store) -> list[Entry]:
    """List embeddings and what is half-written; nothing is checked."""
    found = []
    for kind, pattern in (("images", "images/*/*"), ("texts", "texts/*/*")):
        found += [_described(kind, folder) for folder in _matches(store.root, pattern)]
    for path in _matches(store.root, "tmp/*.tmp"):
        with held(path.with_suffix(".lock")) as free:
            what = INTERRUPTED if free else WRITING
        found.append(Entry(kind="unfinished", key=path.stem, what=what, size=_size(path), complete=False, path=path))
    return [entry for entry in found if os.path.lexists(entry.path)]


def memos(store: Store) -> list[Entry]:
    """List what is remembered of datasets and encoders."""
    found = _matches(store.root, "memo/*/*")
    return [Entry(kind="memo", key=path.stem, what=path.parent.name, size=_size(path), path=path) for path in found]


def verify(store: Store) -> list[tuple[Entry, str]]:
    """Compare everything that is whole with its checksums; returns what is damaged, and in what."""
    looked = [(entry, problem(store, entry)) for entry in (*entries(store), *memos(store)) if entry.complete]
    # A writer may have replaced an entry between two looks at its files: what is damaged is so at the second look, too.
    again = [(entry, problem(store, entry)) for entry, found in looked if found]
    return [(entry, found) for entry, found in again if found]


def problem(store: Store, entry: Entry) -> str | None:
    """Say what is wrong with an entry; None where nothing is, or where it is gone."""
    if entry.kind == "memo":
        return store.memos.problem(entry.path)
    try:
        check(entry.path, LAYOUTS[entry.kind])
    except FileNotFoundError:
        return None
    except DamagedEntry as error:
        return str(error)
    return None


def prune(store: Store, *, everything: bool = False) -> tuple[list[Entry], list[Entry]]:
    """Remove what is damaged or half-written, or everything.

    Returns
    -------
    tuple
        What was removed, and what was left alone because a running process holds its lock.

    Raises
    ------
    DataError
        The store cannot be written to.
    """
    removed, left = [], []
    for entry in (*entries(store), *memos(store)):
        if entry.complete and not everything and problem(store, entry) is None:
            continue
        with _held(store, entry) as free, writing(store.root):
            if not free:
                left.append(entry)
            elif not entry.complete or everything or problem(store, entry):  # under the lock it is looked at again
                if not os.path.lexists(entry.path):
                    continue
                if entry.complete:
                    discard(store.root, entry.path)
                else:
                    remove(entry.path)
                    entry.path.with_suffix(".lock").unlink(missing_ok=True)
                removed.append(entry)
    return removed, left


def _held(store: Store, entry: Entry) -> AbstractContextManager[bool]:
    """Hold the lock of an entry's writer, if that is free; memos are replaced in one step, and have none."""
    if entry.kind in LAYOUTS:
        return held(lock_file(store.root, lock_name(entry.kind, entry.path.parent.name)))
    return nullcontext(True) if entry.kind == "memo" else held(entry.path.with_suffix(".lock"))


def _described(kind: str, folder: Path) -> Entry:
    """Describe an entry by what it says itself; whether that holds is not checked."""
    layout = LAYOUTS[kind]
    rows = dim = 0
    try:
        identity = json.loads(read_regular(folder / IDENTITY))
        parts = [identity.get(name) for name in ("encoder_name", "dataset_name", "split")]
        what = " / ".join(str(part) for part in parts if part is not None)
        if layout.strings is not None:
            with open_regular(folder / layout.strings) as file:
                what = f"{what}: {json.loads(file.readline())!r} and others".removeprefix(": ")
        with open_regular(folder / layout.array) as file:
            rows, dim = read_shape(file)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        what = "damaged: see `gapbench cache verify`"
    what = "".join(sign if sign.isprintable() else "?" for sign in what)
    return Entry(kind=kind, key=folder.name, what=what, rows=rows, dim=dim, size=_size(folder), path=folder)


def _matches(root: Path, pattern: str) -> list[Path]:
    """List what matches, as far as it can be read."""
    try:
        return sorted(root.glob(pattern))
    except OSError as error:
        raise DataError(f"The store of embeddings at {root} cannot be read ({reason(error)}).") from error


def _size(path: Path) -> int:
    """Sum the sizes of the files in a folder, or of a file; what vanishes meanwhile counts nothing."""
    sizes = [0]
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                sizes.append(os.lstat(os.path.join(folder, name)).st_size)  # noqa: PTH118 - many files
    if len(sizes) == 1:
        with suppress(OSError):
            sizes.append(path.lstat().st_size if not path.is_dir() else 0)
    return sum(sizes)
