"""Reading ``.npz`` and ``.npy`` files without loading them: arrays are memory-mapped where they lie in the file.

An array must lie within its file, and the checksum that a ``.npz`` file has of each array is compared, once a process.
"""

from __future__ import annotations

import math
import os
import struct
import sys
import tokenize
import zipfile
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

#: What reading a damaged archive, header or array can raise.
ZIP_ERRORS = (zipfile.BadZipFile, EOFError, struct.error, zlib.error, NotImplementedError, RuntimeError)
NPY_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    SyntaxError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)

#: Bytes that are read at once to compute a checksum.
PIECE = 1 << 20

#: Files whose checksums were compared in this process, with what `os.stat` said of them.
_CHECKED: set[tuple[str, int, int, int, int]] = set()


def open_npz(path: Path) -> dict[str, Any]:
    """Return the arrays of an ``.npz`` file by name; uncompressed ones are memory-mapped, others read.

    Raises
    ------
    DataError
        No zip file, cut off, a member that is no array, is shorter than it says or does not match its checksum, two
        members of one name, or pickled objects.
    """
    _check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            _check_count(archive, file)
            names = [member.filename.removesuffix(".npy") for member in members]
            for name, count in Counter(names).items():
                if count > 1:
                    raise DataError(f"{path}: array {name!r} occurs twice. Save the file again with one of each name.")
            status = os.fstat(file.fileno())
            seen = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            arrays = {
                name: _array(path, archive, file, member, checked=seen in _CHECKED)
                for name, member in zip(names, members, strict=True)
            }
            _CHECKED.add(seen)
            return arrays
    except (*ZIP_ERRORS, OSError, ValueError) as error:
        raise DataError(
            f"{path} is not a whole .npz file ({error}): it is cut off or of another kind. Copy or make it again."
        ) from error


def _array(path: Path, archive: zipfile.ZipFile, file: BinaryIO, member: zipfile.ZipInfo, *, checked: bool) -> Any:
    where = f"{path}, array {member.filename.removesuffix('.npy')!r}"
    try:
        with archive.open(member) as stream:
            shape, fortran, dtype = _header(stream)
            start = stream.tell()
            if dtype.hasobject:
                raise DataError(
                    f"{where} holds pickled Python objects, which are never loaded (they can run code). "
                    "Save it as a plain array, strings with a fixed-width type such as '<U40'."
                )
            size = _size(shape, dtype)
            if start + size > member.file_size:
                raise DataError(
                    f"{where} is cut short: an array {shape} of {dtype} takes {size} bytes, and {member.file_size - start} "
                    "are there. Copy or make the file again."
                )
            mapped = member.compress_type == zipfile.ZIP_STORED and size > 0 and bool(shape)
            if not mapped:
                stream.seek(0)
                array = np.lib.format.read_array(stream, allow_pickle=False)
            if not (mapped and checked):
                while stream.read(PIECE):  # the checksum is compared at the end
                    pass
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{where} does not match its checksum or is cut short ({error}). Copy or make it again."
        ) from error
    except (zlib.error, EOFError, struct.error, *NPY_ERRORS) as error:
        raise DataError(f"{where} is not an array ({error}). Save the file again with numpy.savez.") from error
    if not mapped:
        _check_strings(array, where)
        return array
    # A stored member is its bytes as they are: they can be mapped at the place where they lie. The length of the local
    # header's extra field can differ from the central directory's, so it is read from the local header itself.
    file.seek(member.header_offset + 26)
    name_size, extra_size = struct.unpack("<HH", file.read(4))
    offset = member.header_offset + 30 + name_size + extra_size + start
    if offset + size > os.fstat(file.fileno()).st_size:
        raise DataError(f"{where} is cut short: it goes on after the end of the file. Copy or make the file again.")
    order = "F" if fortran else "C"
    array = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)  # type: ignore[call-overload]
    _check_strings(array, where)
    return array


def _check_strings(array: Any, where: str) -> None:
    """Refuse strings with numbers that are no characters: NumPy makes them texts that Python cannot use."""
    if array.dtype.kind == "U" and array.size:
        codes = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max(initial=0) > sys.maxunicode:
            raise DataError(f"{where} holds strings with {codes.max()}, which is no character. Save the file again.")


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return tuple(map(int, shape)), fortran, dtype  # NumPy's parser takes True for a number, its memory maps do not


def _check_count(archive: zipfile.ZipFile, file: BinaryIO) -> None:
    """Compare the number of members that the file tells at its end: the list of them has no checksum of its own."""
    file.seek(-(22 + len(archive.comment)), os.SEEK_END)
    (told,) = struct.unpack("<10xH", file.read(12))
    if told not in (len(archive.infolist()), 0xFFFF):  # in a file of more than 4 GB it stands elsewhere
        raise zipfile.BadZipFile(f"it lists {len(archive.infolist())} of {told} members")


def _size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the bytes that an array takes, as a number that does not overflow."""
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return math.prod(shape) * dtype.itemsize


def _check_regular(path: Path) -> None:
    """Refuse what is no file: opening a pipe would wait for ever."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a file. Check the path.")


def open_npy(path: Path) -> Any:
    """Memory-map one ``.npy`` file.

    Raises
    ------
    DataError
        Not such a file, cut off, or pickled objects.
    """
    _check_regular(path)
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _header(file)
            start = file.tell()
            there = os.fstat(file.fileno()).st_size - start
        if dtype.hasobject:
            raise ValueError("it holds pickled Python objects, which are never loaded")
        size = _size(shape, dtype)
        if size > there:
            raise ValueError(f"an array {shape} of {dtype} takes {size} bytes, and {there} are there")
        if size == 0:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order="F" if fortran else "C")
    except (OSError, EOFError, *NPY_ERRORS) as error:
        raise DataError(
            f"{path} is not a whole .npy file of plain numbers ({error}). Copy or make it again."
        ) from error
