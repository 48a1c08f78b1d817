"""Checksums of files, remembered in the store while a file's size, inode and times of change stay."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from gapbench.embeddings.memo import Memos
from gapbench.embeddings.store import default_root

if TYPE_CHECKING:
    from pathlib import Path

#: ``git`` is the name that Git gives to a file: the SHA-1 of its size and content.
Algorithm = Literal["sha256", "md5", "sha1", "git"]


def remembered_sum(path: Path, algorithm: Algorithm = "sha256") -> str:
    """Return the checksum (hex) of a file; one that was read before and has not changed since is not read again."""
    path = path.resolve()
    memos, name = Memos(default_root()), f"{algorithm}|{path}"
    known = memos.recall("sum", name, [path])
    if known is not None and isinstance(known.get("sum"), str):
        return str(known["sum"])
    found = _sum(path, algorithm)
    memos.remember("sum", name, [path], {"sum": found})
    return found


def _sum(path: Path, algorithm: Algorithm) -> str:
    """Read a file in pieces."""
    with path.open("rb") as file:
        if algorithm == "git":
            digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
            while piece := file.read(1 << 20):
                digest.update(piece)
            return digest.hexdigest()
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
