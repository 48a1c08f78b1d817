"""Means over pairs of rows, with groups of items left out: what kernels and cosines of a sample need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.moments import add_grouped

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, Int64


def group_sums(matrix: Float64 | Float32, rows: Int64, columns: Int64, n_groups: int) -> Float64:
    """``(G, G)`` sums of a matrix over groups of its rows and columns."""
    by_row, by_column = np.zeros((n_groups, matrix.shape[1])), np.zeros((n_groups, n_groups))
    add_grouped(by_row, rows, matrix)
    add_grouped(by_column, columns, by_row.T)
    return by_column.T


def left_out(sums: Float64) -> Float64:
    """``(1 + G,)`` the total of ``(G, G)`` sums, then the totals without the rows and columns of each group."""
    total = sums.sum()
    own = np.diag(sums)
    return np.concatenate([[total], total - sums.sum(axis=0) - sums.sum(axis=1) + own])


class PairMeans:
    """Mean of a matrix over pairs of different items, in whole and with each group of items left out.

    Parameters
    ----------
    matrix
        ``(n, m)`` values of pairs.
    rows, columns
        Group of each row and column; -1 for rows that belong to no item and are never left out.
    excluded
        ``(k, 2)`` positions that are no pairs, such as the diagonal.
    n_groups
        G.
    """

    def __init__(self, matrix: Float64 | Float32, rows: Int64, columns: Int64, excluded: Int64, n_groups: int) -> None:
        i, j = excluded.T
        sums = group_sums(matrix, rows + 1, columns + 1, n_groups + 1)
        sizes = [np.bincount(of + 1, minlength=n_groups + 1).astype(np.float64) for of in (rows, columns)]
        counts: Float64 = np.multiply.outer(*sizes)
        np.subtract.at(sums, (rows[i] + 1, columns[j] + 1), matrix[i, j])
        np.subtract.at(counts, (rows[i] + 1, columns[j] + 1), 1)
        totals, numbers = left_out(sums), left_out(counts)
        keep = np.r_[0, 2 : len(totals)]  # the group of what belongs to no item is not left out
        with np.errstate(invalid="ignore", divide="ignore"):
            self.values: Float64 = totals[keep] / numbers[keep]

    @staticmethod
    def diagonal(n: int) -> Int64:
        """Positions ``(i, i)``."""
        return np.stack([np.arange(n), np.arange(n)], axis=1)
