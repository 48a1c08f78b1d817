"""Tables from records: which rows stand in which table, in which order, and in which state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gapbench.leaderboard.ranking import better_of, ranked, ranks_by
from gapbench.leaderboard.table import PRIMARY, Row, Table, Value
from gapbench.results.finalise import BASELINE, by_table, label_of, names_key, newest
from gapbench.results.merge import environments
from gapbench.specs import MetricFamily

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gapbench.model.study import Reference, Study
    from gapbench.results.finalise import TableKey
    from gapbench.results.merge import Repeat
    from gapbench.results.record import MetricValue, Record
    from gapbench.specs import MetricSpec


def build_tables(
    records: Iterable[Record],
    folder: Path,
    metrics: Mapping[str, MetricSpec],
    reference: Sequence[Reference] = (),
    repeats: Mapping[str, Repeat] | None = None,
) -> list[Table]:
    """Make the tables of finished records.

    Parameters
    ----------
    records
        Finished records, one a cell.
    folder
        Where their outcomes lie, for the tests of all pairs.
    metrics
        Known metrics, in the order of their columns; others follow.
    reference
        Published numbers.
    repeats
        Cells that ran more than once (`gapbench.results.merge.merge`).
    """
    groups = list(by_table(records).values())
    return ranked(_unranked(groups, metrics, reference, repeats or {}), metrics, folder, files=sum(map(len, groups)))


def _unranked(
    groups: Sequence[Sequence[Record]],
    metrics: Mapping[str, MetricSpec],
    reference: Sequence[Reference],
    repeats: Mapping[str, Repeat],
) -> Iterator[Table]:
    """Make the table of each group of records; the older of two tables of one name is stale."""
    latest: dict[TableKey, str] = {}
    for group in groups:
        names = names_key(group[0])
        latest[names] = max(latest.get(names, ""), *(record.created_utc for record in group))
    for group in groups:
        kept = set(map(id, newest(group)))
        rows = _rows([record for record in group if id(record) in kept], repeats)
        rows += _stale_rows([record for record in group if id(record) not in kept], rows)
        if max(record.created_utc for record in group) < latest[names_key(group[0])]:
            for row in rows:
                row.state, row.remark = "stale", "made of older weights, images or texts under the same names"
        yield _table(group[0], rows, metrics, reference)


def _rows(records: Sequence[Record], repeats: Mapping[str, Repeat]) -> list[Row]:
    """Make one row for each aligner, of all its seeds."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(label_of(record), []).append(record)
    rows = [Row(label=label, records=group) for label, group in groups.items()]
    seeds = len({record.seed for record in records})
    for row in rows:
        row.values = _values(row.records)
        row.coverage = (sum(record.status == "ok" for record in row.records), seeds)
        known = [repeats.get(record.cell_id) for record in row.records]
        conflicts = [line for found in known if found is not None for line in found.conflicts]
        if conflicts:
            row.state, row.remark = "conflict", "; ".join(conflicts)
        elif all(found is not None for found in known):
            runs = [found.runs for found in known if found is not None]
            times = min(map(len, runs))
            row.state = "reproduced"
            row.remark = f"reproduced {times}x: {environments(run for found in runs for run in found)}"
    return rows


def _stale_rows(records: Sequence[Record], rows: Sequence[Row]) -> list[Row]:
    """Make a row of the newest of the results that newer code has replaced, for each aligner."""
    older: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.created_utc, reverse=True):
        older.setdefault(label_of(record), []).append(record)
    made = []
    for label, found in older.items():
        newest_of = {record.seed: record for record in reversed(found)}
        kept = [newest_of[seed] for seed in sorted(newest_of)]
        made.append(
            Row(
                label=label,
                records=kept,
                values=_values(kept),
                coverage=next((row.coverage for row in rows if row.label == label), (1, 1)),
                state="stale",
                remark=f"made by older code ({kept[0].created_utc[:10]}; {len(found)} such results)",
            )
        )
    return made


def _values(records: Sequence[Record]) -> dict[str, Value]:
    names = dict.fromkeys(name for record in records for name in record.metrics)
    return {name: _mean([r.metrics[name] for r in records if name in r.metrics]) for name in names}


def _reported(reference: Sequence[Reference], prompts: str, metrics: Collection[str]) -> list[Row]:
    """Make a row of each published number that belongs to a table."""
    return [
        Row(
            label=item.aligner,
            records=[],
            values={item.metric: Value(value=item.value, ci95=None, delta=None, p_holm=None)},
            state="reported",
            remark=item.source,
        )
        for item in reference
        if item.prompts == prompts and item.metric in metrics
    ]


def _table(first: Record, rows: list[Row], specs: Mapping[str, MetricSpec], reference: Sequence[Reference]) -> Table:
    """Make a table that is not ranked yet."""
    have = dict.fromkeys(name for row in rows for name in row.values)
    metrics = [name for name in specs if name in have] + [name for name in have if name not in specs]
    primary = _primary(metrics, specs)
    sign = -1 if better_of(primary, specs) == "lower" else 1
    ranks = ranks_by(primary, specs)
    ordered = sorted(
        [*rows, *_reported(reference, first.prompts.name, metrics)],
        key=lambda row: (
            row.place,
            -sign * row.values[primary].value if ranks and primary in row.values else math.inf,
            row.label != BASELINE,
            row.label,
        ),
    )
    return Table(
        encoder=first.encoder.name,
        dataset=first.dataset.name,
        prompts=first.prompts.name,
        protocol=first.protocol.name,
        fit_size=first.protocol.fit_size,
        shots=first.protocol.shots,
        fit_split=first.protocol.fit_split,
        n=first.dataset.n if first.protocol.fit_split != "half of test" else first.dataset.n - first.dataset.n // 2,
        n_texts=first.prompts.n_texts,
        primary=primary,
        metrics=metrics,
        rows=ordered,
    )


def published_only(study: Study, tables: Sequence[Table]) -> list[Table]:
    """Make the tables of a study's published numbers that nobody has run yet."""
    if len(study.encoders) != 1 or len(study.datasets) != 1:
        return []
    there = {table.prompts for table in tables}
    made = []
    for prompts in dict.fromkeys(item.prompts for item in study.reference if item.prompts not in there):
        metrics = list(dict.fromkeys(item.metric for item in study.reference if item.prompts == prompts))
        made.append(
            Table(
                encoder=study.encoders[0],
                dataset=study.datasets[0],
                prompts=prompts,
                protocol=study.protocol,
                fit_size=None,
                fit_split="",
                n=0,
                n_texts=0,
                primary=metrics[0],
                metrics=metrics,
                rows=_reported(study.reference, prompts, metrics),
            )
        )
    return made


def _primary(metrics: Sequence[str], specs: Mapping[str, MetricSpec]) -> str:
    """Choose the metric to rank by; without any task metric the first stands first, and nothing is ranked."""
    tasks = [name for name in metrics if name in specs and specs[name].family is MetricFamily.TASK]
    return next((name for name in (*PRIMARY, *tasks, *metrics) if name in metrics), "")


def _mean(values: Sequence[MetricValue]) -> Value:
    """Average over seeds; of the p values the largest counts, so that no lucky seed makes a difference."""
    if len(values) == 1:
        (one,) = values
        return Value(value=one.value, ci95=one.ci95, delta=one.delta, p_holm=one.p_holm)
    lows, highs = zip(*ends, strict=True) if (ends := [v.ci95 for v in values if v.ci95 is not None]) else ((), ())
    deltas = [value.delta for value in values if value.delta is not None]
    p = [value.p_holm for value in values if value.p_holm is not None]
    return Value(
        value=_average([value.value for value in values]),
        ci95=(_average(lows), _average(highs)) if ends else None,
        delta=_average(deltas) if deltas else None,
        p_holm=max(p) if p else None,
    )


def _average(numbers: Sequence[float]) -> float:
    """Average as `statistics.fmean` does, which checks more and takes twice as long."""
    return math.fsum(numbers) / len(numbers)
