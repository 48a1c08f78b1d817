"""Orthogonal Procrustes: the rotation that brings one side of the pairs closest to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.components import Aligner
from gapbench.embeddings.arrays import blocks, unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64

#: Singular values below this share of the largest one are rounding.
RANK_TOLERANCE = 1e-6

#: Keeps the weight of a pair that fits exactly finite, as in the reference.
ROBUST_FLOOR = 1e-3


class Procrustes(Aligner):
    r"""Map one side onto the other by an orthogonal matrix.

    :math:`U S V^\top = \mathrm{svd}(X^\top Y + \rho N I)`, :math:`R = U V^\top`, :math:`x' = xR` (Schonemann 1966).
    With class prompts for texts the rank of :math:`X^\top Y` is at most the number of classes: the pairs decide the map
    on that subspace alone, and rounding would decide the rest. ``tie_break="identity"`` completes it by the orthogonal
    matrix nearest to the identity, :math:`R = U_1 V_1^\top + U_0 Q V_0^\top` with :math:`Q` the polar factor of
    :math:`U_0^\top V_0`: the limit of a vanishing pull :math:`\rho \to 0`. With ``rank`` only the k leading directions
    are mapped, :math:`R = U_k V_k^\top`. The robust variant repeats the fit with pairs that are badly off weighing less
    (iteratively reweighted least squares: weight :math:`1 / (\lVert y - xR \rVert + 10^{-3})`, divided by its largest;
    Paischer et al. 2023, repository, ``benchmark_mappings.py``). Cost O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    center
        Subtract each side's mean, before the fit and from what is mapped, on both sides. (Adding the target's mean to
        both again would bring back a common mean, which costs retrieval far more than the map itself.)
    scale
        Multiply by :math:`s = \mathrm{tr}(R^\top X^\top Y) / \lVert X \rVert_F^2`, the least-squares factor.
    side
        The side that is mapped; the other is the target.
    pull
        :math:`\rho`, weight of a pull towards the identity, per pair.
    rank
        Number of leading directions that are mapped; 0: all.
    rounds
        Rounds of the robust variant; 0: plain least squares, from moments alone.
    tie_break
        ``identity``, or ``none`` for whatever basis the SVD routine returns.
    renormalise
        Whether to normalise what was changed. Without centring, rows keep their norms (up to the factor) anyway.
    """

    def __init__(
        self,
        *,
        center: bool = False,
        scale: bool = False,
        side: str = "images",
        pull: float = 0.0,
        rank: int = 0,
        rounds: int = 0,
        tie_break: str = "identity",
        renormalise: bool = False,
    ) -> None:
        self.center = center
        self.scale = scale
        self.side = side
        self.pull = pull
        self.rank = rank
        self.rounds = rounds
        self.tie_break = tie_break
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Solve from the moments of the pairs; the robust rounds read the pairs themselves."""
        pairs = data.moments.pairs
        source, target, cross = pairs.images, pairs.texts, pairs.cross
        if self.side == "texts":
            source, target, cross = target, source, cross.T
        energy = float(np.trace(source.second))
        self._source_mean, self._target_mean = np.zeros(data.dim), np.zeros(data.dim)
        if self.center:
            self._source_mean, self._target_mean = source.mean, target.mean
            cross = cross - pairs.n * np.outer(source.mean, target.mean)
            energy -= pairs.n * float(source.mean @ source.mean)
        self._n, self._factor = pairs.n, 1.0
        rotation = self._solved(cross, pairs.n)
        for _ in range(self.rounds):
            cross, energy, weight = self._reweighted(data, rotation)
            rotation = self._solved(cross, weight)
        if self.scale and energy > 0:
            self._factor = float(np.sum(rotation * cross)) / energy
        self._map = self._factor * rotation
        return self

    def _solved(self, cross: Float64, weight: float) -> Float64:
        rotation, self._rank = nearest_rotation(cross, pull=self.pull * weight, tie_break=self.tie_break)
        if not self.rank:
            return rotation
        left, _, right = np.linalg.svd(cross + self.pull * weight * np.eye(len(cross)))
        k = min(self.rank, self._rank) if self.pull == 0 else self.rank
        partial: Float64 = left[:, :k] @ right[:k]
        return partial

    def _reweighted(self, data: FitData, rotation: Float64) -> tuple[Float64, float, float]:
        """Cross moments, energy of the source and total weight with pairs weighed by how near they already are."""
        source, target = data.pairs if self.side == "images" else data.pairs[::-1]
        distances = np.concatenate(
            [
                np.linalg.norm((target[b] - self._target_mean) - (source[b] - self._source_mean) @ rotation, axis=1)
                for b in blocks(len(source))
            ]
        )
        weights = 1 / (distances + ROBUST_FLOOR)
        weights /= weights.max()
        cross, energy = np.zeros((data.dim, data.dim)), 0.0
        for b in blocks(len(source)):
            x, y = source[b] - self._source_mean, target[b] - self._target_mean
            cross += (x * weights[b, None]).T @ y
            energy += float(np.einsum("n,nd,nd->", weights[b], x, x))
        return cross, energy, float(weights.sum())

    def notes(self) -> dict[str, Any]:
        """Say what the map rests on: the dimensions that the pairs decide, and how many pairs there were."""
        return {
            "rank": self._rank,
            "dimensions": len(self._map),
            "pairs_fitted": int(self._n),
            "factor": self._factor,
            "tie_break": self.tie_break,
        }

    def _mapped(self, rows: Float32) -> Float32:
        return self._finished((rows - self._source_mean) @ self._map)

    def _kept(self, rows: Float32) -> Float32:
        return self._finished(rows - self._target_mean) if self.center else rows

    def _finished(self, rows: Float64) -> Float32:
        narrow = rows.astype(np.float32)
        return unit_rows(narrow) if self.renormalise else narrow

    def images(self, x: Float32) -> Float32:
        """Map image rows; where they are the target, only centre them, if anything."""
        return self._mapped(x) if self.side == "images" else self._kept(x)

    def texts(self, t: Float32) -> Float32:
        """Map text rows; where they are the target, only centre them, if anything."""
        return self._mapped(t) if self.side == "texts" else self._kept(t)


def nearest_rotation(cross: Float64, *, pull: float = 0.0, tie_break: str = "identity") -> tuple[Float64, int]:
    """Give the orthogonal matrix nearest to ``cross`` plus ``pull`` times the identity, and the rank of ``cross``."""
    left, singular, right = np.linalg.svd(cross)
    rank = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
    if pull > 0:
        left, singular, right = np.linalg.svd(cross + pull * np.eye(len(cross)))
    decided = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
    if tie_break == "none" or decided == len(singular):
        return left @ right, rank
    # Any bases of the two null spaces fit equally well. The polar factor of their product turns one basis into the
    # other so that the whole is nearest to the identity; it is the same matrix whatever bases the SVD has chosen.
    u, _, v = np.linalg.svd(left[:, decided:].T @ right[decided:].T)
    return left[:, :decided] @ right[:decided] + left[:, decided:] @ (u @ v) @ right[decided:], rank
