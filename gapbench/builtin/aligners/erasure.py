"""Concept erasure, with the modality for the concept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.builtin.aligners.affine import RANK_TOLERANCE, Affine, AffineAligner
from gapbench.embeddings.arrays import unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64


def _shares(data: FitData, *, balance: bool) -> tuple[float, float]:
    """Weights of the modalities in pooled moments: half each, or by their numbers of rows."""
    if balance:
        return 0.5, 0.5
    images, texts = data.moments.images.n, data.moments.texts.n
    return images / (images + texts), texts / (images + texts)


def optimal_shrinkage(covariance: Float64, n: float) -> Float64:
    r"""Optimal linear shrinkage of a covariance of n rows towards a sphere (Bodnar, Gupta and Parolya 2014, eq. 3.4).

    :math:`\hat S = \alpha S + \beta I` with
    :math:`\alpha = 1 - \frac{(\operatorname{tr} S)^2 \lVert P \rVert^2 / n}{\lVert S \rVert^2 \lVert P \rVert^2 -
    \operatorname{tr}(S P)^2}`, :math:`\beta = (1 - \alpha) \operatorname{tr}(S P) / \lVert P \rVert^2` and
    :math:`P = \frac{\operatorname{tr} S}{d} I`.
    """
    d, trace = len(covariance), float(np.trace(covariance))
    size, product = trace**2 / d, trace * trace / d  # the squared norm of P, and tr(S P)
    below = float(np.sum(covariance**2)) * size - product**2
    alpha = 1.0 if below <= 0 else 1 - trace**2 * size / n / below
    alpha = min(1.0, max(0.0, alpha))
    return alpha * covariance + (1 - alpha) * trace / d * np.eye(d)


class Leace(AffineAligner):
    r"""Make the modality invisible to every linear classifier with the smallest change (LEACE).

    Belrose et al., LEACE: Perfect linear concept erasure in closed form, NeurIPS 2023, arXiv 2306.03819, theorem 4.3.
    For two groups it is a map of rank one, with the pooled covariance S and mean :math:`\mu`, the difference of means D
    and :math:`w = S^{-1} D`: :math:`v' = v - D\, \frac{w^\top (v - \mu)}{w^\top D}`. It needs no modality label when it
    is applied. What it promises holds before renormalising, which brings back a small difference. Fit O(N d^2 + d^3),
    O(d) a row.

    Parameters
    ----------
    shrinkage
        ``optimal`` (Bodnar et al. 2014, as in the authors' code) or ``fixed``.
    share
        For ``fixed``, the share s of :math:`(1 - s) S + s \tfrac{\operatorname{tr} S}{d} I`.
    center
        Whether to subtract the mean that both modalities then share.
    balance
        Whether both modalities weigh the same in S and :math:`\mu`; else each row does.
    renormalise
        Whether to normalise the result.
    """

    def __init__(
        self,
        *,
        shrinkage: str = "optimal",
        share: float = 0.1,
        center: bool = False,
        balance: bool = True,
        renormalise: bool = True,
    ) -> None:
        self.shrinkage = shrinkage
        self.share = share
        self.center = center
        self.balance = balance
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Pool both modalities and solve for w."""
        images, texts = data.moments.images, data.moments.texts
        of_images, of_texts = _shares(data, balance=self.balance)
        self._gap = images.mean - texts.mean
        self._mean = of_images * images.mean + of_texts * texts.mean
        # Of all rows together, so that a single row has its place too.
        second = of_images * images.second / images.n + of_texts * texts.second / texts.n
        pooled = second - np.outer(self._mean, self._mean)
        n = images.n + texts.n
        if self.shrinkage == "optimal":
            pooled = optimal_shrinkage(pooled * (n / max(n - 1, 1)), n)
        else:
            pooled = (1 - self.share) * pooled + self.share * np.trace(pooled) / data.dim * np.eye(data.dim)
        w = np.linalg.pinv(pooled, rcond=RANK_TOLERANCE, hermitian=True) @ self._gap
        along = float(w @ self._gap)
        self._w = w / along if along > 0 else np.zeros_like(w)
        return self

    def images(self, x: Float32) -> Float32:
        """Erase from image rows ``(N, d)``."""
        return self._erased(x)

    def texts(self, t: Float32) -> Float32:
        """Erase from text rows ``(M, d)``."""
        return self._erased(t)

    def _erased(self, rows: Float32) -> Float32:
        left = rows - np.outer((rows - self._mean) @ self._w, self._gap)
        if self.center:
            left = left - self._mean
        narrow = left.astype(np.float32)
        return unit_rows(narrow) if self.renormalise else narrow


class OracleLeace(AffineAligner):
    r"""Centre each modality on the pooled mean: :math:`v' = v - (\mu_{\text{modality}} - \mu)`.

    LEACE where the concept is known when it is applied (Belrose et al. 2023, theorem 5.1): the least change of all that
    make the means equal. `mean-center` with the pooled mean added again. Fit O(N d), O(d) a row.

    Parameters
    ----------
    balance
        Whether both modalities weigh the same in :math:`\mu`; else each row does.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, balance: bool = True, renormalise: bool = True) -> None:
        self.balance = balance
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take the means."""
        images, texts = data.moments.images.mean, data.moments.texts.mean
        of_images, of_texts = _shares(data, balance=self.balance)
        mean = of_images * images + of_texts * texts
        self.image_map = Affine(plus=mean - images, renormalise=self.renormalise)
        self.text_map = Affine(plus=mean - texts, renormalise=self.renormalise)
        return self
