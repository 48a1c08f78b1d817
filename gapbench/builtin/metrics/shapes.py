"""How the rows of one modality, or of both, lie in the space. All on unit rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.left_out import DECOMPOSED, few_groups, jackknife_of, scatters, with_jackknife
from gapbench.builtin.metrics.pairwise import PairMeans
from gapbench.components import Measurement
from gapbench.embeddings.arrays import unit_rows
from gapbench.embeddings.moments import add_grouped
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, Int64, ScoredSplit

#: Root of the mean squared distance to a mean below which rows are one point: they are float32.
ONE_POINT = 1e-6

#: Singular values below this share of the largest one are rounding.
ROUNDING = 1e-6


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
        text_groups = groups if data.captioned else np.full(len(sample.texts), -1)
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
    their squares); those below a millionth of the largest one are rounding. On the first 1,000 items of the sample; class
    texts are all taken, belong to no item, and give no interval. O(n d min(n, d)) with min(n, d)^3 once more for each of 25
    groups left out.

    Parameters
    ----------
    side
        ``images`` or ``texts``.
    """

    def __init__(self, *, side: str) -> None:
        self.side = side

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of items in turn."""
        sample = data.sample
        groups, n = few_groups(sample), min(len(sample.images), DECOMPOSED)
        if self.side == "images":
            rows = sample.images[:n]
        elif data.captioned:
            rows = sample.texts[:n]
        else:
            rows, groups = sample.texts, np.full(len(sample.texts), -1)  # no group is ever left out
        squares = [np.linalg.eigvalsh(scatter) for scatter in scatters(rows.astype(np.float64), groups)]
        if squares[0][-1] <= ONE_POINT**2 * len(rows):
            raise NotMeasurable(f"the {self.side} are one point and have no dimensions")
        values = np.array([_entropy_rank(np.sqrt(np.maximum(each, 0))) for each in squares])
        return Measurement(value=float(values[0]), n=len(rows), jackknife=jackknife_of(values))


def _entropy_rank(singular: Float64) -> float:
    """Exponential of the entropy of singular values in ascending order; 1 where there is none."""
    kept = singular[singular > ROUNDING * singular[-1]]
    shares = kept / kept.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


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

    After Fisher's discriminant, on all images: with :math:`t_i` the squared distance of image i to the mean of all and
    :math:`w_i` that to the mean of its class, of size :math:`n_i`, it is :math:`T / W - 1` with the sums T and W. The
    jackknife leaves out each image in turn: T then loses :math:`\frac{n}{n - 1} t_i` and W loses
    :math:`\frac{n_i}{n_i - 1} w_i`. Chance adds about :math:`(C - 1) / (n - C)` of C classes; with fewer than two images a
    class there is nothing within classes to speak of, and it is not measured. Two passes, O(n d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        if not data.has_labels:
            raise NotMeasurable("the images have no classes")
        labels = data.labels
        counts, n = np.bincount(labels), len(labels)
        classes = np.count_nonzero(counts)
        if n < 2 * classes:
            raise NotMeasurable(
                f"{n} images of {classes} classes are fewer than two a class, and have no spread within"
            )
        total, within = _squared_distances(data, counts)
        if within.sum() <= ONE_POINT**2 * n:
            raise NotMeasurable("the images of each class are one point")
        own = counts[labels]
        rest_total = total.sum() - total * n / (n - 1)
        rest_within = within.sum() - within * own / np.maximum(own - 1, 1)
        values = np.concatenate(
            [[total.sum() / within.sum()], rest_total / np.maximum(rest_within, np.finfo(float).tiny)]
        )
        return Measurement(value=float(values[0] - 1), n=n, jackknife=jackknife_of(values - 1))


def _squared_distances(data: ScoredSplit, counts: Int64) -> tuple[Float64, Float64]:
    """Squared distances ``(N,)`` of unit rows of images to their mean, and to the mean of their class."""
    labels, sums = data.labels, np.zeros((len(counts), data.texts.shape[1]))
    for block, rows in data.image_blocks():
        add_grouped(sums, labels[block], unit_rows(rows))
    mean, means = sums.sum(axis=0) / len(labels), sums / np.maximum(counts, 1)[:, None]
    parts = []
    for block, rows in data.image_blocks():
        x = unit_rows(rows).astype(np.float64)
        parts.append([np.sum((x - middle) ** 2, axis=1) for middle in (mean, means[labels[block]])])
    total, within = np.concatenate(parts, axis=1)
    return total, within
