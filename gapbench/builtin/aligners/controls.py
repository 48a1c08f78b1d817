"""The baseline and a control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

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
