"""Ranking the rows of a table: paired tests of all pairs, shared ranks, and how sure a rank is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import DataError
from gapbench.leaderboard.table import PRIMARY, SIGNIFICANT
from gapbench.results import outcomes
from gapbench.results.finalise import BASELINE
from gapbench.specs import MetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gapbench.components import Float64, Measurement
    from gapbench.leaderboard.table import Row, Table
    from gapbench.results.record import Outcomes
    from gapbench.specs import MetricSpec

UNTESTED = "its per-item outcomes are missing or were changed, so it cannot be tested"

#: From so many outcomes files on, other processes help: below, starting them takes longer than they save.
MANY_FILES = 20_000

#: Processes that help; each needs about 100 MB.
MOST_WORKERS = 4

#: Per seed.
Measured = dict[int, "Measurement"]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What ranking needs to know of a table: little enough to be sent to another process.

    Parameters
    ----------
    labels, values
        Of the rows that can be ranked, and their means of the primary metric.
    sources
        For each of these rows and each seed where the outcomes lie, with the value and the number of items.
    primary, better
        The metric, and whether ``higher`` or ``lower`` is better.
    tests
        Number of rows that are compared with ``identity``, as Holm counts.
    """

    labels: list[str]
    values: list[float]
    sources: list[dict[int, tuple[Outcomes | None, float, int]]]
    primary: str
    better: str
    tests: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What comes of a contest: a place for each row, None where its outcomes are gone, and the power of the table."""

    places: list[tuple[int, tuple[int, int] | None] | None]
    detectable: float | None


def ranked(tables: Iterable[Table], specs: Mapping[str, MetricSpec], folder: Path, *, files: int) -> list[Table]:
    """Rank the rows that can be compared, in each table by pairwise tests with Holm's correction.

    Controls, and rows that are incomplete, in conflict, stale or reported have no rank. A row whose outcomes are gone
    cannot be tested, so it has no rank, and its reason says why.

    Parameters
    ----------
    tables
        Their ranks are filled in, and the smallest difference to ``identity`` that each would find with 80 % power.
    specs
        Known metrics.
    folder
        Where the outcomes lie.
    files
        How many outcomes files there are: of many, other processes read and test their share, while tables still come in.
    """
    kept: list[Table] = []

    def contests() -> Iterator[Contest]:
        for table in tables:
            kept.append(table)
            if ranks_by(table.primary, specs):
                yield _contest(table, specs)

    standings = iter(_decided(contests(), folder, files))
    for table in kept:
        if ranks_by(table.primary, specs):
            standing = next(standings)
            table.detectable = standing.detectable
            for row, place in zip(_candidates(table), standing.places, strict=True):
                if place is None:
                    row.untested = UNTESTED
                else:
                    row.rank, row.rank_interval = place
    return kept


def ranks_by(primary: str, specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a metric ranks: those of tasks do, those of the gap never."""
    return primary in PRIMARY or (primary in specs and specs[primary].family is MetricFamily.TASK)


def better_of(primary: str, specs: Mapping[str, MetricSpec]) -> str:
    """Say whether ``higher`` or ``lower`` values of a metric are better."""
    return "lower" if primary in specs and specs[primary].better == "lower" else "higher"


def _candidates(table: Table) -> list[Row]:
    return [row for row in table.rows if row.comparable and not row.control and table.primary in row.values]


def _contest(table: Table, specs: Mapping[str, MetricSpec]) -> Contest:
    primary, rows = table.primary, _candidates(table)
    others = [row for row in table.rows if row.comparable and row.label != BASELINE and primary in row.values]
    return Contest(
        labels=[row.label for row in rows],
        values=[row.values[primary].value for row in rows],
        sources=[
            {
                record.seed: (record.outcomes, record.metrics[primary].value, record.metrics[primary].n)
                for record in row.records
                if primary in record.metrics
            }
            for row in rows
        ],
        primary=primary,
        better=better_of(primary, specs),
        tests=len(others),
    )


def _decided(contests: Iterable[Contest], folder: Path, files: int) -> list[Standing]:
    """Decide all contests, on all cores where they rest on many files."""
    if files < MANY_FILES:
        return [decide(contest, folder) for contest in contests]
    from joblib import Parallel, cpu_count, delayed

    jobs = (delayed(decide)(contest, folder) for contest in contests)
    workers = min(MOST_WORKERS, cpu_count())
    # No more are handed out ahead: joblib's executor writes a traceback where an interrupt finds others waiting.
    found: list[Standing] = Parallel(n_jobs=workers, batch_size=2, pre_dispatch="4*n_jobs")(jobs)
    return found


def decide(contest: Contest, folder: Path) -> Standing:
    """Rank the rows of one table; ``folder`` is where the outcomes lie."""
    from gapbench.stats import shared_ranks

    loaded = [_loaded(seeds, contest.primary, folder) for seeds in contest.sources]
    there = [i for i, found in enumerate(loaded) if found is not None]
    measured = [found for found in loaded if found is not None]
    labels = [contest.labels[i] for i in there]
    ranks = shared_ranks([contest.values[i] for i in there], different=_different(measured), better=contest.better)
    places: list[tuple[int, tuple[int, int] | None] | None] = [None] * len(loaded)
    for i, place, ends in zip(there, ranks, _rank_intervals(measured, contest.better), strict=True):
        places[i] = place, ends
    return Standing(places=places, detectable=_detectable(labels, measured, contest.tests))


def _loaded(seeds: Mapping[int, tuple[Outcomes | None, float, int]], primary: str, folder: Path) -> Measured | None:
    """Read the outcomes of a row; None where they are gone. The error names a folder of this machine: it is not shown."""
    found: Measured = {}
    for seed, (where, value, n) in seeds.items():
        if where is None:
            continue
        try:
            measured = outcomes.load(folder, where, {primary: (value, n)})
        except DataError:
            return None
        if primary in measured:
            found[seed] = measured[primary]
    return found


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
