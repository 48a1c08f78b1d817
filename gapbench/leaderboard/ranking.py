"""Ranking the rows of a table: paired tests of all pairs, shared ranks, and how sure a rank is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.leaderboard.table import PRIMARY, SIGNIFICANT
from gapbench.results.answers import BASELINE
from gapbench.specs import MetricFamily

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gapbench.components import Float64, Measurement
    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

UNTESTED = "its per-item outcomes are missing or were changed, so it cannot be tested"

#: Per seed.
Measured = dict[int, "Measurement"]


def rank(table: Table, specs: Mapping[str, MetricSpec]) -> None:
    """Rank the rows that can be compared, by pairwise tests with Holm's correction.

    Controls, and rows that are incomplete, in conflict or reported have no rank. A row whose outcomes are gone cannot be
    tested, so it has no rank, and its reason says why.

    Parameters
    ----------
    table
        Its ranks are filled in, and the smallest difference to ``identity`` that it would find with 80 % power.
    specs
        Known metrics.
    """
    from gapbench.stats import shared_ranks

    primary, better = table.primary, better_of(table.primary, specs)
    if not ranks_by(primary, specs):
        return
    candidates = [row for row in table.rows if row.comparable and not row.control and primary in row.values]
    loaded = [_measured(row, primary) for row in candidates]
    rows = [row for row, found in zip(candidates, loaded, strict=True) if found]
    measured = [found for found in loaded if found]
    for row, found in zip(candidates, loaded, strict=True):
        row.untested = "" if found else UNTESTED
    values = [row.values[primary].value for row in rows]
    ranks = shared_ranks(values, different=_different(measured), better=better)
    for row, place, ends in zip(rows, ranks, _rank_intervals(measured, better), strict=True):
        row.rank, row.rank_interval = place, ends
    others = [row for row in table.rows if row.comparable and row.label != BASELINE and primary in row.values]
    table.detectable = _detectable([row.label for row in rows], measured, len(others))


def _measured(row: Row, primary: str) -> Measured | None:
    """Return the outcomes of a row by seed; None where those of a seed are gone."""
    if any(one.untested for one in row.compared):
        return None
    return {one.answer.record.seed: one.measured[primary] for one in row.compared if primary in one.measured}


def ranks_by(primary: str, specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a metric ranks: those of tasks do, those of the gap never."""
    return primary in PRIMARY or (primary in specs and specs[primary].family is MetricFamily.TASK)


def better_of(primary: str, specs: Mapping[str, MetricSpec]) -> str:
    """Say whether ``higher`` or ``lower`` values of a metric are better."""
    return "lower" if primary in specs and specs[primary].better == "lower" else "higher"


def _different(measured: Sequence[Measured]) -> NDArray[np.bool_]:
    """``(R, R)``, which rows differ by more than noise, after Holm over all pairs."""
    from gapbench.stats import holm

    below = np.tril_indices(len(measured), -1)
    adjusted = np.ones((len(measured), len(measured)))
    adjusted[below] = holm(_pairwise_p(measured)[below])
    return np.minimum(adjusted, adjusted.T) < SIGNIFICANT


def _pairwise_p(measured: Sequence[Measured]) -> Float64:
    """``(R, R)`` p values: rows are tested seed by seed on the same items, and the largest p of the seeds counts."""
    from gapbench.stats import mcnemar_exact_matrix, paired_p

    rows = len(measured)
    largest = np.zeros((rows, rows))
    seeds = sorted({seed for found in measured for seed in found})
    shared = np.zeros((rows, rows), dtype=bool)
    for seed in seeds:
        have = [i for i in range(rows) if seed in measured[i]]
        stacked = _stacked([measured[i][seed] for i in have])
        if stacked is not None and stacked.dtype == np.bool_:
            found = mcnemar_exact_matrix(stacked)
        else:
            found = np.ones((len(have), len(have)))
            for a in range(len(have)):
                for b in range(a):
                    p = paired_p(measured[have[a]][seed], measured[have[b]][seed])
                    found[a, b] = found[b, a] = 1.0 if p is None else p
        block = np.ix_(have, have) if len(have) < rows else np.s_[:, :]
        largest[block] = np.maximum(largest[block], found)
        shared[block] = True
    return np.where(shared, largest, 1.0)


def _stacked(measured: Sequence[Measurement]) -> np.ndarray | None:
    """``(R, n)`` outcomes; None where some have none, or they are not of the same items."""
    have = [found.outcomes for found in measured if found.outcomes is not None]
    if len(have) != len(measured) or len(set(map(len, have))) != 1:
        return None
    return np.stack(have)


def _rank_intervals(measured: Sequence[Measured], better: str) -> list[tuple[int, int] | None]:
    """Lowest and highest rank by value in 95 % of the resamples of the items (see `rank_interval`)."""
    from gapbench.stats import rank_intervals

    none: list[tuple[int, int] | None] = [None] * len(measured)
    seeds = {tuple(sorted(found)) for found in measured}
    if len(measured) < 2 or len(seeds) != 1:  # noqa: PLR2004 - one row alone has no rank to doubt
        return none
    stacked = [_stacked([found[seed] for found in measured]) for seed in seeds.pop()]
    known = [found for found in stacked if found is not None]
    if len(known) != len(stacked) or len({found.shape for found in known}) != 1:
        return none
    return list(rank_intervals(np.mean(known, axis=0, dtype=np.float64), better))


def _detectable(labels: Sequence[str], measured: Sequence[Measured], tests: int) -> float | None:
    """Give the smallest difference to ``identity`` that would be found, for the median row and the first seed."""
    from gapbench.stats import minimum_detectable_effect, paired_error, paired_errors

    base = next((found for label, found in zip(labels, measured, strict=True) if label == BASELINE), None)
    if not base or tests < 1:
        return None
    seed, theirs = min(base.items())
    others = [found[seed] for label, found in zip(labels, measured, strict=True) if label != BASELINE and seed in found]
    stacked = _stacked([theirs, *others])
    if stacked is not None and stacked.shape[1] > 1:
        errors = paired_errors(stacked[1:], stacked[0]).tolist()
    else:
        errors = [error for mine in others if (error := paired_error(mine, theirs)) is not None]
    n = theirs.n if theirs.outcomes is None else len(theirs.outcomes)
    binary = theirs.outcomes is not None and theirs.outcomes.dtype == bool
    return minimum_detectable_effect(errors, n=n, m=tests, binary=binary)
