"""Methods of first moments: they see nothing but the mean of each modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.components import Aligner
from gapbench.embeddings.arrays import unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64


class MeanCenter(Aligner):
    r"""Subtract each modality's mean.

    :math:`x' = n(x - s\,\mu_x),\ y' = n(y - s\,\mu_y)` with :math:`n` the normalisation and :math:`s` the strength: the
    "collapse" step of C3 (Zhang et al., ICLR 2024, arXiv 2401.08567), also I0T_post (arXiv 2412.14384).

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
        self._image_mean = data.moments.images.mean
        self._text_mean = data.moments.texts.mean
        return self

    def images(self, x: Float32) -> Float32:
        """Centre image rows."""
        return _moved(x, -self.strength * self._image_mean, renormalise=self.renormalise)

    def texts(self, t: Float32) -> Float32:
        """Centre text rows."""
        return _moved(t, -self.strength * self._text_mean, renormalise=self.renormalise)


class GapShift(Aligner):
    r"""Move the modalities towards each other along the gap's direction.

    :math:`g = (\mu_x - \mu_y) / \lVert \mu_x - \mu_y \rVert`, :math:`x' = n(x - \tfrac{\delta}{2} g)`,
    :math:`y' = n(y + \tfrac{\delta}{2} g)`; one-sided, the side that moves takes all of :math:`\delta` (Liang et al.,
    NeurIPS 2022, section 4 and the repository's shifting notebook).

    Parameters
    ----------
    delta
        Length of the shift. In OpenAI's CLIP the gap is about 0.8.
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
        """Take the gap's direction; where the means coincide there is none, and nothing moves."""
        gap = data.moments.images.mean - data.moments.texts.mean
        length = float(np.linalg.norm(gap))
        self._direction = gap / length if length > 0 else gap
        return self

    def images(self, x: Float32) -> Float32:
        """Shift image rows."""
        share = {"both": 0.5, "images": 1.0, "texts": 0.0}[self.side]
        return _moved(x, -share * self.delta * self._direction, renormalise=self.renormalise) if share else x

    def texts(self, t: Float32) -> Float32:
        """Shift text rows."""
        share = {"both": 0.5, "images": 0.0, "texts": 1.0}[self.side]
        return _moved(t, share * self.delta * self._direction, renormalise=self.renormalise) if share else t


def _moved(rows: Float32, offset: Float64, *, renormalise: bool) -> Float32:
    moved = (rows + offset).astype(np.float32)
    return unit_rows(moved) if renormalise else moved
