"""In-sample tables: how many of the scored items were fitted on, and how rows do on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement
from gapbench.errors import DataError
from gapbench.leaderboard.text import is_share
from gapbench.leaderboard.values import mean_of_seeds
from gapbench.model.record import IN_SAMPLE, MetricValue
from gapbench.model.units import within_unit
from gapbench.stats import interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.components import Bools
    from gapbench.leaderboard.table import Row, Table
    from gapbench.results.comparisons import Compared
    from gapbench.specs import MetricSpec


def score_unseen(table: Table, specs: Mapping[str, MetricSpec]) -> None:
    """Fill in how the rows of an in-sample table do, in the primary metric, on the items that were not fitted on."""
    if table.protocol != IN_SAMPLE:
        return
    records = [record for row in table.rows for record in row.records]
    table.seen = max((record.items.seen for record in records), default=0)
    for row in table.rows:
        row.unseen = _unseen(row, table.primary, specs.get(table.primary)) if row.ok and row.compared else None


def _unseen(row: Row, metric: str, spec: MetricSpec | None) -> MetricValue | None:
    found = [_of_seed(one, metric, spec) for one in row.compared]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    return known[0] if len(known) == 1 else mean_of_seeds(known, unit=_unit(metric, spec))


def _unit(metric: str, spec: MetricSpec | None) -> str:
    return "share" if is_share(metric, spec) else "" if spec is None else spec.unit


def _of_seed(one: Compared, metric: str, spec: MetricSpec | None) -> MetricValue | None:
    """Return the mean over the images that were not fitted on; None where none are left, or it is not known."""
    measured, seen = one.measured.get(metric), _seen(one, metric)
    if measured is None or measured.outcomes is None or seen is None:
        return None
    if len(seen) != len(measured.outcomes) or seen.all():
        return None
    outcomes = measured.outcomes[~seen]
    mine = Measurement(value=float(np.mean(outcomes)), n=len(outcomes), outcomes=outcomes)
    unit = _unit(metric, spec)
    return MetricValue(value=mine.value, n=mine.n, ci95=within_unit(interval(mine, unit), unit), distribution="")


def _seen(one: Compared, metric: str) -> Bools | None:
    stored = one.answer.stored.get(metric)
    if stored is None or stored.record.outcomes is None:
        return None
    try:
        return stored.container.opened(stored.record.outcomes).seen(stored.record.items.scored)
    except DataError:  # the row says so where its outcomes are read
        return None
