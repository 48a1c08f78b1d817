"""Rows and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64


def finished(rows: Float64, *, renormalise: bool) -> Float32:
    """Give float32 rows, of unit length if so wanted; a row of zeros stays one."""
    if renormalise:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1)
    return rows.astype(np.float32)


def squared_distances(x: Float64, y: Float64) -> Float64:
    """``(N, M)`` squared Euclidean distances between the rows of two arrays; none below zero by rounding."""
    products = x @ y.T
    products *= -2
    products += np.einsum("ij,ij->i", x, x)[:, None]
    products += np.einsum("ij,ij->i", y, y)
    return np.maximum(products, 0, out=products)
