"""The rows that no other one beats in both, task and gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.leaderboard.text import GAP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec


def pareto_front(table: Table, specs: Mapping[str, MetricSpec]) -> list[Row]:
    """Give the ranked rows that no other ranked row beats in both, by increasing gap.

    One row beats another in both where its gap is no larger and its primary metric no worse, and one of the two is better.
    It is a matter of values, not of tests: rows on the front may be told apart by noise alone.
    """
    spec = specs.get(table.primary)
    sign = -1.0 if spec is not None and spec.better == "lower" else 1.0
    points = [
        (row.values[GAP].value, -sign * row.values[table.primary].value, row.label, row)
        for row in table.rows
        if row.rank is not None and GAP in row.values and table.primary in row.values
    ]
    front: list[tuple[float, float, Row]] = []
    for gap, cost, _, row in sorted(points, key=lambda point: point[:3]):
        if not front or cost < front[-1][1] or (gap, cost) == front[-1][:2]:
            front.append((gap, cost, row))
    return [row for _, _, row in front]
