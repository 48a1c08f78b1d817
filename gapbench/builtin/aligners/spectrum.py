"""Methods of the spectrum: leading directions removed, directions weighed, subspaces brought onto each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.builtin.aligners.affine import Affine, AffineAligner, power, principal, rank_of, shrunk, spread_of

if TYPE_CHECKING:
    from gapbench.components import FitData, Float64


def _spreads(data: FitData, scope: str) -> tuple[Float64, Float64]:
    """Covariances of both sides; for ``pooled`` twice their mean, in which both modalities count the same."""
    images, texts = spread_of(data.moments.images, "image"), spread_of(data.moments.texts, "text")
    return (images, texts) if scope == "modality" else ((images + texts) / 2,) * 2


class AllButTheTop(AffineAligner):
    r"""Centre, then take out the leading principal directions: :math:`v' = n((I - U U^\top)(v - \mu))`.

    ABTT (Mu, Bhat and Viswanath, All-but-the-Top, ICLR 2018, arXiv 1702.01417); the paper advises about d / 100
    directions. Fit O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    directions
        Number of directions; at most all but one of those with spread (C class texts have C - 1).
    scope
        ``modality``: those of each modality; ``pooled``: those of the mean of both covariances, on both sides.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, directions: int = 3, scope: str = "modality", renormalise: bool = True) -> None:
        self.directions = directions
        self.scope = scope
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Find the directions."""
        moments, maps = (data.moments.images, data.moments.texts), []
        for side, spread in zip(moments, _spreads(data, self.scope), strict=True):
            top = principal(spread, min(self.directions, max(0, rank_of(spread) - 1)))
            left = np.eye(data.dim) - top @ top.T
            maps.append(Affine(minus=side.mean, matrix=left, renormalise=self.renormalise))
        self.image_map, self.text_map = maps
        return self


class Whiten(AffineAligner):
    r"""Give every direction the same variance: :math:`w = (v - \mu) W`, :math:`W^\top S W = I`.

    Of W-CLIP (Betser, Levi and Gilboa, ICML 2025, arXiv 2505.06934), which is a tool for likelihoods, the map alone.
    ``pca``: :math:`W = V \Lambda^{-1/2}`, ``zca``: :math:`W = V \Lambda^{-1/2} V^\top`, with
    :math:`S = V \Lambda V^\top` shrunk towards a sphere. PCA turns rows into the basis of S: with a basis for each
    modality cosines between modalities mean nothing, so its default is one pooled covariance. Directions without spread
    are left out. Fit O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    kind
        ``pca`` or ``zca``.
    scope
        ``modality``: each modality's own covariance; ``pooled``: the mean of both.
    shrinkage
        Share s of :math:`(1 - s) S + s \tfrac{\operatorname{tr} S}{d} I`, 0..1.
    components
        For ``pca`` the number of leading directions that are kept; 0: all.
    renormalise
        Whether to normalise the result.
    """

    def __init__(
        self,
        *,
        kind: str = "zca",
        scope: str = "modality",
        shrinkage: float = 0.5,
        components: int = 0,
        renormalise: bool = True,
    ) -> None:
        self.kind = kind
        self.scope = scope
        self.shrinkage = shrinkage
        self.components = components
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Decompose the covariances."""
        images, texts = (shrunk(spread, self.shrinkage) for spread in _spreads(data, self.scope))
        self.image_map = self._map(data.moments.images.mean, images)
        self.text_map = self._map(data.moments.texts.mean, texts)
        return self

    def _map(self, mean: Float64, spread: Float64) -> Affine:
        matrix = power(spread, -0.5)
        if self.kind == "pca":
            k = min(self.components or len(spread), len(spread))
            matrix = matrix @ principal(spread, k)
        return Affine(minus=mean, matrix=matrix, renormalise=self.renormalise)


class SubspaceAlignment(AffineAligner):
    r"""Bring the principal subspace of the texts onto that of the images.

    :math:`y' = (y - \mu_y) B_y (B_y^\top B_x) B_x^\top + \mu_x` with the k leading principal directions of each side
    (Fernando et al., ICCV 2013). ``recenter="zero"`` leaves the images' mean out on both sides. Fit O(N d^2 + d^3),
    O(d^2) a row.

    Parameters
    ----------
    k
        Dimensions of the subspaces; at most d.
    recenter
        ``target``: texts move onto the images' mean; ``zero``: both sides are centred.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, k: int = 256, recenter: str = "zero", renormalise: bool = True) -> None:
        self.k = k
        self.recenter = recenter
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Find both subspaces."""
        images, texts = _spreads(data, "modality")
        k = min(self.k, data.dim)
        target, source = principal(images, k), principal(texts, k)
        self.image_map, self.text_map = onto(
            data, source @ (source.T @ target) @ target.T, recenter=self.recenter, renormalise=self.renormalise
        )
        return self


def onto(data: FitData, matrix: Float64, *, recenter: str, renormalise: bool) -> tuple[Affine, Affine]:
    """Maps of images and texts where centred texts go through a matrix to the images' mean, or to zero with them."""
    images, texts = data.moments.images.mean, data.moments.texts.mean
    if recenter == "target":
        return Affine(), Affine(minus=texts, matrix=matrix, plus=images, renormalise=renormalise)
    return (
        Affine(minus=images, renormalise=renormalise),
        Affine(minus=texts, matrix=matrix, renormalise=renormalise),
    )
