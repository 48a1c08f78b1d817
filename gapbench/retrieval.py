"""The FAISS nearest-prompt retriever.

Scores are inner products of what the aligner returned. Fast float32 products round differently with the shape of a
batch, so they decide only where their rounding cannot matter; whatever lies closer is scored again by `exact_scores`,
whose result depends on nothing but the two rows. On the flat index the answer is therefore that of exact arithmetic:
equal scores are equal, they go to the lower class, and it does not matter how queries are cut into batches.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.arrays import blocks, unit_rows
from gapbench.embeddings.moments import add_grouped
from gapbench.exact import BLOCK_SCORES, exact_scores, own_ranks, own_ranks_by_scores, rounding_bound
from gapbench.specs import Pooling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from gapbench.components import Float32, Float64, Int64

__all__ = [
    "PromptIndex",
    "own_ranks",
    "own_ranks_by_scores",
    "pool",
    "rank_classes",
    "top_classes_by_scores",
    "top_columns",
]


def pool(
    rows: Float32, owner: Int64, pooling: Pooling, n_classes: int, weights: Float64 | None = None
) -> tuple[Float32, Int64]:
    """Pool the prompts of each class.

    Parameters
    ----------
    rows
        ``(M, d)`` unit rows.
    owner
        ``(M,)`` class of each row.
    pooling
        ``mean``: average and normalise, one row a class, in the order of the classes. ``nearest``: leave as they are.
    n_classes
        C.
    weights
        ``(M,)`` how much each row counts in the mean of its class; None: all the same.

    Returns
    -------
    tuple
        Rows and their classes.
    """
    if pooling is Pooling.NEAREST:
        return rows, owner
    sums = np.zeros((n_classes, rows.shape[1]))
    if weights is None:
        add_grouped(sums, owner, rows)
    else:
        np.add.at(sums, owner, weights[:, None] * rows)
    return unit_rows(sums.astype(np.float32)), np.arange(n_classes)


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Pin FAISS's threads: its OpenMP runtime stands beside torch's and would take all cores as well."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class PromptIndex:
    """Inner-product index over prompts that predicts classes.

    Parameters
    ----------
    texts
        ``(M, e)`` float32 rows.
    owner
        ``(M,)`` class of each row.
    n_classes
        C.
    kind
        ``flat`` (exact), ``hnsw`` or ``ivf`` (approximate, for large prompt sets).
    text_bias
        ``(M,)`` added to every score of a row: kept as one more dimension, against which queries have 1.
    threads
        Threads that FAISS may use.
    """

    def __init__(
        self,
        texts: Float32,
        owner: Int64,
        n_classes: int,
        *,
        kind: str = "flat",
        text_bias: Float32 | None = None,
        threads: int = 1,
    ) -> None:
        rows = texts if text_bias is None else np.column_stack([texts, text_bias])
        self._rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._biased = text_bias is not None
        self._owner = np.asarray(owner, dtype=np.int64)
        self._most = int(np.bincount(self._owner).max())
        self.n_classes = n_classes
        self.kind = kind
        self.threads = threads

    @cached_property
    def _index(self) -> Any:
        import faiss

        dim = self._rows.shape[1]
        index: Any
        with faiss_threads(self.threads):
            if self.kind == "hnsw":
                index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
            elif self.kind == "ivf":
                cells = max(1, int(np.sqrt(len(self._rows))))
                index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
                index.cp.min_points_per_centroid = 1  # else FAISS prints a warning for small sets
                index.nprobe = max(1, cells // 4)
                index.train(self._rows)
            else:
                index = faiss.IndexFlatIP(dim)
            index.add(self._rows)
        return index

    def top_classes(self, queries: Float32, k: int) -> tuple[Int64, Float32]:
        """Rank classes by their best prompt.

        Parameters
        ----------
        queries
            ``(n, e)`` float32 rows.
        k
            Number of classes, at most C.

        Returns
        -------
        tuple
            Classes ``(n, k)`` by descending score, and the scores to the precision of float32. An approximate index
            that finds fewer than k classes fills up with -1.
        """
        if self._biased:
            queries = np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        # So many prompts that k classes and the next one are among them, whatever their owners.
        wanted = min(len(self._rows), k * self._most + 1)
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = max(128, wanted)
        classes = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        with faiss_threads(self.threads):
            for block in blocks(len(queries), max(1, BLOCK_SCORES // max(wanted, self._rows.shape[1]))):
                best, found = self._index.search(queries[block], wanted)
                classes[block], scores[block] = self._decide(queries[block], best, found, k)
        return classes, scores

    def _decide(self, queries: Float32, best: Float32, found: Int64, k: int) -> tuple[Int64, Float32]:
        """Turn candidates into classes; on the flat index, score queries again whose order rounding could change."""
        owner = np.where(found < 0, -1, self._owner[found])
        if self.kind != "flat":  # scored row by row, so that equal rows have equal scores already
            best = np.where(found < 0, -np.inf, best).astype(np.float32)
            order = np.lexsort((owner, -best), axis=1)
            return _first_of_each(np.take_along_axis(owner, order, 1), np.take_along_axis(best, order, 1), k)
        classes, scores = _first_of_each(owner, best, k + 1)
        with np.errstate(invalid="ignore"):  # -inf beside -inf: fewer than k classes have a prompt
            apart = scores[:, :-1] - scores[:, 1:] > 2 * rounding_bound(queries, self._rows)[:, None]
        classes, scores = classes[:, :k], scores[:, :k]
        close = np.flatnonzero(~(apart | (classes < 0)).all(axis=1))
        for block in blocks(len(close), max(1, BLOCK_SCORES // max(len(self._rows), queries.shape[1]))):
            rows = close[block]
            classes[rows], scores[rows] = rank_classes(exact_scores(queries[rows], self._rows), self._owner, k)
        return classes, scores

    def recall_against_flat(self, queries: Float32, k: int = 1) -> float:
        """Share of the flat index's first k classes that this index finds among its own."""
        if self.kind == "flat":
            return 1.0
        texts, bias = (self._rows[:, :-1], self._rows[:, -1]) if self._biased else (self._rows, None)
        flat = PromptIndex(texts, self._owner, self.n_classes, text_bias=bias, threads=self.threads)
        mine, best = self.top_classes(queries, k)[0], flat.top_classes(queries, k)[0]
        return float((best[:, :, None] == mine[:, None, :]).any(axis=2).mean())


def _first_of_each(owner: Int64, scores: Float32, k: int) -> tuple[Int64, Float32]:
    """Of candidates by descending score keep the first of each class, and k of these; -1 where there are fewer."""
    by_class = np.argsort(owner, axis=1, kind="stable")
    grouped = np.take_along_axis(owner, by_class, 1)
    again = np.zeros_like(owner, dtype=bool)
    again[:, 1:] = grouped[:, 1:] == grouped[:, :-1]
    dropped = np.empty_like(again)
    np.put_along_axis(dropped, by_class, again, 1)
    dropped |= owner < 0
    kept = np.argsort(dropped, axis=1, kind="stable")[:, :k]
    gone = np.take_along_axis(dropped, kept, 1)
    classes = np.where(gone, -1, np.take_along_axis(owner, kept, 1))
    best = np.where(gone, np.float32(-np.inf), np.take_along_axis(scores, kept, 1))
    fill = ((0, 0), (0, max(0, k - classes.shape[1])))
    return np.pad(classes, fill, constant_values=-1), np.pad(best, fill, constant_values=-np.inf)


def rank_classes(scores: Float32 | Float64, owner: Int64, k: int) -> tuple[Int64, Float32]:
    """Rank classes by their best text from all scores ``(n, M)``; equal scores go to the lower class.

    Returns
    -------
    tuple
        Classes ``(n, k)`` and their scores; -1 where fewer than k classes own a text.
    """
    order = np.argsort(owner, kind="stable")
    classes, starts = np.unique(owner[order], return_index=True)
    best = np.maximum.reduceat(scores[:, order], starts, axis=1)
    first = np.argsort(-best, axis=1, kind="stable")[:, :k]
    fill = ((0, 0), (0, max(0, k - first.shape[1])))
    values = np.take_along_axis(best, first, 1).astype(np.float32)
    return np.pad(classes[first], fill, constant_values=-1), np.pad(values, fill, constant_values=-np.inf)


def top_classes_by_scores(score_blocks: Iterable[Float32], owner: Int64, n_classes: int, k: int) -> Int64:
    """Rank classes from blocks of scores ``(n, M)``: for aligners that have no vector form."""
    return np.concatenate([rank_classes(scores, owner, min(k, n_classes))[0] for scores in score_blocks])


def top_columns(scores: NDArray[Any], k: int) -> Int64:
    """``(n, k)`` columns of the k highest scores of each row, highest first; equal scores go to the lower column."""
    k = min(k, scores.shape[1])
    if k == 0:
        return np.zeros((len(scores), 0), dtype=np.int64)
    least = np.partition(scores, -k, axis=1)[:, -k][:, None]
    # Ties with the k-th score: fill up from the left, so that no order of an unstable selection decides.
    above, tied = scores > least, scores == least
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (tied & (np.cumsum(tied, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1)
