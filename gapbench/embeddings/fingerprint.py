"""Content hashes: the same input gives the same key, any other input another one."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np


def canonical_json(value: Any) -> bytes:
    """Write a JSON value in its one canonical form: sorted keys, no spaces, UTF-8.

    Raises
    ------
    TypeError, ValueError
        Something that JSON does not have, NaN and infinity included.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def hash_bytes(content: bytes) -> str:
    """SHA-256 (hex) of some bytes."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_rng(**axes: Any) -> np.random.Generator:
    """Make a generator whose seed is a hash of the named axes: independent of order and of every other generator."""
    import numpy as np

    digest = hashlib.sha256(canonical_json(axes)).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


def stamp(files: Iterable[Path]) -> list[list[str | int]]:
    """Return path, size, times of change and inode of each file: while these stay, the content is taken to be unchanged.

    The time of the last change of any kind (``ctime``) is among them: it moves when somebody sets back the other one.
    """
    stamps: list[list[str | int]] = []
    for path in files:
        status = path.stat()
        stamps.append([str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino])
    return stamps
