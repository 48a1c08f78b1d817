"""Reading ``.npz`` and ``.npy`` files without loading them: arrays are memory-mapped where they lie in the file."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


def open_npz(path: Path) -> dict[str, Any]:
    """Give the arrays of an ``.npz`` file by name; uncompressed ones are memory-mapped, others read.

    Raises
    ------
    DataError
        No zip file, cut off, a member that is no array, two members of one name, or pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            for name in names:
                if names.count(name) > 1:
                    raise DataError(f"{path}: array {name!r} occurs twice. Save the file again with one of each name.")
            return {name: _array(path, archive, file, member) for name, member in zip(names, members, strict=True)}
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise DataError(
            f"{path} is not a whole .npz file ({error}): it is cut off or of another kind. Copy or make it again."
        ) from error


def _array(path: Path, archive: zipfile.ZipFile, file: BinaryIO, member: zipfile.ZipInfo) -> Any:
    name = member.filename.removesuffix(".npy")
    where = f"{path}, array {name!r}"
    try:
        with archive.open(member) as stream:
            shape, fortran, dtype = _header(stream)
            start = stream.tell()
            if dtype.hasobject:
                raise DataError(
                    f"{where} holds pickled Python objects, which are never loaded (they can run code). "
                    "Save it as a plain array, strings with a fixed-width type such as '<U40'."
                )
            if member.compress_type != zipfile.ZIP_STORED or 0 in shape or not shape:
                stream.seek(0)
                return np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{where} is not an array ({error}). Save the file again with numpy.savez.") from error
    # A stored member is its bytes as they are: they can be mapped at the place where they lie. The length of the local
    # header's extra field can differ from the central directory's, so it is read from the local header itself.
    file.seek(member.header_offset + 26)
    name_size, extra_size = struct.unpack("<HH", file.read(4))
    offset = member.header_offset + 30 + name_size + extra_size + start
    order = "F" if fortran else "C"
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)  # type: ignore[call-overload]


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def open_npy(path: Path) -> Any:
    """Memory-map one ``.npy`` file.

    Raises
    ------
    DataError
        Not such a file, cut off, or pickled objects.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} is not a whole .npy file of plain numbers ({error}). Copy or make it again."
        ) from error
