"""Distances between the modalities: of their means, of pairs, of their distributions. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist

from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.builtin.metrics.gaps import with_jackknife
from gapbench.builtin.metrics.pairwise import PairMeans
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.components import Float32, Float64, Int64, Sample, ScoredSplit

#: Rows of each modality whose pairwise distances give the bandwidth of the kernel.
BANDWIDTH_ROWS = 500

#: Rows of each modality in what needs a decomposition for each interval.
DECOMPOSED = 1_000

#: Groups of items for the jackknife of what is recomputed without each.
FEW_GROUPS = 10


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
    On at most 1,000 items of the sample (its first rows in a fixed order). Biased upwards where there are not many more
    items than dimensions: compare only what rests on the same n. O(n d^2 + d^3), eleven times for the interval.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out ten groups of items in turn."""
        sample = data.sample
        return recomputed(sample, lambda items: self._value(sample, items))

    @staticmethod
    def _value(sample: Sample, items: Int64) -> float:
        x, y = sample.images[items].astype(np.float64), texts_of(sample, items).astype(np.float64)
        if min(len(x), len(y)) < 2:  # noqa: PLR2004
            raise NotMeasurable("a covariance needs two rows of each modality")
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        # The trace of the root of a product is the sum of singular values of the product of the centred rows.
        x, y = (x - x_mean) / np.sqrt(len(x)), (y - y_mean) / np.sqrt(len(y))
        cross = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
        return float(np.sum((x_mean - y_mean) ** 2) + np.sum(x**2) + np.sum(y**2) - 2 * cross)


class MaximumMeanDiscrepancy:
    r"""Squared maximum mean discrepancy with a Gaussian kernel, unbiased (Gretton et al., JMLR 13, 2012, eq. 3).

    :math:`\overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)}` over different rows, with
    :math:`k(u, v) = \exp(-\lVert u - v \rVert^2 / 2 \sigma^2)`. The bandwidth is the median distance of the rows *before*
    alignment, so it is one for all aligners of a table: with one for each, orders flip. On the sample of at most 2,000
    items. O(n^2 d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the jackknife leaves out groups of items."""
        bandwidth = data.before.once("kernel bandwidth", lambda: _bandwidth(data.before.sample))
        sample, groups = data.sample, data.sample.groups
        text_groups = groups if len(sample.texts) == len(groups) else np.full(len(sample.texts), -1)
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


def texts_of(sample: Sample, items: Int64) -> Float32:
    """Rows of the texts of some items; class texts belong to no item and are all taken."""
    paired = len(sample.texts) == len(sample.index) and bool((sample.own == np.arange(len(sample.own))).all())
    rows: Float32 = sample.texts[items] if paired else sample.texts
    return rows


def jackknife_of(values: Float64) -> Float64 | None:
    """Give the values with a group left out, where they can be used."""
    rest = values[1:]
    return rest if len(rest) > 2 and np.isfinite(rest).all() else None  # noqa: PLR2004


def recomputed(sample: Sample, value: Callable[[Int64], float]) -> Measurement:
    """Measure on at most `DECOMPOSED` items, and again without each of ten groups of them."""
    items = np.arange(min(len(sample.index), DECOMPOSED))
    groups = np.random.default_rng(2).permutation(len(items)) % FEW_GROUPS
    whole = float(value(items))
    jackknife = None
    if len(items) >= 2 * FEW_GROUPS:
        jackknife = np.array([value(items[groups != group]) for group in range(FEW_GROUPS)])
    return Measurement(value=whole, n=len(items), jackknife=jackknife)
