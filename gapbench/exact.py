"""Inner products that depend on nothing but the two rows: what makes ties exact.

A float32 product rounds differently with the shape of the batch that it is computed in, so two equal prompts can score
unequally, and the same image differently beside other images. Where that could change an answer, scores come from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.arrays import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Float32, Float64


def _split(rows: Float32) -> tuple[Float64, Float64, NDArray[np.int32], int]:
    """Write rows as ``(high + low / 2**bits) * 2**exponent``: whole numbers so small that their products add exactly."""
    bits = (53 - int(np.ceil(np.log2(rows.shape[1])))) // 2
    wide = rows.astype(np.float64)
    exponent = np.frexp(np.abs(wide).max(axis=1))[1]
    wide = np.ldexp(wide, (bits - exponent)[:, None])
    high = np.rint(wide)
    return high, np.rint(np.ldexp(wide - high, bits)), exponent - bits, bits


def _joined(parts: Sequence[Float64], exponent: NDArray[np.int32], bits: int) -> Float64:
    both, mixed, low = parts
    joined: Float64 = np.ldexp(both + np.ldexp(mixed, -bits) + np.ldexp(low, -2 * bits), exponent)
    return joined


def exact_scores(queries: Float32, rows: Float32) -> Float64:
    """Inner products ``(n, m)`` of ``(n, e)`` and ``(m, e)`` float32 rows that depend on nothing but the two rows.

    Each row is split into two slices of whole numbers (Ozaki et al., Numer. Algorithms 59, 2012), so that every sum
    within a matrix product is exact and its order plays no role. Of an entry nothing is lost unless it is less than a
    millionth of its row's largest; what remains are the roundings of float64 when the slices are put together.
    """
    scores = np.empty((len(queries), len(rows)))
    q_high, q_low, q_exponent, bits = _split(queries)
    for block in blocks(len(rows)):
        high, low, exponent, _ = _split(rows[block])
        parts = (q_high @ high.T, q_high @ low.T + q_low @ high.T, q_low @ low.T)
        scores[:, block] = _joined(parts, q_exponent[:, None] + exponent, bits)
    return scores


def exact_pair_scores(queries: Float32, rows: Float32) -> Float64:
    """Inner products ``(n,)`` of rows pair by pair: the same numbers as those of `exact_scores`."""
    scores = np.empty(len(queries))
    for block in blocks(len(queries)):
        q_high, q_low, q_exponent, bits = _split(queries[block])
        high, low, exponent, _ = _split(rows[block])
        parts = (
            np.einsum("ij,ij->i", q_high, high),
            np.einsum("ij,ij->i", q_high, low) + np.einsum("ij,ij->i", q_low, high),
            np.einsum("ij,ij->i", q_low, low),
        )
        scores[block] = _joined(parts, q_exponent + exponent, bits)
    return scores


def _norms(rows: Float32) -> Float64:
    squares: Float64 = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return np.sqrt(squares)


def rounding_bound(queries: Float32, rows: Float32) -> Float64:
    """``(n,)`` how far any float32 inner product of a query can lie from the true one (Higham 2002, section 3.1)."""
    share = 1.01 * (queries.shape[1] + 1) * 2.0**-24
    bound: Float64 = share * _norms(queries) * _norms(rows).max() + 1e-37
    return bound
