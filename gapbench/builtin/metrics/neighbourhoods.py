"""Who is near whom: mixing, hubs, agreement of neighbourhoods, and what alignment does to them. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import skew

from gapbench.builtin.metrics.distances import recomputed
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable
from gapbench.retrieval import top_columns

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, Int64, ScoredSplit

#: Neighbours that are looked at.
K = 10


class ModalityMixing:
    """Share of neighbours of the other modality among the ten nearest, over its share by chance: 0 never, 1 mixed.

    Images and texts in equal numbers, of the sample of at most 2,000 items; with class prompts as many images as there are
    prompts. In the spirit of iLISI, by which single-cell biology asks the same of its batches (Korsunsky et al., Nature
    Methods 16, 2019). The text of an image counts as a neighbour like any other. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure, row by row; an image and its text are one item."""
        sample = data.sample
        n = min(len(sample.images), len(sample.texts))
        k = min(K, 2 * n - 1)
        if n < 3:  # noqa: PLR2004
            raise NotMeasurable(f"it needs three rows of each modality; there are {n}")
        cosines = np.block(
            [
                [sample.similarity("images", "images")[:n, :n], sample.similarity("images", "texts")[:n, :n]],
                [sample.similarity("images", "texts")[:n, :n].T, sample.similarity("texts", "texts")[:n, :n]],
            ]
        )
        np.fill_diagonal(cosines, -np.inf)
        # Equally near rows go by a shuffled order, else one modality would come first where all rows are one point.
        order = np.random.default_rng(3).permutation(2 * n)
        near = order[top_columns(cosines[:, order], k)]
        other = (near >= n) != (np.arange(2 * n) >= n)[:, None]
        shares = other.mean(axis=1) / (n / (2 * n - 1))
        by_item = (shares[:n] + shares[n:]) / 2
        return Measurement(value=float(by_item.mean()), n=n, outcomes=by_item)


class HubnessSkew:
    r"""Skewness of how often each candidate is among a query's ten best: 0 without hubs (Radovanovic et al., JMLR 2010).

    :math:`m_3 / m_2^{3/2}` with :math:`m_p` the mean of :math:`(n_c - \bar n)^p` over the candidates c, each of which is
    :math:`n_c` times among the ten best. By the scores that retrieval ranks by, so that what methods add to scores
    counts. Fewer than ten where there are fewer than twenty candidates: at most half of them. On the sample of at most
    2,000 items. O(n m d).

    Parameters
    ----------
    queries
        ``images`` (their neighbours are texts) or ``texts``.
    """

    def __init__(self, *, queries: str) -> None:
        self.queries = queries

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out ten groups of queries in turn."""
        scores = data.sample.ranked(self.queries)
        candidates = scores.shape[1]
        if candidates < 4:  # noqa: PLR2004
            raise NotMeasurable(f"hubs need at least four candidates; there are {candidates}")
        near = top_columns(scores, min(K, candidates // 2))

        def value(queries: Int64) -> float:
            counts = np.bincount(near[queries].ravel(), minlength=candidates)
            return float(skew(counts)) if counts.min() < counts.max() else 0.0

        groups = np.random.default_rng(2).permutation(len(near)) % K
        jackknife = None
        if len(near) >= 2 * K:
            jackknife = np.array([value(np.flatnonzero(groups != group)) for group in range(K)])
        return Measurement(value=value(np.arange(len(near))), n=len(near), jackknife=jackknife)


class LinearCka:
    r"""Linear centred kernel alignment of images and their texts, debiased, about 0..1 (Kornblith et al., ICML 2019).

    :math:`\mathrm{HSIC}(K, L) / \sqrt{\mathrm{HSIC}(K, K)\, \mathrm{HSIC}(L, L)}` of the Gram matrices with the unbiased
    estimator of HSIC (Song et al., JMLR 13, 2012, eq. 5): the biased one is near 1 whatever the pairs where there are more
    dimensions than items. A rotation of one side does not change it, so it cannot judge one. On at most 1,000 items of the
    sample. O(n^2 d), eleven times for the interval.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out ten groups of items in turn."""
        sample = data.sample

        def value(items: Int64) -> float:
            if len(items) < 4:  # noqa: PLR2004
                raise NotMeasurable("it needs four items")
            x = sample.images[items].astype(np.float64)
            y = sample.texts[sample.own[items]].astype(np.float64)
            grams = x @ x.T, y @ y.T
            scale = _hsic(grams[0], grams[0]) * _hsic(grams[1], grams[1])
            if scale <= 1e-18:  # noqa: PLR2004 - nothing but rounding
                raise NotMeasurable("the rows of one modality are one point")
            return _hsic(*grams) / float(np.sqrt(scale))

        return recomputed(sample, value)


def _hsic(one: Float64, other: Float64) -> float:
    """Unbiased HSIC of two Gram matrices."""
    n = len(one)
    one, other = one - np.diag(np.diag(one)), other - np.diag(np.diag(other))
    ends = one.sum() * other.sum() / ((n - 1) * (n - 2)) - 2 * float(one.sum(axis=0) @ other.sum(axis=0)) / (n - 2)
    return float((np.sum(one * other) + ends) / (n * (n - 3)))


class MutualNeighbours:
    """Share of an image's ten nearest images whose texts are among its text's ten nearest texts (arXiv 2405.07987).

    Both neighbourhoods are within a modality, so no rotation of one side changes it: it bounds what a rotation can reach.
    On the sample of at most 2,000 items; needs captions. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure, image by image."""
        sample = data.sample
        k = min(K, len(sample.images) - 1)
        if k < 1:
            raise NotMeasurable("it needs two items")
        shares = _overlap(sample.neighbours("images", "images", k), sample.neighbours("texts", "texts", k))
        return Measurement(value=float(shares.mean()), n=len(shares), outcomes=shares)


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


def _overlap(one: Int64, other: Int64) -> Float64:
    """``(n,)`` share of each row's neighbours in one list that are in the other."""
    shares: Float64 = (one[:, :, None] == other[:, None, :]).any(axis=2).mean(axis=1)
    return shares
