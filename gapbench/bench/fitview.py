"""Fit data as an aligner sees them: parts that are fetched when they are asked for, whatever process they lie in.

What is handed over is the aligner's own copy, or memory that is copied where it is written to. It is marked read-only, so
that an author notices at once; who writes all the same changes nobody else's rows.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from gapbench.embeddings.moments import PairSums, RowSums

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from gapbench.components import FitData, Float32, Float64, Int64, Moments, PairMoments, RowMoments

    Arrays: TypeAlias = tuple[NDArray[Any], ...]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that is marked as not to be written to."""
    array.flags.writeable = False
    return array.view()


class FitView:
    """Implements `gapbench.components.FitData`.

    Parameters
    ----------
    dim
        Number of dimensions d.
    rng
        The cell's own generator.
    part
        Returns the arrays of a part by its name, this aligner's own; raises `UndeclaredData` for one that is not declared.
    """

    def __init__(self, dim: int, rng: np.random.Generator, part: Callable[[str], Arrays]) -> None:
        self.dim = dim
        self.rng = rng
        self._part = part
        self.moments: Moments = MomentsView(self._read)

    def _read(self, name: str) -> Arrays:
        return tuple(read_only(array) for array in self._part(name))

    @property
    def images(self) -> Float32:
        """``(N, d)`` image rows."""
        return self._read("images")[0]

    @property
    def texts(self) -> Float32:
        """``(M, d)`` text rows."""
        return self._read("texts")[0]

    @property
    def pairs(self) -> tuple[Float32, Float32]:
        """Two ``(P, d)`` arrays."""
        images, texts = self._read("pairs")
        return images, texts

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        return self._read("labels")[0]

    @property
    def class_texts(self) -> Float32:
        """``(C, d)`` one text row a class."""
        return self._read("class_texts")[0]

    @property
    def validation(self) -> FitData:
        """The slice set apart."""
        self._part("validation")
        return FitView(self.dim, self.rng, lambda name: self._part(f"validation.{name}"))

    @property
    def test_images(self) -> Float32:
        """Unlabelled test image rows, in the order of the split."""
        return self._read("test_images")[0]

    @property
    def test_texts(self) -> Float32:
        """Test text rows, in the order of the split."""
        return self._read("test_texts")[0]


class MomentsView:
    """Implements `gapbench.components.Moments`; each part is fetched once."""

    def __init__(self, read: Callable[[str], Arrays]) -> None:
        self._read = read

    @cached_property
    def images(self) -> RowMoments:
        """Image rows."""
        return self._rows("moments.images")

    @cached_property
    def texts(self) -> RowMoments:
        """Text rows."""
        return self._rows("moments.texts")

    @cached_property
    def pairs(self) -> PairMoments:
        """Pairs."""
        n, image_total, image_outer, text_total, text_outer, cross = self._read("moments.pairs")
        images, texts = RowSums(int(n), image_total, outer=image_outer), RowSums(int(n), text_total, outer=text_outer)
        return PairSums(int(n), images, texts, cross)

    @cached_property
    def classes(self) -> ClassView:
        """Image rows by class."""
        return ClassView(self._read)

    def _rows(self, name: str) -> RowSums:
        n, total = self._read(name)
        return RowSums(int(n), total, outer=lambda: self._read(f"{name}.second")[0])


class ClassView:
    """Implements `gapbench.components.ClassMoments`."""

    def __init__(self, read: Callable[[str], Arrays]) -> None:
        self.counts: Int64
        self.sums: Float64
        self.counts, self.sums = read("moments.classes")
        self._read = read

    @cached_property
    def within(self) -> Float64:
        """``(d, d)`` pooled second moment of the rows around the mean of their class, summed."""
        return self._read("moments.classes.within")[0]
