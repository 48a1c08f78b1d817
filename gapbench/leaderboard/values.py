"""The numbers of a table's rows: means over seeds, with intervals that hold the variation of items and of fits."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gapbench.joint import joint, quantile_of, reach, remaining
from gapbench.leaderboard.table import Value
from gapbench.leaderboard.text import is_share
from gapbench.model.record import MetricValue
from gapbench.model.units import RANGES, within_unit
from gapbench.results.comparisons import shares_items
from gapbench.stats import share_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.components import Float64
    from gapbench.leaderboard.table import Row
    from gapbench.results.comparisons import Compared, Difference
    from gapbench.specs import MetricSpec
    from gapbench.stats import Interval

#: Half the width of a 95 % normal interval, in standard errors.
NORMAL = NormalDist().inv_cdf(0.975)


def fill_values(rows: Sequence[Row], specs: Mapping[str, MetricSpec]) -> None:
    """Fill in the values of rows that were measured; rows of the same seeds are worked out together."""
    together: dict[tuple[str, int], list[tuple[Row, list[Compared]]]] = {}
    for row in rows:
        of_metric: dict[str, list[Compared]] = {}
        for one in row.compared:
            for name in one.record.metrics:
                of_metric.setdefault(name, []).append(one)
        for name, compared in of_metric.items():
            together.setdefault((name, len(compared)), []).append((row, compared))
    for (name, seeds), found in together.items():
        spec = specs.get(name)
        unit = "share" if is_share(name, spec) else "" if spec is None else spec.unit
        intervals = [None] * len(found) if seeds == 1 else _intervals([one for _, one in found], name, unit)
        for (row, compared), ends in zip(found, intervals, strict=True):
            row.values[name] = _value(
                [one.record.metrics[name] for one in compared], [one.differences.get(name) for one in compared], ends
            )


def _value(values: Sequence[MetricValue], differences: Sequence[Difference | None], ends: Interval | None) -> Value:
    numbers = [value.value for value in values]
    deltas = [one.delta for one in differences if one is not None]
    mean = _average(numbers)
    return Value(
        value=mean,
        ci95=values[0].ci95 if len(values) == 1 else ends,
        spread=math.sqrt(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
        if len(numbers) > 1
        else None,
        delta=_average(deltas) if deltas else None,
        p=next((one.p for one in differences if one is not None), None),
        p_holm=None,
    )


def _average(numbers: Sequence[float]) -> float:
    """Average as `statistics.fmean` does, which checks more and takes twice as long."""
    return math.fsum(numbers) / len(numbers)


def _intervals(rows: Sequence[Sequence[Compared]], name: str, unit: str) -> list[Interval | None]:
    """Return the intervals of rows of equally many seeds, several."""
    shared = shares_items(rows[0][0].record)
    measured = [[one.measured[name] for one in row if name in one.measured] for row in rows]
    whole = all(len(found) == len(row) for found, row in zip(measured, rows, strict=True))
    together = joint(measured, shared=shared) if whole else None
    if together is not None:
        n = len(together.outcomes[0][0]) if together.outcomes else 0
        return _ends(together.values, *together.reaches(), n, unit)
    if any(measured) and len(rows) > 1:  # one row that is not like the others costs them nothing
        return [_intervals([row], name, unit)[0] for row in rows]
    return _of_known_ends([[one.record.metrics[name] for one in row] for row in rows], shared, unit)


def mean_of_seeds(values: Sequence[MetricValue], *, unit: str) -> MetricValue:
    """Average the values of several seeds whose items are not the same, with an interval from those of the seeds."""
    (ends,) = _of_known_ends([values], shared=True, unit=unit)
    first = values[0]
    mean = _average([value.value for value in values])
    return MetricValue(value=mean, ci95=ends, n=first.n, distribution=first.distribution)


def _of_known_ends(rows: Sequence[Sequence[MetricValue]], shared: bool, unit: str) -> list[Interval | None]:
    """Return intervals where only those of single seeds are known: half of their width tells the variation of items."""
    ends = np.array([[one.ci95 or (np.nan, np.nan) for one in row] for row in rows], dtype=np.float64)
    values = np.array([[one.value for one in row] for row in rows], dtype=np.float64)
    n = np.array([[one.n for one in row] for row in rows]).min(axis=1)
    seeds = values.shape[1]
    errors = (ends[..., 1] - ends[..., 0]) / (2 * NORMAL)
    items = (errors**2).mean(axis=1) * remaining(seeds, shared=shared)
    fits = values.var(axis=1, ddof=1) / seeds
    return _ends(values.mean(axis=1), *reach(items, fits, np.maximum(1, n - 1), seeds - 1), 0, unit)


def _ends(values: Float64, variances: Float64, reaches: Float64, n: int, unit: str) -> list[Interval | None]:
    """Return the intervals of means with their variances; none where a variance is not known."""
    found: list[Interval | None] = []
    for value, variance, width in zip(*(one.tolist() for one in (values, variances, reaches)), strict=True):
        if not math.isfinite(width):
            found.append(None)
        elif RANGES.get(unit) == (0.0, 1.0) and n:
            found.append(share_interval(value, variance, n, quantile_of(width, variance, n)))
        else:
            found.append(within_unit((value - width, value + width), unit))
    return found
