"""Comparing the rows of a table: what needs more than one cell is filled in when a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.errors import DataError
from gapbench.results import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gapbench.components import Measurement
    from gapbench.results.record import MetricValue, Record

BASELINE = "identity"

TableKey = tuple[object, ...]


def table_key(record: Record) -> TableKey:
    """Give what the rows of one table share."""
    return (
        record.study,
        record.encoder.name,
        record.encoder.fingerprint,
        record.dataset.name,
        record.dataset.fingerprint,
        record.prompts.name,
        record.protocol.name,
        -1 if record.protocol.fit_size is None else record.protocol.fit_size,
        -1 if record.protocol.shots is None else record.protocol.shots,
        record.notes.get("index", "flat"),
    )


def newest(records: Iterable[Record]) -> list[Record]:
    """Drop records that were made of older data, weights or code under the same names."""
    latest: dict[tuple[object, ...], Record] = {}
    for record in records:
        key = (
            record.encoder.name,
            record.dataset.name,
            record.prompts.name,
            record.notes.get("label"),
            record.aligner.plugin.distribution,
            record.protocol,
            record.seed,
            record.notes.get("index"),
        )
        if key not in latest or latest[key].created_utc <= record.created_utc:
            latest[key] = record
    return list(latest.values())


def finalise(records: Iterable[Record], folder: Path) -> list[Record]:
    """Fill in differences to ``identity``, paired tests and Holm's correction; sort the records.

    Cells of one seed are compared with each other. A cell without its outcomes file keeps its values and a note; one that
    a newer cell of the same names has replaced is left as it is, and counts in no correction.
    """
    everything = list(records)
    current = newest(everything)
    kept = {record.cell_id for record in current}
    groups: dict[TableKey, list[Record]] = {}
    for record in current:
        groups.setdefault((*table_key(record), record.seed), []).append(record)
    done = [record for group in groups.values() for record in _compared(group, folder)]
    done += [record for record in everything if record.cell_id not in kept]
    return sorted(done, key=lambda record: (*map(_sortable, table_key(record)), record.seed, *_row_key(record)))


def _sortable(part: object) -> str:
    """Write a part of a key so that numbers sort as numbers."""
    return f"{part:012d}" if isinstance(part, int) else str(part)


def _row_key(record: Record) -> tuple[str, ...]:
    baseline = "0" if record.aligner.name == BASELINE else "1"
    return baseline, record.aligner.name, str(sorted(record.aligner.params.items())), record.cell_id


def _compared(group: Sequence[Record], folder: Path) -> list[Record]:
    from gapbench.stats import holm, paired_p

    measured: dict[str, dict[str, Measurement]] = {}
    noted: dict[str, str] = {}
    for record in group:
        try:
            measured[record.cell_id] = load_outcomes(record, folder)
        except DataError as error:
            noted[record.cell_id] = str(error)
    base = next((r for r in group if r.aligner.name == BASELINE and r.status == "ok"), None)
    tests: dict[str, dict[str, float]] = {}
    for record in group:
        if base is None or record is base or record.status != "ok":
            continue
        for name, mine in measured.get(record.cell_id, {}).items():
            theirs = measured.get(base.cell_id, {}).get(name)
            p = None if theirs is None else paired_p(mine, theirs)
            if p is not None:
                tests.setdefault(name, {})[record.cell_id] = p
    adjusted = {name: dict(zip(p, holm(list(p.values())), strict=True)) for name, p in tests.items()}
    result = []
    for record in group:
        values = {
            name: _with_tests(value, name, record, base, tests, adjusted) for name, value in record.metrics.items()
        }
        notes = {key: note for key, note in record.notes.items() if key != "outcomes"}
        if record.cell_id in noted:
            notes["outcomes"] = noted[record.cell_id]
        result.append(msgspec.structs.replace(record, metrics=values, notes=notes))
    return result


def _with_tests(
    value: MetricValue,
    name: str,
    record: Record,
    base: Record | None,
    tests: dict[str, dict[str, float]],
    adjusted: dict[str, dict[str, float]],
) -> MetricValue:
    theirs = None if base is None else base.metrics.get(name)
    return msgspec.structs.replace(
        value,
        delta=None if theirs is None or record is base else value.value - theirs.value,
        p=tests.get(name, {}).get(record.cell_id),
        p_holm=adjusted.get(name, {}).get(record.cell_id),
    )


def load_outcomes(record: Record, folder: Path) -> dict[str, Measurement]:
    """Read the outcomes of a record; empty where it has none.

    Raises
    ------
    DataError
        The file is missing or was changed.
    """
    if record.outcomes is None:
        return {}
    values = {name: (value.value, value.n) for name, value in record.metrics.items()}
    return outcomes.load(folder, record.outcomes, values)
