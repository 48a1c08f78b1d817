"""Affine maps of rows, and the few pieces of linear algebra that closed-form aligners share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Aligner
from gapbench.embeddings.arrays import unit_rows
from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, RowMoments

#: Eigenvalues and singular values below this share of the largest one are rounding.
RANK_TOLERANCE = 1e-10

#: What is left of a row after its mean was taken out is rounding below this share of its length.
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Affine:
    r"""One side's map, :math:`v' = (v - m) A + b`, row by row; computed in float64, given back in float32.

    Parameters
    ----------
    minus
        ``(d,)`` :math:`m`; None: nothing is subtracted.
    matrix
        ``(d, e)`` :math:`A`; None: the identity.
    scale
        ``(d,)`` the diagonal of :math:`A` where it has nothing else.
    plus
        ``(e,)`` :math:`b`; None: nothing is added.
    renormalise
        Whether to normalise the result.
    """

    minus: Float64 | None = None
    matrix: Float64 | None = None
    scale: Float64 | None = None
    plus: Float64 | None = None
    renormalise: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether rows come back as they are."""
        parts = (self.minus, self.matrix, self.scale, self.plus)
        return not self.renormalise and all(part is None for part in parts)

    def __call__(self, rows: Float32) -> Float32:
        """Map rows ``(N, d)``."""
        if self.is_identity:
            return rows
        moved: Float32 | Float64 = rows if self.minus is None else _without_rounding(rows - self.minus, rows)
        if self.scale is not None:
            moved = moved * self.scale
        if self.matrix is not None:
            moved = moved @ self.matrix
        if self.plus is not None:
            moved = moved + self.plus
        placed = moved.astype(np.float32)
        return unit_rows(placed) if self.renormalise else placed


def _without_rounding(moved: Float64, rows: Float32) -> Float64:
    """Take a row that is its own mean, but for rounding, for zero: normalised, rounding would look like a direction."""
    left = np.einsum("nd,nd->n", moved, moved) > ROUNDING**2 * np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    return moved if left.all() else moved * left[:, None]


class AffineAligner(Aligner):
    """An aligner that is one affine map a side; ``fit`` sets both."""

    image_map: Affine
    text_map: Affine

    def images(self, x: Float32) -> Float32:
        """Map image rows ``(N, d)``."""
        return self.image_map(x)

    def texts(self, t: Float32) -> Float32:
        """Map text rows ``(M, d)``."""
        return self.text_map(t)


def spread_of(moments: RowMoments, what: str) -> Float64:
    """Give the covariance ``(d, d)`` of some rows.

    Raises
    ------
    DataError
        A single row, which has no spread.
    """
    if moments.n < 2:  # noqa: PLR2004
        raise DataError(f"A covariance needs at least two rows, and there is one {what} to fit on. Fit on more.")
    covariance = moments.covariance
    return (covariance + covariance.T) / 2


def shrunk(covariance: Float64, share: float) -> Float64:
    r"""Shrink towards a sphere: :math:`(1 - s) S + s \frac{\operatorname{tr} S}{d} I` (Ledoit and Wolf 2004)."""
    d = len(covariance)
    sphere: Float64 = np.trace(covariance) / d * np.eye(d)
    return (1 - share) * covariance + share * sphere


def power(symmetric: Float64, exponent: float) -> Float64:
    """Power of a positive semidefinite matrix; directions without spread are left out (a pseudo-inverse)."""
    values, vectors = np.linalg.eigh(symmetric)
    kept = values > RANK_TOLERANCE * max(values[-1], 0.0)
    raised = np.zeros_like(values)
    raised[kept] = values[kept] ** exponent
    result: Float64 = (vectors * raised) @ vectors.T
    return result


def rank_of(covariance: Float64) -> int:
    """Count the directions with spread."""
    values = np.linalg.eigvalsh(covariance)
    return int(np.sum(values > RANK_TOLERANCE * max(values[-1], 0.0)))


def principal(covariance: Float64, k: int) -> Float64:
    """``(d, k)`` the k leading eigenvectors, the first one first."""
    _, vectors = np.linalg.eigh(covariance)
    leading: Float64 = vectors[:, ::-1][:, :k]
    return leading
