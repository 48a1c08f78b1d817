"""Biases of a candidate from a bank of queries of the fit split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench_hubness.sums import mean_of_highest, over_bank, soft_maximum

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64


class _FromBanks:
    """Image rows are the queries of texts, text rows those of images."""

    def fit(self, data: FitData) -> Self:
        """Keep both banks."""
        self._images, self._texts = data.images, data.texts
        return self

    def text_bias(self, t: Float32) -> Float32:
        """``(M,)`` what is added to the score of each text."""
        return self._bias(t, self._images).astype(np.float32)

    def image_bias(self, x: Float32) -> Float32:
        """``(N,)`` what is added to the score of each image."""
        return self._bias(x, self._texts).astype(np.float32)

    def _bias(self, candidates: Float32, bank: Float32) -> Float64:
        raise NotImplementedError


class NearestNeighborNormalization(_FromBanks):
    r"""Subtract a candidate's mean score with its k nearest bank queries (NNN).

    :math:`s'(q, r) = s(q, r) - \alpha \frac1k \sum_{b \in \mathrm{top}_k(r)} s(b, r)` (Chowdhury et al., EMNLP 2024, eq. 1).
    With all queries of the bank and :math:`\alpha = \lambda` it ranks as `dn` does. O(M N_bank d) once.

    Parameters
    ----------
    k
        Number of bank queries; all where the bank has fewer.
    alpha
        Weight of the bias.
    """

    def __init__(self, *, k: int = 128, alpha: float = 0.75) -> None:
        self.k = k
        self.alpha = alpha

    def _bias(self, candidates: Float32, bank: Float32) -> Float64:
        return -self.alpha * over_bank(candidates, bank, lambda scores: mean_of_highest(scores, self.k))


class InvertedSoftmax(_FromBanks):
    r"""Divide by a candidate's soft count over the bank.

    :math:`s'(q, r) \propto \exp(\beta s(q, r)) / \sum_b \exp(\beta s(b, r))` (Smith et al., ICLR 2017, eq. 5), as the bias
    :math:`-\frac1\beta \log \sum_b \exp(\beta s(b, r))`, which ranks the same and cannot overflow. O(M N_bank d) once.

    Parameters
    ----------
    beta
        Inverse temperature.
    """

    def __init__(self, *, beta: float = 20.0) -> None:
        self.beta = beta

    def _bias(self, candidates: Float32, bank: Float32) -> Float64:
        return -over_bank(candidates, bank, lambda scores: soft_maximum(scores, 1 / self.beta))
