"""Gap metrics, all on unit rows. They are shown beside the task and never rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.builtin.metrics.left_out import with_jackknife
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, ScoredSplit

#: Rows of each modality that the linear classifier sees at most.
SEPARABILITY_ROWS = 2_000

#: The authors' lower bound of the distance of pairs.
RMG_CLAMP = 1e-3


class CentroidDistance:
    r"""Distance of the means of unit rows, :math:`\lVert \mu_x - \mu_y \rVert`, 0..2 (Liang et al. 2022). O(N d)."""

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sums = data.gap_sums()

        def value(n_x: Float64, x: Float64, n_y: Float64, y: Float64) -> Float64:
            return np.asarray(np.linalg.norm(x / n_x[:, None] - y / n_y[:, None], axis=1))

        return with_jackknife(sums, value, sums.image_count, sums.image_sum, sums.text_count, sums.text_sum)


class RelativeModalityGap:
    r"""Relative modality gap, the authors' definition (Schrodi et al., ICLR 2025; repository, ``compute_rmg``). O(N d).

    :math:`p = (1 - \bar c_{xy}) / 2` over pairs, at least 0.001; :math:`q` the mean of :math:`(1 - \bar c_{xx}) / 2` and
    :math:`(1 - \bar c_{yy}) / 2` over pairs of different items of one modality;
    :math:`\mathrm{RMG} = p / (p + q)`. The inner means come from sums:
    :math:`(\lVert \sum_i x_i \rVert^2 - N) / (N (N - 1))`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sums = data.gap_sums()

        def inner(n: Float64, total: Float64) -> Float64:
            return np.asarray((np.einsum("gd,gd->g", total, total) - n) / np.maximum(n * (n - 1), 1))

        def value(*parts: Float64) -> Float64:
            n_x, x, n_y, y, n_pairs, dots = parts
            between = np.maximum((1 - dots / n_pairs) / 2, RMG_CLAMP)
            within = ((1 - inner(n_x, x)) / 2 + (1 - inner(n_y, y)) / 2) / 2
            return np.asarray(between / (between + within))

        return with_jackknife(
            sums,
            value,
            sums.image_count,
            sums.image_sum,
            sums.text_count,
            sums.text_sum,
            sums.pair_count,
            sums.pair_dot,
        )


class PairedCosine:
    r"""Mean cosine of pairs, :math:`\frac1P \sum x_i \cdot y_i`. O(N d). An image with its captions is one item."""

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        parts = [np.einsum("ij,ij->i", x, y, dtype=np.float64) for x, y in data.pair_rows()]
        cosines = np.concatenate(parts)
        return mean_by_item(cosines, data.owner if data.captioned else np.arange(len(cosines)))


class LinearSeparability:
    """Held-out accuracy of a logistic regression that tells images from texts (after Fahim et al. 2024).

    The modalities are balanced, at most 2,000 rows each, the first of the cell's sample; half is fitted on, the other half
    scored. Captions go with their images, one each, so that no item is on both sides. Standardised on the fitted half,
    C = 1. 0.5: cannot be told apart; 1: a plane parts them. With class prompts there are as few rows of each modality as
    there are prompts: read the interval.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        sample = data.sample
        n = min(len(sample.images), len(sample.texts), SEPARABILITY_ROWS)
        if n < 4:  # noqa: PLR2004 - two rows a side to fit on, two to score
            raise NotMeasurable(f"it needs four rows of each modality; there are {n}")
        return self._held_out(sample.images[:n], sample.texts[:n], np.arange(n // 2), np.arange(n // 2, n))

    @staticmethod
    def _held_out(images: Float32, texts: Float32, fit: np.ndarray, score: np.ndarray) -> Measurement:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        x = np.concatenate([images[fit], texts[fit]]).astype(np.float64)
        spread = x.std(axis=0)
        spread[spread < 1e-12] = 1  # noqa: PLR2004 - a constant dimension tells nothing and must not divide by zero
        mean, sides = x.mean(axis=0), np.repeat([0, 1], len(fit))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the accuracy, not the weights, is what counts
            model = LogisticRegression(C=1.0, max_iter=200).fit((x - mean) / spread, sides)
        held = np.concatenate([images[score], texts[score]])
        hits = model.predict((held - mean) / spread) == np.repeat([0, 1], len(score))
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)
