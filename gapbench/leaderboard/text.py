"""Numbers as people read them; the same in the terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.study import Reference
    from gapbench.leaderboard.table import Row, Table, Value
    from gapbench.specs import MetricSpec


def is_share(metric: str, spec: MetricSpec | None) -> bool:
    """Whether a metric is a share, written in per cent."""
    return spec.unit == "share" if spec is not None else "recall" in metric or metric.startswith("top")


def number(value: float, *, share: bool) -> str:
    """Write a value: per cent with one decimal, or three decimals."""
    return f"{100 * value:.1f}" if share else f"{value:.3f}"


def interval(value: Value, *, share: bool) -> str:
    """Write a value's interval, or nothing."""
    if value.ci95 is None:
        return ""
    low, high = value.ci95
    return f"[{number(low, share=share)}, {number(high, share=share)}]"


def difference(value: Value, *, share: bool) -> str:
    """Write the difference to ``identity`` with its mark."""
    if value.delta is None:
        return ""
    shown = number(abs(value.delta), share=share)
    sign = "" if float(shown) == 0 else "+" if value.delta > 0 else "−"
    return f"{sign}{shown}{'*' if value.significant else ''}"


def heading(metric: str, spec: MetricSpec | None) -> str:
    """Name a column, with its unit and its direction."""
    unit = " %" if is_share(metric, spec) else ""
    arrow = "" if spec is None else {"higher": " ↑", "lower": " ↓"}.get(str(spec.better), "")
    return f"{metric}{unit}{arrow}"


def best(rows: Sequence[Row], metric: str, spec: MetricSpec | None) -> float | None:
    """Give the best value of a metric among rows that are no controls; None for one that only describes."""
    values = [row.values[metric].value for row in rows if metric in row.values and not row.control]
    better = "higher" if spec is None else str(spec.better)
    if not values or better == "neither":
        return None
    return min(values) if better == "lower" else max(values)


def reported_line(table: Table, reference: Reference) -> str:
    """Set a published number beside ours, with the difference in items."""
    theirs = f"{100 * reference.value:.2f} % ({round(reference.value * table.n)} of {table.n})"
    row = table.row(reference.aligner)
    ours = None if row is None else row.values.get(reference.metric)
    line = f"{reference.aligner}, {reference.metric}: reported {theirs}, {reference.source}"
    if ours is None:
        return f"{line}; not run here"
    items = round(ours.value * table.n) - round(reference.value * table.n)
    return f"{line}; here {100 * ours.value:.2f} % ({items:+d} images)"


LEGEND = (
    "A rank is one more than the number of rows better by more than noise (paired tests, Holm); controls are not ranked.",
    "Brackets: 95 % interval. Δ: difference to `identity` on the same items; * marks p < 0.05 after Holm's correction.",
    "Gap metrics are shown beside the task and never rank: a smaller gap is not a better model.",
)
