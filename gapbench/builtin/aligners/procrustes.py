"""Orthogonal Procrustes: the rotation that brings one side of the pairs closest to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.components import Aligner

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64

#: Singular values below this share of the largest one are rounding.
RANK_TOLERANCE = 1e-6


class Procrustes(Aligner):
    r"""Map one side onto the other by an orthogonal matrix.

    :math:`U S V^\top = \mathrm{svd}(X^\top Y + \rho N I)`, :math:`R = U V^\top`, :math:`x' = xR` (Schonemann 1966). With class
    prompts for texts :math:`X^\top Y` has at most as many ranks as there are classes: the pairs decide the rotation on that
    subspace alone, and rounding would decide the rest. ``tie_break="identity"`` completes it by the rotation nearest to
    the identity, :math:`R = U_1 V_1^\top + U_0 Q V_0^\top` with :math:`Q` the polar factor of :math:`U_0^\top V_0`: the limit
    of a vanishing pull :math:`\rho \to 0`.

    Parameters
    ----------
    center
        Subtract each side's mean before the fit; the mapped side gets the target's mean.
    scale
        Multiply by :math:`s = \mathrm{tr}(S) / \lVert X \rVert_F^2`, the least-squares factor.
    side
        The side that is mapped; the other is the target.
    pull
        :math:`\rho`, weight of a pull towards the identity, per pair.
    tie_break
        ``identity``, or ``none`` for whatever basis the SVD routine returns.
    """

    def __init__(
        self,
        *,
        center: bool = False,
        scale: bool = False,
        side: str = "images",
        pull: float = 0.0,
        tie_break: str = "identity",
    ) -> None:
        self.center = center
        self.scale = scale
        self.side = side
        self.pull = pull
        self.tie_break = tie_break

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
        rotation, singular, rank = nearest_rotation(
            cross + self.pull * pairs.n * np.eye(data.dim), tie_break=self.tie_break
        )
        self._rank, self._n = rank, pairs.n
        self._factor = float(np.sum(singular)) / energy if self.scale and energy > 0 else 1.0
        self._map = self._factor * rotation
        return self

    def notes(self) -> dict[str, Any]:
        """Say what the rotation rests on."""
        return {"rank": self._rank, "pairs_fitted": self._n, "tie_break": self.tie_break}

    def _mapped(self, rows: Float32) -> Float32:
        return ((rows - self._source_mean) @ self._map + self._target_mean).astype(np.float32)

    def images(self, x: Float32) -> Float32:
        """Map image rows, or leave them where they are the target."""
        return self._mapped(x) if self.side == "images" else x

    def texts(self, t: Float32) -> Float32:
        """Map text rows, or leave them where they are the target."""
        return self._mapped(t) if self.side == "texts" else t


def nearest_rotation(cross: Float64, *, tie_break: str) -> tuple[Float64, Float64, int]:
    """Give the orthogonal matrix nearest to ``cross``, its singular values and its numerical rank."""
    left, singular, right = np.linalg.svd(cross)
    rank = int(np.sum(singular > RANK_TOLERANCE * singular[0])) if singular[0] > 0 else 0
    if tie_break == "none" or rank == len(singular):
        return left @ right, singular, rank
    # The SVD of the part that the pairs leave open is any basis of the two null spaces; the polar factor of their
    # product turns one into the other in the way nearest to the identity, whatever the bases are.
    u, _, v = np.linalg.svd(left[:, rank:].T @ right[rank:].T)
    return left[:, :rank] @ right[:rank] + left[:, rank:] @ (u @ v) @ right[rank:], singular, rank
