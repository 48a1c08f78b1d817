"""Free linear maps from one side of the pairs to the other, by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.builtin.aligners.affine import RANK_TOLERANCE, Affine, AffineAligner

if TYPE_CHECKING:
    from gapbench.components import FitData


class Ridge(AffineAligner):
    r"""Predict one side of the pairs from the other: :math:`W = (X_c^\top X_c + \lambda I)^{-1}(X_c^\top Y_c + \lambda P)`.

    :math:`X_c, Y_c` are centred, and both sides are centred before the product: the target's mean is not added again,
    since a common mean costs retrieval. ``toward="zero"`` is ridge regression (:math:`P = 0`; Hoerl and Kennard 1970), as
    in SITTA (Paischer et al. 2023, arXiv 2307.05591); :math:`\lambda = 0` ordinary least squares, of smallest norm where
    pairs are fewer than dimensions. ``toward="identity"`` (:math:`P = I`) shrinks towards doing nothing: with
    :math:`\lambda \to \infty` it is `mean-center`. Fewer than 5 d pairs do not determine a free map; the record warns. Fit
    O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    alpha
        :math:`\lambda`, in units of sums over pairs, as in scikit-learn's ``Ridge``.
    toward
        ``zero`` or ``identity``.
    side
        The side that is mapped, ``images`` or ``texts``.
    renormalise
        Whether to normalise the result.
    """

    def __init__(
        self, *, alpha: float = 1.0, toward: str = "zero", side: str = "images", renormalise: bool = True
    ) -> None:
        self.alpha = alpha
        self.toward = toward
        self.side = side
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Solve the normal equations."""
        pairs = data.moments.pairs
        source, target, cross = pairs.images, pairs.texts, pairs.cross
        if self.side == "texts":
            source, target, cross = target, source, cross.T
        own = source.second - pairs.n * np.outer(source.mean, source.mean)
        other = cross - pairs.n * np.outer(source.mean, target.mean)
        if self.toward == "identity":
            other = other + self.alpha * np.eye(data.dim)
        if self.alpha > 0:
            matrix = np.asarray(np.linalg.solve(own + self.alpha * np.eye(len(own)), other), dtype=np.float64)
        else:
            matrix = np.linalg.pinv((own + own.T) / 2, rcond=RANK_TOLERANCE, hermitian=True) @ other
        mapped = Affine(minus=source.mean, matrix=matrix, renormalise=self.renormalise)
        kept = Affine(minus=target.mean, renormalise=self.renormalise)
        self.image_map, self.text_map = (mapped, kept) if self.side == "images" else (kept, mapped)
        self._n = pairs.n
        return self

    def notes(self) -> dict[str, Any]:
        """Say how many pairs the map rests on."""
        return {"pairs_fitted": int(self._n)}


class LeastSquares(Ridge):
    r"""Predict one side of the pairs from the other by least squares: :math:`W = X_c^{+} Y_c`.

    `Ridge` with :math:`\lambda = 0`. So were word vectors of one language mapped to another's (Mikolov, Le and Sutskever
    2013, arXiv 1309.4168); here between centred sides. Fit O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    side
        The side that is mapped, ``images`` or ``texts``.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, side: str = "images", renormalise: bool = True) -> None:
        super().__init__(alpha=0.0, side=side, renormalise=renormalise)
