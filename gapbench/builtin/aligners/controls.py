"""The baseline and the controls: what a metric must notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.builtin.aligners.procrustes import nearest_rotation
from gapbench.components import Aligner

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32


class Identity(Aligner):
    r"""Change nothing: :math:`x' = x,\ y' = y`."""

    def fit(self, data: FitData) -> Self:
        """Nothing to learn."""
        del data
        return self


class RandomRotation(Aligner):
    r"""Turn the images by a rotation drawn uniformly (Haar): :math:`x' = xQ`.

    Drawn as the Q of a QR decomposition of a Gaussian matrix with the signs of R's diagonal taken out (Mezzadri 2007).
    A task metric that does not fall to chance, or a gap metric that calls this an improvement, measures something else.
    """

    def fit(self, data: FitData) -> Self:
        """Draw the rotation."""
        q, r = np.linalg.qr(data.rng.standard_normal((data.dim, data.dim)))
        self._rotation = (q * np.sign(np.diag(r))).astype(np.float32)
        return self

    def images(self, x: Float32) -> Float32:
        """Turn image rows."""
        return x @ self._rotation


class ShuffledPairs(Aligner):
    r"""Orthogonal Procrustes on pairs whose texts were shuffled: :math:`R = \arg\min \lVert X R - P Y \rVert`.

    P is a permutation, drawn at random. It has all the freedom of `procrustes` and none of its knowledge. A metric that
    likes it as much as `procrustes` sees means and spreads, not what belongs together.
    """

    def fit(self, data: FitData) -> Self:
        """Shuffle, then solve."""
        images, texts = data.pairs
        cross = images.T.astype(np.float64) @ texts[data.rng.permutation(len(texts))].astype(np.float64)
        self._rotation = nearest_rotation(cross)[0].astype(np.float32)
        return self

    def images(self, x: Float32) -> Float32:
        """Turn image rows."""
        return x @ self._rotation


class CollapseToMean(Aligner):
    r"""Put every row of both sides on one point, the mean of the two means: :math:`x' = y' = (\mu_x + \mu_y) / 2`.

    The gap is closed perfectly, and nothing is left: a gap metric calls this the best of all aligners.
    """

    def fit(self, data: FitData) -> Self:
        """Take the middle of the means."""
        self._point = ((data.moments.images.mean + data.moments.texts.mean) / 2).astype(np.float32)
        return self

    def images(self, x: Float32) -> Float32:
        """Give every image the one point."""
        return np.tile(self._point, (len(x), 1))

    def texts(self, t: Float32) -> Float32:
        """Give every text the one point."""
        return np.tile(self._point, (len(t), 1))
