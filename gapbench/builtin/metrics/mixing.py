"""Do images and texts lie among each other? Neighbourhoods of both modalities, in which both weigh the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.left_out import FEW_GROUPS, jackknife_of, left_out
from gapbench.components import Measurement
from gapbench.embeddings.arrays import blocks
from gapbench.errors import NotMeasurable
from gapbench.retrieval import top_columns

if TYPE_CHECKING:
    from gapbench.components import Bools, Float32, Float64, Int64, ScoredSplit

#: What the neighbours of a row weigh together.
K = 10

#: Cosines that differ by no more are equal: rows are float32.
ROUNDING = 1e-6

#: Images that are looked at beside class texts: where these are few, a neighbourhood holds a large part of all images.
IMAGES = 500

#: Rows whose neighbours are looked for at once.
ROWS = 500


class ModalityMixing:
    r"""Share of neighbours of the other modality among the ten nearest, over its share by chance: 0 never, 1 mixed.

    Both modalities weigh the same: of n images and m texts, the fewer of them s, an image weighs :math:`s / n` and a text
    :math:`s / m`, and a neighbourhood is the nearest rows that weigh ten together (where there are few, all but the row
    itself). Rows as near as the last of them, up to rounding, count in part, each with the same share of its weight. By
    chance the share is :math:`s / (2 s - w)` for a row of weight w. The mean over images and that over texts count the same.

    In the spirit of iLISI, by which single-cell biology asks the same of its batches (Korsunsky et al., Nature Methods 16,
    2019). The text of an image counts as a neighbour like any other. On the sample of at most 2,000 items with captions, of
    500 with class texts. O((n + m)^2 d), with class texts O(25 (n + m)^2) for the interval.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; the interval leaves out groups of images, with their captions where they have any."""
        sample = data.sample
        m = len(sample.texts)
        n = len(sample.images) if data.captioned else min(len(sample.images), IMAGES)
        if min(n, m) < 3:  # noqa: PLR2004
            raise NotMeasurable(f"it needs three rows of each modality; there are {min(n, m)}")
        between = sample.similarity("images", "texts")[:n]
        within = sample.similarity("images", "images")[:n, :n], sample.similarity("texts", "texts")
        cosines = np.block([[within[0], between], [between.T, within[1]]])
        np.fill_diagonal(cosines, -np.inf)
        of_image = sample.groups[:n] % FEW_GROUPS
        groups = np.concatenate([of_image, of_image if data.captioned else np.full(m, -1)])
        shares = Shares(np.arange(n + m) >= n, groups)
        found = np.concatenate([shares.of(cosines[block], block) for block in blocks(n + m, ROWS)], axis=1)
        values = np.array([shares.mean(*each) for each in zip(found, shares.turns, strict=True)])
        return Measurement(value=float(values[0]), n=n, jackknife=jackknife_of(values))


class Shares:
    """Shares of the other modality in neighbourhoods, with all rows and without each group of them.

    Parameters
    ----------
    is_text
        ``(R,)`` side of each row.
    groups
        ``(R,)`` group of each row; -1 where it is never left out.
    """

    def __init__(self, is_text: Bools, groups: Int64) -> None:
        self._is_text = is_text
        self.turns = [np.ones(len(groups), dtype=bool), *(groups != group for group in left_out(groups))]
        self._weights = [self._weigh(kept) for kept in self.turns]
        self._wanted = min(K, 2 * self._fewer(self.turns[0]) - 1)
        lost = max(float(self._weights[0][~kept].sum()) for kept in self.turns)
        self._list = min(len(groups) - 1, int(np.ceil((self._wanted + lost) / self._weights[0].min())) + 1)

    def _fewer(self, kept: Bools) -> int:
        texts = int(np.count_nonzero(self._is_text & kept))
        return min(texts, int(np.count_nonzero(kept)) - texts)

    def _weigh(self, kept: Bools) -> Float64:
        """``(R,)`` weight of each row that is kept: both sides weigh as much as the smaller one has rows."""
        texts = np.count_nonzero(self._is_text & kept)
        return np.where(self._is_text, 1 / texts, 1 / (np.count_nonzero(kept) - texts)) * self._fewer(kept) * kept

    def of(self, cosines: Float32, rows: slice) -> Float64:
        """``(1 + G, r)`` shares of some rows, from their cosines ``(r, R)`` with all; with themselves minus infinity."""
        near = top_columns(cosines, self._list)
        near_cosines, other = np.take_along_axis(cosines, near, 1), self._is_text[rows, None] != self._is_text[near]
        edge = self._edge(near_cosines, self._weights[0][near])
        if (near_cosines[:, -1:] >= edge - ROUNDING).any() and self._list < cosines.shape[1] - 1:
            # Equal rows go beyond the list. They share a neighbourhood whoever of them is left out.
            every = np.broadcast_to(self._weights[0], cosines.shape)
            whole = self._share(cosines, every, self._is_text[rows, None] != self._is_text, edge)
            return np.tile(whole, (len(self.turns), 1))
        weights = (each[near] for each in self._weights)
        return np.array([self._share(near_cosines, w, other, self._edge(near_cosines, w)) for w in weights])

    def _edge(self, cosines: Float32, weights: Float64) -> Float32:
        """``(r, 1)`` cosine of the row that completes each neighbourhood; ``cosines`` descend."""
        last = (np.cumsum(weights, axis=1) < self._wanted - ROUNDING).sum(axis=1, keepdims=True)
        return np.take_along_axis(cosines, np.minimum(last, cosines.shape[1] - 1), 1)

    def _share(self, cosines: Float32, weights: Float64, other: Bools, edge: Float32) -> Float64:
        nearer, level = (weights * part for part in (cosines > edge + ROUNDING, np.abs(cosines - edge) <= ROUNDING))
        room = self._wanted - nearer.sum(axis=1)
        share: Float64 = (nearer * other).sum(axis=1) + room * (level * other).sum(axis=1) / level.sum(axis=1)
        return share / self._wanted

    def mean(self, shares: Float64, kept: Bools) -> float:
        """Mean of the shares ``(R,)`` over those by chance, of both sides alike, of the rows that are kept."""
        fewer = self._fewer(kept)
        ratios = shares * (2 * fewer - self._weigh(kept)) / fewer
        return float(ratios[kept & self._is_text].mean() + ratios[kept & ~self._is_text].mean()) / 2
