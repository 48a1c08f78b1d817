"""The two figures of the findings page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reading

from gapbench.figures.style import COLORS, drawn, new_figure, shape, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    from gapbench.leaderboard.table import Row, Table

#: Panels of the first figure: task, and where.
PANELS = (
    ("classification", "color-digits, photo"),
    ("retrieval, image to text", "COCO, CLIP ViT-B/16"),
    ("mixed search", "COCO, CLIP ViT-B/16"),
    ("retrieval, text to image", "COCO, CLIP ViT-B/16"),
    ("robustness to noise", "COCO, CLIP ViT-B/16"),
    ("mixed search", "color-digits, captions"),
)
BETTER, WORSE, SAME = COLORS[3], COLORS[7], "0.6"


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Draw both, whatever is there: this code may have changed."""
    for path in out.glob("*.png"):
        path.unlink()
    tables = {reading.place(table): table for study in ("classes", "captions") for table in found["tables"][study]}
    points = [
        [(row.label, row.values.get(reading.GAP), row.values.get(reading.TASKS[task])) for row in tables[where].rows]
        for task, where in PANELS
    ]
    drawn(out / "gap-and-task", source_of(PANELS, points), lambda: _tasks(tables))
    drawn(out / "procrustes", source_of(found["curves"]), lambda: _procrustes(found["curves"]))


def _tasks(tables: Mapping[str, Table]) -> Figure:
    figure = new_figure(12, 7)
    grid = figure.subplots(2, 3)
    for axes, (task, where) in zip(grid.flat, PANELS, strict=True):
        _panel(axes, tables[where], reading.TASKS[task])
        axes.set_title(f"{task}\n{where}", fontsize=10)
    handles = [
        grid[0, 0].plot([], [], marker=mark, ls="", color=color, label=name)[0]
        for name, color, mark in (
            ("better than identity by more than noise", BETTER, "^"),
            ("not told apart", SAME, "o"),
            ("worse by more than noise", WORSE, "v"),
            ("identity", "black", "*"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Any, table: Table, metric: str) -> None:
    rows = [row for row in reading.maps(table) if metric in row.values]
    lower = reading.lower(metric)
    for row in rows:
        gap, task = row.values[reading.GAP].value, row.values[metric]
        color, mark = _look(row, metric, lower=lower)
        ends = task.ci95 or (task.value, task.value)
        axes.plot([gap, gap], ends, color=color, linewidth=1, alpha=0.6, zorder=1)
        size = 11 if row.label == "identity" else 5
        axes.plot(gap, task.value, marker=mark, color=color, ls="", markersize=size, zorder=3 if size > 5 else 2)  # noqa: PLR2004
    base = table.row("identity")
    assert base is not None
    axes.axhline(base.values[metric].value, color="0.7", linewidth=0.8, linestyle="--", zorder=0)
    axes.margins(y=0.12)
    for row in _named(rows, metric, lower=lower):
        _label(axes, row, rows, metric)
    axes.set_xlabel("centroid distance")
    axes.set_ylabel(f"{metric} {'↓' if lower else '↑'}")
    axes.grid(visible=True, color="0.93")
    axes.set_axisbelow(True)


def _label(axes: Any, row: Row, rows: list[Row], metric: str) -> None:
    """Write the name of a row above or below its interval, where fewer points of others are in the way."""
    gap, value = row.values[reading.GAP].value, row.values[metric]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width, height = right - left, top - bottom
    at_right = gap > (left + right) / 2
    ends = value.ci95 or (value.value, value.value)

    def crowd(end: float, way: int) -> int:
        reach = end + way * 0.12 * height
        return sum(
            abs(other.values[reading.GAP].value - gap + (0.1 if at_right else -0.1) * width) < 0.13 * width
            and min(end, reach) <= other.values[metric].value <= max(end, reach)
            for other in rows
            if other is not row
        )

    above = crowd(ends[1], 1) <= crowd(ends[0], -1)
    axes.annotate(
        row.label,
        xy=(gap, max(ends[1], value.value) if above else min(ends[0], value.value)),
        xytext=(8 if at_right else -4, 5 if above else -5),
        textcoords="offset points",
        ha="right" if at_right else "left",
        va="bottom" if above else "top",
        fontsize=8,
    )


def _named(rows: list[Row], metric: str, *, lower: bool) -> list[Row]:
    """Name identity, and the highest and the lowest row where they differ from it by more than noise."""
    ordered = [end(rows, key=lambda row: row.values[metric].value) for end in (min, max)]
    ends = [row for row in ordered if _look(row, metric, lower=lower)[0] in (BETTER, WORSE)]
    return [*ends, *(row for row in rows if row.label == "identity")]


def _look(row: Row, metric: str, *, lower: bool) -> tuple[str, str]:
    value = row.values[metric]
    if row.label == "identity":
        return "black", "*"
    if not value.significant or value.delta is None:
        return SAME, "o"
    return (BETTER, "^") if (value.delta < 0) == lower else (WORSE, "v")


def _procrustes(curves: list[dict[str, Any]]) -> Figure:
    places = list(dict.fromkeys(curve["where"] for curve in curves))
    figure = new_figure(10, 8)
    grid = list(figure.subplots(-(-len(places) // 2), 2, squeeze=False).flat)
    for axes, where in zip(grid, places, strict=True):
        for curve in (curve for curve in curves if curve["where"] == where):
            held_out = curve["protocol"] == "held-out"
            for number, (label, line) in enumerate(sorted(curve["lines"].items())):
                if label == "shuffled-pairs":
                    continue
                axes.plot(
                    [size for size, _, _ in line],
                    [100 * value.value for _, value, _ in line],
                    color="black" if label == "identity" else COLORS[2 * number],
                    marker=None if label == "identity" else shape(number),
                    markersize=4,
                    linestyle="-" if held_out else ":",
                    label=f"{label}, {curve['protocol']}",
                )
            axes.set_ylabel(f"{curve['metric']} %")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")  # those of matplotlib are formulas, and names are not
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("images fitted on")
        axes.set_title(where, fontsize=10)
        axes.grid(visible=True, color="0.93")
        axes.set_axisbelow(True)
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
