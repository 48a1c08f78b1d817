"""Learning curves: the primary metric and the gap against how much was fitted on, with bands over seeds."""

from __future__ import annotations

from functools import partial
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from gapbench.figures.style import color, drawn, letters, new_figure, shape, source_of
from gapbench.leaderboard.markdown import slug
from gapbench.leaderboard.text import GAP, is_share
from gapbench.results.finalise import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

#: Pictures of one leaderboard.
MOST_FIGURES = 12

#: Aligners in one picture; more lines than this nobody can follow.
MOST_LINES = 9


def draw_learning_curves(tables: Sequence[Table], specs: Mapping[str, MetricSpec], folder: Path) -> list[Path]:
    """Draw one figure for each encoder, dataset and prompt strategy that was fitted on several sizes.

    Left the primary metric, right the centroid distance, both over the number of fitted images. A line is the mean over
    seeds, its band one standard deviation over seeds to either side. ``identity`` does not fit: it is the dashed line.
    """
    made: list[Path] = []
    groups: dict[tuple[str, str, str], list[Table]] = {}
    for table in tables:
        groups.setdefault((table.title, table.protocol, table.primary), []).append(table)
    for (title, protocol, _), group in groups.items():
        if len(made) >= 2 * MOST_FIGURES:  # each is a PNG and an SVG
            break
        if len({table.fitted_items for table in group}) > 1:
            ordered = sorted(group, key=lambda table: table.fitted_items)
            points = [
                [(row.label, _seeds(row, metric)) for row in table.rows for metric in (table.primary, GAP)]
                for table in ordered
            ]
            source = source_of(title, protocol, [table.fitted_items for table in ordered], points)
            path = folder / f"learning-{slug(f'{title} {protocol}')}"
            made += drawn(path, source, partial(_figure, ordered, specs))
    return made


def _figure(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> Figure:
    names = _names(tables)
    figure = new_figure(9.0, 3.9)
    left, right = figure.subplots(1, 2)
    share = 100 if is_share(tables[0].primary, specs.get(tables[0].primary)) else 1
    unit = " %" if share == 100 else ""  # noqa: PLR2004
    for axes, metric, scale, label in (
        (left, tables[0].primary, share, f"{tables[0].primary}{unit}"),
        (right, GAP, 1, "centroid distance (unit rows)"),
    ):
        _curves(axes, tables, names, metric, scale)
        axes.set_xscale("log")
        axes.set_xlabel("images fitted on")
        axes.set_ylabel(label)
        axes.grid(visible=True, color="0.92")
        axes.set_axisbelow(True)
    figure.suptitle(f"{tables[0].title}, {tables[0].protocol}", fontsize=letters(11))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _names(tables: Sequence[Table]) -> list[str]:
    """Choose the aligners to draw: all, or where there are too many those whose curves differ most between sizes."""
    curves: dict[str, list[float]] = {}
    for table in tables:
        for row in table.rows:
            if row.label != BASELINE and not row.control and table.primary in row.values:
                curves.setdefault(row.label, []).append(row.values[table.primary].value)
    widest = sorted(curves, key=lambda label: (min(curves[label]) - max(curves[label]), label))
    return sorted(widest[:MOST_LINES])


def _curves(axes: Any, tables: Sequence[Table], names: Sequence[str], metric: str, scale: int) -> None:
    for number, name in enumerate([BASELINE, *names]):
        points = [(table.fitted_items, _seeds(row, metric)) for table in tables if (row := table.row(name)) is not None]
        points = [(size, values) for size, values in points if values]
        if not points:
            continue
        sizes = [size for size, _ in points]
        middle = [scale * fmean(values) for _, values in points]
        spread = [scale * pstdev(values) for _, values in points]
        base = name == BASELINE
        tone = "0.35" if base else color((number - 1) * 3 % 10)
        axes.plot(
            sizes,
            middle,
            color=tone,
            linestyle="--" if base else "-",
            marker=None if base else shape(number - 1),
            markersize=4,
            linewidth=1.4,
            label=name,
        )
        if any(spread):
            low = [value - half for value, half in zip(middle, spread, strict=True)]
            high = [value + half for value, half in zip(middle, spread, strict=True)]
            axes.fill_between(sizes, low, high, color=tone, alpha=0.15, linewidth=0)


def _seeds(row: Row, metric: str) -> list[float]:
    return [record.metrics[metric].value for record in row.records if metric in record.metrics]
