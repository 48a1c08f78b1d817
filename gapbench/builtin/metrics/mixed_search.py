"""Mixed-modality search: text queries over a corpus of images, texts and documents that have both.

A modality gap shows here as nowhere else: where texts are closer to any text than to any image, no image is ever found.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.left_out import FEW_GROUPS, jackknife_of, left_out
from gapbench.components import Measurement
from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Bools, Float32, Int64, ScoredSplit

#: Items (images with their captions) that are searched for, at most; the corpus then has at most 6,000 documents.
ITEMS = 2_000

#: Documents are drawn where a form's share is below 1, and laid out, alike for all aligners of a table.
SEED = 0

#: Documents that are looked at.
K = 10

#: Weight of the text in a document that has an image and a text.
WEIGHT = 0.5

#: Forms of documents.
IMAGE, TEXT, FUSED = range(3)

_BLOCK_SCORES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents in a fixed random order, so that no form is favoured among equally near ones.

    ``query`` is the caption ``(n,)`` that asks for each item; ``item`` and ``form`` ``(D,)`` and the unit rows ``(D, e)``
    belong to the documents. ``masked``: the texts are the queries themselves, and no query finds its own. ``groups`` are
    those of the items, for the jackknife.
    """

    query: Int64
    item: Int64
    form: Int64
    rows: Float32
    masked: bool
    groups: Int64


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the queries with at least one relevant document found.

    ``own`` ``(n, k)``: whether the document at each place is the query's own. ``relevant`` ``(n,)``: own documents of each
    query in the corpus. ``near`` ``(n, k + spare)``: the nearest documents, so many that ten are left where a group of items
    is left out. ``query`` ``(n,)``: the item that each query asks for.
    """

    own: Bools
    relevant: Int64
    near: Int64
    query: Int64
    corpus: Corpus


def build_corpus(data: ScoredSplit, shares: tuple[float, float, float]) -> Corpus:
    """Draw items and lay out their documents; see `MixedSearch`."""
    texts = data.text_order
    order = texts[np.argsort(data.owner[texts], kind="stable")]
    _, start, counts = np.unique(data.owner[order], return_index=True, return_counts=True)
    ends = np.full((2, data.n_images), -1)
    ends[:, data.owner[order[start]]] = order[start], order[start + counts - 1]
    rng = np.random.default_rng(SEED)
    images = data.order[ends[0, data.order] >= 0][:ITEMS]
    first, last = ends[:, images]
    masked = bool(counts.min() == 1)
    n = len(images)
    kept = [np.sort(rng.permutation(n)[: round(share * n)]) for share in shares]
    if masked:
        first, kept[FUSED] = last, kept[FUSED][:0]
    parts = [unit_rows(data.image_rows(images))[kept[IMAGE]], unit_rows(data.texts[first[kept[TEXT]]])]
    if len(kept[FUSED]):
        parts.append(data.fused_rows(images[kept[FUSED]], first[kept[FUSED]], WEIGHT))
    form, item = np.repeat([IMAGE, TEXT, FUSED], [len(part) for part in kept]), np.concatenate(kept)
    shuffled = rng.permutation(len(item))
    return Corpus(
        query=last,
        item=item[shuffled],
        form=form[shuffled],
        rows=np.concatenate(parts)[shuffled],
        masked=masked,
        groups=data.groups[images] % FEW_GROUPS,
    )


def search(queries: Float32, corpus: Corpus) -> Found:
    """Rank the documents for each query by cosine, exactly, in blocks of queries.

    Scores are float64, rounded to 1e-10: equal documents are equally near wherever they stand, and go by the order of
    the corpus. Time O(n D e), memory one block of 2 million scores.
    """
    n, docs = len(queries), corpus.rows.astype(np.float64)
    # Less than half of what scores are rounded to, over the whole corpus: it orders equal documents and no others.
    place = np.arange(len(docs)) * (4e-11 / len(docs))
    own_text = np.full(n, -1)
    if corpus.masked:
        texts = np.flatnonzero(corpus.form == TEXT)
        own_text[corpus.item[texts]] = texts
    spare = int(np.bincount(corpus.groups[corpus.item]).max(initial=0))
    k = min(K + spare, len(docs) - int(corpus.masked))
    top = np.empty((n, k), dtype=np.int64)
    for block in blocks(n, max(1, _BLOCK_SCORES // len(docs))):
        scores = np.round(queries[block].astype(np.float64) @ docs.T, 10) - place
        mine = own_text[block]
        scores[np.flatnonzero(mine >= 0), mine[mine >= 0]] = -np.inf
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        top[block] = np.take_along_axis(best, order, 1)
    relevant = np.bincount(corpus.item, minlength=n) - (own_text >= 0)
    asks = np.flatnonzero(relevant > 0)
    near = top[asks]
    return Found(
        own=corpus.item[near[:, :K]] == asks[:, None], relevant=relevant[asks], near=near, query=asks, corpus=corpus
    )


class MixedSearch:
    """Text queries over images, texts and fused documents (MixBench's task; Li et al. 2025, arXiv 2507.19054).

    At most 2,000 items (images with their captions), drawn by what they are; so are two captions of each, a first and a
    last one. Where every image has two captions or more, an item's last caption is the query; its documents are its image,
    its first caption, and both fused (text weight 0.5); all of them are relevant. Where some image has one caption alone,
    the corpus is all images and all those texts (one an item, its last), the query's own text cannot be found, and the own
    image is what is relevant.

    Documents are ranked by the cosine of aligned rows. O(n D e) for n queries and D documents, once a cell.

    Parameters
    ----------
    images, texts, fused
        Shares, 0..1, of the items that have a document of that form: a corpus of another ratio. Below 1, a fixed random
        part of the items has one. Queries whose documents are all gone do not count.
    """

    def __init__(self, *, images: float = 1.0, texts: float = 1.0, fused: float = 1.0) -> None:
        self.shares = (images, texts, fused)
        if not all(0 <= share <= 1 for share in self.shares):
            raise ValueError(f"shares of documents {self.shares} must lie in 0..1")

    def found(self, data: ScoredSplit) -> Found:
        """Give what the queries of a cell found."""
        if not data.embeds:
            raise NotMeasurable("the aligner changes scores of images and texts alone, and has no embeddings to mix")
        found: Found = data.once(f"mixed_search.{self.shares}", partial(self._search, data))
        return found

    def _search(self, data: ScoredSplit) -> Found:
        corpus = build_corpus(data, self.shares)
        if min(len(corpus.query), len(corpus.item)) < 2:  # noqa: PLR2004
            raise NotMeasurable("it needs two images with captions, and a corpus of two documents")
        found = search(unit_rows(data.texts[corpus.query]), corpus)
        if not len(found.own):
            raise NotMeasurable("no query has a relevant document in a corpus of these shares")
        return found


class MixedNdcg(MixedSearch):
    r"""Normalised discounted cumulative gain of the first 10 documents (Järvelin and Kekäläinen 2002), mean over queries.

    :math:`\mathrm{nDCG} = \sum_{j \le 10} \frac{r_j}{\log_2(j + 1)} \Big/ \sum_{j \le \min(10, R)} \frac{1}{\log_2(j + 1)}`
    with :math:`r_j` 1 where the document at place j is one of the query's R relevant ones. The ideal ranking has *all*
    relevant documents first, not only those that were retrieved. The task is that of `MixedSearch`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        found = self.found(data)
        discount = 1 / np.log2(np.arange(K) + 2)
        gained = found.own @ discount[: found.own.shape[1]]
        ideal = np.cumsum(discount)[np.minimum(found.relevant, K) - 1]
        outcomes = gained / ideal
        return Measurement(value=float(outcomes.mean()), n=len(outcomes), outcomes=outcomes)


class MixedRecall(MixedSearch):
    r"""Share of a query's relevant documents among the first 10, mean over queries.

    :math:`\frac1R \sum_{j \le 10} r_j` with :math:`r_j` 1 where the document at place j is one of the query's R relevant
    ones. The task is that of `MixedSearch`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; 0/1 outcomes where every query has one relevant document."""
        found = self.found(data)
        hits = found.own.sum(axis=1)
        outcomes = hits > 0 if found.relevant.max() == 1 else hits / found.relevant
        return Measurement(value=float(outcomes.mean()), n=len(outcomes), outcomes=outcomes)


class SameModalityShare(MixedSearch):
    """Share of texts among the first 10 documents minus their share of the corpus, mean over (text) queries.

    0: no modality is favoured for its own sake. Above 0, texts crowd out the rest, as a modality gap makes them do;
    below 0, images and fused documents crowd out texts. Neither way is better. It needs no relevance. The task is that
    of `MixedSearch`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items in turn, as queries and as documents."""
        found = self.found(data)
        values = np.array([_text_excess(found, group) for group in (-1, *left_out(found.corpus.groups))])
        return Measurement(value=float(values[0]), n=len(found.query), jackknife=jackknife_of(values))


def _text_excess(found: Found, group: int) -> float:
    """Share of texts among the first 10 documents minus that in the corpus, without the items of a group."""
    corpus = found.corpus
    kept = corpus.groups != group
    stays, is_text = kept[corpus.item], corpus.form == TEXT
    asks = kept[found.query]
    near = found.near[asks]
    left = stays[near]
    first = left & (np.cumsum(left, axis=1) <= K)
    hidden = 0
    if corpus.masked:  # no query finds its own text
        has_text = np.zeros(len(corpus.groups), dtype=bool)
        has_text[corpus.item[is_text]] = True
        hidden = has_text[found.query[asks]].astype(np.int64)
    share = (np.count_nonzero(is_text & stays) - hidden) / (np.count_nonzero(stays) - hidden)
    return float(np.mean((first & is_text[near]).sum(axis=1) / first.sum(axis=1) - share))
