"""Sums over a bank of rows, in blocks: never more than `BLOCK_SCORES` scores at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.components import Float32, Float64

BLOCK_SCORES = 4_000_000


def over_bank(candidates: Float32, bank: Float32, reduce: Callable[[Float64], Float64]) -> Float64:
    """``(m,)`` for each candidate what ``reduce`` makes of its inner products ``(block, n)`` with the bank."""
    size = max(1, BLOCK_SCORES // len(bank))
    wide = bank.astype(np.float64).T
    parts = [
        reduce(candidates[start : start + size].astype(np.float64) @ wide) for start in range(0, len(candidates), size)
    ]
    return np.concatenate(parts)


def mean_of_highest(scores: Float64, k: int) -> Float64:
    """``(n,)`` mean of the k highest scores of each row; of all where there are fewer."""
    k = min(k, scores.shape[1])
    highest: Float64 = np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1)
    return highest


def soft_maximum(scores: Float64, temperature: float) -> Float64:
    r"""``(n,)`` :math:`\tau \log \sum_j \exp(s_j / \tau)` of each row, without overflow."""
    maximum: Float64 = temperature * logsumexp(scores / temperature, axis=1)
    return maximum


def potentials(scores: Float64, temperature: float, iterations: int) -> tuple[Float64, Float64]:
    r"""Dual potentials ``(n,)`` and ``(m,)`` of entropic transport with uniform marginals and cost :math:`1 - s`.

    Sinkhorn's iterations in the log domain: :math:`f_i = -\tau \log \sum_j \exp((s_{ij} + g_j)/\tau) - \tau \log n`, and
    likewise :math:`g_j`; f first, so that the columns' marginals hold at the end (Cuturi, NeurIPS 2013; Peyre and Cuturi
    2019, section 4.4). Constants that every candidate shares are left out of the cost.
    """
    n, m = scores.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(iterations):
        f = -soft_maximum(scores + g, temperature) - temperature * np.log(n)
        g = -soft_maximum((scores + f[:, None]).T, temperature) - temperature * np.log(m)
    return f, g
