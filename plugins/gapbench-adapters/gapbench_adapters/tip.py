"""Few-shot images as a cache of answers beside the zero-shot score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench_adapters.rows import blocks, nearest

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32

#: Images that are cached at most, over all classes.
MAX_KEYS = 20_000


class TipAdapter:
    r"""Add the votes of similar labelled images to the zero-shot score.

    :math:`s'(x, t_c) = x \cdot t_c + \tfrac{\alpha}{100} \sum_{k \in c} e^{-\beta (1 - x \cdot k)}`. The keys k of class c
    are labelled images of the fit split (Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot
    Classification, ECCV 2022; the paper adds the sum to 100 times the cosine, hence the division). The
    sum grows with the shots, and a class without images has none. A text row stands for the class whose text it is nearest
    to. Supervised. Fit O(N d), O(keys d) a row.

    Parameters
    ----------
    shots
        Images cached a class, drawn without replacement; 0 takes all, up to `MAX_KEYS` over all classes.
    alpha
        Weight of the cache.
    beta
        Sharpness: how fast the say of a key falls with its distance.
    """

    def __init__(self, *, shots: int = 16, alpha: float = 1.0, beta: float = 5.5) -> None:
        self.shots = shots
        self.alpha = alpha
        self.beta = beta

    def fit(self, data: FitData) -> Self:
        """Draw the keys, class by class."""
        labels, self._class_texts = data.labels, data.class_texts
        share = max(1, MAX_KEYS // len(self._class_texts))
        limit = min(self.shots, share) if self.shots else share
        self._present, counts = np.unique(labels, return_counts=True)
        members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
        drawn = [
            np.sort(data.rng.choice(rows, limit, replace=False)) if len(rows) > limit else rows for rows in members
        ]
        self._keys = data.images[np.concatenate(drawn)]
        self._starts = np.cumsum([0, *map(len, drawn[:-1])])
        return self

    def scores(self, x: Float32, t: Float32) -> Float32:
        """``(N, M)`` scores."""
        owner = nearest(t, self._class_texts)
        out = np.empty((len(x), len(t)), dtype=np.float32)
        for block in blocks(len(x), len(self._keys) + len(self._class_texts) + len(t)):
            rows = x[block]
            affinity = np.exp(np.float32(self.beta) * (rows @ self._keys.T - 1))
            votes = np.zeros((len(rows), len(self._class_texts)))
            votes[:, self._present] = np.add.reduceat(affinity, self._starts, axis=1, dtype=np.float64)
            out[block] = rows @ t.T + self.alpha / 100 * votes[:, owner]
        return out

    def notes(self) -> dict[str, Any]:
        """Say how much is cached."""
        return {"keys": len(self._keys), "classes_with_keys": len(self._present)}
