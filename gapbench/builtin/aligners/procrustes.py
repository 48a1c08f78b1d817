"""Orthogonal Procrustes: the rotation that brings one side of the pairs closest to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.components import Aligner
from gapbench.embeddings.arrays import unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64

#: Singular values below this share of the largest one are rounding.
RANK_TOLERANCE = 1e-6


class Procrustes(Aligner):
    r"""Map one side onto the other by an orthogonal matrix.

    :math:`U S V^\top = \mathrm{svd}(X^\top Y + \rho N I)`, :math:`R = U V^\top`, :math:`x' = xR` (Schonemann 1966).
    With class prompts for texts the rank of :math:`X^\top Y` is at most the number of classes: the pairs decide the map
    on that subspace alone, and rounding would decide the rest. ``tie_break="identity"`` completes it by the orthogonal
    matrix nearest to the identity, :math:`R = U_1 V_1^\top + U_0 Q V_0^\top` with :math:`Q` the polar factor of
    :math:`U_0^\top V_0`: the limit of a vanishing pull :math:`\rho \to 0`. Cost O(N d^2 + d^3), O(d^2) a row.

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
        tie_break: str = "identity",
        renormalise: bool = False,
    ) -> None:
        self.center = center
        self.scale = scale
        self.side = side
        self.pull = pull
        self.tie_break = tie_break
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Solve from the moments of the pairs."""
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
        rotation, self._rank = nearest_rotation(cross, pull=self.pull * pairs.n, tie_break=self.tie_break)
        self._n, self._factor = pairs.n, 1.0
        if self.scale and energy > 0:
            self._factor = float(np.sum(rotation * cross)) / energy
        self._map = self._factor * rotation
        return self

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
