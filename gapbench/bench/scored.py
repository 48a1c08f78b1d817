"""The test split after alignment, as metrics read it: shared parts are computed once a cell.

Everything goes block by block. Aligned images are kept where they fit into one stated block (`CACHE_BYTES`), and are
mapped again on each pass where they do not, so that memory does not grow with the number of images.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import GapSums
from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.embeddings.moments import add_grouped
from gapbench.errors import PluginError, UndeclaredData
from gapbench.retrieval import PromptIndex, own_ranks, own_ranks_by_scores, pool, top_classes_by_scores
from gapbench.specs import ActsOn, Pooling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gapbench.bench.fitdata import FitRows
    from gapbench.components import Float32, Int64
    from gapbench.specs import AlignerSpec

#: Aligned rows of at most this many bytes are kept in memory during a cell.
CACHE_BYTES = 64 * 2**20

#: Number of groups of items for the jackknife.
GROUPS = 100

#: Classes that are ranked at once; metrics that want fewer take a slice.
TOP = 5


def checked_map(method: Any, rows: Float32, what: str, width: int | None = None) -> Float32:
    """Call one of an aligner's maps and hold its result to the contract.

    Raises
    ------
    PluginError
        Wrong type or shape, a value that is not finite, or an input that was changed.
    """
    rows = np.array(rows, dtype=np.float32, order="C")
    before = zlib.crc32(rows.data)
    rows.flags.writeable = False
    try:
        out = method(rows.view())
    except ValueError as error:
        if "read-only" in str(error):
            raise PluginError(f"{what} changes its input: rows are read-only, work on a copy.") from error
        raise
    if zlib.crc32(rows.data) != before:
        raise PluginError(f"{what} changed its input: work on a copy.")
    if not isinstance(out, np.ndarray) or out.ndim != 2 or len(out) != len(rows) or 0 in out.shape:  # noqa: PLR2004
        shape = f"shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise PluginError(f"{what} gave {shape} for {len(rows)} rows; it must give an array ({len(rows)}, e).")
    if width is not None and out.shape[1] != width:
        raise PluginError(f"{what} gave {out.shape[1]} dimensions where it, or the other side, gave {width}.")
    if out.dtype.kind != "f":
        raise PluginError(f"{what} gave {out.dtype} values; it must give floating-point numbers.")
    finite = np.isfinite(out).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise PluginError(f"{what} gave NaN or infinity, first in row {row} of a block ({np.sum(~finite)} rows).")
    return np.asarray(out, dtype=np.float32)


class AlignedSplit:
    """Implements `gapbench.components.ScoredSplit`.

    Parameters
    ----------
    test
        The rows to score, under the aligner's row convention.
    aligner, spec
        The fitted aligner.
    rng
        For metrics that draw a sample; the same for every aligner of a table.
    index
        Kind of index over the class prompts: ``flat``, ``hnsw`` or ``ivf``.
    """

    def __init__(
        self, test: FitRows, aligner: Any, spec: AlignerSpec, rng: np.random.Generator, *, index: str = "flat"
    ) -> None:
        self._test = test
        self._aligner = aligner
        self._spec = spec
        self._index_kind = index
        self.rng = rng
        self.n_images = len(test.split.images)
        self.classes: Sequence[str] = test.split.classes
        self.texts, self.owner = self._aligned_texts()

    @property
    def captioned(self) -> bool:
        """Whether the scored texts are captions."""
        return self._test.captioned

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        labels = self._test.split.labels
        if labels is None:
            raise UndeclaredData("This cell has no labels; a metric that reads them must declare Need.LABELS.")
        return labels

    @property
    def no_labels(self) -> bool:
        """Whether there are no classes to predict."""
        return self._test.split.labels is None

    def _aligned_texts(self) -> tuple[Float32, Int64]:
        """Texts as the retriever indexes them: pooled before alignment where the strategy says ``mean``."""
        split = self._test.split
        texts = split.captions if self.captioned else split.prompts
        assert texts is not None
        if self.captioned or split.pooling is Pooling.NEAREST:
            rows, owner = self._test.rows(texts.rows, slice(None)), texts.owner
        else:
            rows, owner = self._test.class_texts, np.arange(len(split.classes))
        if self._scores_only:
            return rows, owner
        return np.concatenate([self._mapped("texts", rows[block]) for block in blocks(len(rows))]), owner

    @property
    def _scores_only(self) -> bool:
        return self._spec.acts_on is ActsOn.SCORES

    def _method(self, name: str) -> str:
        return f"Aligner {self._spec.name!r}: {name}()"

    def _map_images(self, rows: Float32) -> Float32:
        return rows if self._scores_only else self._mapped("images", rows, self.texts.shape[1])

    def _mapped(self, side: str, rows: Float32, width: int | None = None) -> Float32:
        """Map rows of one side; an aligner that does not act on a side need not have a method for it."""
        method = getattr(self._aligner, side, None)
        if method is None:
            acts = {ActsOn.NOTHING: (), ActsOn.IMAGES: ("images",), ActsOn.TEXTS: ("texts",)}
            if side in acts.get(self._spec.acts_on, ("images", "texts")):
                raise PluginError(
                    f"Aligner {self._spec.name!r} acts on {self._spec.acts_on} but has no method {side}()."
                )
            return rows
        return checked_map(method, rows, self._method(side), width)

    @cached_property
    def _kept(self) -> Float32 | None:
        if self.n_images * self.texts.shape[1] * 4 > CACHE_BYTES:
            return None
        return np.concatenate(
            [self._map_images(self._test.rows(self._test.split.images, block)) for block in blocks(self.n_images)]
        )

    def image_blocks(self) -> Iterator[tuple[slice, Float32]]:
        """Aligned image rows, block by block."""
        kept = self._kept
        for block in blocks(self.n_images):
            if kept is not None:
                yield block, kept[block]
            else:
                yield block, self._map_images(self._test.rows(self._test.split.images, block))

    def image_rows(self, rows: Int64) -> Float32:
        """Aligned rows of a few images."""
        if self._kept is not None:
            return self._kept[rows]
        return self._map_images(self._test.rows(self._test.split.images, rows))

    @cached_property
    def _unit_texts(self) -> Float32:
        return unit_rows(self.texts)

    @cached_property
    def _class_rows(self) -> Float32:
        """``(C, e)`` aligned unit row of each class, the other half of a pair (image, class prompt)."""
        return pool(self._unit_texts, self.owner, Pooling.MEAN, len(self.classes))[0]

    def pair_rows(self) -> Iterator[tuple[Float32, Float32]]:
        """Aligned pairs as unit rows."""
        if self.captioned:
            for block in blocks(len(self.owner)):
                yield unit_rows(self.image_rows(self.owner[block])), self._unit_texts[block]
        else:
            for block, rows in self.image_blocks():
                yield unit_rows(rows), self._class_rows[self.labels[block]]

    @cached_property
    def _groups(self) -> Int64:
        """``(N,)`` jackknife group of each image: a fixed shuffle, so that order in the file plays no role."""
        order = np.random.default_rng(0).permutation(self.n_images)
        return order % min(GROUPS, self.n_images)

    def gap_sums(self) -> GapSums:
        """Sums over aligned unit rows, in groups."""
        return self._gap_sums

    @cached_property
    def _gap_sums(self) -> GapSums:
        groups, n_groups = self._groups, min(GROUPS, self.n_images)
        image_sum = np.zeros((n_groups, self.texts.shape[1]))
        for block, rows in self.image_blocks():
            add_grouped(image_sum, groups[block], unit_rows(rows))
        pair_dot, pair_count = np.zeros(n_groups), np.zeros(n_groups)
        start = 0
        for x, y in self.pair_rows() if self.captioned or self._test.split.labels is not None else ():
            of_pair = groups[self.owner[start : start + len(x)]] if self.captioned else groups[start : start + len(x)]
            dots = np.einsum("ij,ij->i", x, y, dtype=np.float64)
            pair_dot += np.bincount(of_pair, dots, n_groups)
            pair_count += np.bincount(of_pair, minlength=n_groups)
            start += len(x)
        if self.captioned:
            text_sum = np.zeros_like(image_sum)
            add_grouped(text_sum, groups[self.owner], self._unit_texts)
            text_count = np.bincount(groups[self.owner], minlength=n_groups).astype(np.float64)
        else:
            text_sum = self._unit_texts.sum(axis=0, dtype=np.float64, keepdims=True)
            text_count = np.array([float(len(self.texts))])
        return GapSums(
            image_count=np.bincount(groups, minlength=n_groups).astype(np.float64),
            image_sum=image_sum,
            text_count=text_count,
            text_sum=text_sum,
            pair_count=pair_count,
            pair_dot=pair_dot,
        )

    def _score_blocks(self) -> Iterator[Float32]:
        for _, rows in self.image_blocks():
            scores = np.asarray(self._aligner.scores(rows, self.texts), dtype=np.float32)
            if scores.shape != (len(rows), len(self.texts)) or not np.isfinite(scores).all():
                raise PluginError(f"{self._method('scores')} must give finite scores ({len(rows)}, {len(self.texts)}).")
            yield scores

    def _bias(self, method: str, rows: Float32) -> Float32 | None:
        if not self._scores_only or not hasattr(self._aligner, method):
            return None
        bias = np.asarray(getattr(self._aligner, method)(rows), dtype=np.float32)
        if bias.shape != (len(rows),) or not np.isfinite(bias).all():
            raise PluginError(f"{self._method(method)} must give {len(rows)} finite numbers, one a row.")
        return bias

    @cached_property
    def index(self) -> PromptIndex:
        """The FAISS index over the prompts, with the texts' bias as one more dimension."""
        return PromptIndex(
            self.texts,
            self.owner,
            len(self.classes),
            kind=self._index_kind,
            text_bias=self._bias("text_bias", self.texts),
        )

    def top_classes(self, k: int) -> Int64:
        """``(N, min(k, C))`` classes by descending score."""
        return self._top[:, :k] if k <= TOP else self._top_classes(k)

    @cached_property
    def _top(self) -> Int64:
        return self._top_classes(TOP)

    def _top_classes(self, k: int) -> Int64:
        k = min(k, len(self.classes))
        if self._scores_only and hasattr(self._aligner, "scores"):
            return top_classes_by_scores(self._score_blocks(), self.owner, len(self.classes), k)
        return np.concatenate([self.index.top_classes(rows, k)[0] for _, rows in self.image_blocks()])

    def recall_against_flat(self) -> float:
        """Share of images whose best class through the index is that of the flat index (first 10,000 images)."""
        rows = self.image_rows(np.arange(min(self.n_images, 10_000)))
        return self.index.recall_against_flat(rows)

    def _gallery_of_images(self) -> Float32:
        return self._kept if self._kept is not None else np.concatenate([rows for _, rows in self.image_blocks()])

    def image_to_text_ranks(self) -> Int64:
        """``(N,)`` position of the best own caption; images without a caption are last."""
        return self._ranks[0]

    def text_to_image_ranks(self) -> Int64:
        """``(M,)`` position of the own image."""
        return self._ranks[1]

    @cached_property
    def _ranks(self) -> tuple[Int64, Int64]:
        images, texts = self._gallery_of_images(), self.texts
        own_texts: list[Int64] = np.split(
            np.argsort(self.owner, kind="stable"), np.cumsum(np.bincount(self.owner, minlength=self.n_images))[:-1]
        )
        own_image = [np.array([owner]) for owner in self.owner]
        if self._scores_only and hasattr(self._aligner, "scores"):
            # Texts rank images by columns, which are whole only when all blocks are there: N x M scores in memory.
            scores = np.concatenate(list(self._score_blocks()))
            return own_ranks_by_scores([scores], own_texts), own_ranks_by_scores([scores.T], own_image)
        return (
            own_ranks(images, self._with_bias(texts, "text_bias"), own_texts),
            own_ranks(texts, self._with_bias(images, "image_bias"), own_image),
        )

    def _with_bias(self, rows: Float32, method: str) -> Float32:
        bias = self._bias(method, rows)
        return rows if bias is None else np.column_stack([rows, bias]).astype(np.float32)
