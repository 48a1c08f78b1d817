"""What an aligner may read while it fits: exactly what its spec declares.

The guard is what makes "unsupervised" a checked fact: a part that was not declared raises `UndeclaredData`, moments
included. It stands on the host's side: what is not declared never comes into the process that the aligner runs in.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.fitview import About, FitView
from gapbench.embeddings.arrays import BLOCK_ROWS, blocks, unit_rows
from gapbench.embeddings.items import Items
from gapbench.embeddings.moments import NO_PAIRS, LazyMoments
from gapbench.errors import DataError, UndeclaredData
from gapbench.retrieval import pool
from gapbench.specs import FitContext, Need, Pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gapbench.bench.fitview import Arrays
    from gapbench.components import EmbeddedSplit, Float32, Int64, Rows
    from gapbench.embeddings.moments import PairSums, RowSums
    from gapbench.specs import AlignerSpec


#: Where nothing else is said, a method that learns computes on what there is.
DEFAULT_CONTEXT = FitContext()

WHOLE = slice(None)

#: The parts of fit data, each with what a spec declares to read it.
PARTS = {
    "images": Need.UNPAIRED_IMAGES,
    "texts": Need.UNPAIRED_TEXTS,
    "pairs": Need.PAIRS,
    "labels": Need.LABELS,
    "class_texts": Need.CLASS_TEXTS,
    "class_names": Need.CLASS_NAMES,
    "caption_strings": Need.CAPTION_STRINGS,
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


#: The parts that can be read block by block.
IN_BLOCKS = frozenset({"images", "texts", "pairs"})


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
            return pool(everything, prompts.owner, Pooling.MEAN, len(self.split.classes), prompts.weights)[0]
        weights = np.ones(len(everything)) if prompts.weights is None else prompts.weights
        sums = np.zeros((len(self.split.classes), everything.shape[1]))
        np.add.at(sums, prompts.owner, weights[:, None] * everything)
        counts = np.bincount(prompts.owner, weights, minlength=len(sums))
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

    def all_images(self, block: slice = WHOLE) -> Float32:
        """``(N, d)`` image rows in memory, in the order of their keys, or a block of them."""
        return self.rows(self.split.images, self.items.order[block])

    def all_labels(self, block: slice = WHOLE) -> Int64:
        """``(N,)`` class of each of `all_images`."""
        assert self.split.labels is not None
        return self.split.labels[self.items.order[block]]

    def all_texts(self, block: slice = WHOLE) -> Float32:
        """``(M, d)`` text rows in memory, of the kind that is scored, in the order of their keys, or a block of them."""
        if self.captioned:
            assert self.split.captions is not None
            return self.rows(self.split.captions.rows, self.items.text_order[block])
        return self.class_texts[self.items.class_order[block]]

    def all_pairs(self, block: slice = WHOLE) -> tuple[Float32, Float32]:
        """Two ``(P, d)`` arrays in memory, in the order of the captions' keys, or else of the images', or a block."""
        captions, labels = self.split.captions, self.split.labels
        if captions is None:
            assert labels is not None
            return self.all_images(block), self.class_texts[self.all_labels(block)]
        order = self._caption_order
        if not len(order):
            raise DataError(NO_PAIRS)
        order = order[block]
        return self.rows(self.split.images, captions.owner[order]), self.rows(captions.rows, order)

    @cached_property
    def _caption_order(self) -> Int64:
        return Items(self.split, captioned=True).text_order

    def caption_strings(self) -> list[str]:
        """Return the strings of `all_texts`."""
        captions = self.split.captions
        if captions is None or not self.captioned or len(captions.strings) != len(captions.rows):
            raise DataError("The texts here have no strings: an embedding file brings them as the array 'names'.")
        return [captions.strings[row] for row in self.items.text_order]


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
    context
        What a method that learns computes on.
    """

    def __init__(
        self,
        spec: AlignerSpec,
        fit: FitRows,
        *,
        validation: FitRows | None = None,
        test: FitRows | None = None,
        context: FitContext = DEFAULT_CONTEXT,
    ) -> None:
        self.spec = spec
        self.fit = fit
        self._validation = validation
        self._test = test
        self._context = context

    @property
    def about(self) -> About:
        """What needs no declaration."""
        image_dim, text_dim = self.fit.split.dims
        return About(image_dim=image_dim, text_dim=text_dim, context=self._context)

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
        part, number = block_of(name)
        if number is not None:
            return self._block(part, number)
        readers: dict[str, Callable[[FitRows], Arrays]] = {
            "images": lambda rows: (rows.all_images(),),
            "texts": lambda rows: (rows.all_texts(),),
            "pairs": lambda rows: rows.all_pairs(),
            "labels": lambda rows: (rows.all_labels(),),
            "class_texts": lambda rows: (rows.class_texts,),
            "class_names": lambda rows: (_packed(rows.split.classes),),
            "caption_strings": lambda rows: (_packed(rows.caption_strings()),),
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

    def _block(self, name: str, number: int) -> Arrays:
        """Return a block of a part; nothing past the last one."""
        block = slice(number * BLOCK_ROWS, (number + 1) * BLOCK_ROWS)
        readers: dict[str, Callable[[], Arrays]] = {
            "images": lambda: (self.fit.all_images(block),),
            "texts": lambda: (self.fit.all_texts(block),),
            "pairs": lambda: self.fit.all_pairs(block),
        }
        found = readers[name]()
        return found if len(found[0]) else ()

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
        part, number = block_of(name)
        need = PARTS.get(part) if number is None or part in IN_BLOCKS else None
        if need is None:
            raise UndeclaredData(f"Aligner {self.spec.name!r} read {name!r}, which fit data do not have.")
        if need not in self.spec.needs:
            raise UndeclaredData(
                f"Aligner {self.spec.name!r} read {name!r} without declaring it: "
                f"add Need.{need.name} to the needs of its spec, or do not read it."
            )


def block_of(name: str) -> tuple[str, int | None]:
    """Return the part that a name is of, and the number of the block; None where it is the whole part."""
    part, found, number = name.partition(".blocks.")
    return (part, int(number)) if found and number.isdecimal() and number.isascii() else (name, None)


def _first(sums: RowSums) -> Arrays:
    return np.array(sums.n), sums.total


def _pairs(sums: PairSums) -> Arrays:
    return np.array(sums.n), sums.images.total, sums.images.second, sums.texts.total, sums.texts.second, sums.cross


def _packed(strings: Sequence[str]) -> NDArray[np.uint8]:
    """Return strings as bytes, which is how they go into an aligner's process."""
    return np.frombuffer(msgspec.msgpack.encode(list(strings)), dtype=np.uint8)


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
        super().__init__(parts.about, rng, parts.copied)
