"""Numbers as people read them; the same in the terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapbench.model.record import IN_SAMPLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table, Value
    from gapbench.specs import MetricSpec


#: The gap that stands beside the task across studies and in figures.
GAP = "centroid-l2"


def improves(row: Row, metric: str, specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a row is better than ``identity`` by more than noise."""
    value, spec = row.values.get(metric), specs.get(metric)
    if value is None or value.delta is None or not value.significant:
        return False
    return value.delta < 0 if spec is not None and spec.better == "lower" else value.delta > 0


def is_share(metric: str, spec: MetricSpec | None) -> bool:
    """Whether a metric is a share, written in per cent."""
    return spec.unit == "share" if spec is not None else "recall" in metric or metric.startswith("top")


def number(value: float, *, share: bool) -> str:
    """Write a value: per cent with one decimal, or three decimals."""
    return (f"{100 * value:z.1f}" if share else f"{value:z.3f}").replace("-", "−")


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


def ranks(row: Row) -> str:
    """Write the ranks that a row may have, such as 1 or 2–5; nothing where it has none."""
    if row.rank is None:
        return ""
    return str(row.rank) if row.rank == row.rank_high else f"{row.rank}–{row.rank_high}"


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


def reported_line(table: Table, reported: Row) -> str:
    """Set a published number beside ours, with the difference in items."""
    ((metric, published),) = reported.values.items()
    theirs = f"{100 * published.value:.2f} %" + (
        f" ({round(published.value * table.n)} of {table.n})" if table.n else ""
    )
    row = table.row(reported.label)
    ours = None if row is None else row.values.get(metric)
    line = f"{reported.label}, {metric}: reported {theirs}, {reported.remark}"
    if ours is None:
        return f"{line}; not run here"
    items = round(ours.value * table.n) - round(published.value * table.n)
    return f"{line}; here {100 * ours.value:.2f} % ({items:+d} images)"


def below(table: Table) -> list[tuple[Row, str]]:
    """Give the rows that have no rank and are no controls, each with the reason in words."""
    found = []
    for row in table.rows:
        if row.state == "reported":
            found.append((row, reported_line(table, row)))
        elif row.state in ("conflict", "stale"):
            found.append((row, f"{row.state}: {row.remark}"))
        elif row.untested:
            found.append((row, f"no rank: {row.untested}"))
        elif not row.complete and row.coverage[0]:
            found.append((row, f"incomplete: {row.coverage[0]} of {row.coverage[1]} seeds. {row.reason}".rstrip(". ")))
        elif not row.ok:
            found.append((row, f"{row.records[0].status}: {row.reason}"))
    return found


RANKS = (
    "Ranks: from one more than the number of rows that are better by more than noise, to the number of rows that are not "
    "worse by more than noise. Controls are not ranked."
)
INTERVALS = "Brackets: 95 % interval, of items and of seeds. Δ: difference to `identity` on the same items"
MARKS = (
    "; * marks what is more than noise (one verdict a pair of rows, after Holm: a false one in at most 5 % of tables)."
)
IN_SAMPLE_ROWS = (
    "In-sample tables have no ranks and no marks: rows that are scored on the items that they were fitted on say nothing of "
    "others."
)
GAPS = "Gap metrics are shown beside the task and never rank: a smaller gap is not a better model."


def legend(tables: Sequence[Table]) -> list[str]:
    """Explain what tables show, and nothing else."""
    rows = [row for table in tables for row in table.rows]
    marked = any(value.p_holm is not None for row in rows for value in row.values.values())
    lines = [INTERVALS + (MARKS if marked else ".")]
    if any(row.rank is not None for row in rows):
        lines.insert(0, RANKS)
    if any(table.protocol == IN_SAMPLE for table in tables):
        lines.append(IN_SAMPLE_ROWS)
    if any(GAP in table.metrics for table in tables):
        lines.append(GAPS)
    return lines


def made_with(environment: Mapping[str, Any]) -> str:
    """Say in a line what a record was made with; whatever it tells, as text."""
    told = environment.get("libraries")
    libraries = ", ".join(f"{name} {number}" for name, number in sorted(told.items())) if isinstance(told, dict) else ""
    gapbench, python, platform = (environment.get(name) for name in ("gapbench", "python", "platform"))
    return f"gapbench {gapbench}, Python {python}, {platform}; {libraries}"
