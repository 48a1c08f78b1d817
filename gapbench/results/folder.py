"""Folders that gapbench writes pages and figures into: it never replaces a file that it did not write.

Beside what it writes lies `WRITTEN`, the SHA-256 of each such file, as ``sha256sum`` writes and checks them. A file that is
there and whose hash is not there is somebody else's, or was edited by hand: it stays, and is named.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from gapbench.embeddings.disk import locked, open_regular, read_regular, write_whole
from gapbench.errors import UsageError
from gapbench.model.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: Hashes of the pages or figures of a folder, and the lock of those who write them.
WRITTEN, LOCK = "gapbench.sha256", ".gapbench.lock"

#: The study behind a folder of results, where gapbench does not ship it.
STUDY = "study.json"

#: The pages of a folder of results.
PAGES = ("README.md", "page.html", "table.csv", "table.tex")

#: Folders of a folder of results, with the names that gapbench may give to what is in there.
FOLDERS = {
    "records": re.compile(r"(run|[0-9a-f]{16,64})\.(jsonl|outcomes|jsonl\.sig)"),
    "figures": re.compile(rf"(gap-accuracy|(learning|umap|pca|pair)-.+)\.(png|svg|pdf|npz)|{re.escape(WRITTEN)}"),
}

#: Files of embeddings: gapbench writes none beside its pages, and results may lie beside what they are of.
EMBEDDINGS = (".npz", ".safetensors", ".parquet")

#: What systems put into folders by themselves.
LITTER = frozenset({"Thumbs.db", "desktop.ini"})

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MOST_NAMED = 5


def check_folder(folder: Path) -> None:
    """Find out before the work whether results may go into a folder.

    Hidden files are passed over: gapbench writes none but its locks and what is not finished yet. So are files of
    embeddings, which may be what is scored. Links are not: what is written through one lands elsewhere. A folder that stands
    where a page is to be written is told when the page is written, so that it costs no record.

    Parameters
    ----------
    folder
        It need not be there yet.

    Raises
    ------
    UsageError
        It has files that gapbench did not write, or that were edited since; names the first of them.
    """
    if not folder.is_dir():
        return
    strange = [name for name in sorted(path.name for path in folder.iterdir()) if not _ours(folder, name)]
    strange += [_edited(folder, name) for name in (*PAGES, STUDY) if name not in strange]
    strange = [name for name in strange if name]
    for below in FOLDERS:
        if (inner := folder / below).is_dir() and below not in strange:
            strange += [f"{below}/{path.name}" for path in sorted(inner.iterdir()) if not _ours_below(path)]
    if strange:
        raise UsageError(
            f"{folder} has files that gapbench did not write or that were edited since: {_some(strange)}. "
            "Nothing is replaced. Choose another folder, or move them away."
        )


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def _ours_below(path: Path) -> bool:
    """Whether gapbench may have written something in one of its folders: no link, and nothing that is no file."""
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        return False
    return _passed_over(path.name) or FOLDERS[path.parent.name].fullmatch(path.name) is not None


def _ours(folder: Path, name: str) -> bool:
    """Whether gapbench may have written a file or folder of this name."""
    if _passed_over(name) or name in (*PAGES, STUDY, WRITTEN):
        return True
    if name.endswith(EMBEDDINGS) and (folder / name).is_file():
        return True
    return name in FOLDERS and (folder / name).is_dir() and not (folder / name).is_symlink()


def _edited(folder: Path, name: str) -> str:
    """Return the name of a page that is not as gapbench wrote it, or nothing; a folder of that name counts as nothing."""
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        return ""
    return name if _foreign(path, _written(folder), None) else ""


def _some(names: Iterable[str]) -> str:
    shown = [one_line(name) for name in names]
    more = len(shown) - _MOST_NAMED
    return ", ".join(shown[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def write_pages(folder: Path, pages: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each at once or not at all, and return their paths.

    A file with the very bytes that are to be written is left alone, whoever wrote it. Any number of processes may write
    into one folder.

    Parameters
    ----------
    folder
        Made where it is not there.
    pages
        Name and content of each file.

    Raises
    ------
    UsageError
        One of the names belongs to a file that gapbench did not write, or that was edited since; nothing is written then.
    OSError
        A file cannot be written; it is named, and the others are written all the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        known = _written(folder)
        strange = [name for name, content in pages.items() if _foreign(folder / name, known, content)]
        if strange:
            raise UsageError(
                f"{folder} has files that gapbench did not write or that were edited since, and does not replace: "
                f"{_some(strange)}. Move them away, and do this again."
            )
        new = {name: hashlib.sha256(content).hexdigest() for name, content in pages.items()}
        # Both hashes are there while the files are written: whenever this is cut short, each file is known for ours.
        _note(folder, {name: known.get(name, set()) | {new[name]} for name in new} | _others(known, new))
        failed = [error for name, content in pages.items() if (error := _failure(folder / name, content)) is not None]
        if not failed:
            _note(folder, {name: {new[name]} for name in new} | _others(known, new))
    if failed:
        raise failed[0]
    return [folder / name for name in pages]


def is_own(path: Path) -> bool:
    """Whether a file is there as gapbench wrote it."""
    return path.is_file() and not _foreign(path, _written(path.parent), None)


def remove_page(folder: Path, name: str) -> None:
    """Remove a file that gapbench wrote; one that it did not write stays."""
    if not (folder / name).is_file():
        return
    with locked(folder / LOCK):
        if is_own(folder / name):
            (folder / name).unlink()
            _note(folder, _others(_written(folder), {name}))


def _others(known: Mapping[str, set[str]], names: Iterable[str]) -> dict[str, set[str]]:
    names = set(names)
    return {name: hashes for name, hashes in known.items() if name not in names}


def _foreign(path: Path, known: Mapping[str, set[str]], content: bytes | None) -> bool:
    """Whether there is a file that gapbench did not write and that is not ``content`` anyway.

    A link is nobody's page, wherever it leads. A folder is not replaced by a file: writing fails and says so.
    """
    if path.is_dir() and not path.is_symlink():
        return False
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    except OSError:  # a link, a pipe, or not for our eyes
        return True
    return found not in known.get(path.name, ()) and (content is None or found != hashlib.sha256(content).hexdigest())


def _written(folder: Path) -> dict[str, set[str]]:
    """Read the hashes of what gapbench wrote into a folder: of a file that was being written, several."""
    try:
        content = read_regular(folder / WRITTEN).decode(errors="replace")
    except OSError:
        return {}
    found: dict[str, set[str]] = {}
    for line in content.splitlines():
        if match := _LINE.fullmatch(line):
            found.setdefault(match[2], set()).add(match[1])
    return found


def _note(folder: Path, hashes: Mapping[str, set[str]]) -> None:
    lines = [f"{digest}  {name}\n" for name in sorted(hashes) for digest in sorted(hashes[name])]
    content = "".join(lines).encode()
    path = folder / WRITTEN
    if not _holds(path, content):
        write_whole(path, content)


def _failure(path: Path, content: bytes) -> OSError | None:
    """Write a file; return the error where that is not possible."""
    try:
        if not _holds(path, content):
            write_whole(path, content)
    except OSError as error:
        return error
    return None


def _holds(path: Path, content: bytes) -> bool:
    """Whether a regular file has exactly this content."""
    try:
        return read_regular(path) == content
    except OSError:
        return False
