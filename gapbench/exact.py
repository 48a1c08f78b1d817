"""Scores and ranks that depend on nothing but the rows: what makes ties exact.

A float32 product rounds differently with the shape of the batch that it is computed in, so two equal prompts can score
unequally, and the same image differently beside other images. Where that could change an answer, scores come from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.arrays import blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gapbench.components import Float32, Float64, Int64


#: Scores that are held at once.
BLOCK_SCORES = 4_000_000

#: Share of close calls above which a whole block is scored again at once, instead of pair by pair.
MANY = 1 / 512


def _split(rows: Float32) -> tuple[Float64, Float64, NDArray[np.int32], int]:
    """Write rows as ``(high + low / 2**bits) * 2**exponent``: whole numbers, so small that products add exactly."""
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


class _Owned:
    """For each query the gallery rows that belong to it, in one array."""

    def __init__(self, own: Sequence[Int64]) -> None:
        self._counts = np.array([len(rows) for rows in own], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)])
        self._items = np.concatenate([np.zeros(0, np.int64), *own]).astype(np.int64)

    def of(self, block: slice) -> tuple[Int64, Int64]:
        """Pairs of a query, counted from the block's start, and a row that it owns."""
        query = np.repeat(np.arange(block.stop - block.start), self._counts[block])
        return query, self._items[self._starts[block.start] : self._starts[block.stop]]


def _best_own(query: Int64, item: Int64, scores: Float32 | Float64) -> tuple[Int64, Int64, Any]:
    """Give each query that owns something its best own row (highest score, then lowest row) and that row's score."""
    order = np.lexsort((item, -scores, query))
    first = order[np.flatnonzero(np.diff(query[order], prepend=-1))]
    return query[first], item[first], scores[first]


def own_ranks(queries: Float32, gallery: Float32, own: Sequence[Int64]) -> Int64:
    """Rank the best own item of each query among the whole gallery, exactly, in blocks.

    Parameters
    ----------
    queries, gallery
        ``(n, e)`` and ``(m, e)`` rows. Where the gallery has one dimension more, that is a bias: queries have 1 there.
    own
        For each query the gallery rows that belong to it.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` number of gallery items before the best own one: those with a higher score, and those with an equal
        score and a lower row. A query that owns nothing gets m.

    Notes
    -----
    Time O(n m e), memory one block of scores.
    """
    if gallery.shape[1] == queries.shape[1] + 1:
        queries = np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])
    ranks, owned = np.full(len(queries), len(gallery), dtype=np.int64), _Owned(own)
    bound = rounding_bound(queries, gallery)
    for block in blocks(len(queries), max(1, BLOCK_SCORES // max(gallery.shape))):
        part = queries[block]
        query, item = owned.of(block)
        mine, best, level = _best_own(query, item, exact_pair_scores(part[query], gallery[item]))
        if len(mine):
            ranks[block.start + mine] = _count_before(part[mine], gallery, best, level, bound[block][mine])
    return ranks


def _count_before(queries: Float32, gallery: Float32, best: Int64, level: Float64, bound: Float64) -> Int64:
    """Count gallery rows that come before row ``best``, whose exact score is ``level``."""
    scores = queries @ gallery.T
    # Outside [low, high] float32 is sure of the order; inside, exact scores decide.
    low = np.nextafter((level - bound).astype(np.float32), np.float32(-np.inf))[:, None]
    high = np.nextafter((level + bound).astype(np.float32), np.float32(np.inf))[:, None]
    above = scores > high
    close = (scores >= low) & ~above
    close[np.arange(len(best)), best] = False
    if np.count_nonzero(close) > MANY * close.size:
        return _before(exact_scores(queries, gallery), best, level)
    query, item = np.nonzero(close)
    exact = exact_pair_scores(queries[query], gallery[item])
    before = (exact > level[query]) | ((exact == level[query]) & (item < best[query]))
    count: Int64 = np.count_nonzero(above, axis=1) + np.bincount(query[before], minlength=len(queries))
    return count


def _before(scores: Float32 | Float64, best: Int64, level: Any) -> Int64:
    same = (scores == level[:, None]) & (np.arange(scores.shape[1]) < best[:, None])
    count: Int64 = np.count_nonzero((scores > level[:, None]) | same, axis=1)
    return count


def own_ranks_by_scores(score_blocks: Iterable[Float32], own: Sequence[Int64]) -> Int64:
    """Rank the best own item of each query from blocks of scores ``(n, m)``, under the rules of `own_ranks`."""
    owned, found, start = _Owned(own), [], 0
    for scores in score_blocks:
        query, item = owned.of(slice(start, start + len(scores)))
        mine, best, level = _best_own(query, item, scores[query, item])
        ranks = np.full(len(scores), scores.shape[1], dtype=np.int64)
        ranks[mine] = _before(scores[mine], best, level)
        found.append(ranks)
        start += len(scores)
    return np.concatenate(found)
