"""One verdict for each pair of rows: star, colour, rank, sentence and figure are all read from it.

Two families of tests are made at half of the level each: the rows against ``identity``, and all pairs of ranked rows, both
after Holm. What two verdicts imply is added: what is better than a row that is better than a third is better than the
third. So in at most 5 % of tables without true differences is any pair told apart, and no row can share the rank of
``identity`` and yet differ from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Bools, Float64

#: A corrected p value below this is more than noise.
SIGNIFICANT = 0.05

#: Families of tests in one table and metric; each has its share of the level.
FAMILIES = 2


def holm(p: Sequence[float] | Float64) -> list[float]:
    r"""Adjust p values after Holm (1979, Scand. J. Statist. 6, 65): controls the family-wise error rate.

    The i-th smallest of m becomes :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    steps = np.minimum(1.0, np.arange(len(p), 0, -1) * np.asarray(p, dtype=np.float64)[order])
    adjusted[order] = np.maximum.accumulate(steps)
    found: list[float] = adjusted.tolist()
    return found


def family(p: Sequence[float] | Float64) -> Float64:
    """Adjust the p values of one of the `FAMILIES` of a table, to be read at the whole level."""
    return np.minimum(1.0, FAMILIES * np.array(holm(p), dtype=np.float64))


@dataclass(frozen=True)
class Verdicts:
    """What can be told apart among R rows.

    Parameters
    ----------
    better
        ``(R, R)`` corrected p values: ``better[i, j]`` of row i being better than row j; 1 where it is not.
    """

    better: Float64

    def p(self, i: int, j: int) -> float:
        """Return the corrected p value of the difference of two rows."""
        return float(min(self.better[i, j], self.better[j, i]))

    def ranks(self, ranked: NDArray[np.bool_]) -> list[tuple[int, int] | None]:
        """Return the lowest and the highest rank that each row may have among the ranked ones; None for the others.

        A row stands behind all that are better than it by more than noise, and before all that are worse. With 95 %
        probability these intervals hold the true ranks of all rows at once (Mogstad, Romano, Shaikh and Wilhelm 2024,
        Rev. Econ. Stud. 91, 476).
        """
        sure = (self.better < SIGNIFICANT) & ranked[:, None] & ranked[None, :]
        above, below, rows = sure.sum(axis=0), sure.sum(axis=1), int(ranked.sum())
        return [(1 + int(a), rows - int(b)) if mine else None for a, b, mine in zip(above, below, ranked, strict=True)]


def judge(gains: Float64, p: Float64, ranked: Bools, base: int | None) -> Verdicts:
    """Decide about all pairs of rows.

    Parameters
    ----------
    gains
        ``(R,)`` values, signed so that more is better.
    p
        ``(R, R)`` p values of the paired tests; nan where there is none.
    ranked
        ``(R,)`` which rows are ranked: their pairs are a family. The others, controls, are compared with the baseline
        alone.
    base
        The row of ``identity``, where there is one.
    """
    rows = len(gains)
    adjusted = np.ones((rows, rows))
    pairs = np.tril(ranked[:, None] & ranked[None, :] & np.isfinite(p), -1)
    adjusted[pairs] = family(p[pairs])
    adjusted = np.minimum(adjusted, adjusted.T)
    if base is not None:
        others = np.isfinite(p[:, base]) & (np.arange(rows) != base)
        adjusted[others, base] = np.minimum(adjusted[others, base], family(p[others, base]))
        adjusted[base] = adjusted[:, base]
    return Verdicts(_implied(np.where(gains[:, None] > gains[None, :], adjusted, 1.0)))


def _implied(better: Float64) -> Float64:
    """Add what follows: a chain of verdicts is as sure as its weakest link (each p is one of the same correction)."""
    better = better.copy()
    for k in range(len(better)):
        np.minimum(better, np.maximum(better[:, k, None], better[None, k]), out=better)
    return better
