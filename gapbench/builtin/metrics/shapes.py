"""How the rows of one modality, or of both, lie in the space. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.distances import jackknife_of, recomputed, texts_of
from gapbench.builtin.metrics.gaps import with_jackknife
from gapbench.builtin.metrics.pairwise import PairMeans
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, ScoredSplit


class Cone:
    r"""Mean cosine of different rows of one modality, from sums: how narrow its cone is (Liang et al. 2022). O(N d).

    :math:`(\lVert \sum_i x_i \rVert^2 - N) / (N (N - 1))`: no pair is looked at.

    Parameters
    ----------
    side
        ``images`` or ``texts``.
    """

    def __init__(self, *, side: str) -> None:
        self.side = side

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sums = data.gap_sums()
        counts, totals = (
            (sums.image_count, sums.image_sum) if self.side == "images" else (sums.text_count, sums.text_sum)
        )
        if counts.sum() < 2:  # noqa: PLR2004
            raise NotMeasurable("it needs two rows")

        def value(n: Float64, total: Float64) -> Float64:
            return np.asarray((np.einsum("gd,gd->g", total, total) - n) / np.maximum(n * (n - 1), 1))

        return with_jackknife(sums, value, counts, totals)


class Uniformity:
    r"""Logarithm of the mean Gaussian potential of pairs of rows, <= 0 (Wang and Isola, ICML 2020, arXiv 2005.10242).

    :math:`\log \overline{\exp(-t \lVert u - v \rVert^2)}` with t = 2, over different rows of one modality, over all rows of
    both (``pooled``), or over images and texts that do not belong together (``cross``). Lower: more evenly spread; pooled,
    it mixes gap and spread, so none of them is called better. On the sample of at most 2,000 items. O(n^2 d).

    Parameters
    ----------
    over
        ``images``, ``texts``, ``pooled`` or ``cross``.
    """

    def __init__(self, *, over: str) -> None:
        self.over = over

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the jackknife leaves out groups of items."""
        sample, groups = data.sample, data.sample.groups
        paired = len(sample.texts) == len(groups)
        text_groups = groups if paired else np.full(len(sample.texts), -1)
        n_groups = int(groups.max()) + 1
        own = np.stack([np.arange(len(sample.own)), sample.own], axis=1)
        sides = {
            "images": [("images", "images", groups, groups, PairMeans.diagonal(len(groups)))],
            "texts": [("texts", "texts", text_groups, text_groups, PairMeans.diagonal(len(text_groups)))],
            "cross": [("images", "texts", groups, text_groups, own)],
        }
        if self.over == "pooled":
            matrix = np.block(
                [
                    [sample.similarity("images", "images"), sample.similarity("images", "texts")],
                    [sample.similarity("images", "texts").T, sample.similarity("texts", "texts")],
                ]
            )
            both = np.concatenate([groups, text_groups])
            means = PairMeans(_potential(matrix), both, both, PairMeans.diagonal(len(both)), n_groups).values
        else:
            ((a, b, of_a, of_b, skip),) = sides[self.over]
            if len(of_a) * len(of_b) <= len(skip):
                raise NotMeasurable("it needs two rows")
            means = PairMeans(_potential(sample.similarity(a, b)), of_a, of_b, skip, n_groups).values
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(means)
        return Measurement(value=float(values[0]), n=len(groups), jackknife=jackknife_of(values))


def _potential(cosines: Float32) -> Float64:
    potential: Float64 = np.exp(-2 * np.maximum(2 - 2 * cosines.astype(np.float64), 0))
    return potential


class EffectiveRank:
    r"""Effective number of dimensions of one modality, 1..min(n, d) (Roy and Vetterli 2007; RankMe, arXiv 2210.02885).

    :math:`\exp(-\sum_k p_k \log p_k)` with :math:`p_k = \sigma_k / \sum \sigma` of the *centred* rows' singular values (not
    their squares). On at most 1,000 items of the sample. O(n d min(n, d)), eleven times for the interval.

    Parameters
    ----------
    side
        ``images`` or ``texts``.
    """

    def __init__(self, *, side: str) -> None:
        self.side = side

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out ten groups of items in turn."""
        sample = data.sample

        def value(items: np.ndarray) -> float:
            rows = (sample.images[items] if self.side == "images" else texts_of(sample, items)).astype(np.float64)
            singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
            if len(rows) < 2 or singular[0] <= 1e-6 * np.sqrt(len(rows)):  # noqa: PLR2004
                raise NotMeasurable(f"the {self.side} are one point and have no dimensions")
            shares = singular[singular > 0] / singular.sum()
            return float(np.exp(-np.sum(shares * np.log(shares))))

        return recomputed(sample, value)


class GapConcentration:
    r"""Share of dimensions that the gap is spread over, :math:`(\sum_j D_j^2)^2 / (d \sum_j D_j^4)`, 1/d..1. O(N d).

    The participation ratio of the difference of means: 1 where all dimensions carry the same of it, 1/d where one carries
    all (after Schrodi et al. 2025, figure 4). It depends on the basis: a rotation of the space changes it.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sums = data.gap_sums()

        def value(n_x: Float64, x: Float64, n_y: Float64, y: Float64) -> Float64:
            squares = (x / n_x[:, None] - y / n_y[:, None]) ** 2
            fourth = np.sum(squares**2, axis=1)
            if not fourth.all():
                raise NotMeasurable("there is no gap to be spread over dimensions")
            return np.asarray(np.sum(squares, axis=1) ** 2 / (squares.shape[1] * fourth))

        return with_jackknife(sums, value, sums.image_count, sums.image_sum, sums.text_count, sums.text_sum)


class ClassFisher:
    r"""Spread between classes over spread within, :math:`\operatorname{tr} S_B / \operatorname{tr} S_W`, of the images.

    After Fisher's discriminant: both traces from class sums. O(N d); the interval leaves out ten groups of the sample.
    Sampled: at most 1,000 images.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        if not data.has_labels:
            raise NotMeasurable("the images have no classes")
        sample = data.sample
        labels = sample.labels
        assert labels is not None

        def value(items: np.ndarray) -> float:
            x, of = sample.images[items].astype(np.float64), labels[items]
            counts = np.bincount(of)
            sums = np.zeros((len(counts), x.shape[1]))
            np.add.at(sums, of, x)
            present = counts > 0
            means = sums[present] / counts[present, None]
            between = float(np.sum(counts[present, None] * (means - x.mean(axis=0)) ** 2))
            within = float(np.sum((x - (sums / np.maximum(counts, 1)[:, None])[of]) ** 2))
            if within <= 1e-9 * len(x):
                raise NotMeasurable("the images of each class are one point")
            return between / within

        return recomputed(sample, value)
