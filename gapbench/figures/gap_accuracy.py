"""Gap against accuracy: if gap size ranked methods, the points would lie on a falling line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapbench.figures.style import COLORS, color, columns, drawn, letters, new_figure, shape, source_of, words
from gapbench.leaderboard.pareto import pareto_front
from gapbench.leaderboard.table import PRIMARY
from gapbench.leaderboard.text import GAP, is_share
from gapbench.model.record import IN_SAMPLE
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from gapbench.leaderboard.table import Row, Table, Value
    from gapbench.specs import MetricSpec

#: Tables in one picture, and aligners that its legend names; the page and table.csv have all.
MOST_PANELS, MOST_NAMES = 9, 40

#: The colour of the front, which is no aligner's.
FRONT = "0.45"


def draw_gap_accuracy(tables: Sequence[Table], specs: Mapping[str, MetricSpec], path: Path) -> list[Path]:
    """Draw one panel a table: the primary metric over the centroid distance, with 95 % intervals; controls left out.

    A dotted line joins the rows that no other one beats in both (`pareto_front`).
    """
    found = [table for table in tables if GAP in table.metrics and any(_has_place(table, row) for row in table.rows)]
    if not found:
        return []
    shown = found[:MOST_PANELS]
    points = [
        [(row.label, row.values.get(GAP), row.values.get(table.primary)) for row in table.rows] for table in shown
    ]
    left_out = len(found) - len(shown)
    fronts = [[row.label for row in pareto_front(table, specs)] for table in shown]
    source = source_of([(table.title, table.protocol, table.primary) for table in shown], points, fronts, left_out)
    return drawn(path, source, lambda: _figure(shown, specs, left_out))


def _figure(shown: Sequence[Table], specs: Mapping[str, MetricSpec], left_out: int) -> Figure:
    from matplotlib.lines import Line2D

    across = min(3, len(shown))
    lines = -(-len(shown) // across)
    figure = new_figure(4.2 * across, 3.4 * lines)
    grid = figure.subplots(lines, across, squeeze=False)
    names = _names(shown)
    encoders = {table.encoder for table in shown}
    for axes, table in zip(grid.flat, shown, strict=False):
        _panel(axes, table, specs, names)
        title = words(f"{table.dataset}, {table.prompts}")
        axes.set_title(title if len(encoders) == 1 else f"{words(table.encoder)}\n{title}", fontsize=letters(10))
    for axes in list(grid.flat)[len(shown) :]:
        axes.set_visible(False)
    handles = [
        Line2D([], [], color=color(_number(names, name)), marker=_shape(names, name), ls="", label=words(name))
        for name in names
    ]
    handles.append(Line2D([], [], color=FRONT, linestyle=":", label="beaten by none in both"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns(len(handles), max(3, 2 * across)), frameon=False
    )
    if left_out:
        figure.suptitle(f"the first {len(shown)} of {len(shown) + left_out} tables", fontsize=letters(10))
    return figure


def _number(names: Sequence[str], name: str) -> int:
    """Spread a few names over the colours, so that neighbours differ much."""
    return (names.index(name) * 3) % 10


def _shape(names: Sequence[str], name: str) -> str:
    """Change shape with each name, and by one more when the colours begin again: a hundred names stay apart."""
    number = names.index(name)
    return shape(number + number // len(COLORS))


def _names(tables: Sequence[Table]) -> list[str]:
    """Name the aligners of all panels, ``identity`` first: one order, so that a colour means the same everywhere."""
    names = {row.label for table in tables for row in table.rows if _has_place(table, row)}
    return sorted(names, key=lambda name: (name != BASELINE, name))[:MOST_NAMES]


def _panel(axes: Any, table: Table, specs: Mapping[str, MetricSpec], names: Sequence[str]) -> None:
    share = 100 if is_share(table.primary, specs.get(table.primary)) else 1
    front = [(row.values[GAP].value, share * row.values[table.primary].value) for row in pareto_front(table, specs)]
    axes.plot(*zip(*front, strict=True), color=FRONT, linestyle=":", linewidth=1.2, zorder=1)
    known = (row for row in table.rows if _has_place(table, row) and {GAP, table.primary} <= row.values.keys())
    rows = sorted((row for row in known if row.label in names), key=lambda row: row.label)
    if rows:
        _points(axes, rows, table.primary, share, names)
    axes.set_xlabel("centroid distance (unit rows)")
    axes.set_ylabel(words(f"{table.primary}{' %' if share == 100 else ''}"))  # noqa: PLR2004
    axes.grid(visible=True, color="0.92")
    axes.set_axisbelow(True)


def _points(axes: Any, rows: Sequence[Row], primary: str, share: int, names: Sequence[str]) -> None:
    colors = [color(_number(names, row.label)) for row in rows]
    gaps, tasks = ([row.values[name] for row in rows] for name in (GAP, primary))
    # All intervals at once: an artist for each would take most of the time that a figure takes.
    across, along = ([_ends(value, scale) for value in values] for values, scale in ((gaps, 1), (tasks, share)))
    axes.hlines([share * value.value for value in tasks], *zip(*across, strict=True), colors=colors, linewidth=1.2)
    axes.vlines([value.value for value in gaps], *zip(*along, strict=True), colors=colors, linewidth=1.2)
    for row, gap, task, tone in zip(rows, gaps, tasks, colors, strict=True):
        axes.plot(gap.value, share * task.value, color=tone, marker=_shape(names, row.label), linestyle="")


def _ends(value: Value, scale: int) -> tuple[float, float]:
    low, high = value.ci95 or (value.value, value.value)
    return scale * min(low, value.value), scale * max(high, value.value)


def _has_place(table: Table, row: Row) -> bool:
    """Whether a row is drawn: one with a rank, and in-sample, where there are none, one that is no control."""
    in_sample = table.protocol == IN_SAMPLE and table.primary in PRIMARY
    return row.rank is not None or (in_sample and row.comparable and not row.control)
