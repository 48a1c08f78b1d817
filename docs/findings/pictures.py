"""The two figures of the findings page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import facts

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
    ("grouping", "color-digits, photo"),
    ("robustness to noise", "COCO, CLIP ViT-B/16"),
    ("mixed search", "color-digits, captions"),
)
BETTER, WORSE, SAME = COLORS[3], COLORS[7], "0.6"


def draw(found: Mapping[str, Any], out: Path) -> None:
    """Draw both, whatever is there: this code may have changed."""
    for path in out.glob("*.png"):
        path.unlink()
    tables = {facts.place(table): table for study in ("classes", "captions") for table in found["tables"][study]}
    points = [
        [(row.label, row.values.get(facts.GAP), row.values.get(facts.TASKS[task])) for row in tables[where].rows]
        for task, where in PANELS
    ]
    drawn(out / "gap-and-task", source_of(PANELS, points), lambda: _tasks(tables))
    drawn(out / "procrustes", source_of(found["curves"]), lambda: _procrustes(found["curves"]))


def _tasks(tables: Mapping[str, Table]) -> Figure:
    figure = new_figure(12, 7)
    grid = figure.subplots(2, 3)
    for axes, (task, where) in zip(grid.flat, PANELS, strict=True):
        _panel(axes, tables[where], facts.TASKS[task])
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
    rows = [row for row in facts.maps(table) if metric in row.values]
    lower = facts.lower(metric)
    for row in rows:
        gap, task = row.values[facts.GAP].value, row.values[metric]
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
        gap = row.values[facts.GAP].value
        right = gap > sum(axes.get_xlim()) / 2
        axes.annotate(
            row.label,
            xy=(gap, row.values[metric].value),
            xytext=(0, 8) if row.label == "identity" else (-7 if right else 7, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom" if row.label == "identity" else "center",
            fontsize=8,
        )
    axes.set_xlabel("centroid distance")
    axes.set_ylabel(f"{metric} {'↓' if lower else '↑'}")
    axes.grid(visible=True, color="0.93")
    axes.set_axisbelow(True)


def _named(rows: list[Row], metric: str, *, lower: bool) -> list[Row]:
    """Name identity, and the highest and the lowest row where they differ from it by more than noise."""
    ordered = sorted(rows, key=lambda row: row.values[metric].value)
    ends = [row for row in (ordered[0], ordered[-1]) if _look(row, metric, lower=lower)[0] in (BETTER, WORSE)]
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
