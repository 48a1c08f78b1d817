"""How far class scores can be trusted: calibration error after one re-fitted temperature, and the margin."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement
from gapbench.embeddings.arrays import blocks
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, Int64, ScoredSplit

#: Images that are looked at, at most; the same ones for all aligners.
IMAGES = 5_000

#: Scores (images times classes, or images times prompts) that are held at once; above 1,000 classes, fewer images.
SCORES = 5_000_000

BINS = 15


def _drawn_scores(data: ScoredSplit) -> tuple[Float32, Int64, Int64]:
    """``(n, C)`` class scores of the drawn images, their classes and their groups; shared by the metrics of a cell."""
    found: tuple[Float32, Int64, Int64] = data.once("calibration.scores", partial(_draw, data))
    return found


def _draw(data: ScoredSplit) -> tuple[Float32, Int64, Int64]:
    classes = len(data.classes)
    if classes < 2:  # noqa: PLR2004
        raise NotMeasurable("it needs two classes; there is one")
    most = min(IMAGES, max(2, SCORES // classes))
    rows = data.order[:most]
    size = max(1, SCORES // len(data.texts))
    scores = np.concatenate([data.class_scores(rows[block]) for block in blocks(len(rows), size)])
    return scores, data.labels[rows], data.groups[rows]


class CalibrationError:
    r"""Expected calibration error after one re-fitted temperature: how far confidence is from accuracy, 0..1.

    Probabilities are :math:`p = \mathrm{softmax}(s / T)` over the class scores s of an image; its confidence is
    :math:`\max p`. With 15 bins of equal width :math:`B_m = ((m - 1) / 15, m / 15]` of confidence,
    :math:`\mathrm{ECE} = \sum_m \frac{|B_m|}{n} \lvert \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \rvert` (Guo et al., On
    Calibration of Modern Neural Networks, ICML 2017, equation 3).

    Maps change the scale of cosines, so a fixed temperature would compare scales. T is re-fitted here, one scalar a
    cell, and cross-fitted: what minimises the negative log-likelihood on one half of the images is used on the other,
    and the other way round, so that no image judges its own temperature.

    It is biased upwards by what is left to chance in each bin: true probabilities give about 0.02 at 5,000 images, and
    more of fewer, as 1 over the root of their number. Compare it on one number of images. A guess that knows its odds is
    calibrated too: read it beside top1.

    At most 5,000 images (fewer above 1,000 classes, so that there are at most 5 million scores), drawn by what they are. The
    interval comes from the sums of the bins with one of 100 groups of images left out, at the same temperatures; near 0
    it is too wide rather than too narrow. O(n C d) for the scores and O(n C) for each of about ten steps to a temperature.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        scores, labels, groups = _drawn_scores(data)
        n = len(labels)
        if n < 2:  # noqa: PLR2004
            raise NotMeasurable("it needs two images, one to find a temperature on and one to judge it; there is one")
        half, confidence = np.arange(n) % 2, np.empty(n)
        for side in (0, 1):
            beta = inverse_temperature(scores[half != side], labels[half != side])
            confidence[half == side] = _confidence(scores[half == side], beta)
        hits = scores.argmax(axis=1) == labels
        sums = _bin_sums(confidence, hits, groups)
        total = sums.sum(axis=1, keepdims=True)
        jackknife = _error(total - sums) if sums.shape[1] > 2 else None  # noqa: PLR2004
        return Measurement(value=float(_error(total)[0]), n=n, jackknife=jackknife)


def inverse_temperature(scores: Float32, labels: Int64) -> float:
    r"""Give the :math:`\beta = 1 / T` that minimises :math:`\sum_i \log \sum_c e^{\beta s_{ic}} - \beta s_{i y_i}`.

    The sum is convex in beta, so the zero of its slope :math:`\sum_i \mathrm{E}_{p_i}[s_i] - s_{i y_i}` is the minimum.
    Where scores say less than nothing, or every image is right, there is none: beta ends at a thousandth, or at ten
    thousand, over the mean distance of scores to the best score of their image. Where all scores are alike it is 1.
    """
    from scipy.optimize import brentq

    moved = _below_best(scores)
    own = float(moved[np.arange(len(labels)), labels].mean())
    spread = -float(moved.mean())
    if spread == 0:
        return 1.0

    def slope(log_beta: float) -> float:
        weights = np.exp(np.exp(log_beta) * moved)
        expected = np.einsum("ij,ij->i", weights, moved) / weights.sum(axis=1)
        return float(expected.mean()) - own

    low, high = float(np.log(1e-3 / spread)), float(np.log(1e4 / spread))
    if slope(low) >= 0:
        return float(np.exp(low))
    if slope(high) <= 0:
        return float(np.exp(high))
    return float(np.exp(brentq(slope, low, high, xtol=1e-9)))


def _below_best(scores: Float32) -> Float64:
    wide = scores.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return wide


def _confidence(scores: Float32, beta: float) -> Float64:
    """Probability of the best class: one over the sum, since its own exponent is 0."""
    confidence: Float64 = 1 / np.exp(beta * _below_best(scores)).sum(axis=1)
    return confidence


def _bin_sums(confidence: Float64, hits: np.ndarray, groups: Int64) -> Float64:
    """``(3, G, BINS)`` numbers of images, sums of confidence and numbers of right images."""
    cells = groups * BINS + np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    size = (int(groups.max()) + 1) * BINS
    weights = (np.ones(len(cells)), confidence, hits)
    return np.stack([np.asarray(np.bincount(cells, each, size), np.float64) for each in weights]).reshape(3, -1, BINS)


def _error(sums: Float64) -> Float64:
    """``(G,)`` calibration errors from sums ``(3, G, BINS)``."""
    count, confidence, hits = sums
    error: Float64 = np.abs(hits - confidence).sum(axis=1) / count.sum(axis=1)
    return error


class Margin:
    r"""Mean over images of the score of the right class minus that of the best other one.

    :math:`\frac1n \sum_i \big( s_{i y_i} - \max_{c \ne y_i} s_{ic} \big)`, in the unit of the scores (cosines for
    most aligners). It grows with their scale: a map that stretches differences of scores raises it without a change of
    order. Read it beside top1. At most 5,000 images, those of the calibration error. O(n C d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        scores, labels, _ = _drawn_scores(data)
        rows = np.arange(len(labels))
        own = scores[rows, labels].astype(np.float64)
        others = scores.copy()
        others[rows, labels] = -np.inf
        margins = own - others.max(axis=1)
        return Measurement(value=float(margins.mean()), n=len(margins), outcomes=margins)
