"""Ranked tables as HTML, for notebooks. Every text is escaped: names come from plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.leaderboard.notices import notices
from gapbench.leaderboard.text import difference, heading, interval, is_share, number
from gapbench.model.plain import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec

TEMPLATE = """\
{% for table in tables %}
<h4>{{ table.title }}</h4>
<p>{{ table.how }}</p>
<table>
<thead><tr><th>#</th><th style="text-align:left">aligner</th>\
{% for head in table.heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}<tr><td>{{ row.rank }}</td><td style="text-align:left">{{ row.label }}</td>\
{% for cell in row.cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
{% for line in table.notices %}<p><small>{{ line }}</small></p>
{% endfor %}{% endfor %}"""


def html(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> str:
    """Write tables as HTML."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, finalize=lambda shown: plain_text(str(shown)))
    return environment.from_string(TEMPLATE).render(tables=[_plain(table, specs) for table in tables])


def _plain(table: Table, specs: Mapping[str, MetricSpec]) -> dict[str, object]:
    others = [name for name in table.metrics if name != table.primary]
    heads = [heading(name, specs.get(name)) for name in (table.primary, *others)]
    return {
        "title": table.title,
        "how": table.how,
        "heads": [heads[0], "95 %", "Δ", *heads[1:]],
        "rows": [_row(row, table.primary, others, specs) for row in table.rows],
        "notices": notices(table, specs),
    }


def _row(row: Row, primary: str, others: Sequence[str], specs: Mapping[str, MetricSpec]) -> dict[str, object]:
    label = f"{row.label} (control)" if row.control else row.label
    if primary not in row.values:
        return {"rank": "", "label": f"{label}: {row.reason}", "cells": [""] * (3 + len(others))}
    value, share = row.values[primary], is_share(primary, specs.get(primary))
    cells = [number(value.value, share=share), interval(value, share=share), difference(value, share=share)]
    for name in others:
        other = row.values.get(name)
        cells.append("–" if other is None else number(other.value, share=is_share(name, specs.get(name))))
    return {"rank": row.rank if row.rank is not None else "", "label": label, "cells": cells}
