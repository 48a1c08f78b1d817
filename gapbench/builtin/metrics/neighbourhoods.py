"""Who is near whom: hubs, agreement of neighbourhoods, and what alignment does to them. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import skew

from gapbench.builtin.metrics.left_out import DECOMPOSED, jackknife_of, left_out
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable
from gapbench.retrieval import top_columns

if TYPE_CHECKING:
    from gapbench.components import Bools, Float32, Float64, Int64, ScoredSplit

#: Neighbours that are looked at.
K = 10


class HubnessSkew:
    r"""Skewness of how often each candidate is among a query's ten best: 0 without hubs (Radovanovic et al., JMLR 2010).

    :math:`m_3 / m_2^{3/2}` with :math:`m_p` the mean of :math:`(n_c - \bar n)^p` over the candidates c, each of which is
    :math:`n_c` times among the ten best. By the scores that retrieval ranks by, so that what methods add to scores
    counts. On the sample of at most 2,000 items; it depends on how many there are. With fewer than twenty candidates, or so
    few queries that candidates are chosen less than once on average, as by a few class texts among many images, it says
    nothing of hubs and is not measured. O(n m d), and O(n) for each group that is left out.

    The jackknife of such counts errs on the safe side: its error is 1.3 times the true one at 600 items, 1.6 at 200.

    Parameters
    ----------
    queries
        ``images`` (their neighbours are texts) or ``texts``.
    """

    def __init__(self, *, queries: str) -> None:
        self.queries = queries

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items, as queries and as candidates. Class texts are never left out."""
        sample = data.sample
        scores = sample.ranked(self.queries)
        candidates = scores.shape[1]
        if candidates < 2 * K:
            raise NotMeasurable(f"hubs need at least {2 * K} candidates; there are {candidates}")
        if len(scores) * K < candidates:
            raise NotMeasurable(
                f"{len(scores)} queries choose {K} of {candidates} candidates each: too few to tell hubs"
            )
        of_texts = sample.groups if data.captioned else np.full(len(sample.texts), -1)
        of_query, of_candidate = (sample.groups, of_texts) if self.queries == "images" else (of_texts, sample.groups)
        values = _left_out_skew(scores, of_query, of_candidate)
        return Measurement(value=float(values[0]), n=len(scores), jackknife=jackknife_of(values))


def _left_out_skew(scores: Float32, of_query: Int64, of_candidate: Int64) -> Float64:
    """``(1 + G,)`` skewness with all queries and candidates, and without each group of them."""
    candidates = scores.shape[1]
    spare = int(np.bincount(of_candidate[of_candidate >= 0], minlength=1).max())
    near = top_columns(scores, min(K + spare, candidates))
    of_near = of_candidate[near]

    def value(left: Bools, asked: Bools, kept: Bools) -> float:
        """Skewness of the counts of some candidates, where some queries have some of their nearest ones left."""
        found = left & (np.cumsum(left, axis=1) <= K) & asked[:, None]
        counts = np.bincount(near[found], minlength=candidates)[kept]
        return float(skew(counts)) if counts.min() < counts.max() else 0.0

    whole = value(np.ones(near.shape, dtype=bool), np.ones(len(near), dtype=bool), np.ones(candidates, dtype=bool))
    turns = left_out(np.concatenate([of_query, of_candidate]))
    return np.array([whole, *(value(of_near != g, of_query != g, of_candidate != g) for g in turns)])


class LinearCka:
    r"""Linear centred kernel alignment of images and their texts, debiased, about 0..1 (Kornblith et al., ICML 2019).

    :math:`\mathrm{HSIC}(K, L) / \sqrt{\mathrm{HSIC}(K, K)\, \mathrm{HSIC}(L, L)}` of the Gram matrices with the unbiased
    estimator of HSIC (Song et al., JMLR 13, 2012, eq. 5): the biased one is near 1 whatever the pairs where there are more
    dimensions than items. A rotation of one side does not change it, so it cannot judge one. On the first 1,000 items of the
    sample. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items in turn."""
        sample = data.sample
        x = sample.images[:DECOMPOSED].astype(np.float64)
        y = sample.texts[sample.own[:DECOMPOSED]].astype(np.float64)
        if len(x) < 4:  # noqa: PLR2004
            raise NotMeasurable("it needs four items")
        one, other = x @ x.T, y @ y.T
        groups = sample.groups[:DECOMPOSED]
        scale = left_out_hsic(one, one, groups) * left_out_hsic(other, other, groups)
        if scale[0] <= 1e-18:  # noqa: PLR2004 - nothing but rounding
            raise NotMeasurable("the rows of one modality are one point")
        with np.errstate(invalid="ignore", divide="ignore"):
            values = left_out_hsic(one, other, groups) / np.sqrt(scale)
        return Measurement(value=float(values[0]), n=len(x), jackknife=jackknife_of(values))


def left_out_hsic(one: Float64, other: Float64, groups: Int64) -> Float64:
    r"""``(1 + G,)`` unbiased HSIC of two Gram matrices ``(n, n)``, of all items and without each group of them.

    With the diagonals set to zero, :math:`\frac{1}{n (n - 3)} \Big( \sum_{ij} K_{ij} L_{ij} + \frac{(\sum_{ij} K_{ij})
    (\sum_{ij} L_{ij})}{(n - 1)(n - 2)} - \frac{2}{n - 2} \sum_i k_i l_i \Big)` with the sums k and l of their rows. Leaving
    items out takes what they add from each sum. O(n^2 G).
    """
    member = (groups[:, None] == np.array(left_out(groups), dtype=np.int64)).astype(np.float64)
    outside = 1 - np.column_stack([np.zeros(len(groups)), member])
    kept = outside.sum(axis=0)

    def row_sums(matrix: Float64) -> Float64:
        """Sums ``(n, 1 + G)`` of the rows over the columns that are kept; of rows that are left out, zero."""
        own = np.diag(matrix)[:, None]
        return np.asarray((matrix @ outside - own) * outside)

    k, m = row_sums(one), row_sums(other)
    both = row_sums(one * other).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # of fewer than four items there is none
        ends = k.sum(axis=0) * m.sum(axis=0) / ((kept - 1) * (kept - 2)) - 2 * np.sum(k * m, axis=0) / (kept - 2)
        hsic: Float64 = (both + ends) / (kept * (kept - 3))
    return hsic


class MutualNeighbours:
    """Share of an image's ten nearest images whose texts are among its text's ten nearest texts (arXiv 2405.07987).

    Both neighbourhoods are within a modality, so no rotation of one side changes it: it bounds what a rotation can reach.
    On the sample of at most 2,000 items; needs captions. O(n^2 d), and O(n) for each group that is left out.

    The jackknife of neighbourhoods errs on the safe side: at 200 items its error is 1.6 times the true one.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items, which are each other's neighbours."""
        sample = data.sample
        n, groups = len(sample.images), sample.groups
        k = min(K, n - 1)
        if k < 1:
            raise NotMeasurable("it needs two items")
        listed = min(n - 1, k + int(np.bincount(groups).max()))
        sides = [sample.neighbours(side, side, listed) for side in ("images", "texts")]
        values = [float(_overlap(*(side[:, :k] for side in sides)).mean())]
        for group in left_out(groups):
            kept = groups != group
            if np.count_nonzero(kept) > k:
                near = [_first_kept(side[kept], kept, k) for side in sides]
                values.append(float(_overlap(*near).mean()))
        return Measurement(value=values[0], n=n, jackknife=jackknife_of(np.array(values)))


class NeighbourPreservation:
    r"""Share of a row's ten nearest rows of its own modality that alignment leaves among the ten nearest, 0..1.

    :math:`|N(v) \cap N(v')| / 10` with :math:`N` the ten nearest rows by cosine, before alignment and after it:
    whether the meaning within a modality is still there, which papers assert and seldom measure. With class prompts of
    the images alone, else the mean over an image and its caption. On the sample of at most 2,000 items. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure, item by item."""
        now, then = data.sample, data.before.sample
        if len(now.images) < 2:  # noqa: PLR2004
            raise NotMeasurable("it needs two items")
        k = min(K, len(now.images) - 1)
        sides = ("images", "texts") if data.captioned else ("images",)
        shares = np.mean([_overlap(now.neighbours(s, s, k), then.neighbours(s, s, k)) for s in sides], axis=0)
        return Measurement(value=float(shares.mean()), n=len(shares), outcomes=shares)


class Displacement:
    r"""Mean distance that alignment moves a unit row, :math:`\lVert v' - v \rVert`, 0..2, images and texts alike.

    Where the aligner changes the number of dimensions there is no such distance. On the sample of at most 2,000 items.
    O(n d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure: the mean of both sides' means, item by item."""
        now, then = data.sample, data.before.sample
        if now.images.shape != then.images.shape:
            raise NotMeasurable(f"{then.images.shape[1]} dimensions became {now.images.shape[1]}")
        moved = _lengths(now.images, then.images), _lengths(now.texts, then.texts)[now.own]
        by_item = (moved[0] + moved[1]) / 2
        return Measurement(value=float(by_item.mean()), n=len(by_item), outcomes=by_item)


def _lengths(now: Float32, then: Float32) -> Float64:
    lengths: Float64 = np.linalg.norm(now.astype(np.float64) - then, axis=1)
    return lengths


def _first_kept(near: Int64, kept: Bools, k: int) -> Int64:
    """``(n, k)`` first of the neighbours ``(n, m)`` that are kept, nearest first."""
    order = np.argsort(~kept[near], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(near, order, 1)


def _overlap(one: Int64, other: Int64) -> Float64:
    """``(n,)`` share of each row's neighbours in one list that are in the other."""
    shares: Float64 = (one[:, :, None] == other[:, None, :]).any(axis=2).mean(axis=1)
    return shares
