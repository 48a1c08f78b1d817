"""Methods that look at all candidates together: a rule for each query, or a transport between banks and gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench_hubness.sums import BLOCK_SCORES, over_bank, potentials, soft_maximum

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64, Int64


class _OverGallery:
    """Scores of queries against a whole gallery; what depends on the gallery alone is kept while it is the same one."""

    def fit(self, data: FitData) -> Self:
        """Keep both banks."""
        self._images, self._texts = data.images, data.texts
        self._known: dict[str, tuple[Float32, tuple[Float64, Float64]]] = {}
        return self

    def scores(self, x: Float32, t: Float32) -> Float32:
        """``(N, M)`` scores of image queries."""
        return self._scores(x, t, "images")

    def text_scores(self, t: Float32, x: Float32) -> Float32:
        """``(M, N)`` scores of text queries."""
        return self._scores(t, x, "texts")

    def _scores(self, queries: Float32, gallery: Float32, kind: str) -> Float32:
        kept = self._known.get(kind)
        if kept is None or kept[0] is not gallery:
            banks = (self._images, self._texts) if kind == "images" else (self._texts, self._images)
            kept = (gallery, self._of_gallery(gallery, *banks))
            self._known[kind] = kept
        raw = queries.astype(np.float64) @ gallery.astype(np.float64).T
        return self._changed(raw, *kept[1]).astype(np.float32)

    def _of_gallery(self, gallery: Float32, queries: Float32, targets: Float32) -> tuple[Float64, Float64]:
        raise NotImplementedError

    def _changed(self, raw: Float64, bias: Float64, hub: Float64) -> Float64:
        raise NotImplementedError


class QueryBankNormalization(_OverGallery):
    r"""Dynamic inverted softmax: applied to the queries that fall for a hub, and to no other (QB-Norm).

    A candidate is a hub where some bank query has it among its first k. A query whose first candidate is a hub is scored by
    :math:`\exp(\beta s(q, r)) / \sum_b \exp(\beta s(b, r))`, in logarithms over :math:`\beta`; any other by s (Bogolin et
    al., CVPR 2022, section 3.3). Scores of different queries are on different scales: only the order within a query means
    anything. O(M N_bank d) for a gallery.

    Parameters
    ----------
    beta
        Inverse temperature.
    k
        Candidates of each bank query that count as hubs.
    """

    def __init__(self, *, beta: float = 20.0, k: int = 1) -> None:
        self.beta = beta
        self.k = k

    def _of_gallery(self, gallery: Float32, queries: Float32, targets: Float32) -> tuple[Float64, Float64]:
        del targets
        hub = np.zeros(len(gallery))
        size, k = max(1, BLOCK_SCORES // len(gallery)), min(self.k, len(gallery))
        for start in range(0, len(queries), size):
            scores = queries[start : start + size].astype(np.float64) @ gallery.astype(np.float64).T
            first: Int64 = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            hub[first.ravel()] = 1
        return over_bank(gallery, queries, lambda scores: soft_maximum(scores, 1 / self.beta)), hub

    def _changed(self, raw: Float64, bias: Float64, hub: Float64) -> Float64:
        falls = hub[raw.argmax(axis=1)] > 0
        return np.where(falls[:, None], raw - bias, raw)


class DualBankSinkhorn(_OverGallery):
    r"""Entropic transport from a bank of queries to the gallery *and* a bank of targets; its dual potential is the bias.

    Rows are the bank of queries, columns the candidates and the target bank behind them, marginals uniform, cost
    :math:`1 - s`: :math:`s'(q, r) = s(q, r) + g_r` with :math:`g = \tau \log v` of Sinkhorn's iterations, which end with the
    columns (Pan et al., ACM MM 2025, arXiv 2508.02538; after ``dbsn.py`` of the repository ppanzx/DBSN, not the paper). No
    query of the test split is read, but the gallery is balanced as a whole. O(M N_bank (d + iterations)) for a gallery, as
    many scores in memory.

    Parameters
    ----------
    tau
        Temperature.
    iterations
        Iterations of Sinkhorn's algorithm.
    bank
        Rows of each bank; drawn at random where there are more.
    """

    def __init__(self, *, tau: float = 0.01, iterations: int = 10, bank: int = 2_000) -> None:
        self.tau = tau
        self.iterations = iterations
        self.bank = bank

    def fit(self, data: FitData) -> Self:
        """Draw both banks."""
        super().fit(data)
        self._images, self._texts = (
            rows if len(rows) <= self.bank else rows[np.sort(data.rng.permutation(len(rows))[: self.bank])]
            for rows in (self._images, self._texts)
        )
        return self

    def _of_gallery(self, gallery: Float32, queries: Float32, targets: Float32) -> tuple[Float64, Float64]:
        columns = np.concatenate([gallery, targets]).astype(np.float64)
        _, g = potentials(queries.astype(np.float64) @ columns.T, self.tau, self.iterations)
        return g[: len(gallery)], np.zeros(0)

    def _changed(self, raw: Float64, bias: Float64, hub: Float64) -> Float64:
        del hub
        return raw + bias
