"""What often lies in the place of a file: a pointer of Git LFS, or the HTML page of a failed download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_LFS = b"version https://git-lfs.github.com/spec/v1"
_PAGES = (b"<!doctype html", b"<html")
#: No picture, array or archive that is smaller is looked at further; pages begin with their name.
_START = 512


def impostor(path: Path) -> str:
    """Return what a file is instead of what its name promises; empty where it is neither of the two, or cannot be read.

    Parameters
    ----------
    path
        A file that is not read as HTML itself.

    Returns
    -------
    str
        The rest of a sentence that begins with the path, without its full stop.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        return ""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return ""
    if start.startswith(_LFS):
        return "is a Git LFS pointer, not the file itself: run 'git lfs pull' in the repository that it is from"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return "is an HTML page, not the file itself: download the file again, from its direct address"
    return ""


def refuse_impostor(path: Path) -> None:
    """Refuse a file that is a pointer or a page.

    Raises
    ------
    DataError
        Names the file, what it is, and the way out.
    """
    if what := impostor(path):
        raise DataError(f"{path} {what}.")
