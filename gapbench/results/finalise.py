"""Comparing the rows of a table: what needs more than one cell is filled in when a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.errors import DataError
from gapbench.results import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gapbench.components import Measurement
    from gapbench.results.record import Record

BASELINE = "identity"

TableKey = tuple[object, ...]

UNTESTED = (None, None)


def table_key(record: Record) -> TableKey:
    """Give what the rows of one table share: the names, and the weights, images and texts that they stand for."""
    encoder, dataset, protocol, notes = record.encoder, record.dataset, record.protocol, record.notes
    return (
        encoder.name,
        dataset.name,
        record.prompts.name,
        protocol.name,
        -1 if protocol.fit_size is None else protocol.fit_size,
        -1 if protocol.shots is None else protocol.shots,
        notes.get("index", "flat"),
        encoder.fingerprint,
        dataset.fingerprint,
        notes.get("texts", ""),
        notes.get("train", ""),
    )


def names_key(record: Record) -> TableKey:
    """Give what the rows of tables of one title and one protocol share: names, not contents."""
    return table_key(record)[:7]


def by_table(records: Iterable[Record]) -> dict[TableKey, list[Record]]:
    """Give the records of each table, in their order."""
    tables: dict[TableKey, list[Record]] = {}
    for record in records:
        tables.setdefault(table_key(record), []).append(record)
    return tables


def label_of(record: Record) -> str:
    """Name the aligner with its parameters, in selection syntax."""
    return str(record.notes.get("label", record.aligner.name))


def newest(records: Iterable[Record]) -> list[Record]:
    """Drop records of one table that were made of older code under the same names."""
    latest: dict[tuple[object, ...], Record] = {}
    for record in records:
        key = (label_of(record), record.aligner.plugin.distribution, record.seed)
        known = latest.get(key)
        if known is None or known.created_utc <= record.created_utc:
            latest[key] = record
    return list(latest.values())


def finalise(records: Iterable[Record], folder: Path, *, again: bool = False) -> list[Record]:
    """Fill in differences to ``identity``, paired tests and Holm's correction; sort the records.

    Cells of one seed are compared with each other. A cell without its outcomes file keeps its values and a note; one that
    a newer cell of the same names has replaced is left as it is, and counts in no correction.

    Parameters
    ----------
    records, folder
        What is compared, and where their outcomes lie.
    again
        Make every test again. Otherwise a record that was compared with the same outcomes of ``identity`` keeps its p.
    """
    tables = by_table(records)
    done: list[Record] = []
    for key in sorted(tables, key=lambda key: [*map(_sortable, key)]):
        table = _finalised(tables[key], folder, again=again)
        done += sorted(table, key=lambda record: (record.seed, *_row_key(record)))
    return done


def _finalised(table: Sequence[Record], folder: Path, *, again: bool) -> list[Record]:
    """Finish the records of one table."""
    current = newest(table)
    kept = set(map(id, current))
    seeds: dict[int, list[Record]] = {}
    for record in current:
        seeds.setdefault(record.seed, []).append(record)
    done = [record for group in seeds.values() for record in _compared(group, folder, again=again)]
    return done + [record for record in table if id(record) not in kept]


def _sortable(part: object) -> str:
    """Write a part of a key so that numbers sort as numbers."""
    return f"{part:012d}" if isinstance(part, int) else str(part)


def _row_key(record: Record) -> tuple[str, ...]:
    baseline = "0" if record.aligner.name == BASELINE else "1"
    return baseline, record.aligner.name, str(sorted(record.aligner.params.items())), record.cell_id


def _compared(group: Sequence[Record], folder: Path, *, again: bool) -> list[Record]:
    base = next((r for r in group if r.aligner.name == BASELINE and r.status == "ok"), None)
    mark = base.outcomes.sha256 if base is not None and base.outcomes is not None else None
    noted: dict[str, str] = {}
    theirs = _loaded(base, folder, noted) if base is not None else {}
    tests: dict[str, dict[str, float]] = {}
    for record in group:
        if record is base or base is None or record.status != "ok":
            continue
        if again or mark is None or record.notes.get("compared_with") != mark:
            found = _tested(_loaded(record, folder, noted), theirs)
        else:
            found = {name: value.p for name, value in record.metrics.items() if value.p is not None}
        for name, p in found.items():
            tests.setdefault(name, {})[record.cell_id] = p
    adjusted = _adjusted(tests)
    done = []
    for record in group:
        mine = {
            name: (p[record.cell_id], adjusted[name][record.cell_id])
            for name, p in tests.items()
            if record.cell_id in p
        }
        done.append(_with_tests(record, base if record is not base else None, mine, noted.get(record.cell_id)))
    return done


def _loaded(record: Record, folder: Path, noted: dict[str, str]) -> dict[str, Measurement]:
    try:
        return load_outcomes(record, folder)
    except DataError as error:
        noted[record.cell_id] = str(error)
        return {}


def _tested(mine: Mapping[str, Measurement], theirs: Mapping[str, Measurement]) -> dict[str, float]:
    from gapbench.stats import paired_p

    found = {name: paired_p(outcomes, theirs[name]) for name, outcomes in mine.items() if name in theirs}
    return {name: p for name, p in found.items() if p is not None}


def _adjusted(tests: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    from gapbench.stats import holm

    return {name: dict(zip(p, holm(list(p.values())), strict=True)) for name, p in tests.items()}


def _with_tests(
    record: Record, base: Record | None, tests: Mapping[str, tuple[float, float]], noted: str | None
) -> Record:
    """Fill in what the table tells, and note what it rests on; ``tests`` are p values, each with its correction."""
    values, compared = {}, {} if base is None else base.metrics
    for name, value in record.metrics.items():
        theirs = compared.get(name)
        delta = None if theirs is None else value.value - theirs.value
        p, p_holm = tests.get(name, UNTESTED)
        if value.delta != delta or value.p != p or value.p_holm != p_holm:
            values[name] = msgspec.structs.replace(value, delta=delta, p=p, p_holm=p_holm)
    notes = {key: note for key, note in record.notes.items() if key not in ("outcomes", "compared_with")}
    if noted is not None:
        notes["outcomes"] = noted
    elif base is not None and base.outcomes is not None and record.status == "ok":
        notes["compared_with"] = base.outcomes.sha256
    if not values and notes == record.notes:  # as in a file that a run has finished
        return record
    return msgspec.structs.replace(record, metrics={**record.metrics, **values}, notes=notes)


def load_outcomes(record: Record, folder: Path) -> dict[str, Measurement]:
    """Read the outcomes of a record; empty where it has none.

    Raises
    ------
    DataError
        The file is missing or was changed.
    """
    if record.outcomes is None:
        return {}
    return outcomes.load(
        folder, record.outcomes, {name: (value.value, value.n) for name, value in record.metrics.items()}
    )
