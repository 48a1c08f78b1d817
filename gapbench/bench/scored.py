"""The test split after alignment, as metrics read it: shared parts are computed once a cell.

Everything goes block by block. Aligned images are kept where they fit into one stated block (`CACHE_BYTES`), and are
mapped again on each pass where they do not, so that memory does not grow with the number of images.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.mapping import Maps
from gapbench.bench.sample import AlignedSample, draw
from gapbench.components import GapSums
from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.embeddings.moments import add_grouped
from gapbench.errors import NotMeasurable, PluginError, UndeclaredData
from gapbench.exact import BLOCK_SCORES
from gapbench.retrieval import PromptIndex, own_ranks, own_ranks_by_scores, pool, top_classes_by_scores
from gapbench.specs import ActsOn, AlignerSpec, Pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gapbench.bench.fitdata import FitRows
    from gapbench.components import Float32, Int64
    from gapbench.embeddings.items import Items

#: Aligned rows of at most this many bytes are kept in memory during a cell.
CACHE_BYTES = 64 * 2**20

#: Classes that are ranked at once; metrics that want fewer take a slice.
TOP = 5

#: What the rows are without alignment.
UNALIGNED = AlignerSpec(
    name="identity", factory="", summary="", family="baseline", needs=frozenset(), acts_on=ActsOn.NOTHING
)


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
        self._maps = Maps(aligner, spec)
        self._index_kind = index
        self._shared: dict[str, Any] = {}
        self.printed = 0  # characters that metrics of plugins printed
        self.rng = rng
        self.n_images = len(test.split.images)
        self.classes: Sequence[str] = test.split.classes
        self.texts, self.owner = self._aligned_texts()

    @property
    def captioned(self) -> bool:
        """Whether the scored texts are captions."""
        return self._test.captioned

    @property
    def items(self) -> Items:
        """Keys of images and texts; shared by the cells of a table."""
        return self._test.items

    @property
    def order(self) -> Int64:
        """``(N,)`` positions of the images in the order to draw in."""
        return self.items.order

    @property
    def text_order(self) -> Int64:
        """``(M,)`` positions of the texts, likewise."""
        return self.items.class_order if self._pooled else self.items.text_order

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        labels = self._test.split.labels
        if labels is None:
            raise UndeclaredData("This cell has no labels; ask has_labels, or declare Need.LABELS.")
        return labels

    @property
    def has_labels(self) -> bool:
        """Whether images have classes."""
        return self._test.split.labels is not None

    @property
    def embeds(self) -> bool:
        """Whether the aligner changes embeddings."""
        return not self._maps.scores_only

    @property
    def before(self) -> AlignedSplit:
        """The same rows without alignment, made once for all cells that share them.

        Raises
        ------
        NotMeasurable
            Images and texts share no space before they are aligned.
        """
        image_dim, text_dim = self._test.split.dims
        if image_dim != text_dim:
            raise NotMeasurable(
                f"it compares with the rows before alignment, which share no space: {image_dim} and {text_dim} dimensions"
            )
        if self._test.unaligned is None:
            self._test.unaligned = AlignedSplit(self._test, None, UNALIGNED, np.random.default_rng(0))
        unaligned: AlignedSplit = self._test.unaligned
        return unaligned

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Compute something once a cell."""
        if name not in self._shared:
            self._shared[name] = compute()
        return self._shared[name]

    @property
    def _pooled(self) -> bool:
        """Whether there is one text a class, the mean of its prompts."""
        return not self.captioned and self._test.split.pooling is not Pooling.NEAREST

    def _aligned_texts(self) -> tuple[Float32, Int64]:
        """Texts as the retriever indexes them: pooled before alignment where the strategy says ``mean``."""
        split = self._test.split
        texts = split.captions if self.captioned else split.prompts
        assert texts is not None
        if self._pooled:
            rows, owner = self._test.class_texts, np.arange(len(split.classes))
        else:
            rows, owner = self._test.rows(texts.rows, slice(None)), texts.owner
        self._input_texts = rows
        return np.concatenate([self._maps.rows("texts", rows[block]) for block in blocks(len(rows))]), owner

    def map_images(self, x: Float32) -> Float32:
        """Align image rows."""
        return self._maps.rows("images", x, self.texts.shape[1])

    def input_images(self, rows: Int64) -> Float32:
        """Rows of a few images as the aligner receives them."""
        return self._test.rows(self._test.split.images, rows)

    @cached_property
    def _kept(self) -> Float32 | None:
        if self.n_images * self.texts.shape[1] * 4 > CACHE_BYTES:
            return None
        return np.concatenate(
            [self.map_images(self._test.rows(self._test.split.images, block)) for block in blocks(self.n_images)]
        )

    def image_blocks(self) -> Iterator[tuple[slice, Float32]]:
        """Aligned image rows, block by block."""
        kept = self._kept
        for block in blocks(self.n_images):
            if kept is not None:
                yield block, kept[block]
            else:
                yield block, self.map_images(self._test.rows(self._test.split.images, block))

    def image_rows(self, rows: Int64) -> Float32:
        """Aligned rows of a few images."""
        if self._kept is not None:
            return self._kept[rows]
        return self.map_images(self._test.rows(self._test.split.images, rows))

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

    @property
    def groups(self) -> Int64:
        """``(N,)`` jackknife group of each image."""
        return self.items.groups

    def gap_sums(self) -> GapSums:
        """Sums over aligned unit rows, in groups."""
        return self._gap_sums

    @cached_property
    def _gap_sums(self) -> GapSums:
        groups, n_groups = self.groups, int(self.groups.max()) + 1
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

    @cached_property
    def index(self) -> PromptIndex:
        """The FAISS index over the prompts, with the texts' bias as one more dimension."""
        return PromptIndex(
            self.texts,
            self.owner,
            len(self.classes),
            kind=self._index_kind,
            text_bias=self._maps.bias("text_bias", self.texts),
        )

    def top_classes(self, k: int) -> Int64:
        """``(N, min(k, C))`` classes by descending score."""
        return self._top[:, :k] if k <= TOP else self._top_classes(k)

    @cached_property
    def _top(self) -> Int64:
        return self._top_classes(TOP)

    def _top_classes(self, k: int) -> Int64:
        k = min(k, len(self.classes))
        if self._maps.has("scores"):
            scores = (self._maps.scores(rows, self.texts) for _, rows in self.image_blocks())
            return top_classes_by_scores(scores, self.owner, len(self.classes), k)
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

    def own_caption_ranks(self) -> Int64:
        """``(M,)`` position of each caption in the ranking of its own image."""
        return self._caption_ranks

    @cached_property
    def _places(self) -> tuple[Int64, Int64]:
        """``(N,)`` and ``(M,)`` place of each image and text among the candidates, by what they are.

        Of equal scores the earlier place comes first: that of a file would let its order decide.
        """
        return np.argsort(self.order), np.argsort(self.text_order)

    @cached_property
    def _own_texts(self) -> list[Int64]:
        order, counts = np.argsort(self.owner, kind="stable"), np.bincount(self.owner, minlength=self.n_images)
        return np.split(self._places[1][order], np.cumsum(counts)[:-1])

    @cached_property
    def _ranks(self) -> tuple[Int64, Int64]:
        images, texts = self._gallery_of_images(), self.texts
        own_image = [np.array([place]) for place in self._places[0][self.owner]]
        if self._maps.has("scores"):
            # Texts rank images by columns, which are whole only when all blocks are there: N x M scores in memory.
            by_images = self._maps.score_texts(images, texts)[:, self.text_order]
            by_texts = self._maps.score_images(texts, images)[:, self.order]
            return own_ranks_by_scores([by_images], self._own_texts), own_ranks_by_scores([by_texts], own_image)
        return (
            own_ranks(images, self._with_bias(texts, "text_bias")[self.text_order], self._own_texts),
            own_ranks(texts, self._with_bias(images, "image_bias")[self.order], own_image),
        )

    @cached_property
    def _caption_ranks(self) -> Int64:
        if len(np.unique(self.owner)) == len(self.owner):  # one caption an image: its rank is the image's
            return self._ranks[0][self.owner]
        own = [np.array([place]) for place in self._places[1]]
        if self._maps.has("scores"):
            scores = self._maps.score_texts(self._gallery_of_images(), self.texts)[:, self.text_order]
            return own_ranks_by_scores([scores[self.owner]], own)
        images = self._gallery_of_images()[self.owner]
        return own_ranks(images, self._with_bias(self.texts, "text_bias")[self.text_order], own)

    def _with_bias(self, rows: Float32, method: str) -> Float32:
        bias = self._maps.bias(method, rows)
        return rows if bias is None else np.column_stack([rows, bias]).astype(np.float32)

    # -- a few rows ---------------------------------------------------------------------------------------------

    def class_scores(self, rows: Int64) -> Float32:
        """``(n, C)`` score of each class, that of its best prompt."""
        scores = self._maps.score_texts(self.image_rows(rows), self.texts)
        order = np.argsort(self.owner, kind="stable")
        starts = np.unique(self.owner[order], return_index=True)[1]
        best: Float32 = np.maximum.reduceat(scores[:, order], starts, axis=1)
        return best

    def best_texts(self, x: Float32, stored: Float32 | None = None) -> Int64:
        """``(n,)`` best text of aligned image rows, in blocks of at most `BLOCK_SCORES` scores."""
        t = self.texts if stored is None else stored
        parts = [x[block] for block in blocks(len(x), max(1, BLOCK_SCORES // len(t)))]
        return np.concatenate([self._maps.score_texts(part, t, of=self.texts).argmax(axis=1) for part in parts])

    def fused_rows(self, images: Int64, texts: Int64, weight: float) -> Float32:
        """``(n, e)`` unit rows of documents that have an image and a text."""
        fuse = getattr(self._maps.aligner, "fused", None)
        if fuse is None:
            return unit_rows((1 - weight) * unit_rows(self.image_rows(images)) + weight * self._unit_texts[texts])
        fused = np.asarray(fuse(self.input_images(images), self._input_texts[texts], weight), dtype=np.float32)
        if fused.shape != (len(images), self.texts.shape[1]) or not np.isfinite(fused).all():
            raise PluginError(f"{self._maps.name('fused')} must give finite rows {(len(images), self.texts.shape[1])}.")
        return unit_rows(fused)

    @cached_property
    def sample(self) -> AlignedSample:
        """A sample of items, the same for all aligners of a table."""
        labels = self.labels if self.has_labels else None
        drawn = draw(self.order, self.text_order, self.owner, labels, self.items.keys, captioned=self.captioned)
        return AlignedSample(drawn, self.image_rows(drawn.index), self.texts[drawn.text_index], self._maps)
