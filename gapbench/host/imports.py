"""What plugins import while they are loaded, built and run.

Code that no hash covers must not pass for code that one covers.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GAPBENCH = "gapbench"

#: Size, times and inode of a file: while these stay, its content is taken to be unchanged; None where it cannot be read.
Stamp = tuple[int, int, int, int] | None

#: Files of modules that were imported while a distribution's code ran, as they were then. What lies among the installed
#: packages is left out: it is known by its version.
_imported: dict[str, dict[Path, Stamp]] = {}


def stamp(path: Path) -> Stamp:
    """Return what tells that a file was changed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@contextmanager
def watched(distributions: Iterable[str]) -> Iterator[None]:
    """Note what is imported while code of some distributions runs."""
    theirs = [name for name in distributions if name != GAPBENCH]
    if not theirs:
        yield
        return
    before = set(sys.modules)
    try:
        yield
    finally:
        for module in set(sys.modules) - before:
            file = getattr(sys.modules.get(module), "__file__", None)
            # What is imported has a whole path; modules that libraries make up (torch.ops is one) have a bare name.
            if isinstance(file, str) and Path(file).is_absolute() and not _is_installed(file):
                path = Path(os.path.realpath(file))
                for name in theirs:
                    _imported.setdefault(name, {}).setdefault(path, stamp(path))


def found(distribution: str) -> dict[Path, Stamp]:
    """Return the files of the modules that a distribution's code has imported from outside of the installed packages."""
    return _imported.get(distribution, {})


def forget(distribution: str) -> None:
    """Begin anew, where a distribution is about to be imported again."""
    _imported.pop(distribution, None)


def _is_installed(file: str) -> bool:
    return (
        file.startswith(_homes())
        or f"{os.sep}site-packages{os.sep}" in file
        or f"{os.sep}dist-packages{os.sep}" in file
    )


@cache
def _homes() -> tuple[str, ...]:
    """Where Python's own modules lie, and gapbench's."""
    own = str(Path(__file__).resolve().parent.parent)
    paths = sysconfig.get_paths()
    return tuple(f"{path}{os.sep}" for path in {own, paths["stdlib"], paths["platstdlib"]})
