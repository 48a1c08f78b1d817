"""How many answers change when embeddings are disturbed a little."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement

if TYPE_CHECKING:
    from gapbench.components import Bools, Float32, Int64, ScoredSplit

#: Images that are disturbed, at most; they and their noise are the same for every aligner of a table.
IMAGES = 2_000
SEED = 1

#: Aligned texts whose entries differ by less than this share of the greatest are one text: rounding parts equal captions.
SAME_TEXT = 1e-6


def _clean(data: ScoredSplit) -> tuple[Int64, Int64]:
    """The drawn images and their best texts, undisturbed; shared by the metrics of a cell."""
    found: tuple[Int64, Int64] = data.once("robustness.clean", partial(_draw, data))
    return found


def _draw(data: ScoredSplit) -> tuple[Int64, Int64]:
    rows = data.order[:IMAGES]
    return rows, data.best_texts(data.image_rows(rows))


def _changed(data: ScoredSplit, best: Int64, disturbed: Int64) -> Measurement:
    """Share of answers that differ: classes with class prompts, texts (equal ones counting as one) with captions."""
    if data.captioned:
        flips: Bools = best != disturbed
        moved = np.flatnonzero(flips)
        apart = np.abs(data.texts[best[moved]] - data.texts[disturbed[moved]]).max(axis=1)
        flips[moved] = apart > SAME_TEXT * np.abs(data.texts).max()
    else:
        flips = data.owner[best] != data.owner[disturbed]
    return Measurement(value=float(flips.mean()), n=len(flips), outcomes=flips)


class NoiseFlips:
    r"""Share of images whose best text (with class prompts: class) changes under noise on the encoder's embedding.

    An embedding x becomes :math:`x + \lambda \lVert x \rVert u`, u drawn uniformly on the unit sphere (isotropic
    Gaussian noise, normalised), and is brought back to the norm of x, so that raw and unit rows are turned alike; then it
    is aligned. With :math:`\lambda = 0.5` and many dimensions it is turned by about 27 degrees. The noise is added
    *before* alignment: what is asked is whether an aligner makes answers more or less brittle (Chowers et al. 2026, arXiv
    2603.29080). At most 2,000 images, drawn by what they are; the noise comes with seed 1 and is the same for every aligner.
    O(n M d).

    Parameters
    ----------
    level
        Norm of the noise, relative to the norm of each embedding.
    """

    def __init__(self, *, level: float = 0.5) -> None:
        self.level = level

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        rows, best = _clean(data)
        noisy = add_noise(data.input_images(rows), self.level)
        return _changed(data, best, data.best_texts(data.map_images(noisy)))


def add_noise(x: Float32, level: float) -> Float32:
    """Disturb rows by noise of a relative norm; each keeps its norm."""
    noise = np.random.default_rng(SEED).standard_normal(x.shape, dtype=np.float32)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    noisy = x + noise * (level * norms / np.linalg.norm(noise, axis=1, keepdims=True))
    noisy *= norms / np.maximum(np.linalg.norm(noisy, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(noisy, dtype=np.float32)


class Int8Flips:
    r"""Share of images whose best text (with class prompts: class) changes when aligned rows are stored as int8.

    Symmetric, one scale a row, as vector databases do it: :math:`q = \mathrm{round}(127\, x / \max_j |x_j|)`, and
    :math:`q \max_j |x_j| / 127` is compared. Images and texts are quantised; biases, which belong to the texts before
    that and are stored beside them, are not. At most 2,000 images, drawn by what they are; all texts. O(n M d).
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        rows, best = _clean(data)
        return _changed(data, best, data.best_texts(quantise(data.image_rows(rows)), quantise(data.texts)))


def quantise(rows: Float32) -> Float32:
    """Round each row to 255 equal steps between plus and minus its greatest entry; a zero row stays zero."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    return np.asarray(np.rint(rows / scale) * scale, dtype=np.float32)
