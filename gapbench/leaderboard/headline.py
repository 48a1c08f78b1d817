"""In one line a table: who is best, and whether closing the gap helped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapbench.leaderboard.text import improves
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Table
    from gapbench.specs import MetricSpec

#: Aligners that share the first rank are named up to this many.
MOST_NAMES = 4


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What one table says.

    ``first`` has the labels that share rank 1 among ``ranked`` rows; ``better`` those that beat ``identity`` by more than
    noise.
    """

    table: Table
    first: tuple[str, ...]
    ranked: int
    better: tuple[str, ...]

    @property
    def many(self) -> str:
        """How many share the first rank, where they are too many to be named; otherwise empty."""
        return f"shared by {len(self.first)} of {self.ranked} aligners" if len(self.first) > MOST_NAMES else ""


def headlines(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> list[Headline]:
    """Read the headline of each table that has ranks, and ``identity`` to compare with."""
    found = []
    for table in tables:
        ranked = [row for row in table.rows if row.rank is not None]
        first = tuple(row.label for row in ranked if row.rank == 1)
        base = table.row(BASELINE)
        if base is None or not base.comparable or not first:
            continue
        better = tuple(row.label for row in table.rows if not row.control and improves(row, table.primary, specs))
        found.append(Headline(table=table, first=first, ranked=len(ranked), better=better))
    return found
