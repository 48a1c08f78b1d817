"""What an aligner may read while it fits: exactly what its spec declares.

The guard is what makes "unsupervised" a checked fact: a part that was not declared raises `UndeclaredData`, moments
included. It stands on the host's side: what is not declared never comes into the process that the aligner runs in.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitview import FitView
from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.embeddings.items import Items
from gapbench.embeddings.moments import NO_PAIRS, LazyMoments
from gapbench.errors import DataError, UndeclaredData
from gapbench.retrieval import pool
from gapbench.specs import Need, Pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gapbench.bench.fitview import Arrays
    from gapbench.components import EmbeddedSplit, Float32, Int64, Rows
    from gapbench.embeddings.moments import PairSums, RowSums
    from gapbench.specs import AlignerSpec


#: The parts of fit data, each with what a spec declares to read it.
PARTS = {
    "images": Need.UNPAIRED_IMAGES,
    "texts": Need.UNPAIRED_TEXTS,
    "pairs": Need.PAIRS,
    "labels": Need.LABELS,
    "class_texts": Need.CLASS_TEXTS,
    "validation": Need.VALIDATION,
    "test_images": Need.TEST_IMAGES,
    "test_texts": Need.TEST_TEXTS,
    "moments.images": Need.UNPAIRED_IMAGES,
    "moments.images.second": Need.UNPAIRED_IMAGES,
    "moments.texts": Need.UNPAIRED_TEXTS,
    "moments.texts.second": Need.UNPAIRED_TEXTS,
    "moments.pairs": Need.PAIRS,
    "moments.classes": Need.LABELS,
    "moments.classes.within": Need.LABELS,
}


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
        self.handed: dict[str, tuple[Any, ...]] = {}  # parts as they are handed to the aligners' processes
        self.items = Items(split, captioned=captioned)
        self.moments = LazyMoments(
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


class FitParts:
    """The parts of one fit by name, guarded by a spec's ``needs``.

    Parameters
    ----------
    spec
        The aligner's spec.
    fit
        Rows to fit on, already under the spec's row convention.
    validation
        Rows set apart; only where the spec needs them.
    test
        The test split; only under the transductive protocol.
    """

    def __init__(
        self, spec: AlignerSpec, fit: FitRows, *, validation: FitRows | None = None, test: FitRows | None = None
    ) -> None:
        self.spec = spec
        self.fit = fit
        self._validation = validation
        self._test = test

    @property
    def dim(self) -> int:
        """Number of dimensions d."""
        return self.fit.split.images.shape[1]

    def of(self, name: str) -> tuple[FitParts, str]:
        """Return what a name is read from, and its name there: ``validation.images`` are images of the validation slice.

        Raises
        ------
        UndeclaredData
            The spec does not declare it.
        """
        prefix, _, rest = name.partition(".")
        if prefix == "validation" and rest:
            self._check("validation")
            assert self._validation is not None
            return FitParts(self.spec, self._validation).of(rest)
        self._check(name)
        return self, name

    def rows_of(self, name: str) -> FitRows:
        """Return the rows that a part is made of: what is made of the same rows is the same for all aligners."""
        if name.startswith("test_"):
            assert self._test is not None
            return self._test
        return self.fit

    def read(self, name: str) -> Arrays:
        """Return the arrays of a part that `of` let through; they may be those of others, not to be changed."""
        readers: dict[str, Callable[[FitRows], Arrays]] = {
            "images": lambda rows: (rows.all_images(),),
            "texts": lambda rows: (rows.all_texts(),),
            "pairs": lambda rows: rows.all_pairs(),
            "labels": lambda rows: (rows.all_labels(),),
            "class_texts": lambda rows: (rows.class_texts,),
            "validation": lambda _: (),
            "test_images": lambda rows: (rows.rows(rows.split.images, slice(None)),),
            "test_texts": lambda rows: (np.concatenate(list(rows.text_blocks())),),
            "moments.images": lambda rows: _first(rows.moments.images),
            "moments.images.second": lambda rows: (rows.moments.images.second,),
            "moments.texts": lambda rows: _first(rows.moments.texts),
            "moments.texts.second": lambda rows: (rows.moments.texts.second,),
            "moments.pairs": lambda rows: _pairs(rows.moments.pairs),
            "moments.classes": lambda rows: (rows.moments.classes.counts, rows.moments.classes.sums),
            "moments.classes.within": lambda rows: (rows.moments.classes.within,),
        }
        return readers[name](self.rows_of(name))

    def copied(self, name: str) -> Arrays:
        """Return copies of a part, of this or of the validation slice.

        Raises
        ------
        UndeclaredData
            The spec does not declare it.
        """
        home, inner = self.of(name)
        return tuple(np.array(array) for array in home.read(inner))

    def _check(self, name: str) -> None:
        need = PARTS.get(name)
        if need is None:
            raise UndeclaredData(f"Aligner {self.spec.name!r} read {name!r}, which fit data do not have.")
        if need not in self.spec.needs:
            raise UndeclaredData(
                f"Aligner {self.spec.name!r} read {name!r} without declaring it: "
                f"add Need.{need.name} to the needs of its spec, or do not read it."
            )


def _first(sums: RowSums) -> Arrays:
    return np.array(sums.n), sums.total


def _pairs(sums: PairSums) -> Arrays:
    return np.array(sums.n), sums.images.total, sums.images.second, sums.texts.total, sums.texts.second, sums.cross


class GuardedFitData(FitView):
    """Fit data in this process: the same guard, and copies.

    Parameters
    ----------
    spec, fit, validation, test
        As of `FitParts`.
    rng
        The cell's own generator.
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
        parts = FitParts(spec, fit, validation=validation, test=test)
        super().__init__(parts.dim, rng, parts.copied)
