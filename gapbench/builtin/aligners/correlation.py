"""Shared directions of pairs: canonical correlation and partial least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.builtin.aligners.affine import Affine, AffineAligner, power, shrunk, spread_of

if TYPE_CHECKING:
    from gapbench.components import FitData, Float64

#: Shared directions below this share of the strongest are rounding: pairs of C class prompts have at most C - 1.
NOTHING_SHARED = 1e-7


class CanonicalCorrelation(AffineAligner):
    r"""Project both sides on the directions in which they correlate most.

    :math:`S_x^{-1/2} S_{xy} S_y^{-1/2} = U \rho V^\top`, :math:`x' = (x - \mu_x) S_x^{-1/2} U_k \rho_k^p`,
    :math:`y' = (y - \mu_y) S_y^{-1/2} V_k \rho_k^p` (Hotelling 1936), with both covariances shrunk towards a sphere: with
    fewer than a few d pairs the correlations are near 1 by overfitting otherwise. A power p > 0 lets the leading
    components dominate: with p = 1/2 each term of the inner product is weighed by its canonical correlation, as CSA says
    of its cosine (Li, Chinchali and Topcu, ICLR 2025, arXiv 2410.07610; only its abstract could be read). Fit
    O(N d^2 + d^3), O(d k) a row.

    Parameters
    ----------
    k
        Number of directions; at most as many as the pairs decide.
    shrinkage
        Share s of :math:`(1 - s) S + s \tfrac{\operatorname{tr} S}{d} I` on both sides, 0..1.
    weight
        p; 0: all directions weigh the same.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, k: int = 100, shrinkage: float = 0.5, weight: float = 0.0, renormalise: bool = True) -> None:
        self.k = k
        self.shrinkage = shrinkage
        self.weight = weight
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Whiten both sides and decompose."""
        pairs = data.moments.pairs
        images = power(shrunk(spread_of(pairs.images, "pair"), self.shrinkage), -0.5)
        texts = power(shrunk(spread_of(pairs.texts, "pair"), self.shrinkage), -0.5)
        self._project(data, images, texts)
        return self

    def _project(self, data: FitData, images: Float64, texts: Float64) -> None:
        """Decompose what is shared, after both sides have gone through a matrix each."""
        pairs = data.moments.pairs
        shared = pairs.cross / pairs.n - np.outer(pairs.images.mean, pairs.texts.mean)
        left, strength, right = np.linalg.svd(images @ shared @ texts)
        k = max(1, min(self.k, int(np.sum(strength > NOTHING_SHARED * strength[0]))))
        weights = strength[:k] ** self.weight
        self.image_map = Affine(
            minus=pairs.images.mean, matrix=images @ left[:, :k] * weights, renormalise=self.renormalise
        )
        self.text_map = Affine(
            minus=pairs.texts.mean, matrix=texts @ right[:k].T * weights, renormalise=self.renormalise
        )
        self._notes = {"components": k, "pairs_fitted": int(pairs.n), "strongest": float(strength[0])}

    def notes(self) -> dict[str, Any]:
        """Say how many directions were kept, on how many pairs they rest, and how strong the first is (on the fit)."""
        return self._notes


class PartialLeastSquares(CanonicalCorrelation):
    r"""Project both sides on the singular vectors of their cross-covariance, without whitening (PLS-SVD).

    :math:`S_{xy} = U \Sigma V^\top`, :math:`x' = (x - \mu_x) U_k`, :math:`y' = (y - \mu_y) V_k` (Wegelin 2000). Fit
    O(N d^2 + d^3), O(d k) a row.

    Parameters
    ----------
    k
        Number of directions; at most as many as the pairs decide.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, k: int = 100, renormalise: bool = True) -> None:
        super().__init__(k=k, renormalise=renormalise)

    def fit(self, data: FitData) -> Self:
        """Decompose the cross-covariance."""
        self._project(data, np.eye(data.image_dim), np.eye(data.text_dim))
        return self
