"""Arrays by name, each held to what is taken from it: rows, positions, strings or keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Intake
from gapbench.embeddings.arrays import ShardedRows, check_columns, check_rows
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import Bools, Int64, Keys, Rows
    from gapbench.embeddings.readers.found import Found


@dataclass
class CheckedArrays:
    """What was found, while it becomes splits: arrays are checked as they are taken, and what is noticed is collected."""

    found: Found
    notices: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return name in self.found.arrays

    def rows(self, name: str) -> Rows:
        """Check an array of rows; what is no float32 is converted, block by block, and told."""
        array, where = self.found.arrays[name], self.found.where(name)
        if not hasattr(array, "dtype"):  # the reader has checked them, shard by shard
            rows: Rows = array
        else:
            kind = array.dtype.name
            if kind not in ("float32", "float16", "float64"):
                raise DataError(
                    f"{where} is {kind}; it must be float32, float16 or float64. Convert it with .astype(numpy.float32)."
                )
            if kind != "float32":
                how = "widened to float32, without loss" if kind == "float16" else "rounded to float32"
                self.notices.append(f"{name!r} is {kind} and was {how}.")
            # Other bytes than NumPy's own are converted as well.
            rows = array if array.dtype == np.float32 else ShardedRows([array])
            check_rows(rows, where)
        if name.startswith("image"):
            check_columns(rows, where)
        return rows

    def positions(self, name: str, n: int, limit: int, of: str) -> Int64:
        """Check labels, owners or pairs: whole numbers, one a row, within range."""
        array, where = self.found.arrays[name], self.found.where(name)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise DataError(f"{where} is {array.dtype} of shape {array.shape}; it must be whole numbers ({n},).")
        if len(array) != n:
            raise DataError(f"{where} has {len(array)} entries, but there are {n} rows to go with.")
        outside = np.flatnonzero((np.asarray(array) < 0) | (np.asarray(array) >= limit))
        if len(outside):
            row = int(outside[0])
            raise DataError(f"{where}, row {row}, is {array[row]}; {of} go from 0 to {limit - 1}.")
        return np.asarray(array, dtype=np.int64)

    def strings(self, name: str, n: int) -> tuple[str, ...]:
        """Check strings; none where there is no such array."""
        if not self.has(name):
            return ()
        array, where = self.found.arrays[name], self.found.where(name)
        if array.dtype.kind != "U" or array.shape != (n,):
            raise DataError(f"{where}, is {array.dtype} of shape {array.shape}; it must be {n} strings.")
        return tuple(plain(str(one), f"{where}, row {row}") for row, one in enumerate(array))

    def keys(self, name: str, n: int) -> Keys | None:
        """Check keys; None where there are none."""
        if not self.has(name):
            return None
        array, where = self.found.arrays[name], self.found.where(name)
        if array.dtype != np.uint64 or array.shape != (n,):
            raise DataError(f"{where} is {array.dtype} of shape {array.shape}; it must be uint64 ({n},).")
        return np.asarray(array, dtype=np.uint64)

    def flags(self, name: str, n: int) -> Bools | None:
        """Check flags; None where there are none."""
        if not self.has(name):
            return None
        array, where = self.found.arrays[name], self.found.where(name)
        if array.dtype != np.bool_ or array.shape != (n,):
            raise DataError(f"{where} is {array.dtype} of shape {array.shape}; it must be bool ({n},).")
        return np.asarray(array)

    def intake(self, names: Sequence[str]) -> Intake:
        """Write down what was understood; ``names`` are the arrays that this mode reads."""
        unread = sorted(set(self.found.arrays) - set(names))
        notices = [*self.found.notices, *self.notices]
        if unread:
            notices.append(f"Arrays that are not read: {', '.join(unread)}.")
        said = {"encoder": "it was encoded by", "dataset": "the data are", "prompts": "the prompts are"}
        given = {name: plain(text, f"{self.found.path}, {name!r}") for name, text in self.found.words.items()}
        words = [f"{said[name]} {given[name]}" for name in said if given.get(name)]
        if words:
            notices.append(f"The file says: {', '.join(words)}.")
        return Intake(read_as=self.found.read_as, skipped=dict(self.found.skipped), notices=notices)


def plain(text: str, where: str) -> str:
    """Return a text that can be written in UTF-8.

    Raises
    ------
    DataError
        It has halves of characters.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{where}, is no text ({error.reason}). Write it again, in UTF-8.") from error
    return text
