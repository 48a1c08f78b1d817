"""Tables from records: which rows stand in which table, in which order, and in which state."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from gapbench.leaderboard.in_sample import score_unseen
from gapbench.leaderboard.ranking import better_of, rank, ranks_by
from gapbench.leaderboard.table import PRIMARY, Row, Table, Value
from gapbench.leaderboard.values import fill_values
from gapbench.model.record import PRECOMPUTED
from gapbench.results.answers import BASELINE, environments, names_key
from gapbench.results.comparisons import without_outcomes
from gapbench.specs import MetricFamily, base_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from gapbench.model.record import Record
    from gapbench.model.study import Reference, Study
    from gapbench.results.answers import NamesKey
    from gapbench.results.comparisons import Compared
    from gapbench.specs import MetricSpec

#: The distribution whose aligners are named alone; another one with an aligner of the same name is named with it.
OWN = "gapbench"

#: Goes under a table of data that are not those that their name stands for.
OWN_DATA = "The images are own files, not the official {}: published numbers are not shown beside them."


def build_tables(
    groups: Iterable[Sequence[Compared]],
    metrics: Mapping[str, MetricSpec],
    study: Study | None = None,
) -> list[Table]:
    """Make the ranked tables of compared answers.

    Parameters
    ----------
    groups
        The answers of each table (`gapbench.results.comparisons.compare_table`). Of each only one is held with its
        outcomes.
    metrics
        Known metrics, in the order of their columns; others follow.
    reference
        Published numbers.
    """
    tables = []
    with threadpool_limits(
        limits=1
    ):  # the products of one table are so small that threads take longer to meet than to work
        for group in groups:
            rows = _rows(group)
            fill_values(rows, metrics)
            table = _table(group[0].record, rows, metrics, study)
            rank(table, metrics)
            score_unseen(table, metrics)
            for row in table.rows:
                row.compared = [without_outcomes(one) for one in row.compared]
            tables.append(table)
    _mark_stale(tables)
    _mark_equal(tables)
    return tables


def only(tables: Sequence[Table], asked: Callable[[Record], bool]) -> list[Table]:
    """Restrict tables to the rows that were asked for; verdicts and ranks stay those of the whole tables."""
    found = []
    for table in tables:
        rows = [row for row in table.rows if not row.compared or any(map(asked, row.records))]
        if any(row.compared for row in rows):
            found.append(replace(table, rows=rows))
    return found


def _mark_stale(tables: Sequence[Table]) -> None:
    """Of two tables of one name the older is stale: weights, images or texts have changed under their names.

    Two embedding files of one name are two things, wherever they lie: they are marked with the beginning of their hashes.
    """
    named: dict[NamesKey, list[tuple[str, Table, Record]]] = {}
    for table in tables:
        records = [record for row in table.rows for record in row.records]
        latest = max(record.created_utc for record in records)
        named.setdefault(names_key(records[0]), []).append((latest, table, records[0]))
    for same in named.values():
        newest = max(when for when, _, _ in same)
        for when, table, first in same if len(same) > 1 else ():
            if first.encoder.component == PRECOMPUTED:
                table.mark = first.dataset.fingerprint[:8]
            elif when < newest:
                _make_stale(table)


def _make_stale(table: Table) -> None:
    for row in table.rows:
        row.rank = row.rank_high = None
        if row.state != "reported":
            row.state, row.remark = "stale", "older, and of other weights, images or texts under the same names"


def _mark_equal(tables: Sequence[Table]) -> None:
    """Say where one content has two names: it then has two tables."""
    encoders: dict[str, set[str]] = {}
    datasets: dict[str, set[str]] = {}
    firsts = [next(record for row in table.rows for record in row.records) for table in tables]
    for first in firsts:
        encoders.setdefault(first.encoder.fingerprint, set()).add(first.encoder.name)
        datasets.setdefault(first.dataset.fingerprint, set()).add(first.dataset.name)
    for table, first in zip(tables, firsts, strict=True):
        for what, known, mine in (
            ("weights", encoders[first.encoder.fingerprint], first.encoder.name),
            ("items", datasets[first.dataset.fingerprint], first.dataset.name),
        ):
            if others := sorted(known - {mine}):
                table.remarks.append(f"{mine} has the same {what} as {', '.join(others)}.")


def _rows(group: Sequence[Compared]) -> list[Row]:
    """Make one row for each aligner, of all its seeds."""
    rows: dict[tuple[str, str], Row] = {}
    makers: dict[str, set[str]] = {}
    for one in group:
        label, maker = one.answer.record.label, one.answer.record.aligner.distribution
        makers.setdefault(label, set()).add(maker)
        rows.setdefault((label, maker), Row(label=label)).compared.append(one)
    for (label, maker), row in rows.items():
        if maker != OWN and (len(makers[label]) > 1 or label == BASELINE):
            row.label = f"{label} ({maker})"
    seeds = len({one.answer.record.seed for one in group})
    for row in rows.values():
        answers = [one.answer for one in row.compared]
        row.coverage = (sum(answer.record.status == "ok" for answer in answers), seeds)
        row.superseded = tuple(line for answer in answers for line in answer.superseded)
        times = min(answer.reproduced for answer in answers)
        if conflicts := [line for answer in answers for line in answer.conflicts]:
            row.state, row.remark = "conflict", "; ".join(conflicts)
        elif times > 1:
            row.state = "reproduced"
            row.remark = f"reproduced {times}x: {environments(run for answer in answers for run in answer.runs)}"
    return list(rows.values())


def _reported(reference: Sequence[Reference], prompts: str, metrics: Collection[str]) -> list[Row]:
    """Make a row of each published number that belongs to a table."""
    return [
        Row(
            label=item.aligner,
            values={item.metric: Value(value=item.value)},
            state="reported",
            remark=item.source,
        )
        for item in reference
        if item.prompts == prompts and item.metric in metrics
    ]


def _table(first: Record, rows: list[Row], specs: Mapping[str, MetricSpec], study: Study | None) -> Table:
    """Make a table that is not ranked yet."""
    have = dict.fromkeys(name for row in rows for name in row.values)
    place = {name: number for number, name in enumerate(specs)}
    metrics = sorted(have, key=lambda name: place.get(base_name(name), len(place)))
    asked, reference = (study.primary, study.reference) if study else ("", ())
    reported = _reported(reference, first.prompts.name, metrics)
    theirs = first.dataset.published
    primary = asked if asked in metrics else _primary(metrics, specs)
    sign = -1 if better_of(primary, specs) == "lower" else 1
    ranks = ranks_by(primary, specs)
    ordered = sorted(
        [*rows, *(reported if theirs else ())],
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
        index=first.index,
        dtype=first.encoder.dtype,
        fit_split=first.protocol.fit_split,
        n=max((record.items.scored for row in rows for record in row.records), default=first.dataset.n),
        n_texts=first.prompts.n_texts,
        primary=primary,
        metrics=metrics,
        rows=ordered,
        remarks=[] if theirs else [OWN_DATA.format(first.dataset.name)],
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
