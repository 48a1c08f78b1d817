"""Methods of the spectrum: leading directions removed, directions weighed, subspaces brought onto each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.builtin.aligners.affine import Affine, AffineAligner, power, principal, rank_of, shrunk, spread_of

if TYPE_CHECKING:
    from gapbench.components import FitData, Float64


#: Directions that stay, however many are to be taken out.
LEFT = 2


def _spreads(data: FitData, scope: str) -> tuple[Float64, Float64]:
    """Covariances of both sides; for ``pooled`` twice their mean, in which both modalities count the same."""
    images, texts = spread_of(data.moments.images, "image"), spread_of(data.moments.texts, "text")
    return (images, texts) if scope == "modality" else ((images + texts) / 2,) * 2


class AllButTheTop(AffineAligner):
    r"""Centre, then take out the leading principal directions: :math:`v' = n((I - U U^\top)(v - \mu))`.

    ABTT (Mu, Bhat and Viswanath, All-but-the-Top, ICLR 2018, arXiv 1702.01417); the paper advises about d / 100
    directions. Fit O(N d^2 + d^3), O(d^2) a row.

    Two directions of those with spread always stay (C class texts have C - 1 of them): in a single one all rows are plus or
    minus one vector, and rounding would order them. `notes` says how many were taken out.

    Parameters
    ----------
    directions
        Number of directions to take out, of each modality that has two more.
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
        moments, maps, self._taken = (data.moments.images, data.moments.texts), [], []
        for side, spread in zip(moments, _spreads(data, self.scope), strict=True):
            top = principal(spread, min(self.directions, max(0, rank_of(spread) - LEFT)))
            left = np.eye(data.dim) - top @ top.T
            maps.append(Affine(minus=side.mean, matrix=left, renormalise=self.renormalise))
            self._taken.append(top.shape[1])
        self.image_map, self.text_map = maps
        return self

    def notes(self) -> dict[str, Any]:
        """Say how many directions were taken out of each modality."""
        return dict(zip(("image_directions", "text_directions"), self._taken, strict=True))


class Whiten(AffineAligner):
    r"""Give every direction the same variance: :math:`w = (v - \mu) W`, :math:`W^\top S W = I`.

    Of W-CLIP (Betser, Levi and Gilboa, ICML 2025, arXiv 2505.06934), which is a tool for likelihoods, the map alone.
    ``pca``: :math:`W = V \Lambda^{-1/2}`, ``zca``: :math:`W = V \Lambda^{-1/2} V^\top`, with
    :math:`S = V \Lambda V^\top` shrunk towards a sphere. PCA turns rows into the basis of S, whose signs and null space any
    routine may choose. In one basis for both modalities cosines do not depend on them; with a basis for each, cosines
    between modalities would mean nothing, so there is none. Directions without spread are left out. Fit O(N d^2 + d^3),
    O(d^2) a row.

    Parameters
    ----------
    kind
        ``pca`` or ``zca``.
    scope
        For ``zca``: ``modality``, each modality's own covariance, or ``pooled``, the mean of both, as always for ``pca``.
    shrinkage
        Share s of :math:`(1 - s) S + s \tfrac{\operatorname{tr} S}{d} I`, 0..1.
    components
        For ``pca`` the number of leading directions that are kept, at most those with spread; 0: all d.
    renormalise
        Whether to normalise the result.
    """

    def __init__(
        self,
        *,
        kind: str = "zca",
        scope: str = "pooled",
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
        spreads = _spreads(data, self.scope)
        roots = [power(shrunk(spread, self.shrinkage), -0.5) for spread in spreads]
        if self.kind == "pca":
            k = min(self.components, rank_of(spreads[0])) if 0 < self.components < data.dim else data.dim
            roots = [root @ principal(spreads[0], k) for root in roots]
        means = data.moments.images.mean, data.moments.texts.mean
        self.image_map, self.text_map = (
            Affine(minus=mean, matrix=root, renormalise=self.renormalise)
            for mean, root in zip(means, roots, strict=True)
        )
        return self


class SubspaceAlignment(AffineAligner):
    r"""Bring the principal subspace of the texts onto that of the images.

    :math:`y' = (y - \mu_y) B_y (B_y^\top B_x) B_x^\top + \mu_x` with the k leading principal directions of each side
    (Fernando et al., ICCV 2013). ``recenter="zero"`` leaves the images' mean out on both sides. Fit O(N d^2 + d^3),
    O(d^2) a row.

    Parameters
    ----------
    k
        Dimensions of the subspaces; of a modality that has spread in fewer directions, those.
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
        target, source = (principal(spread, min(self.k, rank_of(spread))) for spread in (images, texts))
        self._dimensions = {"image_dimensions": target.shape[1], "text_dimensions": source.shape[1]}
        self.image_map, self.text_map = onto(
            data, source @ (source.T @ target) @ target.T, recenter=self.recenter, renormalise=self.renormalise
        )
        return self

    def notes(self) -> dict[str, Any]:
        """Say how many dimensions each subspace has."""
        return self._dimensions


def onto(data: FitData, matrix: Float64, *, recenter: str, renormalise: bool) -> tuple[Affine, Affine]:
    """Maps of images and texts where centred texts go through a matrix to the images' mean, or to zero with them."""
    images, texts = data.moments.images.mean, data.moments.texts.mean
    if recenter == "target":
        return Affine(), Affine(minus=texts, matrix=matrix, plus=images, renormalise=renormalise)
    return (
        Affine(minus=images, renormalise=renormalise),
        Affine(minus=texts, matrix=matrix, renormalise=renormalise),
    )
