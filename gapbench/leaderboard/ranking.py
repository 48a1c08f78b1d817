"""Ranking the rows of a table: one verdict for each pair of rows, and all that is read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gapbench.joint import Joint, joint, p_of_all
from gapbench.leaderboard.table import PRIMARY
from gapbench.power import detectable_over_seeds, minimum_detectable_effect
from gapbench.results.answers import BASELINE
from gapbench.results.comparisons import is_judged, shares_items
from gapbench.specs import MetricFamily
from gapbench.verdicts import FAMILIES, SIGNIFICANT, family, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.components import Float64, Measurement
    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

UNTESTED = "its per-item outcomes are missing or were changed, so it cannot be tested"

#: One a seed.
Measured = list["Measurement"]


def rank(table: Table, specs: Mapping[str, MetricSpec]) -> None:
    """Decide about the rows of a table: which differ from ``identity``, and which ranks they may have.

    Controls, and rows that are incomplete, in conflict or reported have no rank. A row whose outcomes are gone cannot be
    tested, so it has no rank, and its reason says why. In-sample nothing is decided.

    Parameters
    ----------
    table
        Its verdicts and ranks are filled in, and for each task metric the smallest difference to ``identity`` that it
        would find with 80 % power.
    specs
        Known metrics.
    """
    _drop_unlike(table)
    rows = [row for row in table.rows if row.comparable]
    if not rows or not is_judged(rows[0].records[0]):
        return
    for metric in table.metrics:
        if metric != table.primary:
            _star(rows, metric)
    if ranks_by(table.primary, specs):
        _rank([row for row in rows if table.primary in row.values], table, better_of(table.primary, specs))
    else:
        _star(rows, table.primary)
    for metric in table.metrics:
        if ranks_by(metric, specs) and (found := _detectable(rows, metric)) is not None:
            table.detectable[metric] = found


def _drop_unlike(table: Table) -> None:
    """Let go of differences between rows of other seeds than the table has: means of other seeds are no pair."""
    base = table.row(BASELINE)
    lone = base is not None and base.compared and not base.complete
    for row in table.rows:
        if row.compared and (lone or not row.complete):
            for name, value in row.values.items():
                row.values[name] = msgspec.structs.replace(value, delta=None, p=None)
    if lone and base is not None:
        have, all_of = base.coverage
        table.remarks.append(
            f"{BASELINE} has {have} of the {all_of} seeds, so nothing is compared with it: run it with the others."
        )


def _star(rows: Sequence[Row], metric: str) -> None:
    """Correct the tests against ``identity`` of a metric that does not rank."""
    tested = [row for row in rows if metric in row.values and row.values[metric].p is not None]
    for row, p in zip(tested, family([row.values[metric].p or 0.0 for row in tested]).tolist(), strict=True):
        _decide(row, metric, p)


def _decide(row: Row, metric: str, p_holm: float) -> None:
    row.values[metric] = msgspec.structs.replace(row.values[metric], p_holm=p_holm)


def _rank(rows: Sequence[Row], table: Table, better: str) -> None:
    primary = table.primary
    found = {id(row): _measured(row, primary) for row in rows}
    for row in rows:
        row.untested = "" if found[id(row)] or row.control else UNTESTED
    rows = [row for row in rows if found[id(row)]]
    measured = [found[id(row)] for row in rows]
    base = next((i for i, row in enumerate(rows) if row.label == BASELINE), None)
    ranked = np.array([not row.control for row in rows], dtype=bool)
    shared = shares_items(rows[0].records[0]) if rows else True
    gains = np.array([row.values[primary].value for row in rows]) * (1 if better == "higher" else -1)
    verdicts = judge(gains, _p(rows, measured, primary, base, ranked, shared), ranked, base)
    for i, (row, ends) in enumerate(zip(rows, verdicts.ranks(ranked), strict=True)):
        row.rank, row.rank_high = ends or (None, None)
        if base is not None and i != base:
            _decide(row, primary, verdicts.p(i, base))


def _p(
    rows: Sequence[Row], measured: Sequence[Measured], primary: str, base: int | None, ranked: np.ndarray, shared: bool
) -> Float64:
    """``(R, R)`` p values of the pairs that are tested: ranked rows, and each row with the baseline."""
    p = np.full((len(rows), len(rows)), np.nan)
    mine = np.flatnonzero(ranked).tolist()
    p[np.ix_(mine, mine)] = p_of_all([measured[i] for i in mine], shared=shared)
    if base is not None:
        against = [row.values[primary].p for row in rows]
        for i, one in enumerate(against):
            if i != base and one is not None:
                p[i, base] = p[base, i] = one
    return p


def _measured(row: Row, primary: str) -> Measured:
    """Return the outcomes of a row, one a seed; nothing where those of a seed are gone."""
    if any(one.untested or primary not in one.measured for one in row.compared):
        return []
    return [one.measured[primary] for one in sorted(row.compared, key=lambda one: one.record.seed)]


def ranks_by(primary: str, specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a metric ranks: those of tasks do, those of the gap never."""
    return primary in PRIMARY or (primary in specs and specs[primary].family is MetricFamily.TASK)


def better_of(primary: str, specs: Mapping[str, MetricSpec]) -> str:
    """Say whether ``higher`` or ``lower`` values of a metric are better."""
    return "lower" if primary in specs and specs[primary].better == "lower" else "higher"


def _detectable(rows: Sequence[Row], metric: str) -> float | None:
    """Return the smallest difference to ``identity`` that would be found, for the median row that is no control."""
    rows = [row for row in rows if metric in row.values]
    found = {id(row): _measured(row, metric) for row in rows}
    base = next((row for row in rows if row.label == BASELINE and found[id(row)]), None)
    others = [found[id(row)] for row in rows if row is not base and not row.control and found[id(row)]]
    if base is None or len(rows) < 2 or not others:  # noqa: PLR2004 - there is nothing to compare with
        return None
    theirs = found[id(base)]
    tests = FAMILIES * (len(rows) - 1)
    n = theirs[0].n if theirs[0].outcomes is None else len(theirs[0].outcomes)
    counts = theirs[0].outcomes is not None and theirs[0].outcomes.dtype == bool
    parts = _parts([theirs, *others], shares_items(base.records[0]))
    if len(theirs) == 1:
        errors = [error for part in parts for error in part.errors()[0, 1:].tolist()]
        return minimum_detectable_effect(errors, n=n, m=tests, binary=counts)
    effect = detectable_over_seeds(parts, SIGNIFICANT / tests)
    least = minimum_detectable_effect([], n=n, m=tests, binary=True) if counts else 0.0
    return None if effect is None or least is None else max(least, effect)


def _parts(rows: Sequence[Measured], shared: bool) -> list[Joint]:
    """Take rows together with the first; where not all can be, each that can, alone."""
    together = joint(rows, shared=shared)
    alone = [together] if together is not None else [joint([rows[0], row], shared=shared) for row in rows[1:]]
    return [part for part in alone if part is not None]
