"""Methods that give one cloud the mean and the covariance of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gapbench.builtin.aligners.affine import AffineAligner, power, shrunk, spread_of
from gapbench.builtin.aligners.spectrum import onto

if TYPE_CHECKING:
    from gapbench.components import FitData


class Coral(AffineAligner):
    r"""Whiten the texts and colour them as the images: CORAL (Sun, Feng and Saenko, AAAI 2016).

    :math:`y' = (y - \mu_y)(S_y + \epsilon_y I)^{-1/2}(S_x + \epsilon_x I)^{1/2} + \mu_x` with :math:`\epsilon` = ``ridge``
    times :math:`\operatorname{tr} S / d` of its side: the original's 1 is meant for rows that are not normalised. Fit
    O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    ridge
        Added to each variance, in units of the mean variance.
    recenter
        ``target``: texts move onto the images' mean; ``zero``: both sides are centred.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, ridge: float = 1.0, recenter: str = "zero", renormalise: bool = True) -> None:
        self.ridge = ridge
        self.recenter = recenter
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take roots of both covariances; S + eI is S shrunk by r / (1 + r) and scaled by 1 + r."""
        images, texts = spread_of(data.moments.images, "image"), spread_of(data.moments.texts, "text")
        share = self.ridge / (1 + self.ridge)
        matrix = power(shrunk(texts, share), -0.5) @ power(shrunk(images, share), 0.5)
        self.image_map, self.text_map = onto(data, matrix, recenter=self.recenter, renormalise=self.renormalise)
        return self


class GaussianTransport(AffineAligner):
    r"""Optimal transport of the texts onto the images, each taken for a Gaussian (the Bures map).

    :math:`T = S_y^{-1/2}(S_y^{1/2} S_x S_y^{1/2})^{1/2} S_y^{-1/2}`, :math:`y' = \mu_x + (y - \mu_y) T` (Knott and Smith
    1984; Peyre and Cuturi, Computational Optimal Transport, 2019, remark 2.31). Of all linear maps that match both
    covariances, among them CORAL's, it moves the texts least. Fit O(N d^2 + d^3), O(d^2) a row.

    Parameters
    ----------
    shrinkage
        Share by which both covariances are shrunk towards a sphere, 0..1.
    recenter
        ``target``: texts move onto the images' mean; ``zero``: both sides are centred.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, shrinkage: float = 0.1, recenter: str = "zero", renormalise: bool = True) -> None:
        self.shrinkage = shrinkage
        self.recenter = recenter
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Solve for the map."""
        images = shrunk(spread_of(data.moments.images, "image"), self.shrinkage)
        texts = shrunk(spread_of(data.moments.texts, "text"), self.shrinkage)
        root, inverse = power(texts, 0.5), power(texts, -0.5)
        matrix = inverse @ power(root @ images @ root, 0.5) @ inverse
        self.image_map, self.text_map = onto(data, matrix, recenter=self.recenter, renormalise=self.renormalise)
        return self
