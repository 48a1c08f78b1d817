"""Per-item outcomes: what makes a number checkable and a difference testable.

One safetensors file a cell: 0/1 outcomes are packed into bits, others are float32 (float64 for the jackknife), predicted
classes take the smallest integer that holds them. The same outcomes give the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.numpy

from gapbench.components import Measurement
from gapbench.errors import DataError
from gapbench.results.record import Outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gapbench.components import Int64

FOLDER = "outcomes"
SUFFIX = ".safetensors"
_BITS, _VALUES, _JACKKNIFE, _PREDICTED = "bits", "values", "jackknife", "predicted"


def save(folder: Path, cell_id: str, measurements: Mapping[str, Measurement], predicted: Int64 | None) -> Outcomes:
    """Write the outcomes of a cell below ``folder`` (where the records file is) and say where they are."""
    arrays: dict[str, np.ndarray] = {}
    for name, measurement in measurements.items():
        outcomes = measurement.outcomes
        if outcomes is not None and outcomes.dtype == np.bool_:
            arrays[f"{_BITS}/{name}"] = np.packbits(outcomes.astype(np.bool_))
        elif outcomes is not None:
            arrays[f"{_VALUES}/{name}"] = outcomes.astype(np.float32)
        elif measurement.jackknife is not None:
            arrays[f"{_JACKKNIFE}/{name}"] = np.asarray(measurement.jackknife, dtype=np.float64)
    if predicted is not None:
        low, high = int(predicted.min()), int(predicted.max())  # -1: an approximate index found no class
        arrays[_PREDICTED] = predicted.astype(np.min_scalar_type(high if low >= 0 else -max(2, high + 1)))
    file = f"{FOLDER}/{cell_id[:32]}{SUFFIX}"
    content = safetensors.numpy.save(arrays)
    write(folder / file, content)
    return Outcomes(file=file, sha256=hashlib.sha256(content).hexdigest())


def write(path: Path, content: bytes) -> None:
    """Write a file and see it on disk, whole or not at all; an `OSError` names the file, not a temporary one."""
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _content(path: str) -> bytes:
    """Read a file: a Path and `open` take longer than the reading, where files are small and many."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return os.read(file, os.fstat(file).st_size)  # fewer bytes, were that to happen, do not match the hash
    finally:
        os.close(file)


def load(folder: Path, where: Outcomes, values: Mapping[str, tuple[float, int]]) -> dict[str, Measurement]:
    """Read the outcomes of a cell back as measurements.

    Parameters
    ----------
    folder
        Where the records file is.
    where
        From the record.
    values
        For each metric the value and the number of items, from the record.

    Raises
    ------
    DataError
        The file is missing or does not match its hash.
    """
    try:
        content = _content(f"{folder}/{where.file}")
    except OSError as error:
        raise DataError(f"The outcomes file {where.file} is missing ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != where.sha256:
        raise DataError(f"The outcomes file {where.file} is not the one that was recorded (its SHA-256 differs).")
    try:
        arrays = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise DataError(f"The outcomes file {where.file} is no safetensors file ({error}).") from error
    found: dict[str, Measurement] = {}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        if name not in values:
            continue
        value, n = values[name]
        if array.ndim != 1 or (kind == _BITS and (array.dtype != np.uint8 or not 0 <= n <= 8 * len(array))):
            raise DataError(f"The outcomes file {where.file} does not hold the outcomes of {n} items for {name}.")
        if kind == _BITS:
            found[name] = Measurement(value=value, n=n, outcomes=np.unpackbits(array, count=n).view(np.bool_))
        elif kind == _VALUES:
            found[name] = Measurement(value=value, n=n, outcomes=array.astype(np.float64))
        elif kind == _JACKKNIFE:
            found[name] = Measurement(value=value, n=n, jackknife=array)
    return found
