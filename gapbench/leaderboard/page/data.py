"""What the page shows, as JSON: every row with its numbers, its record and its command, as far as there is room."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.leaderboard.command import row_command
from gapbench.leaderboard.curves import curves_of
from gapbench.leaderboard.notices import notices
from gapbench.leaderboard.pareto import pareto_front
from gapbench.leaderboard.text import GAP, below, is_share, made_with
from gapbench.model.plain import plain_text
from gapbench.verdicts import SIGNIFICANT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table, Value
    from gapbench.model.record import Record
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec

#: Learning curves of one page.
MOST_CURVES = 12

#: What would end a script, or begin another, is written otherwise inside of JSON; it means the same.
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page_data(tables: Sequence[Table], study: Study, specs: Mapping[str, MetricSpec], room: int) -> tuple[str, str]:
    """Write the data of a page as JSON that can stand in HTML.

    Where ``room`` (bytes) is not enough for everything, rows lose first all metrics but the task and the gap, their
    record and their command; then the last rows are left out.

    Returns
    -------
    json, left_out
        The data, and in words what is missing; empty where nothing is.
    """
    shown = [table for table in tables if not table.stale]
    frame = {
        "metrics": _metrics(shown, specs),
        "gap": GAP,
        "tables": [_table(table, specs) for table in shown],
        "curves": [asdict(curves) for curves in curves_of(shown)[:MOST_CURVES]],
    }
    room -= len(_json(frame).encode()) + len('"environments":[],"rows":[],')
    total = sum(len(table.rows) for table in shown)
    environments: dict[str, int] = {}
    rows, left_out = _as_many(_rows(shown, specs, study, environments), room, environments), ""
    if len(rows) < total:
        left_out = "rows show only task and gap; their other metrics are in table.csv, their records in records/"
        environments.clear()  # they are of records
        rows = _as_many(_short_rows(shown), room, environments)
    if len(rows) < total:
        left_out = f"{len(rows):,} of {total:,} rows are here; table.csv has all; {left_out}"
    return f'{_json(frame)[:-1]},"environments":{_json(list(environments))},"rows":[{",".join(rows)}]}}', left_out


def _json(found: Any) -> str:
    """Write JSON whose text is plain and can stand in a script."""
    text = msgspec.json.encode(_plain(found)).decode()
    for character, escaped in ESCAPES.items():
        text = text.replace(character, escaped)
    return text


def _plain(found: Any) -> Any:
    """Show what steers in all text of a value."""
    if isinstance(found, str):
        return plain_text(found)
    if isinstance(found, dict):
        return {_plain(key): _plain(value) for key, value in found.items()}
    return [_plain(value) for value in found] if isinstance(found, list | tuple) else found


def _as_many(rows: Iterator[dict[str, Any]], room: int, environments: Mapping[str, int]) -> list[str]:
    """Give rows until the room is used up, by them and by the environments that their records name."""
    found: list[str] = []
    named = 0
    for row in rows:
        text = _json({key: value for key, value in row.items() if value or key == "table"})
        room -= len(text.encode()) + 1
        if len(environments) > named:
            room -= sum(len(_json(made).encode()) + 1 for made in list(environments)[named:])
            named = len(environments)
        if room < 0:
            break
        found.append(text)
    return found


def _metrics(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(name for table in tables for name in table.metrics)
    return {
        name: {
            "share": is_share(name, specs.get(name)),
            "better": str(specs[name].better) if name in specs else "higher",
            "summary": specs[name].summary if name in specs else "",
        }
        for name in names
    }


def _table(table: Table, specs: Mapping[str, MetricSpec]) -> dict[str, Any]:
    size = (
        f"{table.shots} shots" if table.shots is not None else "all" if table.fit_size is None else f"{table.fit_size}"
    )
    first = next((record for row in table.rows for record in row.records), None)
    return {
        "encoder": table.encoder,
        "dataset": table.dataset,
        "prompts": table.prompts,
        "protocol": ", ".join([table.protocol, size, *_unusual(table)]),
        "how": table.how,
        "primary": table.primary,
        "metrics": table.metrics,
        "notices": notices(table, specs),
        "fingerprints": {}
        if first is None
        else {"encoder": first.encoder.fingerprint, "dataset": first.dataset.fingerprint},
    }


def _unusual(table: Table) -> list[str]:
    """Name index and type where they are not the usual ones."""
    return [name for name in (table.index, table.dtype) if name not in ("flat", "float32", "")]


def _environment(record: Record) -> str:
    return made_with(record.environment)


def _rows(
    tables: Sequence[Table], specs: Mapping[str, MetricSpec], study: Study, environments: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Give the rows in full, and number the environments of their records; what is false or empty is left out later."""
    for number, table in enumerate(tables):
        front = {id(row) for row in pareto_front(table, specs)}
        why = {id(row): reason for row, reason in below(table)}
        for row in table.rows:
            yield {
                **_standing(number, row),
                "front": id(row) in front,
                "why": why.get(id(row), "") or row.remark,
                "values": [_value(row.values.get(name)) for name in table.metrics],
                "command": row_command(table, row, study),
                "records": [_record(record, environments) for record in row.records],
                **_plugin(row),
                "params": dict(row.records[0].aligner.params) if row.records else {},
            }


def _plugin(row: Row) -> dict[str, str]:
    """Name the distribution of a row's aligner, and its version."""
    if not row.records:
        return {"plugin": "", "version": ""}
    first = row.records[0]
    code = first.code.get(first.aligner.distribution)
    return {"plugin": first.aligner.distribution, "version": "" if code is None else code.version}


def _short_rows(tables: Sequence[Table]) -> Iterator[dict[str, Any]]:
    for number, table in enumerate(tables):
        for row in table.rows:
            kept = (table.primary, GAP)
            values = [_value(row.values.get(name)) if name in kept else None for name in table.metrics]
            while values and values[-1] is None:
                values.pop()
            yield {**_standing(number, row), "values": values}


def _standing(number: int, row: Row) -> dict[str, Any]:
    return {
        "table": number,
        "aligner": row.label,
        "family": row.family,
        "rank": row.rank,
        "unseen": None if row.unseen is None else [_five(row.unseen.value), *map(_five, row.unseen.ci95 or ())],
        "ranks": None if row.rank is None else (row.rank, row.rank_high),
        "state": row.state if row.state or row.ok else row.records[0].status,
        "control": row.control,
    }


def _value(value: Value | None) -> list[float | None] | None:
    """Give value, low, high, difference and p, with five digits; the records have them all."""
    if value is None:
        return None
    low, high = value.ci95 or (None, None)
    found = [*(_five(number) for number in (value.value, low, high, value.delta)), _p(value)]
    while found[-1] is None:
        found.pop()
    return found


def _p(value: Value) -> float | None:
    """Return the corrected p value with five digits, which do not carry it across the border."""
    short = _five(value.p_holm)
    return short if short is None or (short < SIGNIFICANT) == value.significant else value.p_holm


def _five(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.5g}")


def _record(record: Record, environments: dict[str, int]) -> dict[str, Any]:
    """Give what a record says besides the values."""
    found = {
        "cell_id": record.cell_id,
        "seed": record.seed,
        "created_utc": record.created_utc,
        "environment": environments.setdefault(_environment(record), len(environments)),
        "timing": [_five(seconds) for seconds in (record.timing.encode_s, record.timing.fit_s, record.timing.score_s)],
        "reason": record.reason,
        "outcomes": record.outcomes.sha256 if record.outcomes is not None else "",
        "code": {name: f"{code.version} {code.sha256[:12]}".strip() for name, code in record.code.items()},
        "notes": _told(record) | record.notes,
    }
    return {key: value for key, value in found.items() if value or key in ("seed", "environment")}


def _told(record: Record) -> dict[str, Any]:
    """Give what a record says of its fit, as far as there is something to say."""
    found = {
        "fitted on": record.items.fitted,
        "pairs": record.pairs,
        "chosen": None if record.chosen is None else record.chosen.params,
        "warnings": "; ".join(record.warnings),
        "index recall": record.index_recall,
        "characters printed": record.printed,
        "unmeasured": {name: why.reason for name, why in record.unmeasured.items()},
    }
    return {name: value for name, value in found.items() if value}
