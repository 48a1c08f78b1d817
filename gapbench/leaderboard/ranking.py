"""Ranking the rows of a table: paired tests of all pairs, shared ranks, and how sure a rank is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import DataError
from gapbench.leaderboard.table import SIGNIFICANT
from gapbench.results.finalise import BASELINE, load_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gapbench.components import Float64, Measurement
    from gapbench.leaderboard.table import Row

UNTESTED = "its per-item outcomes are missing or were changed, so it cannot be tested"

#: Per seed.
Measured = dict[int, "Measurement"]


def rank(rows: Sequence[Row], primary: str, folder: Path, better: str) -> float | None:
    """Rank the rows that can be compared, by pairwise tests with Holm's correction.

    Controls, and rows that are incomplete, in conflict, stale or reported have no rank. A row whose outcomes are gone
    cannot be tested, so it has no rank, and its reason says why.

    Parameters
    ----------
    rows
        Of one table; their ranks are filled in.
    primary
        The metric.
    folder
        Where the outcomes lie.
    better
        ``higher`` or ``lower``.

    Returns
    -------
    float or None
        The smallest difference to ``identity`` that this table would find with 80 % power.
    """
    from gapbench.stats import shared_ranks

    ranked: list[Row] = []
    measured: list[Measured] = []
    for row in rows:
        if row.control or not row.comparable or primary not in row.values:
            continue
        try:
            loaded = {record.seed: load_outcomes(record, folder, only=primary).get(primary) for record in row.records}
        except DataError:  # its words name a folder of this machine, which has no place in a leaderboard
            row.untested = UNTESTED
            continue
        ranked.append(row)
        measured.append({seed: outcomes for seed, outcomes in loaded.items() if outcomes is not None})
    values = [row.values[primary].value for row in ranked]
    ranks = shared_ranks(values, different=_different(measured), better=better)
    for row, place, ends in zip(ranked, ranks, _rank_intervals(measured, better), strict=True):
        row.rank, row.rank_interval = place, ends
    tests = sum(row.comparable and row.label != BASELINE and primary in row.values for row in rows)  # as Holm counts
    return _detectable(ranked, measured, tests)


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
    outcomes = [found.outcomes for found in measured if found.outcomes is not None]
    if len(outcomes) != len(measured) or len(set(map(len, outcomes))) != 1:
        return None
    return np.stack(outcomes)


def _rank_intervals(measured: Sequence[Measured], better: str) -> list[tuple[int, int] | None]:
    """Lowest and highest rank by value in 95 % of the resamples of the items (see `rank_interval`)."""
    from gapbench.stats import rank_intervals

    none: list[tuple[int, int] | None] = [None] * len(measured)
    seeds = {tuple(sorted(found)) for found in measured}
    if len(measured) < 2 or len(seeds) != 1:  # noqa: PLR2004 - one row alone has no rank to doubt
        return none
    stacked = [_stacked([found[seed] for found in measured]) for seed in seeds.pop()]
    known = [outcomes for outcomes in stacked if outcomes is not None]
    if len(known) != len(stacked) or len({outcomes.shape for outcomes in known}) != 1:
        return none
    return list(rank_intervals(np.mean(known, axis=0, dtype=np.float64), better))


def _detectable(rows: Sequence[Row], measured: Sequence[Mapping[int, Measurement]], tests: int) -> float | None:
    """Give the smallest difference to ``identity`` that would be found, for the median row and the first seed."""
    from gapbench.stats import minimum_detectable_effect, paired_error, paired_errors

    base = next((found for row, found in zip(rows, measured, strict=True) if row.label == BASELINE), None)
    if not base or tests < 1:
        return None
    seed, theirs = min(base.items())
    others = [found[seed] for row, found in zip(rows, measured, strict=True) if row.label != BASELINE and seed in found]
    stacked = _stacked([theirs, *others])
    if stacked is not None and stacked.shape[1] > 1:
        errors = paired_errors(stacked[1:], stacked[0]).tolist()
    else:
        errors = [error for mine in others if (error := paired_error(mine, theirs)) is not None]
    n = theirs.n if theirs.outcomes is None else len(theirs.outcomes)
    binary = theirs.outcomes is not None and theirs.outcomes.dtype == bool
    return minimum_detectable_effect(errors, n=n, m=tests, binary=binary)
