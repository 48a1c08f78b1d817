"""Moments: the sums that every closed-form aligner is fitted from, in one streamed float64 pass.

They add up: over blocks, shards and machines. First moments cost O(N d), second and cross moments O(N d^2); each kind is
computed when it is first asked for, once, and shared by all aligners that are fitted on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gapbench.components import Float32, Float64, Int64

    Blocks = Callable[[], Iterator[Float32]]

NO_PAIRS = "There are no pairs among the items to fit on: none of them has a caption. Fit on more items."


class Widened:
    """Blocks of rows as float64, one at a time in the same memory: fresh pages for each cost a tenth of the products."""

    def __init__(self) -> None:
        self._memory = np.empty((0, 0))

    def __call__(self, rows: Float32) -> Float64:
        """Return the rows as float64, until the next call."""
        if len(self._memory) < len(rows):
            self._memory = np.empty(rows.shape)
        wide = self._memory[: len(rows)]
        np.copyto(wide, rows)
        return wide


def _fixed(array: Float64) -> Float64:
    """Mark an array that is made once as not to be written to."""
    array.flags.writeable = False
    return array


class RowSums:
    """Count, sum and sum of outer products of rows; implements `gapbench.components.RowMoments`.

    Parameters
    ----------
    n
        Number of rows.
    total
        ``(d,)`` sum of rows.
    blocks
        The rows again, for the second moment; not needed where ``outer`` is given.
    outer
        ``(d, d)`` sum of outer products, or what returns it when it is first asked for.
    """

    def __init__(
        self,
        n: int,
        total: Float64,
        *,
        blocks: Blocks | None = None,
        outer: Float64 | Callable[[], Float64] | None = None,
    ) -> None:
        self.n = n
        self.total = total
        self._blocks = blocks
        self._outer = outer

    @classmethod
    def of(cls, blocks: Blocks) -> RowSums:
        """Sum the rows of some blocks; the second moment waits until it is asked for."""
        n, total = 0, None
        for rows in blocks():
            part = rows.sum(axis=0, dtype=np.float64)
            n, total = n + len(rows), part if total is None else total + part
        assert total is not None
        return cls(n, total, blocks=blocks)

    @cached_property
    def second(self) -> Float64:
        """``(d, d)`` sum of outer products, not centred."""
        if self._outer is not None:
            return self._outer() if callable(self._outer) else self._outer
        assert self._blocks is not None
        outer = np.zeros((len(self.total), len(self.total)))
        widened = Widened()
        for rows in self._blocks():
            wide = widened(rows)
            outer += wide.T @ wide
        return outer

    @cached_property
    def mean(self) -> Float64:
        """``(d,)`` mean."""
        return _fixed(self.total / self.n)

    @cached_property
    def covariance(self) -> Float64:
        """``(d, d)`` covariance, divided by n."""
        return _fixed(self.second / self.n - np.outer(self.mean, self.mean))

    def __add__(self, other: RowSums) -> RowSums:
        """Merge the sums of two sets of rows."""
        return RowSums(self.n + other.n, self.total + other.total, outer=self.second + other.second)


@dataclass(frozen=True)
class PairSums:
    """Sums over pairs; implements `gapbench.components.PairMoments`."""

    n: int
    images: RowSums
    texts: RowSums
    cross: Float64

    @classmethod
    def of(cls, blocks: Callable[[], Iterable[tuple[Float32, Float32]]]) -> PairSums:
        """Sum pairs block by block, both sides and their product in one pass."""
        n, sums, widened = 0, None, (Widened(), Widened())
        for images, texts in blocks():
            x, y = (wide(rows) for wide, rows in zip(widened, (images, texts), strict=True))
            parts = [x.sum(axis=0), y.sum(axis=0), x.T @ x, y.T @ y, x.T @ y]
            n += len(x)
            sums = parts if sums is None else [a + b for a, b in zip(sums, parts, strict=True)]
        if sums is None:
            raise DataError(NO_PAIRS)
        return cls(n, RowSums(n, sums[0], outer=sums[2]), RowSums(n, sums[1], outer=sums[3]), sums[4])

    def __add__(self, other: PairSums) -> PairSums:
        """Merge the sums of two sets of pairs."""
        return PairSums(
            self.n + other.n, self.images + other.images, self.texts + other.texts, self.cross + other.cross
        )


@dataclass(frozen=True)
class ClassSums:
    """Counts ``(C,)`` and sums ``(C, d)`` of the image rows of each class, and the second moment of all of them."""

    counts: Int64
    sums: Float64
    rows: RowSums

    @cached_property
    def within(self) -> Float64:
        """``(d, d)`` sum of outer products of rows around the mean of their class.

        Of all rows the second moment is known; the classes' means take their share out of it.
        """
        means = self.sums / np.maximum(self.counts, 1)[:, None]
        return self.rows.second - means.T @ self.sums

    @classmethod
    def of(
        cls, blocks: Callable[[], Iterable[tuple[Float32, Int64]]], n_classes: int, rows: RowSums | None = None
    ) -> ClassSums:
        """Sum image rows by class, block by block; ``rows`` are the sums of the same rows where they are at hand."""
        counts, sums = np.zeros(n_classes, dtype=np.int64), None
        for part, labels in blocks():
            if sums is None:
                sums = np.zeros((n_classes, part.shape[1]))
            add_grouped(sums, labels, part)
            counts += np.bincount(labels, minlength=n_classes)
        assert sums is not None
        if rows is None:
            rows = RowSums(int(counts.sum()), sums.sum(axis=0), blocks=lambda: (each for each, _ in blocks()))
        return cls(counts, sums, rows)

    def __add__(self, other: ClassSums) -> ClassSums:
        """Merge the sums of two sets of images."""
        return ClassSums(self.counts + other.counts, self.sums + other.sums, self.rows + other.rows)


def add_grouped(sums: Float64, groups: Int64, rows: Float32 | Float64) -> None:
    """Add each row to the sum of its group, in place."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    sums[present] += np.add.reduceat(rows[order].astype(np.float64), starts, axis=0)


class LazyMoments:
    """Implements `gapbench.components.Moments`: each part is summed when it is first asked for.

    Parameters
    ----------
    image_blocks, text_blocks, pair_blocks, label_blocks
        Each call walks over the rows again.
    n_classes
        Number of classes, for the sums by class.
    """

    def __init__(
        self,
        *,
        image_blocks: Blocks,
        text_blocks: Blocks,
        pair_blocks: Callable[[], Iterable[tuple[Float32, Float32]]],
        label_blocks: Callable[[], Iterable[tuple[Float32, Int64]]],
        n_classes: int,
    ) -> None:
        self._image_blocks = image_blocks
        self._text_blocks = text_blocks
        self._pair_blocks = pair_blocks
        self._label_blocks = label_blocks
        self._n_classes = n_classes

    @cached_property
    def images(self) -> RowSums:
        """Image rows."""
        return RowSums.of(self._image_blocks)

    @cached_property
    def texts(self) -> RowSums:
        """Text rows."""
        return RowSums.of(self._text_blocks)

    @cached_property
    def pairs(self) -> PairSums:
        """Pairs."""
        return PairSums.of(self._pair_blocks)

    @cached_property
    def classes(self) -> ClassSums:
        """Image rows by class."""
        return ClassSums.of(self._label_blocks, self._n_classes, self.images)
