"""Names that become files and folders: one rule, for every system that a leaderboard may be copied to."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

from gapbench.errors import UsageError
from gapbench.model.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes of a name in UTF-8; most file systems take no longer one.
LONGEST = 255

#: What a name may have besides letters, marks and digits of any script.
SIGNS = " -_.+@=,"

#: Devices of Windows, with any ending.
DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)

#: Characters of a file's stem that come from names.
LONGEST_SLUG = 100

_PLAIN = re.compile(r"[a-z0-9]([a-z0-9.@=+-]*[a-z0-9])?")


def path_name(name: str, what: str = "The name") -> str:
    """Hold a name to the rule for names of files and folders, and return it.

    It consists of letters, marks and digits of any script and of `SIGNS`, begins with none of ``- . space`` and ends with
    none of ``. space``, is no device of Windows and has at most `LONGEST` bytes in UTF-8. So it is no path, hidden file or
    option on any system.

    Parameters
    ----------
    name
        The name.
    what
        What it is the name of and where it was read, to begin the message with.

    Raises
    ------
    UsageError
        The name breaks the rule; says how.
    """
    if reason := next(_faults(name), ""):
        shown = one_line(name)
        shown = f"{shown[:40]}…" if len(shown) > 40 else shown  # noqa: PLR2004
        raise UsageError(
            f"{what} {shown!r} cannot be the name of a folder: {reason}. "
            "Use letters, digits, '-' and '_', such as my-study."
        )
    return name


def _faults(name: str) -> Iterator[str]:
    """Say how a name breaks the rule, the first thing first."""
    if not name:
        yield "it is empty"
        return
    if set(name) == {"."}:
        yield "it stands for a folder that is there already"
    for sign in name:
        if sign in "/\\:":
            yield f"it has {sign!r}, so it is a path"
        if unicodedata.category(sign)[0] not in "LMN" and sign not in SIGNS:
            yield f"it has the character {one_line(sign) or repr(sign)}"
    if name[0] in "-. " or unicodedata.category(name[0])[0] == "M":
        yield f"it begins with {name[0]!r}"
    if name[-1] in ". ":
        yield f"it ends with {name[-1]!r}"
    if DEVICES.fullmatch(name):
        yield "Windows keeps it for a device"
    if (size := len(name.encode())) > LONGEST:
        yield f"it has {size} bytes, and {LONGEST} is the most"


def folder_below(root: Path, name: str, what: str = "The name") -> Path:
    """Return the folder of a name below ``root``.

    Raises
    ------
    UsageError
        The name breaks the rule of `path_name`, or another folder has the same name but for case or the way in which
        accents are written, so that the two are one folder on some systems.
    """
    path_name(name, what)
    there = root.iterdir() if root.is_dir() else ()
    for path in there:
        if path.name != name and _folded(path.name) == _folded(name):
            raise UsageError(
                f"{what} {name!r} and the folder {path} that is there already are one folder on some systems. "
                f"Write {one_line(path.name)!r}, or choose another name."
            )
    return root / name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def slug(*names: str) -> str:
    """Return the stem of a file for several names: no other names have the same one, in no case and on no system.

    The names stand between underscores. Where something would be lost on the way (other signs, capitals, other scripts, too
    long), two underscores and a hash of the names follow.
    """
    stem = "_".join(names)
    if len(stem) <= LONGEST_SLUG and all(_PLAIN.fullmatch(name) for name in names):
        return stem
    signs = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"_{2,}", "_", re.sub(r"[^a-z0-9.@=+_-]+", "-", signs))[:LONGEST_SLUG].strip("-_.")
    return f"{kept}__{hashlib.sha256(repr(names).encode()).hexdigest()[:16]}"
