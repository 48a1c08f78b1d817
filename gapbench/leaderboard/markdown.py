"""The leaderboard as Markdown: the same records give the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gapbench.leaderboard.notices import notices
from gapbench.leaderboard.text import LEGEND, best, difference, heading, interval, is_share, number, reported_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.bench.study import Study
    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

#: Aligners that share the first rank are named up to this many.
MOST_NAMES = 4


def escape(text: str) -> str:
    """Write text from plugins so that it stays text: no table cells, no markup, no HTML."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`*_\[\]#~!])", r"\\\1", line)


def code(text: str) -> str:
    """Write text as code in a table cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)  # a run of backticks of the fence's own length would end the code
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def markdown(
    tables: Sequence[Table], folder: Path, study: Study, specs: Mapping[str, MetricSpec], *, command: str
) -> str:
    """Write the leaderboard; figures that lie below ``folder`` are linked."""
    lines = [f"# {escape(study.title or study.name)}", ""]
    if study.about:
        lines += [study.about.strip(), ""]
    lines += ["Made by", "", "```", command, "```", "", *_summary(tables, specs), "", "How to read it:", ""]
    lines += [f"- {line}" for line in LEGEND]
    lines.append("")
    figures = sorted((folder / "figures").glob("*.png"))
    lines += [line for figure in figures if figure.stem.startswith(("gap-", "learning-")) for line in _figure(figure)]
    used: set[Path] = set()
    for table in tables:
        lines += _table(table, specs)
        for figure in figures:
            if figure.stem.partition("-")[2] == slug(table.title) and figure not in used:
                used.add(figure)
                lines += _figure(figure)
    lines += _environment(tables)
    return "\n".join(lines).rstrip() + "\n"


def slug(text: str) -> str:
    """Make a stable file name of a title."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower()


def _figure(path: Path) -> list[str]:
    name = path.stem.replace("-", " ")
    return [f"![{escape(name)}](figures/{path.name})", ""]


def _improves(row: Row, metric: str, specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a row is better than ``identity`` by more than noise."""
    value, spec = row.values.get(metric), specs.get(metric)
    if value is None or value.delta is None or not value.significant:
        return False
    return value.delta < 0 if spec is not None and spec.better == "lower" else value.delta > 0


def _summary(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> list[str]:
    """Say in one line a table who is best and whether closing the gap helped."""
    lines = []
    for table in tables:
        base = table.row("identity")
        first = [row for row in table.rows if row.rank == 1]
        if base is None or not first:
            continue
        ranked = [row for row in table.rows if row.rank is not None]
        names = ", ".join(code(row.label) for row in first)
        if len(first) > MOST_NAMES:
            names = f"shared by {len(first)} of {len(ranked)} aligners"
        better = [row for row in table.rows if not row.control and _improves(row, table.primary, specs)]
        verdict = (
            "better than identity: " + ", ".join(code(row.label) for row in better)
            if better
            else "nothing is better than `identity` by more than noise"
        )
        lines.append(f"- {escape(table.title)}, by {escape(table.primary)}: rank 1 {names}; {verdict}.")
    return lines


def _table(table: Table, specs: Mapping[str, MetricSpec]) -> list[str]:
    primary_first = [table.primary, *(name for name in table.metrics if name != table.primary)]
    first, *others = [escape(heading(name, specs.get(name))) for name in primary_first]
    head = ["#", "aligner", first, "Δ", *others]
    lines = [f"## {escape(table.title)}", "", f"{table.how[:1].upper()}{table.how[1:]}.", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "|".join(["--:", ":--", *["--:"] * (len(head) - 2)]) + "|"]
    good = [row for row in table.rows if table.primary in row.values]
    first_of = {name: best(good, name, specs.get(name)) for name in table.metrics}
    lines += [_row(row, primary_first, first_of, specs, len(head)) for row in good]
    lines.append("")
    lines += [f"- {code(row.label)}: {row.records[0].status}: {escape(row.reason)}" for row in table.rows if not row.ok]
    lines += [f"- {code(row.label)} has no rank: {escape(row.untested)}" for row in table.rows if row.untested]
    lines += [f"- {escape(reported_line(table, reference))}" for reference in table.reported]
    lines += [f"- {escape(line)}" for line in notices(table, specs)]
    lines += _noted(good)
    return [*lines, ""]


def _noted(rows: Sequence[Row]) -> list[str]:
    """Say what aligners noted about their fit, and what pairs were made of."""
    lines = []
    for row in rows:
        noted = row.notes.get("aligner")
        if isinstance(noted, dict) and noted:
            words = [f"{key} {_short(value)}" for key, value in sorted(noted.items())]
            pairs = row.notes.get("pairs", "not used")
            if pairs != "not used":
                words.insert(0, f"pairs of images and {pairs}")
            lines.append(f"- {code(row.label)}: {escape(', '.join(words))}")
    return lines


def _short(value: object) -> object:
    """Write a number with four digits; the record has them all."""
    return f"{value:.4g}" if isinstance(value, float) else value


def _row(
    row: Row, metrics: Sequence[str], first_of: Mapping[str, float | None], specs: Mapping[str, MetricSpec], width: int
) -> str:
    cells = ["" if row.rank is None else str(row.rank), code(row.label) + (" (control)" if row.control else "")]
    for position, name in enumerate(metrics):
        value = row.values.get(name)
        share = is_share(name, specs.get(name))
        if value is None:
            cells += ["–"] + ([""] if position == 0 else [])
            continue
        shown = number(value.value, share=share)
        if value.value == first_of[name] and not row.control:
            shown = f"**{shown}**"
        cells.append(f"{shown} {interval(value, share=share)}".strip())
        if position == 0:
            cells.append(difference(value, share=share).replace("*", "\\*"))
    assert len(cells) == width
    return "| " + " | ".join(cells) + " |"


def _environment(tables: Sequence[Table]) -> list[str]:
    found: dict[str, None] = {}
    for table in tables:
        for row in table.rows:
            for record in row.records:
                made = record.environment
                libraries = ", ".join(f"{name} {number}" for name, number in sorted(made.get("libraries", {}).items()))
                found[
                    f"gapbench {made.get('gapbench')}, Python {made.get('python')}, {made.get('platform')}; {libraries}"
                ] = None
    return ["## Made with", "", *(f"- {escape(line)}" for line in found)]
