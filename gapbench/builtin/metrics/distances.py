"""Distances between the modalities: of their means, of pairs, of their distributions. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist

from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.builtin.metrics.left_out import (
    DECOMPOSED,
    few_groups,
    jackknife_of,
    left_out,
    left_out_centred,
    scatters,
    with_jackknife,
)
from gapbench.builtin.metrics.pairwise import PairMeans
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float64, Int64, Sample, ScoredSplit

#: Rows of each modality whose pairwise distances give the bandwidth of the kernel.
BANDWIDTH_ROWS = 500


class CentroidCosine:
    r"""Cosine of the means, :math:`\mu_x \cdot \mu_y / (\lVert \mu_x \rVert \lVert \mu_y \rVert)`, -1..1. O(N d).

    Unstable where a mean is near zero, as after centring: then it is the direction of what is left by chance.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sums = data.gap_sums()

        def value(x: Float64, y: Float64) -> Float64:
            lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
            if not lengths.all():
                raise NotMeasurable("a mean is zero and has no direction")
            return np.asarray(np.clip(np.einsum("gd,gd->g", x, y) / lengths, -1, 1))

        return with_jackknife(sums, value, sums.image_sum, sums.text_sum)


class PairedDistance:
    r"""Mean distance of pairs, :math:`\frac1P \sum \lVert x_i - y_i \rVert` (L2I of Schrodi et al. 2025), 0..2. O(N d).

    What differs within a modality counts in it far more than the gap does. An image with its captions is one item.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        parts = [np.linalg.norm(x.astype(np.float64) - y, axis=1) for x, y in data.pair_rows()]
        distances = np.concatenate(parts)
        return mean_by_item(distances, data.owner if data.captioned else np.arange(len(distances)))


class PairedGap:
    r"""The two parts of the mean squared distance of pairs. O(N d).

    :math:`\frac1P \sum \lVert x_i - y_i \rVert^2 = \lVert D \rVert^2 + \operatorname{tr} \operatorname{Cov}(x - y)` with D
    the difference of the means over pairs: the part ``centroid`` is what a translation can take away, ``distribution`` is
    what remains (ours, after the idea of Liu et al. 2026, arXiv 2604.00279, whose exact formula was not read).

    Parameters
    ----------
    part
        ``centroid`` or ``distribution``.
    """

    def __init__(self, *, part: str) -> None:
        self.part = part

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the jackknife leaves out items, with all their captions."""
        difference, squares = data.once("paired differences", lambda: _differences(data))
        counts = np.asarray(data.gap_sums().pair_count)
        squares_of = squares.sum() - np.concatenate([[0.0], squares])
        number = counts.sum() - np.concatenate([[0.0], counts])
        total = difference.sum(axis=0) - np.vstack([np.zeros(difference.shape[1]), difference])
        with np.errstate(invalid="ignore", divide="ignore"):
            centroid = np.einsum("gd,gd->g", total, total) / number**2
            values = centroid if self.part == "centroid" else squares_of / number - centroid
        jackknife = values[1:] if len(counts) > 2 and np.isfinite(values).all() else None  # noqa: PLR2004
        return Measurement(value=max(0.0, float(values[0])), n=int(counts.sum()), jackknife=jackknife)


def _differences(data: ScoredSplit) -> tuple[Float64, Float64]:
    """Sums of x - y ``(G, d)`` and of its square ``(G,)`` over the pairs of each jackknife group of images."""
    groups, n_groups = data.groups, len(data.gap_sums().image_count)
    sums, squares, start = np.zeros((n_groups, data.texts.shape[1])), np.zeros(n_groups), 0
    for x, y in data.pair_rows():
        rows = slice(start, start + len(x))
        of_pair = groups[data.owner[rows]] if data.captioned else groups[rows]
        difference = x.astype(np.float64) - y
        np.add.at(sums, of_pair, difference)
        squares += np.bincount(of_pair, np.einsum("nd,nd->n", difference, difference), n_groups)
        start += len(x)
    return sums, squares


class Frechet:
    r"""Frechet distance of the two clouds, each taken for a Gaussian, >= 0.

    :math:`\lVert D \rVert^2 + \operatorname{tr}(S_x + S_y - 2 (S_x^{1/2} S_y S_x^{1/2})^{1/2})` (Dowson and Landau 1982).
    The trace of the root is the sum of the roots of the eigenvalues of :math:`L^\top S_y L` for any
    :math:`L L^\top = S_x`, and the sum of the singular values of :math:`X_c Y_c^\top / n`: whichever is smaller is
    decomposed. On the first 1,000 items of the sample. Biased upwards where there are not many more items than dimensions:
    compare only what rests on the same n. O(n d^2 + d^3) with d^3 once more for each of 25 groups left out.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items in turn."""
        sample = data.sample
        x = sample.images[:DECOMPOSED].astype(np.float64)
        y = (sample.texts[: len(x)] if data.captioned else sample.texts).astype(np.float64)
        if min(len(x), len(y)) < 2:  # noqa: PLR2004
            raise NotMeasurable("a covariance needs two rows of each modality")
        values = _frechet(x, y, few_groups(sample), paired=data.captioned)
        return Measurement(value=float(values[0]), n=len(x), jackknife=jackknife_of(values))


def _frechet(x: Float64, y: Float64, groups: Int64, *, paired: bool) -> Float64:
    """``(1 + G,)`` distances of all rows, and without each group of images and, where they go with them, of texts."""
    x_mean, x_trace, counts = _moments(x, groups)
    y_mean, y_trace, _ = _moments(y, groups) if paired else (y.mean(axis=0), float(y.var(axis=0).sum()), counts)
    if not paired:
        roots = [_root_sum(matrix) / np.sqrt(len(y)) for matrix in scatters(x @ _factor(y), groups)]
        cross = np.array(roots) / np.sqrt(counts)
    elif len(x) <= x.shape[1]:
        products = (x - x_mean[0]) @ (y - y_mean[0]).T
        roots = [np.linalg.svd(matrix, compute_uv=False).sum() for matrix in left_out_centred(products, groups)]
        cross = np.array(roots) / counts
    else:
        both = zip(scatters(x, groups), scatters(y, groups), strict=True)
        cross = np.array([_root_sum(root.T @ of_y @ root) for of_x, of_y in both for root in [cholesky(of_x)]]) / counts
    distances: Float64 = np.sum((x_mean - y_mean) ** 2, axis=1) + x_trace + y_trace - 2 * cross
    return distances


def _moments(rows: Float64, groups: Int64) -> tuple[Float64, Float64, Float64]:
    """Means ``(1 + G, d)``, traces of the covariance and numbers ``(1 + G,)`` of rows: of all, and without each group."""
    middle, turns = rows.mean(axis=0), left_out(groups)
    moved = rows - middle  # about the mean, so that no digits are lost
    squares = np.einsum("nd,nd->n", moved, moved)
    of_group = [np.flatnonzero(groups == group) for group in turns]
    counts = len(rows) - np.array([0.0, *map(len, of_group)])
    means = -np.array([np.zeros(len(middle)), *(moved[part].sum(axis=0) for part in of_group)]) / counts[:, None]
    rest = squares.sum() - np.array([0.0, *(squares[part].sum() for part in of_group)])
    return middle + means, rest / counts - np.sum(means**2, axis=1), counts


def _factor(rows: Float64) -> Float64:
    r"""``(d, r)`` a matrix L with :math:`L L^\top` the scatter of some rows about their mean, r the smaller of n and d."""
    centred = rows - rows.mean(axis=0)
    return centred.T if len(rows) <= rows.shape[1] else cholesky(centred.T @ centred)


def cholesky(scatter: Float64) -> Float64:
    r"""``(d, r)`` a matrix L with :math:`L L^\top` a positive semidefinite matrix, r its rank: Cholesky with pivots."""
    from scipy.linalg.lapack import dpstrf

    packed, pivots, rank, _ = dpstrf(scatter, lower=1)
    factor = np.empty((len(scatter), rank))
    factor[pivots - 1] = np.tril(packed)[:, :rank]
    return factor


def _root_sum(symmetric: Float64) -> float:
    """Sum of the roots of the eigenvalues of a positive semidefinite matrix."""
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(symmetric), 0)).sum())


class MaximumMeanDiscrepancy:
    r"""Squared maximum mean discrepancy with a Gaussian kernel, unbiased (Gretton et al., JMLR 13, 2012, eq. 3).

    :math:`\overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)}` over different rows, with
    :math:`k(u, v) = \exp(-\lVert u - v \rVert^2 / 2 \sigma^2)`. The bandwidth is the median distance of the rows *before*
    alignment (of the first 500 of each modality), so it is one for all aligners of a table: with one for each, orders flip.
    On the sample of at most 2,000 items. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the jackknife leaves out groups of items."""
        bandwidth = data.before.once("kernel bandwidth", lambda: _bandwidth(data.before.sample))
        sample, groups = data.sample, data.sample.groups
        text_groups = groups if data.captioned else np.full(len(sample.texts), -1)
        if min(len(groups), len(text_groups)) < 2:  # noqa: PLR2004
            raise NotMeasurable("it needs two rows of each modality")
        n_groups = int(groups.max()) + 1
        none = np.zeros((0, 2), dtype=np.int64)
        parts = [
            PairMeans(_kernel(sample, a, b, bandwidth), of_a, of_b, skip, n_groups).values
            for a, b, of_a, of_b, skip in (
                ("images", "images", groups, groups, PairMeans.diagonal(len(groups))),
                ("texts", "texts", text_groups, text_groups, PairMeans.diagonal(len(text_groups))),
                ("images", "texts", groups, text_groups, none),
            )
        ]
        values = parts[0] + parts[1] - 2 * parts[2]
        return Measurement(value=float(values[0]), n=len(groups), jackknife=jackknife_of(values))


def _bandwidth(sample: Sample) -> float:
    pooled = np.concatenate([sample.images[:BANDWIDTH_ROWS], sample.texts[:BANDWIDTH_ROWS]]).astype(np.float64)
    median = float(np.median(pdist(pooled)))
    if median <= 0:
        raise NotMeasurable("all rows are equal before alignment, so there is no bandwidth")
    return median


def _kernel(sample: Sample, left: str, right: str, bandwidth: float) -> Float64:
    squares = np.maximum(2 - 2 * sample.similarity(left, right).astype(np.float64), 0)
    kernel: Float64 = np.exp(-squares / (2 * bandwidth**2))
    return kernel
