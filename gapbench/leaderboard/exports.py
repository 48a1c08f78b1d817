"""The leaderboard for other programs: CSV with every number, LaTeX (booktabs) with the ranked tables."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from gapbench.leaderboard.terminal import GAPS
from gapbench.leaderboard.text import difference, interval, is_share, number
from gapbench.model.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

COLUMNS = (
    "encoder", "dtype", "dataset", "prompts", "protocol", "fit_size", "shots", "index", "aligner", "control",
    "state", "rank", "rank_high", "seeds", "metric", "value", "low", "high", "spread", "delta", "p", "p_holm",
)  # fmt: skip

#: What LaTeX reads as commands, and how it is written as text.
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "Δ": r"$\Delta$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


_LATEX = str.maketrans(LATEX)


def to_csv(tables: Sequence[Table]) -> str:
    """Write one line for each row and metric; values as the records have them, fractions and not per cent."""
    lines = [_fields(COLUMNS)]
    for table in tables:
        names = (table.encoder, table.dtype, table.dataset, table.prompts, table.protocol)
        of = (*names, table.fit_size, table.shots, table.index)
        metrics = {name: _fields([name]) for name in table.metrics}
        for row in table.rows:
            mine = _fields([*of, row.label, int(row.control), row.state, row.rank, row.rank_high, len(row.records)])
            for name, metric in metrics.items():
                if (value := row.values.get(name)) is not None:
                    low, high = value.ci95 or ("", "")
                    rest = (value.spread, value.delta, value.p, value.p_holm)
                    spread, delta, p, p_holm = ("" if one is None else one for one in rest)
                    lines.append(f"{mine},{metric},{value.value},{low},{high},{spread},{delta},{p},{p_holm}")
    return "\n".join(lines) + "\n"


#: Where a spreadsheet takes text for a formula: at the beginning, and after what some of them split at.
FORMULA = re.compile(r"""(^|[;|])(?=["'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def _fields(values: Sequence[object]) -> str:
    """Write a part of a line, with quotes where it needs them; text is one line and no formula of a spreadsheet.

    Text that would be one gets an apostrophe, which spreadsheets hide.
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(
        FORMULA.sub(r"\1'", one_line(value)) if isinstance(value, str) else value for value in values
    )
    return out.getvalue()


def to_latex(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> str:
    """Write each table for the package booktabs: rank, aligner, primary metric with interval and difference, two gaps."""
    return "\n".join(_latex(table, specs) for table in tables if not table.stale)


def _latex(table: Table, specs: Mapping[str, MetricSpec]) -> str:
    gaps = [name for name in GAPS if name in table.metrics][:2]
    unit = " (%)" if is_share(table.primary, specs.get(table.primary)) else ""
    heads = ["", "aligner", f"{table.primary}{unit}", "95 %", "Δ", *gaps]
    lines = [
        f"% {escape(f'{table.title}: {table.how}')}",
        rf"\begin{{tabular}}{{rl{'r' * (len(heads) - 2)}}}",
        r"\toprule",
    ]
    lines += [" & ".join(map(escape, heads)) + r" \\", r"\midrule"]
    lines += [
        " & ".join(_cells(row, table, gaps, specs)) + r" \\"
        for row in table.rows
        if table.primary in row.values and row.state != "stale"
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cells(row: Row, table: Table, gaps: Sequence[str], specs: Mapping[str, MetricSpec]) -> list[str]:
    value, share = row.values[table.primary], is_share(table.primary, specs.get(table.primary))
    found = ["" if row.rank is None else str(row.rank), row.label]
    found += [number(value.value, share=share), interval(value, share=share), difference(value, share=share)]
    for name in gaps:
        gap = row.values.get(name)
        found.append("--" if gap is None else number(gap.value, share=is_share(name, specs.get(name))))
    return [escape(text) for text in found]


def escape(text: str) -> str:
    """Write text so that LaTeX shows it as it is."""
    return one_line(text).translate(_LATEX)
