"""Tables for the terminal: readable at 80 columns and when piped; more columns where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from gapbench.leaderboard.notices import notices
from gapbench.leaderboard.text import below, best, difference, heading, interval, is_share, number, ranks
from gapbench.model.plain import one_line
from gapbench.specs import MetricFamily

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from rich.console import Console, RenderableType

    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

#: Gap metrics in the order in which they are shown.
GAPS = ("centroid-l2", "rmg", "paired-cos", "linear-separability")

#: Widest heading of the primary metric, and what rank, interval, difference and the space between columns take.
PRIMARY_WIDTH = 12
FIXED_WIDTH = 32

#: From so many columns on, the ranks that a row may have are told; what they take.
WIDE, RANKS_WIDTH = 100, 8

#: Cells of a row without a result.
FEWEST = 2


def print_table(console: Console, table: Table, specs: Mapping[str, MetricSpec], asked: Collection[str] = ()) -> None:
    """Print one table with its title and what it rests on; metrics that were ``asked`` for are shown, whatever the width."""
    for part in parts(table, specs, console.width, asked):
        console.print(part)


def parts(
    table: Table, specs: Mapping[str, MetricSpec], width: int, asked: Collection[str] = ()
) -> Iterator[RenderableType]:
    """Return what a table consists of, in order."""
    yield Text("")
    yield Text(one_line(table.title), style="bold")
    yield Text(one_line(table.how), style="dim")
    label, columns = _fitting(width, table, specs)
    yield _grid(width, table, specs, label, columns)
    rest = [name for name in table.metrics if name in asked and name not in (table.primary, *columns)]
    yield from _further(width, table, specs, label, rest)
    for row, reason in below(table):
        if row.state == "reported":
            yield Text(f"  {one_line(reason)}", style="dim")
        elif row.ok:
            yield Text(f"  {one_line(f'{row.label}: {reason}')}", style="red")
    for line in notices(table, specs):
        yield Text(f"  {one_line(line)}", style="dim")


def _further(
    width: int, table: Table, specs: Mapping[str, MetricSpec], label: int, names: list[str]
) -> Iterator[RichTable]:
    """Show the metrics that did not fit into the first block, in as many further ones as they need."""
    whole = [row for row in table.rows if row.comparable]
    waiting = list(names)
    while waiting:
        columns, room = [waiting.pop(0)], width - label - 1
        room -= len(heading(columns[0], specs.get(columns[0]))) + 3
        while waiting and len(heading(waiting[0], specs.get(waiting[0]))) + 3 <= room:
            columns.append(waiting.pop(0))
            room -= len(heading(columns[-1], specs.get(columns[-1]))) + 3
        grid = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        grid.add_column("aligner", overflow="fold", min_width=label)
        for name in columns:
            grid.add_column(Text(heading(name, specs.get(name))), justify="right", min_width=6)
        first_of = {name: best(whole, name, specs.get(name)) for name in columns}
        for row in table.rows:
            if row.state not in ("reported", "stale") and (row.ok or row.values):
                grid.add_row(Text(one_line(row.label)), *(_other(row, name, first_of, specs) for name in columns))
        yield grid


def _grid(width: int, table: Table, specs: Mapping[str, MetricSpec], label: int, columns: list[str]) -> RichTable:
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    grid.add_column("#", justify="right", no_wrap=True)
    grid.add_column("aligner", overflow="fold", min_width=label)
    grid.add_column(Text(heading(table.primary, specs.get(table.primary))), justify="right", max_width=PRIMARY_WIDTH)
    grid.add_column("95 %", justify="right", no_wrap=True)
    grid.add_column("Δ", justify="right", no_wrap=True)
    for name in columns:
        grid.add_column(Text(heading(name, specs.get(name))), justify="right", min_width=6)
    told = _tells_ranks(width, table)
    if told:
        grid.add_column("ranks", justify="right", no_wrap=True)
    whole = [row for row in table.rows if row.comparable]
    first_of = {name: best(whole, name, specs.get(name)) for name in (table.primary, *columns)}
    for row in table.rows:
        if row.state in ("reported", "stale"):
            continue
        cells = _cells(row, table.primary, columns, first_of, specs)
        grid.add_row(*cells, *([Text(ranks(row), style="dim")] if told and len(cells) > FEWEST else []))
    return grid


def _tells_ranks(width: int, table: Table) -> bool:
    """Whether there is room for the ranks that rows may have, and they say more than their lower ends."""
    return width >= WIDE and any(row.rank != row.rank_high for row in table.rows)


def _fitting(width: int, table: Table, specs: Mapping[str, MetricSpec]) -> tuple[int, list[str]]:
    """Choose the least width of the aligners' names, and the metrics beside the primary one that fit in the rest."""
    gaps = [name for name in GAPS if name in table.metrics][:2]
    others = [name for name in table.metrics if name not in (table.primary, *gaps)]
    tasks = [n for n in others if n in specs and specs[n].family is MetricFamily.TASK]
    wide = {name: len(heading(name, specs.get(name))) + 3 for name in (table.primary, *gaps, *tasks)}
    room = width - FIXED_WIDTH - RANKS_WIDTH * _tells_ranks(width, table) - min(wide[table.primary] - 3, PRIMARY_WIDTH)
    columns = gaps[:1]
    room -= sum(wide[name] for name in columns)
    label = max(15, min(room, max(len(row.label) for row in table.rows)))
    room -= label
    for name in (*gaps[1:], *tasks):
        if wide[name] > room:
            break
        columns.append(name)
        room -= wide[name]
    return label, columns


def _cells(
    row: Row, primary: str, columns: list[str], first_of: dict[str, float | None], specs: Mapping[str, MetricSpec]
) -> list[Text]:
    if not row.ok and primary not in row.values:
        reason = Text(one_line(f"{row.records[0].status}: {row.reason}"), style="red", overflow="fold")
        return [Text("–"), Text(f"{one_line(row.label)}\n", style="red").append_text(reason)]
    share = is_share(primary, specs.get(primary))
    value = row.values.get(primary)
    rank = "·" if row.rank is None else str(row.rank)
    cells = [Text(rank, style="dim"), Text(one_line(row.label))]
    if value is None:
        cells += [Text("–"), Text(""), Text("")]
    else:
        bold = "bold" if value.value == first_of[primary] and not row.control else ""
        cells += [
            Text(number(value.value, share=share), style=bold),
            Text(interval(value, share=share).strip("[]").replace(", ", "–"), style="dim"),
            Text(difference(value, share=share), style="yellow" if value.significant else ""),
        ]
    return [*cells, *(_other(row, name, first_of, specs) for name in columns)]


def _other(row: Row, name: str, first_of: Mapping[str, float | None], specs: Mapping[str, MetricSpec]) -> Text:
    """Write the value of a metric that is not the primary one."""
    value = row.values.get(name)
    if value is None:
        return Text("–", style="dim")
    bold = "bold" if value.value == first_of[name] and not row.control else ""
    return Text(number(value.value, share=is_share(name, specs.get(name))), style=bold)
