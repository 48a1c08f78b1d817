"""The FAISS nearest-prompt retriever, and exact ranks for retrieval.

Scores are inner products of what the aligner returned. On the flat index the result equals exact NumPy: FAISS proposes
candidates, their scores are computed again in one canonical way, and equal scores go to the lower class. The result
therefore does not depend on how queries are cut into batches.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import Pooling
from gapbench.embeddings.arrays import blocks, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gapbench.components import Float32, Int64

#: Scores that are held at once in exact ranking.
BLOCK_SCORES = 4_000_000


def pool(rows: Float32, owner: Int64, pooling: Pooling, n_classes: int) -> tuple[Float32, Int64]:
    """Pool the prompts of each class.

    Parameters
    ----------
    rows
        ``(M, d)`` unit rows.
    owner
        ``(M,)`` class of each row.
    pooling
        ``mean``: average and normalise, one row a class, in the order of the classes. ``nearest``: leave as they are.

    Returns
    -------
    tuple
        Rows and their classes.
    """
    if pooling is Pooling.NEAREST:
        return rows, owner
    sums = np.zeros((n_classes, rows.shape[1]))
    np.add.at(sums, owner, rows.astype(np.float64))
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
        with faiss_threads(self.threads):
            if self.kind == "hnsw":
                index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
                index.hnsw.efSearch = 128
            elif self.kind == "ivf":
                cells = max(1, int(np.sqrt(len(self._rows))))
                index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
                index.cp.min_points_per_centroid = 1
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
            Classes ``(n, k)`` by descending score, and the scores. An approximate index that finds fewer than k classes
            fills up with -1.
        """
        if self._biased:
            queries = np.column_stack([queries, np.ones(len(queries), dtype=np.float32)])
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        # So many prompts that k classes are among them whatever their owners, and a few more: a candidate whose score
        # FAISS rounds differently must not fall out at the edge.
        wanted = min(len(self._rows), (k - 1) * self._most + 1 + 8)
        classes = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        with faiss_threads(self.threads):
            for block in blocks(len(queries), max(1, BLOCK_SCORES // (wanted * self._rows.shape[1]))):
                found = self._index.search(queries[block], wanted)[1]
                classes[block], scores[block] = self._canonical(queries[block], found, k)
        return classes, scores

    def _canonical(self, queries: Float32, found: Int64, k: int) -> tuple[Int64, Float32]:
        """Score candidates again, exactly; sort by score, then class; keep each class once."""
        # A product row by row: unlike a matrix product its rounding does not depend on the shape of the batch.
        exact = np.einsum("qd,qcd->qc", queries, self._rows[found], dtype=np.float64).astype(np.float32)
        exact[found < 0] = -np.inf
        owner = np.where(found < 0, -1, self._owner[found])
        order = np.lexsort((owner, -exact), axis=1)
        owner, exact = np.take_along_axis(owner, order, 1), np.take_along_axis(exact, order, 1)
        return _first_of_each(owner, exact, k)

    def recall_against_flat(self, queries: Float32, k: int = 1) -> float:
        """Share of the flat index's first k classes that this index finds among its own."""
        if self.kind == "flat":
            return 1.0
        flat = PromptIndex(self._plain, self._owner, self.n_classes, text_bias=self._bias, threads=self.threads)
        mine, best = self.top_classes(queries, k)[0], flat.top_classes(queries, k)[0]
        return float(np.mean([np.isin(b, m).mean() for b, m in zip(best, mine, strict=True)]))

    @property
    def _plain(self) -> Float32:
        return self._rows[:, :-1] if self._biased else self._rows

    @property
    def _bias(self) -> Float32 | None:
        return self._rows[:, -1] if self._biased else None


def _first_of_each(owner: Int64, scores: Float32, k: int) -> tuple[Int64, Float32]:
    """Of sorted candidates keep the first of each class, the first k of these; -1 where there are fewer."""
    n, width = owner.shape
    if width == 1 or k == 1:
        return owner[:, :k], scores[:, :k]
    by_class = np.argsort(owner, axis=1, kind="stable")
    grouped = np.take_along_axis(owner, by_class, 1)
    repeated = np.zeros_like(owner, dtype=bool)
    again = np.concatenate([np.zeros((n, 1), dtype=bool), grouped[:, 1:] == grouped[:, :-1]], axis=1)
    np.put_along_axis(repeated, by_class, again, 1)
    repeated |= owner < 0
    kept = np.argsort(repeated, axis=1, kind="stable")[:, :k]
    classes, best = np.take_along_axis(owner, kept, 1), np.take_along_axis(scores, kept, 1)
    gone = np.take_along_axis(repeated, kept, 1)
    classes[gone], best[gone] = -1, -np.inf
    if classes.shape[1] < k:
        fill = ((0, 0), (0, k - classes.shape[1]))
        classes, best = np.pad(classes, fill, constant_values=-1), np.pad(best, fill, constant_values=-np.inf)
    return classes, best


def top_classes_by_scores(score_blocks: Iterable[Float32], owner: Int64, n_classes: int, k: int) -> Int64:
    """Rank classes from blocks of scores ``(n, M)``: for aligners that have no vector form."""
    found = []
    for scores in score_blocks:
        best = np.full((len(scores), n_classes), -np.inf, dtype=np.float32)
        for row, own in enumerate(owner):
            np.maximum(best[:, own], scores[:, row], out=best[:, own])
        found.append(np.argsort(-best, axis=1, kind="stable")[:, :k])
    return np.concatenate(found)


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
    ranks = np.full(len(queries), len(gallery), dtype=np.int64)
    counts = np.array([len(rows) for rows in own], dtype=np.int64)
    flat = np.concatenate([np.asarray(rows, dtype=np.int64) for rows in own]) if counts.sum() else np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns = np.arange(len(gallery))
    for block in blocks(len(queries), max(1, BLOCK_SCORES // len(gallery))):
        scores = queries[block] @ gallery.T
        # Entry by entry: (query in block, own gallery row); best own item = highest score, then lowest row.
        query = np.repeat(np.arange(block.stop - block.start), counts[block])
        item = flat[starts[block.start] : starts[block.stop]]
        if not len(item):
            continue
        order = np.lexsort((item, -scores[query, item], query))
        first = order[np.concatenate([[True], np.diff(query[order]) > 0])]
        mine, best = query[first], item[first]
        level = scores[mine, best][:, None]
        before = (scores[mine] > level) | ((scores[mine] == level) & (columns < best[:, None]))
        ranks[block.start + mine] = before.sum(axis=1)
    return ranks
