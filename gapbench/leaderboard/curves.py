"""Learning curves: the primary metric and the gap against how much was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

from gapbench.leaderboard.text import GAP
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.leaderboard.table import Row, Table

#: Aligners in one picture; more lines than this nobody can follow.
MOST_LINES = 9


@dataclass(frozen=True, kw_only=True)
class Point:
    """One aligner fitted on ``size`` images: mean and standard deviation over seeds of a metric."""

    size: int
    mean: float
    spread: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The curves of one encoder, dataset, prompt strategy and protocol.

    ``task`` and ``gap`` have for each aligner, ``identity`` first, its points by size; an aligner without the metric is
    left out.
    """

    title: str
    protocol: str
    primary: str
    task: dict[str, list[Point]]
    gap: dict[str, list[Point]]


def curves_of(tables: Sequence[Table]) -> list[Curves]:
    """Make the curves of all tables that differ only in how much was fitted on."""
    groups: dict[tuple[str, ...], list[Table]] = {}
    for table in tables:
        groups.setdefault((table.title, table.protocol, table.primary, table.index, table.dtype), []).append(table)
    found = []
    for (title, protocol, primary, *_), group in groups.items():
        if len({table.fitted_items for table in group}) > 1:
            ordered = sorted(group, key=lambda table: table.fitted_items)
            names = [BASELINE, *_names(ordered)]
            task, gap = (_lines(ordered, names, metric) for metric in (primary, GAP))
            found.append(Curves(title=title, protocol=protocol, primary=primary, task=task, gap=gap))
    return found


def _names(tables: Sequence[Table]) -> list[str]:
    """Choose the aligners to draw: all, or where there are too many those whose curves differ most between sizes."""
    curves: dict[str, list[float]] = {}
    for table in tables:
        for row in table.rows:
            if row.label != BASELINE and not row.control and table.primary in row.values:
                curves.setdefault(row.label, []).append(row.values[table.primary].value)
    widest = sorted(curves, key=lambda label: (min(curves[label]) - max(curves[label]), label))
    return sorted(widest[:MOST_LINES])


def _lines(tables: Sequence[Table], names: Sequence[str], metric: str) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for name in names:
        rows = [(table.fitted_items, row) for table in tables if (row := table.row(name)) is not None]
        seeds = [(size, _seeds(row, metric)) for size, row in rows]
        points = [Point(size=size, mean=fmean(values), spread=pstdev(values)) for size, values in seeds if values]
        if points:
            found[name] = points
    return found


def _seeds(row: Row, metric: str) -> list[float]:
    return [record.metrics[metric].value for record in row.records if metric in record.metrics]
