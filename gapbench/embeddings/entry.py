"""Entries of the store: folders that were written whole, with a checksum of each file, and are checked before use.

The checksum is SHA-256: it notices any change, and takes 25 ms for 27 MB where the processor has instructions for it
(CRC-32 takes 13 ms, BLAKE2b 29 ms). An entry is checked once a process, and again when one of its files has another size,
time or inode. That it held is remembered in memory alone: a fault of the disk changes none of these.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.disk import (
    Signature,
    discard,
    open_regular,
    read_regular,
    reason,
    scratch,
    signature,
    sync,
    tell,
    write,
    writing,
)
from gapbench.embeddings.fingerprint import canonical_json, hash_file
from gapbench.embeddings.items import DIGEST
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import BufferedReader

    from gapbench.components import Float32
    from gapbench.embeddings.items import Digests

CHECKSUMS = Path("checksums.json")
IDENTITY = Path("metadata/identity.json")


@dataclass(frozen=True)
class Layout:
    """Which files a kind of entry has, besides its identity: its rows, and what each row is of, strings or digests."""

    kind: str
    array: Path
    strings: Path | None = None
    digests: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that have a checksum."""
        return tuple(path for path in (self.array, IDENTITY, self.strings, self.digests) if path is not None)


#: The names that clip-retrieval gives.
IMAGES = Layout("images", Path("img_emb/img_emb_0.npy"), digests=Path("metadata/items_0.npy"))
TEXTS = Layout("texts", Path("text_emb/text_emb_0.npy"), strings=Path("metadata/texts_0.jsonl"))


class DamagedEntry(Exception):  # noqa: N818 - never leaves the store
    """An entry is not what was written; says in what."""


@dataclass(frozen=True)
class Stored:
    """An entry that was checked: where it lies, what code made it, and a checksum that covers all of it."""

    folder: Path
    layout: Layout
    identity: Mapping[str, Any]
    checksum: str
    n: int
    strings: tuple[str, ...] = ()
    digests: Digests | None = None

    @property
    def cut(self) -> Mapping[str, str]:
        """For the rows, by number, of texts of which the encoder did not read the end: a hash of what it read."""
        found: Mapping[str, str] = self.identity["cut"]
        return found

    @property
    def code(self) -> str:
        """Hash of the encoder's code that made the rows; empty where that is unknown."""
        return str(self.identity["code"])

    def rows(self) -> Float32:
        """Memory-map the rows: raw float32 ``(N, d)``."""
        try:
            return _mapped(self.folder / self.layout.array)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder} was taken out of the store while it was in use ({reason(error)}). Run again."
            ) from error


#: What was checked in this process: what the files looked like then, and what was found.
_CHECKED: dict[Path, tuple[list[Signature], Stored | str]] = {}

#: What was told of an entry, so that it is told once.
_TOLD: dict[Path, str] = {}


def find(folder: Path, layout: Layout) -> Stored | None:
    """Return an entry, checked; None where there is none, and where it is damaged, which is told once."""
    try:
        stored = check(folder, layout)
    except FileNotFoundError:
        return None
    except DamagedEntry as problem:
        if _TOLD.get(folder) != str(problem):
            tell(
                f"The stored embeddings in {folder} are damaged ({problem}); they are not used, and are encoded again when "
                "they are needed."
            )
            _TOLD[folder] = str(problem)
        return None
    _TOLD.pop(folder, None)
    return stored


def check(folder: Path, layout: Layout) -> Stored:
    """Compare an entry with its checksums, or recall that this process did.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    DamagedEntry
        A file is missing, is no file, or is not what was written.
    """
    try:
        whole = S_ISDIR(folder.lstat().st_mode)
    except NotADirectoryError as error:
        raise FileNotFoundError(str(error)) from error
    if not whole:
        raise DamagedEntry(f"{folder.name} is not a folder")
    try:
        files = [signature(folder / name) for name in (CHECKSUMS, *layout.files)]
        known = _CHECKED.get(folder)
        if known is None or known[0] != files:
            known = _CHECKED[folder] = (files, _checked(folder, layout))
    except (OSError, ValueError, RecursionError) as error:
        folder.lstat()  # it may have vanished meanwhile
        raise DamagedEntry(_said(error, folder)) from error
    if isinstance(known[1], str):
        raise DamagedEntry(known[1])
    return known[1]


def _said(error: BaseException, folder: Path) -> str:
    name = getattr(error, "filename", None)
    return f"{Path(name).relative_to(folder).as_posix()}: {reason(error)}" if name else reason(error)


def _checked(folder: Path, layout: Layout) -> Stored | str:
    """Read an entry; a text says what is wrong with it."""
    listed = read_regular(folder / CHECKSUMS)
    sums = json.loads(listed)
    if not isinstance(sums, dict) or set(sums) != {name.as_posix() for name in layout.files}:
        return f"{CHECKSUMS} does not list the files of an entry"
    for name in layout.files:
        with open_regular(folder / name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sums[name.as_posix()]:
                return f"{name.as_posix()} does not match its checksum"
    identity = json.loads(read_regular(folder / IDENTITY))
    if problem := _identity_problem(identity, folder, layout):
        return problem
    n = len(_mapped(folder / layout.array))
    strings = () if layout.strings is None else _strings(folder / layout.strings)
    if layout.strings is not None and len(strings) != n:
        return f"there are {len(strings)} strings for {n} rows"
    digests = None if layout.digests is None else _digests(folder / layout.digests)
    if digests is not None and digests.shape != (n,):
        return f"there are {len(digests)} items for {n} rows"
    return Stored(folder, layout, identity, hashlib.sha256(listed).hexdigest(), n, strings, digests)


def _identity_problem(identity: Any, folder: Path, layout: Layout) -> str:
    if not isinstance(identity, dict) or not isinstance(identity.get("code"), str):
        return f"{IDENTITY.as_posix()} does not say what code made the rows"
    if layout.strings is not None and not isinstance(identity.get("cut"), dict):
        return f"{IDENTITY.as_posix()} does not say of which texts the end was not read"
    if identity.get("place") != _place(folder):
        return f"it was written as {identity.get('place')}, and lies where another entry belongs"
    return ""


def _place(folder: Path) -> str:
    """Name the place of an entry below the store: what it holds belongs there and nowhere else."""
    return "/".join(folder.parts[-3:])


def _strings(path: Path) -> tuple[str, ...]:
    """Read one string a line, in row order."""
    return tuple(str(json.loads(line)) for line in read_regular(path).splitlines())


def _digests(path: Path) -> Digests:
    """Read what the rows are of.

    Raises
    ------
    OSError, ValueError
        It is no such array.
    """
    with open_regular(path) as file:
        try:
            found = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # what NumPy's parser makes of a damaged header is of many kinds
            raise ValueError(f"{path.name} cannot be read: {error}") from error
    if found.dtype != DIGEST or found.ndim != 1:
        raise ValueError(f"{path.name} holds {found.dtype} of shape {found.shape} where digests are wanted")
    return found


def _mapped(path: Path) -> Float32:
    """Memory-map an array of rows.

    Raises
    ------
    OSError, ValueError
        It is no such array, or shorter than it says.
    """
    with open_regular(path) as file:
        shape = read_shape(file)
        return np.memmap(file, dtype=np.float32, mode="r", offset=file.tell(), shape=shape)


def read_shape(file: BufferedReader) -> tuple[int, int]:
    """Read the header of an array of rows: its ``(N, d)``.

    Raises
    ------
    ValueError
        Not a header that the store writes.
    """
    try:
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        n, dim = shape
    except Exception as error:  # what NumPy's parser makes of a damaged header is of many kinds
        raise ValueError(f"its header cannot be read: {error}") from error
    if dtype != np.float32 or fortran or n < 1 or dim < 1:
        raise ValueError(f"it holds {dtype} of shape {shape} where float32 rows are wanted")
    return n, dim


class Writer:
    """Writes the files of an entry into a folder of its own.

    The rows are written as any file is: on a full disk that is an error, where a memory map would end the process.
    """

    def __init__(self, root: Path, temporary: Path, layout: Layout, n: int, dim: int) -> None:
        self._root, self._temporary, self._layout, self._n = root, temporary, layout, n
        path = temporary / layout.array
        path.parent.mkdir(parents=True)
        self._file = path.open("wb")
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": (n, dim)})
        self.written = 0

    def append(self, rows: Float32) -> None:
        """Write the next rows."""
        with writing(self._root):
            self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self.written += len(rows)

    def strings(self, strings: Sequence[str]) -> None:
        """Write the strings of an entry of texts."""
        assert self._layout.strings is not None
        lines = "".join(json.dumps(text, ensure_ascii=True) + "\n" for text in strings)
        with writing(self._root):
            write(self._temporary / self._layout.strings, lines.encode())

    def digests(self, digests: Digests) -> None:
        """Write what the rows of an entry of images are of."""
        assert self._layout.digests is not None
        content = BytesIO()
        np.lib.format.write_array(content, digests, allow_pickle=False)
        with writing(self._root):
            write(self._temporary / self._layout.digests, content.getvalue())

    def close(self) -> None:
        """Close the file of rows; on a full disk that fails like the write before it."""
        with suppress(OSError):
            self._file.close()

    def finish(self, identity: Mapping[str, Any], folder: Path) -> None:
        """Flush all to disk, with checksums, and move it to its place; all rows must have come."""
        if self.written != self._n:
            raise DataError(f"Only {self.written} of {self._n} rows were encoded; nothing is kept.")
        with writing(self._root):
            self._file.flush()
            os.fsync(self._file.fileno())
            placed = {**identity, "place": _place(folder)}
            write(self._temporary / IDENTITY, json.dumps(placed, indent=1, sort_keys=True).encode())
            sums = {name.as_posix(): hash_file(self._temporary / name) for name in self._layout.files}
            write(self._temporary / CHECKSUMS, canonical_json(sums))
            for made in {self._temporary, *(self._temporary / name.parent for name in self._layout.files)}:
                sync(made)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                try:
                    check(folder, self._layout)
                except DamagedEntry:
                    discard(self._root, folder)
                else:
                    return  # somebody else was faster, and theirs is as good
            self._temporary.rename(folder)
            sync(folder.parent)


@contextmanager
def new_entry(
    root: Path, folder: Path, layout: Layout, identity: Mapping[str, Any], n: int, dim: int
) -> Iterator[Writer]:
    """Write an entry of ``n`` rows of ``dim`` numbers: at the end it is there, whole; on any exception nothing is left."""
    with ExitStack() as stack:
        with writing(root):
            temporary = stack.enter_context(scratch(root))
            writer = Writer(root, temporary, layout, n, dim)
        stack.callback(writer.close)
        yield writer
        writer.finish(identity, folder)
