"""Methods of first moments: they see nothing but the mean of each modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.builtin.aligners.affine import Affine, AffineAligner
from gapbench.embeddings.arrays import unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64


class MeanCenter(AffineAligner):
    r"""Subtract each modality's mean.

    :math:`x' = n(x - s\,\mu_x),\ y' = n(y - s\,\mu_y)` with :math:`n` the normalisation and :math:`s` the strength: the
    "collapse" step of C3 (Zhang et al., ICLR 2024, arXiv 2401.08567), also I0T_post (arXiv 2412.14384) and, as
    "centering", DRML (ICLR 2023). Fit O(N d), O(d) a row.

    Parameters
    ----------
    strength
        Share s of the mean that is subtracted, 0..1.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, strength: float = 1.0, renormalise: bool = True) -> None:
        self.strength = strength
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take both means."""
        self._means = data.moments.images.mean, data.moments.texts.mean
        self.image_map, self.text_map = (
            Affine(minus=self.strength * mean, renormalise=self.renormalise) for mean in self._means
        )
        return self


class RoleCenter(MeanCenter):
    r"""Subtract the mean of a row's role, of fused documents too (GR-CLIP; Li et al. 2025, arXiv 2507.19054).

    Images and texts as in `MeanCenter`. A document that has both is fused *before* its own mean is taken out,
    :math:`f' = n(a\,t + (1 - a)\,x - a\,\mu_t - (1 - a)\,\mu_x)` (repository, ``retrieval_mixbench.py``, a = 0.5): that
    is where it differs, in mixed-modality search. The paper also tells texts that ask from texts that are searched; in
    gapbench both come from one source, so they have one mean. Fit O(N d), O(d) a row.

    Parameters
    ----------
    strength, renormalise
        As in `MeanCenter`.
    """

    def fused(self, x: Float32, t: Float32, weight: float) -> Float32:
        """Fuse image rows and text rows ``(n, d)`` as they come from the encoder, then centre."""
        image_mean, text_mean = self._means
        mean = self.strength * (weight * text_mean + (1 - weight) * image_mean)
        return Affine(minus=mean, renormalise=self.renormalise)(weight * t + (1 - weight) * x)


class GapShift(AffineAligner):
    r"""Move the modalities towards each other along the gap's direction.

    :math:`g = (\mu_x - \mu_y) / \lVert \mu_x - \mu_y \rVert`, :math:`x' = n(x - \tfrac{\delta}{2} g)`,
    :math:`y' = n(y + \tfrac{\delta}{2} g)`; one-sided, the side that moves takes all of :math:`\delta` (Liang et al.,
    NeurIPS 2022, section 4 and the repository's shifting notebook). Where the means coincide there is no direction, and
    nothing moves. Fit O(N d), O(d) a row.

    Parameters
    ----------
    delta
        Length of the shift. In OpenAI's CLIP the gap is about 0.8. The distance after normalising is not linear in it.
    side
        ``both``, ``images`` or ``texts``.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, delta: float = 0.5, side: str = "both", renormalise: bool = True) -> None:
        self.delta = delta
        self.side = side
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take the gap's direction."""
        direction = _direction(data)
        for_images, for_texts = {"both": (0.5, 0.5), "images": (1.0, 0.0), "texts": (0.0, 1.0)}[self.side]
        self.image_map = self._shift(-for_images * self.delta, direction)
        self.text_map = self._shift(for_texts * self.delta, direction)
        return self

    def _shift(self, length: float, direction: Float64) -> Affine:
        return Affine(plus=length * direction, renormalise=self.renormalise) if length else Affine()


class ShiftToMean(AffineAligner):
    r"""Move one modality towards the mean of the other: :math:`y' = y + a (\mu_x - \mu_y)`.

    Chowers et al. 2026, arXiv 2603.29080, whose claim is that this leaves the accuracy and helps robustness. It is
    exact that texts moved so change no image's best text, as long as they are not renormalised: every score gains the
    same constant. Fit O(N d), O(d) a row.

    Parameters
    ----------
    amount
        a; 1 brings the means together.
    side
        Which side moves, ``texts`` or ``images``.
    renormalise
        Whether to normalise what moved.
    """

    def __init__(self, *, amount: float = 1.0, side: str = "texts", renormalise: bool = False) -> None:
        self.amount = amount
        self.side = side
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take the difference of the means."""
        step = self.amount * (data.moments.images.mean - data.moments.texts.mean)
        moving = Affine(plus=step if self.side == "texts" else -step, renormalise=self.renormalise)
        self.image_map, self.text_map = (Affine(), moving) if self.side == "texts" else (moving, Affine())
        return self


class GapProjection(AffineAligner):
    r"""Take the gap's direction out of both sides: :math:`v' = n(v - (v \cdot g) g)`.

    Folklore; the case of one direction in INLP (Ravfogel et al., ACL 2020). After it the means are equal but not zero,
    and that common mean costs retrieval far more than the gap did; ``common`` takes it out as well. Fit O(N d), O(d) a
    row.

    Parameters
    ----------
    common
        Whether to subtract the mean that both sides have after the projection.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, common: bool = False, renormalise: bool = True) -> None:
        self.common = common
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take the direction, and the mean that remains."""
        self._direction = _direction(data)
        mean = data.moments.images.mean
        self._mean = (mean - (mean @ self._direction) * self._direction) * float(self.common)
        return self

    def images(self, x: Float32) -> Float32:
        """Project image rows ``(N, d)``."""
        return self._projected(x)

    def texts(self, t: Float32) -> Float32:
        """Project text rows ``(M, d)``."""
        return self._projected(t)

    def _projected(self, rows: Float32) -> Float32:  # O(d) a row; as a matrix it would be O(d^2)
        left = (rows - np.outer(rows @ self._direction, self._direction) - self._mean).astype(np.float32)
        return unit_rows(left) if self.renormalise else left


class DistributionNormalization(AffineAligner):
    r"""Subtract a part of each modality's mean, without normalising: :math:`x' = x - \lambda \mu_x`, y likewise.

    DN (Zhou et al., NeurIPS 2023, arXiv 2302.11084), in the order of its retrieval code: from unit rows, and left
    un-normalised. (Its classification code subtracts from rows as the encoder gave them.) For a fixed query it differs
    from the inner product by a constant and by the bias :math:`-\lambda\, \mu_x \cdot t` of each text, so it is
    `nnn` with all reference queries, and with all of the mean `logit-bias` (up to :math:`\lambda^2`). Fit O(N d).

    Parameters
    ----------
    strength
        :math:`\lambda`, 0.25 in the paper.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, strength: float = 0.25, renormalise: bool = False) -> None:
        self.strength = strength
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take both means."""
        means = data.moments.images.mean, data.moments.texts.mean
        self.image_map, self.text_map = (
            Affine(minus=self.strength * mean, renormalise=self.renormalise) for mean in means
        )
        return self


def _direction(data: FitData) -> Float64:
    """Give the unit vector from the texts' mean to the images', or zero where they coincide."""
    gap = data.moments.images.mean - data.moments.texts.mean
    length = float(np.linalg.norm(gap))
    return gap / length if length > 0 else gap
