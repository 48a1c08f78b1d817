"""Rows of embeddings: unit rows, blocks, and checks that name the file, the array and the row."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.fingerprint import canonical_json
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gapbench.components import Float32, Float64, Int64, Keys, Rows

#: Rows that are worked on at once: the "one block" of every streamed computation.
BLOCK_ROWS = 8192


def unit_rows(rows: Float32) -> Float32:
    """Normalise rows ``(N, d)``; float32 in and out, norms in float64. A zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    norms[norms == 0] = 1
    return np.asarray(rows / norms[:, None], dtype=np.float32)


def blocks(n: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Cut ``range(n)`` into slices of at most ``size``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def check_rows(rows: Rows, where: str) -> None:
    """Hold rows to the contract, block by block.

    Raises
    ------
    DataError
        No rows, not two dimensions, a value that is not finite, or a row of zeros; names ``where`` and the row.
    """
    if len(rows.shape) != 2 or 0 in rows.shape:  # noqa: PLR2004
        raise DataError(f"{where} has shape {tuple(rows.shape)}; it must be (N, d) with at least one row.")
    for block in blocks(len(rows)):
        part = rows[block]
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            row = block.start + int(np.argmin(finite))
            raise DataError(f"{where}, row {row}, holds NaN or infinity. Remove or mend the row, then run again.")
        empty = ~part.any(axis=1)
        if empty.any():
            row = block.start + int(np.argmax(empty))
            raise DataError(f"{where}, row {row}, is all zeros and has no direction. Remove the row, then run again.")


def check_columns(rows: Rows, where: str) -> None:
    """Refuse a column that is the same in every row: such an array was padded, cut off or rounded away.

    Raises
    ------
    DataError
        Names ``where``, the first such column and its value.
    """
    if len(rows) < 2:  # noqa: PLR2004
        return
    first = np.asarray(rows[:1])[0]
    constant = np.ones(rows.shape[1], dtype=bool)
    for block in blocks(len(rows)):
        constant &= (np.asarray(rows[block]) == first).all(axis=0)
        if not constant.any():
            return
    column = int(np.argmax(constant))
    raise DataError(
        f"{where}, column {column}, is {first[column]} in all {len(rows)} rows ({np.sum(constant)} such columns): it tells "
        "nothing apart. Remove the columns from 'image' and 'text' alike, then run again."
    )


def hash_array(array: Rows | Int64 | Keys | Float64, kind: str = "<f4") -> str:
    """SHA-256 (hex) of an array: its type, its shape and its values, read block by block.

    The file that holds it, its order in memory and its byte order make no difference. Values are compared bit by bit, so
    that -0.0 and 0.0 are two values; NaN and infinity are refused where rows are read (`check_rows`).

    Parameters
    ----------
    array, kind
        The values, and the NumPy type that they are hashed as.
    """
    digest = hashlib.sha256(canonical_json([kind, [int(size) for size in array.shape]]))
    for block in blocks(len(array)):
        digest.update(np.ascontiguousarray(array[block], dtype=kind).data)
    return digest.hexdigest()


class ShardedRows:
    """Several ``(n_i, d)`` arrays read as one; those of another type are converted to float32 block by block."""

    def __init__(self, shards: Sequence[Rows]) -> None:
        self._shards = list(shards)
        self._ends = np.cumsum([len(shard) for shard in shards])

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, d)``."""
        return (int(self._ends[-1]), *self._shards[0].shape[1:])

    def __len__(self) -> int:
        """N."""
        return int(self._ends[-1])

    def __getitem__(self, key: slice | Int64) -> Float32:
        """Read a block or a selection of rows."""
        rows = np.arange(*key.indices(len(self))) if isinstance(key, slice) else np.asarray(key)
        out = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        shard_of = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(shard_of):
            mine = shard_of == number
            start = self._ends[number] - len(self._shards[number])
            with np.errstate(over="ignore"):  # a float64 that no float32 can hold becomes infinity, which is refused
                out[mine] = self._shards[number][in_order(rows[mine] - start)]
        return out


class PickedRows:
    """Rows of several ``(n_i, d)`` arrays, in any order: row i is row ``row[i]`` of array ``shard[i]``."""

    def __init__(self, shards: Sequence[Rows], shard: Int64, row: Int64) -> None:
        self._shards, self._shard, self._row = list(shards), shard, row

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, d)``."""
        return (len(self._row), *self._shards[0].shape[1:])

    def __len__(self) -> int:
        """N."""
        return len(self._row)

    def __getitem__(self, key: slice | Int64) -> Float32:
        """Read a block or a selection of rows."""
        shard, row = self._shard[key], self._row[key]
        out = np.empty((len(row), self.shape[1]), dtype=np.float32)
        for number in np.unique(shard):
            mine = shard == number
            out[mine] = self._shards[number][in_order(row[mine])]
        return out


class SelectedRows:
    """A selection of rows that is read only when asked for."""

    def __init__(self, rows: Rows, index: Int64) -> None:
        self._rows = rows
        self._index = index

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, d)``."""
        return (len(self._index), *self._rows.shape[1:])

    def __len__(self) -> int:
        """N."""
        return len(self._index)

    def __getitem__(self, key: slice | Int64) -> Float32:
        """Read a block or a selection of rows."""
        return self._rows[self._index[key]]


def in_order(rows: Int64) -> slice | Int64:
    """Return a slice for rows that follow each other: it reads without a copy."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
