"""What an aligner may read while it fits: exactly what its spec declares, read-only.

The guard is what makes "unsupervised" a checked fact: an attribute that was not declared raises `UndeclaredData`,
moments included.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.embeddings.items import Items
from gapbench.embeddings.moments import NO_PAIRS, LazyMoments
from gapbench.errors import DataError, UndeclaredData
from gapbench.retrieval import pool
from gapbench.specs import Need, Pooling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.components import (
        ClassMoments,
        EmbeddedSplit,
        FitData,
        Float32,
        Int64,
        Moments,
        PairMoments,
        RowMoments,
        Rows,
    )
    from gapbench.specs import AlignerSpec


def read_only(rows: Float32) -> Float32:
    """Give a view that cannot be written to, nor made writable again."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    rows.flags.writeable = False
    return rows.view()


class FitRows:
    """The rows of a fit split as aligners see them, block by block; unit rows unless ``raw``.

    Parameters
    ----------
    split
        The items to fit on.
    captioned
        Whether the scored texts are captions (else class prompts).
    raw
        Whether rows stay as the encoder gave them.
    """

    def __init__(self, split: EmbeddedSplit, *, captioned: bool, raw: bool) -> None:
        self.split = split
        self.captioned = captioned
        self.unaligned: Any = None  # the rows as they are scored without alignment, shared by the cells of a table
        self.raw = raw
        self.items = Items(split, captioned=captioned)
        self.moments: Moments = LazyMoments(
            image_blocks=partial(self._each, split.images),
            text_blocks=self.text_blocks,
            pair_blocks=self._pair_blocks,
            label_blocks=self._label_blocks,
            n_classes=len(split.classes),
        )

    def rows(self, rows: Rows, key: slice | Int64) -> Float32:
        """Read some rows under the convention."""
        block = rows[key]
        return np.asarray(block, dtype=np.float32) if self.raw else unit_rows(block)

    def _each(self, rows: Rows) -> Iterator[Float32]:
        for block in blocks(len(rows)):
            yield self.rows(rows, block)

    @cached_property
    def class_texts(self) -> Float32:
        """``(C, d)`` one row a class: the mean of its prompts, normalised unless ``raw``."""
        prompts = self.split.prompts
        assert prompts is not None
        everything = self.rows(prompts.rows, slice(None))
        if not self.raw:
            return pool(everything, prompts.owner, Pooling.MEAN, len(self.split.classes))[0]
        sums = np.zeros((len(self.split.classes), everything.shape[1]))
        np.add.at(sums, prompts.owner, everything)
        counts = np.bincount(prompts.owner, minlength=len(sums))
        return (sums / counts[:, None]).astype(np.float32)

    @property
    def pairs_are(self) -> str:
        """What the pairs are made of, for the record."""
        return "class prompts" if self.split.captions is None else "captions"

    def text_blocks(self) -> Iterator[Float32]:
        """Walk over the scored texts: captions, or one row a class."""
        if self.captioned:
            assert self.split.captions is not None
            yield from self._each(self.split.captions.rows)
        else:
            yield self.class_texts

    def _pair_blocks(self) -> Iterator[tuple[Float32, Float32]]:
        captions, labels = self.split.captions, self.split.labels
        if captions is not None:
            for block in blocks(len(captions.rows)):
                yield self.rows(self.split.images, captions.owner[block]), self.rows(captions.rows, block)
        else:
            assert labels is not None
            for block in blocks(len(labels)):
                yield self.rows(self.split.images, block), self.class_texts[labels[block]]

    def _label_blocks(self) -> Iterator[tuple[Float32, Int64]]:
        labels = self.split.labels
        assert labels is not None
        for block in blocks(len(labels)):
            yield self.rows(self.split.images, block), labels[block]

    def all_images(self) -> Float32:
        """``(N, d)`` image rows in memory, in the order of their keys."""
        return self.rows(self.split.images, self.items.order)

    def all_labels(self) -> Int64:
        """``(N,)`` class of each of `all_images`."""
        assert self.split.labels is not None
        return self.split.labels[self.items.order]

    def all_texts(self) -> Float32:
        """``(M, d)`` text rows in memory, of the kind that is scored, in the order of their keys."""
        if self.captioned:
            assert self.split.captions is not None
            return self.rows(self.split.captions.rows, self.items.text_order)
        return self.class_texts[self.items.class_order]

    def all_pairs(self) -> tuple[Float32, Float32]:
        """Two ``(P, d)`` arrays in memory, in the order of the captions' keys, or else of the images'."""
        captions, labels = self.split.captions, self.split.labels
        if captions is None:
            assert labels is not None
            return self.all_images(), self.class_texts[self.all_labels()]
        order = Items(self.split, captioned=True).text_order
        if not len(order):
            raise DataError(NO_PAIRS)
        return self.rows(self.split.images, captions.owner[order]), self.rows(captions.rows, order)


class GuardedMoments:
    """Moments behind the same declarations as the rows."""

    def __init__(self, moments: Moments, guard: GuardedFitData) -> None:
        self._moments = moments
        self._guard = guard

    @property
    def images(self) -> RowMoments:
        """Image rows."""
        self._guard.check(Need.UNPAIRED_IMAGES, "moments.images")
        return self._moments.images

    @property
    def texts(self) -> RowMoments:
        """Text rows."""
        self._guard.check(Need.UNPAIRED_TEXTS, "moments.texts")
        return self._moments.texts

    @property
    def pairs(self) -> PairMoments:
        """Pairs."""
        self._guard.check(Need.PAIRS, "moments.pairs")
        return self._moments.pairs

    @property
    def classes(self) -> ClassMoments:
        """Image rows by class."""
        self._guard.check(Need.LABELS, "moments.classes")
        return self._moments.classes


class GuardedFitData:
    """`gapbench.components.FitData`, guarded by a spec's ``needs``.

    Parameters
    ----------
    spec
        The aligner's spec.
    fit
        Rows to fit on, already under the spec's row convention.
    rng
        The cell's own generator.
    validation
        Rows set apart; only where the spec needs them.
    test
        The test split; only under the transductive protocol.
    """

    def __init__(
        self,
        spec: AlignerSpec,
        fit: FitRows,
        rng: np.random.Generator,
        *,
        validation: FitRows | None = None,
        test: FitRows | None = None,
    ) -> None:
        self._spec = spec
        self._fit = fit
        self._validation = validation
        self._test = test
        self.rng = rng
        self.moments: Moments = GuardedMoments(fit.moments, self)

    def check(self, need: Need, what: str) -> None:
        """Raise `UndeclaredData` unless the spec declares ``need``."""
        if need not in self._spec.needs:
            raise UndeclaredData(
                f"Aligner {self._spec.name!r} read {what!r} without declaring it: "
                f"add Need.{need.name} to the needs of its spec, or do not read it."
            )

    @property
    def dim(self) -> int:
        """Number of dimensions d."""
        return self._fit.split.images.shape[1]

    @property
    def images(self) -> Float32:
        """``(N, d)`` image rows."""
        self.check(Need.UNPAIRED_IMAGES, "images")
        return read_only(self._fit.all_images())

    @property
    def texts(self) -> Float32:
        """``(M, d)`` text rows."""
        self.check(Need.UNPAIRED_TEXTS, "texts")
        return read_only(self._fit.all_texts())

    @property
    def pairs(self) -> tuple[Float32, Float32]:
        """Two ``(P, d)`` arrays."""
        self.check(Need.PAIRS, "pairs")
        images, texts = self._fit.all_pairs()
        return read_only(images), read_only(texts)

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        self.check(Need.LABELS, "labels")
        labels = self._fit.all_labels()
        labels.flags.writeable = False
        return labels.view()

    @property
    def class_texts(self) -> Float32:
        """``(C, d)`` one text row a class."""
        self.check(Need.CLASS_TEXTS, "class_texts")
        return read_only(self._fit.class_texts.copy())

    @property
    def validation(self) -> FitData:
        """The slice set apart."""
        self.check(Need.VALIDATION, "validation")
        assert self._validation is not None
        return GuardedFitData(self._spec, self._validation, self.rng)

    @property
    def test_images(self) -> Float32:
        """Unlabelled test image rows, in the order of the split."""
        self.check(Need.TEST_IMAGES, "test_images")
        assert self._test is not None
        return read_only(self._test.rows(self._test.split.images, slice(None)))

    @property
    def test_texts(self) -> Float32:
        """Test text rows, in the order of the split."""
        self.check(Need.TEST_TEXTS, "test_texts")
        assert self._test is not None
        return read_only(np.concatenate(list(self._test.text_blocks())))
