"""Reading ``.safetensors`` files: arrays are memory-mapped where they lie, strings are in the metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.readers.found import WORDS, Found
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip

#: Lists of strings in the metadata, each as a list of JSON.
LISTS = ("names", "names_train", "class_names")


def read_safetensors(path: Path) -> Found:
    """Read a ``.safetensors`` file; bfloat16 is widened in memory, all else is mapped.

    Raises
    ------
    DataError
        Not such a file, cut off, a type that is not known, or metadata that are no strings.
    """
    arrays, metadata, notices = open_safetensors(path)
    strings = {
        name: _strings(metadata[name], f"{path}, {name!r} of the metadata") for name in LISTS if name in metadata
    }
    return Found(
        path=path,
        read_as="safetensors file",
        arrays={**arrays, **strings},
        places={name: f"{path}, {name!r} of the metadata" for name in strings},
        words={name: metadata[name] for name in WORDS if name in metadata},
        notices=notices,
    )


def open_safetensors(path: Path) -> tuple[dict[str, Any], Mapping[str, str], list[str]]:
    """Return the arrays by name, the metadata, and what was noticed; errors as those of `read_safetensors`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(f"{path} is not a file. Check the path.")
    try:
        with safe_open(path, framework="numpy") as file:  # holds the header to the size of the file
            metadata = dict(file.metadata() or {})
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            f"{path} is not a whole .safetensors file ({error}): it is cut off or of another kind. Copy or make it again."
        ) from error
    header.pop("__metadata__", None)
    arrays, notices = {}, []
    for name, entry in header.items():
        arrays[name] = _array(path, name, entry, 8 + size)
        if entry["dtype"] == "BF16":
            notices.append(f"{name!r} is bfloat16 and was widened to float32, without loss.")
    return arrays, metadata, notices


def _array(path: Path, name: str, entry: dict[str, Any], start: int) -> Any:
    kind = "<u2" if entry["dtype"] == "BF16" else _TYPES.get(entry["dtype"])
    if kind is None:
        raise DataError(f"{path}, array {name!r}, is {entry['dtype']}, which is not read. Save it as F32.")
    shape = tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if first == last:
        return np.empty(shape, kind)
    array = np.memmap(path, dtype=kind, mode="r", offset=start + first, shape=shape or (1,))
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (np.asarray(array).astype("<u4") << 16).view("<f4")
    return array


def _strings(text: str, where: str) -> Any:
    """Read a list of strings.

    Raises
    ------
    DataError
        It is something else.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise DataError(f"{where}, is no list of strings. Write it with json.dumps([...]).")
    return np.array(found, dtype=np.str_) if found else np.empty(0, "<U1")
