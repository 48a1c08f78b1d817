"""Learning curves: the primary metric and the gap against how much was fitted on, with bands over seeds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gapbench.figures.style import color, columns, drawn, letters, new_figure, shape, source_of, words
from gapbench.leaderboard.curves import curves_of
from gapbench.leaderboard.text import is_share
from gapbench.model.names import slug
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from gapbench.leaderboard.curves import Curves, Point
    from gapbench.leaderboard.table import Table
    from gapbench.specs import MetricSpec

#: Pictures of one leaderboard.
MOST_FIGURES = 12


def draw_learning_curves(tables: Sequence[Table], specs: Mapping[str, MetricSpec], folder: Path) -> list[Path]:
    """Draw one figure for each encoder, dataset and prompt strategy that was fitted on several sizes.

    Left the primary metric, right the centroid distance, both over the number of fitted images. A line is the mean over
    seeds, its band one standard deviation over seeds to either side. ``identity`` does not fit: it is the dashed line.
    """
    made: list[Path] = []
    for curves in curves_of(tables)[:MOST_FIGURES]:
        path = folder / f"learning-{slug(*curves.title.split(' / '), curves.protocol, curves.primary)}"
        made += drawn(path, source_of(curves), partial(_figure, curves, specs))
    return made


def _figure(curves: Curves, specs: Mapping[str, MetricSpec]) -> Figure:
    figure = new_figure(9.0, 3.9)
    left, right = figure.subplots(1, 2)
    share = 100 if is_share(curves.primary, specs.get(curves.primary)) else 1
    unit = " %" if share == 100 else ""  # noqa: PLR2004
    names = [name for name in {**curves.task, **curves.gap} if name != BASELINE]
    for axes, lines, scale, label in (
        (left, curves.task, share, f"{curves.primary}{unit}"),
        (right, curves.gap, 1, "centroid distance (unit rows)"),
    ):
        _draw(axes, lines, names, scale)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")  # matplotlib's own are formulas
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("images fitted on")
        axes.set_ylabel(words(label))
        axes.grid(visible=True, color="0.92")
        axes.set_axisbelow(True)
    figure.suptitle(words(f"{curves.title}, {curves.protocol}"), fontsize=letters(11))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=columns(5, 5), frameon=False)
    return figure


def _draw(axes: Any, lines: Mapping[str, Sequence[Point]], names: Sequence[str], scale: int) -> None:
    for name, points in lines.items():
        base = name == BASELINE
        number = 0 if base else names.index(name)
        tone = "0.35" if base else color(number * 3 % 10)
        sizes = [point.size for point in points]
        axes.plot(
            sizes,
            [scale * point.mean for point in points],
            color=tone,
            linestyle="--" if base else "-",
            marker=None if base else shape(number),
            markersize=4,
            linewidth=1.4,
            label=words(name),
        )
        if any(point.spread for point in points):
            low = [scale * (point.mean - point.spread) for point in points]
            high = [scale * (point.mean + point.spread) for point in points]
            axes.fill_between(sizes, low, high, color=tone, alpha=0.15, linewidth=0)
