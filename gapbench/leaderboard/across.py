"""Across studies: how often each aligner beats ``identity``, and how much of the gap it closes, side by side.

Nothing is averaged over studies: their tasks have different units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import quote

from gapbench.leaderboard.markdown import code, escape
from gapbench.leaderboard.table import largest_fits
from gapbench.leaderboard.text import GAP, improves
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec


@dataclass(kw_only=True)
class Tally:
    """What one aligner did in one study.

    ``wins`` and ``losses`` are tables where its primary metric is better or worse than that of ``identity`` by more than
    noise, ``ties`` the others; ``closed`` has for each table the share of the centroid distance that is gone.
    """

    wins: int = 0
    ties: int = 0
    losses: int = 0
    closed: list[float] = field(default_factory=list)

    @property
    def tables(self) -> int:
        """Number of tables that it rests on."""
        return self.wins + self.ties + self.losses


def tally(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> dict[str, Tally]:
    """Count for each aligner of a study; controls, and rows that cannot be compared, are left out.

    Of tables that differ only in how much was fitted on, the one that was fitted on most counts.
    """
    found: dict[str, Tally] = {}
    for table in largest_fits(tables):
        base = table.row(BASELINE)
        if base is None:
            continue
        for row in table.rows:
            if row.rank is not None and row is not base:
                _count(found.setdefault(row.label, Tally()), row, base, table.primary, specs)
    return found


def _count(mine: Tally, row: Row, base: Row, primary: str, specs: Mapping[str, MetricSpec]) -> None:
    if improves(row, primary, specs):
        mine.wins += 1
    elif row.values[primary].significant:
        mine.losses += 1
    else:
        mine.ties += 1
    gap, start = row.values.get(GAP), base.values.get(GAP)
    if gap is not None and start is not None and start.value > 0:
        mine.closed.append(1 - gap.value / start.value)


def index(studies: Sequence[tuple[Study, Sequence[Table]]], specs: Mapping[str, MetricSpec]) -> str:
    """Write the page across studies, as Markdown.

    Parameters
    ----------
    studies
        Each with its tables; each lies in a folder of its name.
    specs
        Known metrics.
    """
    lines = ["# Leaderboards", "", "| study | page | tables | rows | what |", "|:--|:--|--:|--:|:--|"]
    for study, tables in studies:
        rows = sum(1 for table in tables for row in table.rows if row.records)
        reported = sum(1 for table in tables for row in table.rows if row.state == "reported")
        told = f"{rows}" + (f" and {reported} reported" if reported else "")
        about = escape(study.title or study.name)
        folder = quote(study.name)
        links = f"[{escape(study.name)}]({folder}/README.md) | [page.html]({folder}/page.html)"
        lines.append(f"| {links} | {len(tables)} | {told} | {about} |")
    tallies = {study.name: tally(tables, specs) for study, tables in studies}
    tallies = {name: found for name, found in tallies.items() if found}
    labels = sorted({label for found in tallies.values() for label in found})
    if labels:
        lines += ["", "## Aligners across studies", "", *_across(labels, tallies)]
    return "\n".join(lines).rstrip() + "\n"


def _across(labels: Sequence[str], tallies: Mapping[str, Mapping[str, Tally]]) -> list[str]:
    legend = (
        "Wins / ties / losses against `identity` by the primary metric of each table (paired tests after Holm), and "
        "behind it the median share of the centroid distance that is gone. Nothing is averaged over studies. "
        "A dash: not run there."
    )
    lines = [
        legend,
        "",
        "| aligner | studies | " + " | ".join(escape(name) for name in tallies) + " |",
        "|:--|--:|" + ":--|" * len(tallies),
    ]
    for label in labels:
        cells = [_cell(found.get(label)) for found in tallies.values()]
        count = sum(label in found for found in tallies.values())
        lines.append(f"| {code(label)} | {count} | " + " | ".join(cells) + " |")
    return lines


def _cell(found: Tally | None) -> str:
    if found is None:
        return "–"
    closed = f", {100 * median(found.closed):z.0f} %".replace("-", "−") if found.closed else ""
    return f"{found.wins} / {found.ties} / {found.losses}{closed}"
