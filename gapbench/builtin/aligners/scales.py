"""Methods that weigh or leave out single dimensions, or match the size of the clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.builtin.aligners.affine import Affine, AffineAligner
from gapbench.components import Aligner
from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, RowMoments

#: A dimension whose standard deviation is below this share of the largest one is constant but for rounding.
CONSTANT = 1e-5


class DropGapDims(Aligner):
    r"""Leave out the dimensions in which the means differ most.

    The k largest :math:`|\mu_{x,j} - \mu_{y,j}|` are deleted on both sides (Schrodi et al., Two Effects, One Trigger,
    ICLR 2025, arXiv 2404.07983; repository, ``gap_ablate_dims.py``). It depends on the basis: turn the space at random
    and nothing is left of it; `gap-projection` is its sibling that does not. Fit O(N d).

    Parameters
    ----------
    k
        Number of dimensions to delete; at most all but one.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, k: int = 5, renormalise: bool = True) -> None:
        self.k = k
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Choose the dimensions."""
        gap = np.abs(data.moments.images.mean - data.moments.texts.mean)
        dropped = np.argsort(-gap, kind="stable")[: min(self.k, data.dim - 1)]
        self._kept = np.setdiff1d(np.arange(data.dim), dropped)
        total = float(gap @ gap)
        self._share = float(gap[dropped] @ gap[dropped]) / total if total > 0 else 0.0
        return self

    def notes(self) -> dict[str, Any]:
        """Say how many dimensions are left, and what share of the squared gap went with the others."""
        return {"dimensions_left": len(self._kept), "share_of_gap_dropped": self._share}

    def images(self, x: Float32) -> Float32:
        """Shorten image rows to ``(N, d - k)``."""
        return self._shortened(x)

    def texts(self, t: Float32) -> Float32:
        """Shorten text rows to ``(M, d - k)``."""
        return self._shortened(t)

    def _shortened(self, rows: Float32) -> Float32:
        short = np.ascontiguousarray(rows[:, self._kept])
        return unit_rows(short) if self.renormalise else short


class ZScore(AffineAligner):
    r"""Standardise each dimension of each modality: :math:`v'_j = (v_j - \mu_j) / \sigma_j`, then :math:`n`.

    ``globalbn`` of DRML (Zhang et al., ICLR 2023). A dimension that is constant, as float16 rows may have, is centred
    and not divided. Fit O(N d) but for the shared second moment, O(d) a row.

    Parameters
    ----------
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, renormalise: bool = True) -> None:
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Take means and standard deviations."""
        self.image_map = self._standard(data.moments.images, "image")
        self.text_map = self._standard(data.moments.texts, "text")
        return self

    def _standard(self, moments: RowMoments, what: str) -> Affine:
        if moments.n < 2:  # noqa: PLR2004
            raise DataError(f"A standard deviation needs at least two rows, and there is one {what}. Fit on more.")
        spread = np.sqrt(np.maximum(np.diag(moments.second) / moments.n - moments.mean**2, 0))
        spread[spread <= CONSTANT * spread.max()] = 1
        return Affine(minus=moments.mean, scale=1 / spread, renormalise=self.renormalise)


class ReAlign(AffineAligner):
    r"""Bring the texts to the mean and the size of the images (Yu et al. 2026, arXiv 2602.07026, ReVision).

    :math:`s = \sqrt{\operatorname{tr} S_x / \operatorname{tr} S_y}`, :math:`u = n(\mu_x + s (y - \mu_y))`,
    :math:`m = \operatorname{mean}(u)`, :math:`y' = n(u - m + \mu_x)` (repository, ``embed_ReAlign.py``); images stay. The
    mean of what was normalised is no function of the moments, so the texts are read once more. Made for training on
    texts in place of images: both clouds then lie around the images' mean, which costs retrieval. Fit O(N d).
    """

    def __init__(self) -> None:
        """Take no parameters."""

    def fit(self, data: FitData) -> Self:
        """Take means and traces, then the mean of the texts after the first step."""
        images, texts = data.moments.images, data.moments.texts
        size = {name: np.trace(m.second) / m.n - float(m.mean @ m.mean) for name, m in (("x", images), ("y", texts))}
        if size["y"] <= 0:
            raise DataError("The texts to fit on are all equal: they have no size to compare. Fit on more texts.")
        factor = float(np.sqrt(max(size["x"], 0.0) / size["y"]))
        self._first = Affine(minus=texts.mean, scale=np.full(data.dim, factor), plus=images.mean, renormalise=True)
        rows, total = data.texts, np.zeros(data.dim)
        for block in blocks(len(rows)):
            total += self._first(rows[block]).sum(axis=0, dtype=np.float64)
        self._second = Affine(plus=images.mean - total / len(rows), renormalise=True)
        self.image_map = Affine()
        return self

    def texts(self, t: Float32) -> Float32:
        """Move text rows ``(M, d)``."""
        return self._second(self._first(t))
