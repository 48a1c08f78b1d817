"""Per-item outcomes: what makes a number checkable and a difference testable.

The outcomes of one cell are a block of bytes in the safetensors format: 0/1 outcomes are packed into bits, others are
float32 (float64 for the jackknife), predicted classes take the smallest integer that holds them. The same outcomes give
the same bytes on every machine. The blocks of all cells of a records file lie one behind the other in one container
beside it; each record says where its block begins, how long it is, and which SHA-256 it has.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.numpy

from gapbench.components import Measurement
from gapbench.embeddings.disk import descriptor, reason
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from gapbench.components import Bools, Int64
    from gapbench.model.record import MetricValue, Outcomes

SUFFIX = ".outcomes"
_BITS, _VALUES, _JACKKNIFE, _PREDICTED, _SEEN, _CLUSTERS = (
    *("bits", "values", "jackknife", "predicted", "seen", "clusters"),
)


def clustered(found: Measurement, clusters: Int64 | None) -> Measurement:
    r"""Take images and their copies together: one outcome for each of the G different ones, with the same mean.

    It is :math:`\frac{G}{N} \sum_{i \in g} o_i` for the images of cluster g, N in all.

    Parameters
    ----------
    found
        Outcomes that are not of all images stay as they are; so do jackknife values, whose groups keep copies together.
    clusters
        ``(N,)`` number of each image, from 0; None where all are different.
    """
    if clusters is None or found.outcomes is None or len(found.outcomes) != len(clusters):
        return found
    groups = int(clusters.max()) + 1
    sums = np.bincount(clusters, found.outcomes.astype(np.float64), minlength=groups).astype(np.float64)
    return replace(found, outcomes=sums * (groups / len(clusters)))


def pack(
    measurements: Mapping[str, Measurement],
    predicted: Int64 | None,
    seen: Bools | None = None,
    clusters: Int64 | None = None,
) -> bytes:
    """Write the outcomes of a cell as one block.

    Parameters
    ----------
    measurements
        What was measured.
    predicted
        ``(n,)`` class of each image, where there are classes.
    seen
        ``(n,)`` which scored images were fitted on, where some may be.
    clusters
        ``(n,)`` number of each scored image, the same for copies, where there are some.
    """
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
    if seen is not None:
        arrays[_SEEN] = np.packbits(seen)
    if clusters is not None:
        arrays[_CLUSTERS] = clusters.astype(np.uint32)
    return safetensors.numpy.save(arrays)


class Container:
    """The outcomes beside one records file; opened when the first block is read.

    Parameters
    ----------
    path
        The container.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def __del__(self) -> None:
        """Close the container."""
        if self._file is not None:
            os.close(self._file)

    def block(self, where: Outcomes) -> bytes:
        """Return one block.

        Raises
        ------
        DataError
            The container is missing or no plain file, ends before the block does, or the block has another hash.
        """
        file, content = self._opened(), b""
        try:  # reading, not mapping: a file that others shorten then ends early, and does not end the process
            if where.offset >= 0 and 0 <= where.length <= os.fstat(file).st_size - where.offset:
                os.lseek(file, where.offset, os.SEEK_SET)
                content = os.read(file, where.length)
        except OSError as error:
            raise DataError(f"The outcomes {self.path.name} cannot be read ({error.strerror}).") from error
        if len(content) != where.length or hashlib.sha256(content).hexdigest() != where.sha256:
            raise DataError(
                f"The outcomes at byte {where.offset} of {self.path.name} are not those that were recorded "
                "(their SHA-256 differs)."
            )
        return content

    def _opened(self) -> int:
        if self._file is None:
            self._file = _open(self.path)
        return self._file

    def measurements(self, where: Outcomes | None, values: Mapping[str, MetricValue]) -> dict[str, Measurement]:
        """Read the outcomes of a record as measurements; empty where it has none.

        Parameters
        ----------
        where, values
            The reference and the values of the record.

        Raises
        ------
        DataError
            As `block`, or the block does not hold what the values say.
        """
        if where is None:
            return {}
        block = self.opened(where)
        found = ((name, block.measurement(name, values[name])) for name in block.metrics if name in values)
        return {name: measurement for name, measurement in found if measurement is not None}

    def opened(self, where: Outcomes) -> Block:
        """Open a block.

        Raises
        ------
        DataError
            As `block`, or it is no block of outcomes.
        """
        return Block(self.block(where), self.path.name)

    @property
    def size(self) -> int:
        """Number of bytes; opens the container.

        Raises
        ------
        DataError
            It cannot be read.
        """
        return os.fstat(self._opened()).st_size


def _open(path: Path) -> int:
    try:
        return descriptor(path)
    except (OSError, ValueError) as error:
        raise DataError(f"The outcomes {path.name} cannot be read ({reason(error)}).") from error


class Block:
    """The outcomes of one record.

    Parameters
    ----------
    content
        The bytes.
    where
        Where they come from, for messages.

    Raises
    ------
    DataError
        They are not in the safetensors format.
    """

    def __init__(self, content: bytes, where: str) -> None:
        try:
            self._arrays = safetensors.numpy.load(content)
        except Exception as error:  # of a crafted header, safetensors raises several kinds
            raise DataError(f"Outcomes in {where} are not in the safetensors format ({error}).") from error
        self._where = where
        self._keys = {name: kind for kind, slash, name in (key.partition("/") for key in self._arrays) if slash}

    @property
    def metrics(self) -> Collection[str]:
        """The metrics that something is kept of."""
        return self._keys.keys()

    def kind(self, name: str) -> str:
        """Return what is kept of a metric: ``bits``, ``values`` or ``jackknife``; empty where nothing is."""
        return self._keys.get(name, "")

    def length(self, name: str) -> int:
        """Return how many numbers are kept of a metric (of bits: bytes)."""
        return int(self._array(name).size)

    def fits(self, name: str, n: int) -> bool:
        """Whether the bits of a metric are those of exactly n items: no byte more, and nothing behind the last item."""
        array = self._array(name)
        whole = array.dtype == np.uint8 and array.ndim == 1 and len(array) == (n + 7) // 8
        return whole and not np.unpackbits(array)[n:].any()

    def bits(self, name: str, n: int) -> Bools:
        """Return the 0/1 outcomes ``(n,)`` of a metric."""
        return np.unpackbits(self._array(name), count=n).view(np.bool_)

    @property
    def predicted(self) -> Int64 | None:
        """``(n,)`` predicted class of each item; None where they are not kept.

        Raises
        ------
        DataError
            What is kept are no classes.
        """
        found = self._arrays.get(_PREDICTED)
        if found is None:
            return None
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise DataError(f"{self._where} does not hold predicted classes.")
        return found.astype(np.int64)

    def seen(self, n: int) -> Bools | None:
        """``(n,)`` which scored images were fitted on; None where that is not kept.

        Raises
        ------
        DataError
            What is kept is of another number of images.
        """
        found = self._arrays.get(_SEEN)
        if found is None:
            return None
        if found.ndim != 1 or found.dtype != np.uint8 or len(found) != (n + 7) // 8:
            raise DataError(f"{self._where} does not say of {n} images whether they were fitted on.")
        return np.unpackbits(found, count=n).view(np.bool_)

    @property
    def clusters(self) -> Int64 | None:
        """``(n,)`` number of each scored image, the same for copies; None where all are different.

        Raises
        ------
        DataError
            What is kept are no such numbers.
        """
        found = self._arrays.get(_CLUSTERS)
        if found is None:
            return None
        if found.ndim != 1 or found.dtype != np.uint32 or not len(found) or found.max() >= len(found):
            raise DataError(f"{self._where} does not say which images are copies.")
        return found.astype(np.int64)

    def measurement(self, name: str, value: MetricValue) -> Measurement | None:
        """Return what is kept of a metric as a measurement, copies taken together; None where nothing is.

        Raises
        ------
        DataError
            The block does not hold what the value says.
        """
        kind, n = self.kind(name), value.n
        if not kind:
            return None
        array = self._array(name)
        bits_fit = kind != _BITS or (array.dtype == np.uint8 and 0 < n <= 8 * len(array))
        if array.ndim != 1 or not len(array) or not bits_fit:
            raise DataError(f"{self._where} does not hold the outcomes of {n} items for {name}.")
        if kind == _BITS:
            return clustered(Measurement(value=value.value, n=n, outcomes=self.bits(name, n)), self.clusters)
        if kind == _VALUES:
            if not np.isfinite(array).all():
                raise DataError(f"{self._where} holds outcomes for {name} that are no finite numbers.")
            found = Measurement(value=value.value, n=n, outcomes=array.astype(np.float64))
            return clustered(found, self.clusters)
        return Measurement(value=value.value, n=n, jackknife=array.astype(np.float64)) if kind == _JACKKNIFE else None

    def _array(self, name: str) -> np.ndarray:
        return self._arrays[f"{self._keys[name]}/{name}"]
