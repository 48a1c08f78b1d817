"""Fit data as an aligner sees them: parts that are fetched when they are asked for, whatever process they lie in.

What is handed over is the aligner's own copy, or memory that is copied where it is written to. It is marked read-only, so
that an author notices at once; who writes all the same changes nobody else's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.embeddings.moments import PairSums, RowSums
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from gapbench.components import FitData, Float32, Float64, Int64, Moments, PairMoments, RowMoments
    from gapbench.specs import FitContext

    Arrays: TypeAlias = tuple[NDArray[Any], ...]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that is marked as not to be written to."""
    array.flags.writeable = False
    return array.view()


@dataclass(frozen=True, kw_only=True)
class About:
    """What every aligner may know of its fit data: the number of dimensions of each side, and what to compute on."""

    image_dim: int
    text_dim: int
    context: FitContext


class FitView:
    """Implements `gapbench.components.FitData`.

    Parameters
    ----------
    about
        What needs no declaration.
    rng
        The cell's own generator.
    part
        Returns the arrays of a part by its name, this aligner's own; raises `UndeclaredData` for one that is not declared.
        ``images.blocks.3`` is a block of a part, and has no arrays past the last one.
    """

    def __init__(self, about: About, rng: np.random.Generator, part: Callable[[str], Arrays]) -> None:
        self.image_dim = about.image_dim
        self.text_dim = about.text_dim
        self.context = about.context
        self.rng = rng
        self._about = about
        self._part = part
        self.moments: Moments = MomentsView(self._read)

    def _read(self, name: str) -> Arrays:
        return tuple(read_only(array) for array in self._part(name))

    def _blocks(self, name: str) -> Iterator[Arrays]:
        for number in count():
            block = self._read(f"{name}.blocks.{number}")
            if not block:
                return
            yield block

    def _strings(self, name: str) -> tuple[str, ...]:
        (packed,) = self._part(name)
        return msgspec.msgpack.decode(packed.tobytes(), type=tuple[str, ...])

    @property
    def dim(self) -> int:
        """Number of dimensions of both sides."""
        if self.image_dim != self.text_dim:
            raise DataError(
                f"Images have {self.image_dim} dimensions and texts {self.text_dim}; read image_dim and text_dim."
            )
        return self.image_dim

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

    def image_blocks(self) -> Iterator[Float32]:
        """Return images block by block."""
        return (images for (images,) in self._blocks("images"))

    def text_blocks(self) -> Iterator[Float32]:
        """Return texts block by block."""
        return (texts for (texts,) in self._blocks("texts"))

    def pair_blocks(self) -> Iterator[tuple[Float32, Float32]]:
        """Return pairs block by block."""
        return ((images, texts) for images, texts in self._blocks("pairs"))

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        return self._read("labels")[0]

    @property
    def class_texts(self) -> Float32:
        """``(C, d)`` one text row a class."""
        return self._read("class_texts")[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names of the classes."""
        return self._strings("class_names")

    @property
    def caption_strings(self) -> tuple[str, ...]:
        """M captions."""
        return self._strings("caption_strings")

    @property
    def validation(self) -> FitData:
        """The slice set apart."""
        self._part("validation")
        return FitView(self._about, self.rng, lambda name: self._part(f"validation.{name}"))

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
