"""Methods that read the unlabelled test items, and are ranked apart for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.errors import DataError
from gapbench_hubness.sums import mean_of_highest, over_bank, potentials, soft_maximum

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32

#: Scores of the test split that Sinkhorn's iterations hold in memory at most (float64: 1.6 GB).
MOST_SCORES = 200_000_000


class CrossDomainLocalScaling:
    r"""Subtract how near a candidate is to the other side in general (CSLS).

    :math:`2 s(q, r) - r_k(q) - r_k(r)` with :math:`r_k` the mean of the k highest scores with the other side's test rows
    (Conneau et al., ICLR 2018, eq. 3). The query's own term changes no order, so half of the candidate's is the bias.
    O(N M d).

    Parameters
    ----------
    k
        Neighbours; all where there are fewer.
    """

    def __init__(self, *, k: int = 10) -> None:
        self.k = k

    def fit(self, data: FitData) -> Self:
        """Keep the test rows of both sides."""
        self._images, self._texts = data.test_images, data.test_texts
        return self

    def text_bias(self, t: Float32) -> Float32:
        """``(M,)`` what is added to the score of each text."""
        return self._bias(t, self._images)

    def image_bias(self, x: Float32) -> Float32:
        """``(N,)`` what is added to the score of each image."""
        return self._bias(x, self._texts)

    def _bias(self, candidates: Float32, others: Float32) -> Float32:
        near = over_bank(candidates, others, lambda scores: mean_of_highest(scores, self.k))
        return (-near / 2).astype(np.float32)


class SinkhornNormalization:
    r"""Rank by the entropic transport plan between the test images and the test texts.

    With uniform marginals, cost :math:`1 - s` and temperature :math:`\tau`; of the plan
    :math:`\exp((s_{ij} + f_i + g_j) / \tau)` a query's order depends on the candidate's potential alone, which is its bias
    (Pan et al., ACM MM 2025, arXiv 2508.02538; ``dbsn.py`` of the repository ppanzx/DBSN). In each direction the iterations
    begin with the queries and end with the candidates. For rows in general
    :math:`g(t) = -\tau \log \sum_i \exp((s(x_i, t) + f_i) / \tau)`. Uniform marginals say that every text belongs to as
    many images as any other: on one-to-one benchmarks that is the answer's structure given away.
    O(N M (d + iterations)), as many scores in memory.

    Parameters
    ----------
    tau
        Temperature.
    iterations
        Iterations of Sinkhorn's algorithm.
    """

    def __init__(self, *, tau: float = 0.01, iterations: int = 10) -> None:
        self.tau = tau
        self.iterations = iterations

    def fit(self, data: FitData) -> Self:
        """Find the potentials of the test rows."""
        self._images, self._texts = data.test_images, data.test_texts
        if len(self._images) * len(self._texts) > MOST_SCORES:
            raise DataError(
                f"sinkhorn-norm holds all {len(self._images)} x {len(self._texts)} test scores in memory, more than "
                f"{MOST_SCORES:,}. Use nnn or dbsn, whose memory does not grow with the test split."
            )
        scores = self._images.astype(np.float64) @ self._texts.astype(np.float64).T
        self._of_images, _ = potentials(scores, self.tau, self.iterations)
        self._of_texts, _ = potentials(scores.T, self.tau, self.iterations)
        return self

    def text_bias(self, t: Float32) -> Float32:
        """``(M,)`` potential of each text."""
        bias = over_bank(t, self._images, lambda scores: soft_maximum(scores + self._of_images, self.tau))
        return (-bias).astype(np.float32)

    def image_bias(self, x: Float32) -> Float32:
        """``(N,)`` potential of each image."""
        bias = over_bank(x, self._texts, lambda scores: soft_maximum(scores + self._of_texts, self.tau))
        return (-bias).astype(np.float32)
