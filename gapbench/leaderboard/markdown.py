"""The leaderboard as Markdown: the same records give the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gapbench.leaderboard.headline import headlines
from gapbench.leaderboard.notices import notices
from gapbench.leaderboard.text import (
    below,
    best,
    difference,
    heading,
    interval,
    is_share,
    legend,
    made_with,
    number,
    ranks,
)
from gapbench.model.names import slug
from gapbench.model.plain import one_line, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.leaderboard.table import Row, Table
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec


def escape(text: str) -> str:
    """Write text from plugins so that it stays text: no table cells, no markup, no HTML."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\|`*_\[\]#~!])", r"\\\1", line)
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)  # no item of a list, no underline of a heading


def code(text: str) -> str:
    """Write text as code in a table cell."""
    line = one_line(text).replace("|", "\\|")
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
        lines += [plain_text(study.about.strip()), ""]
    lines += ["Made by", "", *_block(command), ""]
    lines += [
        "[page.html](page.html), opened from disk, sorts and filters these rows and shows the record of each.",
        "",
    ]
    lines += [*summary, ""] if (summary := _summary(tables, specs)) else []
    lines += ["How to read it:", ""]
    lines += [f"- {line}" for line in legend(tables)]
    lines.append("")
    figures = sorted((folder / "figures").glob("*.png"))
    for begin, shows in (("gap-accuracy", "Gap against accuracy"), ("learning-", "Learning curves")):
        lines += [line for figure in figures if figure.stem.startswith(begin) for line in _figure(figure, shows)]
    used: set[Path] = set()
    for table in tables:
        if table.stale:
            continue
        lines += _table(table, specs)
        for figure in figures:
            if (
                figure.stem.partition("-")[2] == slug(table.encoder, table.dataset, table.prompts)
                and figure not in used
            ):
                used.add(figure)
                lines += _figure(figure, f"{figure.stem.partition('-')[0].upper()} of {table.title}")
    lines += _older(tables)
    lines += _environment(tables)
    return "\n".join(lines).rstrip() + "\n"


def _older(tables: Sequence[Table]) -> list[str]:
    """Say which tables newer weights, images or texts have replaced; table.csv has their numbers."""
    older = [table for table in tables if table.stale]
    if not older:
        return []
    lines = [
        f"- {escape(table.title)} ({table.protocol}): {len(table.rows)} rows, made up to "
        f"{max(record.created_utc for row in table.rows for record in row.records)[:10]}"
        for table in older
    ]
    return ["## Stale", "", "Made of older weights, images or texts under the same names:", "", *lines, ""]


def _block(text: str) -> list[str]:
    """Write text as a block of code; its fence is longer than any in the text."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, plain_text(text), fence]


def _figure(path: Path, shows: str) -> list[str]:
    return [f"![{escape(shows)}](figures/{quote(path.name)})", ""]


def _summary(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> list[str]:
    """Say in one line a table who is best and whether closing the gap helped."""
    lines = []
    for headline in headlines(tables, specs):
        names = headline.many or ", ".join(map(code, headline.first))
        helped = (
            "better than identity: " + ", ".join(map(code, headline.better))
            if headline.better
            else "nothing is better than `identity` by more than noise"
        )
        title, primary = escape(headline.table.title), escape(headline.table.primary)
        lines.append(f"- {title}, by {primary}: rank 1 {names}; {helped}.")
    return lines


def _table(table: Table, specs: Mapping[str, MetricSpec]) -> list[str]:
    good = [row for row in table.rows if table.primary in row.values and row.state not in ("reported", "stale")]
    title = [f"## {escape(table.title)}", "", f"{table.how[:1].upper()}{table.how[1:]}.", ""]
    if not good:
        return [*title, *_below(table), ""]
    primary_first = [table.primary, *(name for name in table.metrics if name != table.primary)]
    first, *others = [escape(heading(name, specs.get(name))) for name in primary_first]
    head = ["#", "aligner", first, "Δ", *others]
    lines = [*title, "| " + " | ".join(head) + " |", "|" + "|".join(["--:", ":--", *["--:"] * (len(head) - 2)]) + "|"]
    columns = {name: (is_share(name, specs.get(name)), best(good, name, specs.get(name))) for name in primary_first}
    lines += [_row(row, columns, len(head)) for row in good]
    lines.append("")
    lines += _below(table)
    lines += [f"- {escape(line)}" for line in notices(table, specs)]
    lines += _noted(good)
    return [*lines, ""]


def _below(table: Table) -> list[str]:
    """Tell the rows below the line, and which results were reproduced."""
    lines = [
        f"- {escape(reason)}" if row.state == "reported" else f"- {code(row.label)}: {escape(reason)}"
        for row, reason in below(table)
    ]
    again: dict[str, list[str]] = {}
    for row in table.rows:
        if row.state == "reproduced":
            again.setdefault(row.remark, []).append(code(row.label))
    return [*lines, *(f"- {', '.join(labels)}: {escape(remark)}" for remark, labels in again.items())]


def _noted(rows: Sequence[Row]) -> list[str]:
    """Say what aligners noted about their fit, and what pairs were made of."""
    lines = []
    for row in rows:
        first = row.records[0] if row.records else None
        if first is not None and first.notes:
            words = [f"{key} {_short(value)}" for key, value in sorted(first.notes.items())]
            if first.pairs:
                words.insert(0, f"pairs of images and {first.pairs}")
            lines.append(f"- {code(row.label)}: {escape(', '.join(words))}")
    return lines


def _short(value: object) -> object:
    """Write a number with four digits; the record has them all."""
    return f"{value:.4g}" if isinstance(value, float) else value


def _place(row: Row) -> str:
    """Write the ranks that a row may have."""
    return "" if row.rank is None else ranks(row)


def _row(row: Row, columns: Mapping[str, tuple[bool, float | None]], width: int) -> str:
    """Write a row; of each column ``columns`` says whether it is a share, and its best value."""
    cells = [_place(row), code(row.label) + (" (control)" if row.control else "")]
    control = row.control
    for position, (name, (share, first)) in enumerate(columns.items()):
        value = row.values.get(name)
        if value is None:
            cells += ["–"] + ([""] if position == 0 else [])
            continue
        shown = number(value.value, share=share)
        if value.value == first and not control:
            shown = f"**{shown}**"
        cells.append(f"{shown} {interval(value, share=share)}".strip())
        if position == 0:
            cells.append(difference(value, share=share).replace("*", "\\*"))
    assert len(cells) == width
    return "| " + " | ".join(cells) + " |"


def _environment(tables: Sequence[Table]) -> list[str]:
    found: dict[str, None] = {}
    last: Mapping[str, Any] | None = None
    for record in (record for table in tables for row in table.rows for record in row.records):
        made = record.environment
        if made == last:  # as nearly always
            continue
        last = made
        found[made_with(made)] = None
    return ["## Made with", "", *(f"- {escape(line)}" for line in found)] if found else []
