"""Answers: what all records of one question say together. Records are facts and stay; this is how they are looked at.

Of each metric the newest value stands. An older value that agrees with it is *reproduced*, whatever the code; one that
does not agree and was measured by other code is *superseded*; by the same code, it is a *conflict*.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gapbench.errors import DataError
from gapbench.host.imports import GAPBENCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gapbench.components import Measurement
    from gapbench.model.record import Code, ProtocolRef, Record
    from gapbench.model.study import Protocol
    from gapbench.results.journal import Stored

#: Values of one cell from two machines agree up to this share of the larger one (or this much, where both are below 1):
#: other processors and libraries round differently.
TOLERANCE = 1e-3

#: Where items are counted, so many per mille of them, and at least one, may come out differently.
ITEMS = 2e-3

NamesKey = tuple[object, ...]
TableKey = tuple[object, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one question under one set of names.

    Parameters
    ----------
    record
        The newest record that stands, with the values of all records that stand.
    stored
        For each metric the record that its value comes from.
    runs
        The different records of the question, oldest first, whatever names they have.
    reproduced
        How many different runs give what stands, and nothing else; 1 where nobody has run it again.
    conflicts
        What the same code gave differently, one sentence each.
    superseded
        What other code gave before, one sentence each.
    """

    record: Record
    stored: Mapping[str, Stored]
    runs: tuple[Stored, ...]
    reproduced: int = 1
    conflicts: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()

    def measurements(self) -> dict[str, Measurement]:
        """Read the per-item outcomes of all metrics.

        Raises
        ------
        DataError
            They are missing or were changed.
        """
        found: dict[str, Measurement] = {}
        for source in {id(one): one for one in self.stored.values()}.values():
            metrics = source.record.metrics
            mine = {name: metrics[name] for name, one in self.stored.items() if one is source}
            found |= source.container.measurements(source.record.outcomes, mine)
        return found


def names_of(
    *, encoder: str, dtype: str, dataset: str, prompts: str, protocol: Protocol | ProtocolRef, index: str
) -> NamesKey:
    """Return what the rows of tables of one title and one protocol share: names, not contents."""
    fit_size = -1 if protocol.fit_size is None else protocol.fit_size
    shots = -1 if protocol.shots is None else protocol.shots
    return (encoder, dataset, prompts, protocol.name, fit_size, shots, index, dtype)


def names_key(record: Record) -> NamesKey:
    """Return `names_of` a record."""
    return names_of(
        encoder=record.encoder.name,
        dtype=record.encoder.dtype,
        dataset=record.dataset.name,
        prompts=record.prompts.name,
        protocol=record.protocol,
        index=record.index,
    )


def question(record: Record) -> tuple[object, ...]:
    """Tell cells apart by what is asked and under which names."""
    return (record.cell_id, *names_key(record))


def row_key(record: Record) -> tuple[object, ...]:
    """Return the names of one row of a table and its seed."""
    return (*names_key(record), record.label, record.seed)


def table_key(record: Record) -> TableKey:
    """Return what the rows of one table share: the names, and the weights, items and texts that they stand for."""
    contents = (
        record.encoder.fingerprint,
        record.dataset.fingerprint,
        record.prompts.fingerprint,
        record.protocol.fit_fingerprint,
    )
    return (*names_key(record), *contents)


def answers(found: Iterable[Stored]) -> list[Answer]:
    """Return one answer for each question and each set of names, in a fixed order.

    Parameters
    ----------
    found
        Records, in the order of their files.
    """
    questions: dict[str, list[Stored]] = {}
    seen: set[str] = set()
    for stored in found:
        if stored.record.checksum not in seen:  # copies of one record count once
            seen.add(stored.record.checksum)
            questions.setdefault(stored.record.cell_id, []).append(stored)
    made = [answer for runs in questions.values() for answer in _answers_of(runs)]
    return sorted(made, key=lambda answer: _order(answer.record))


def _order(record: Record) -> tuple[object, ...]:
    """Sort as tables are read: by names, then seed, ``identity`` first."""
    return (_place(table_key(record)), record.seed, not is_baseline(record), record.label, record.cell_id)


@lru_cache(maxsize=10_000)  # of all rows of a table it is the same
def _place(table: TableKey) -> tuple[str, ...]:
    return tuple(f"{part:012d}" if isinstance(part, int) else str(part) for part in table)


def is_baseline(record: Record) -> bool:
    """Whether a record is of gapbench's own ``identity``: what every other aligner is compared with."""
    return record.aligner.name == BASELINE and record.aligner.distribution == GAPBENCH


#: What every other aligner is compared with.
BASELINE = "identity"


def _answers_of(runs: Sequence[Stored]) -> list[Answer]:
    """Merge the records of one question: one answer for each set of names that it was asked under."""
    ordered = sorted(runs, key=lambda stored: (stored.record.created_utc, stored.record.checksum))
    if len(ordered) == 1:
        (one,) = ordered
        return [Answer(record=one.record, stored=dict.fromkeys(one.record.metrics, one), runs=(one,))]
    last = ordered[-1]
    whole = [stored for stored in ordered if stored.record.status == "ok"]
    if not whole or (last.record.status != "ok" and not any(same_code("", last.record, s.record) for s in whole)):
        return [Answer(record=last.record, stored={}, runs=tuple(ordered))]
    standing = _standing(whole)
    agreeing, conflicts, superseded = _compared(whole, standing)
    named = {names_key(stored.record): stored for stored in whole}
    return [
        Answer(
            record=_united(newest.record, standing, whole),
            stored=standing,
            runs=tuple(whole),
            reproduced=agreeing,
            conflicts=conflicts,
            superseded=superseded,
        )
        for newest in named.values()
    ]


def _standing(whole: Sequence[Stored]) -> dict[str, Stored]:
    """Return for each metric the newest record with its value, unless newer code could not measure it."""
    standing: dict[str, Stored] = {}
    for stored in whole:
        for name in stored.record.unmeasured:
            if name in standing and not _same_failing(name, stored.record, standing[name].record):
                del standing[name]
        standing |= dict.fromkeys(stored.record.metrics, stored)
    return standing


def _same_failing(metric: str, failed: Record, measured: Record) -> bool:
    """Whether the code that could not measure is the code that could before: then what it measured stands."""
    names = (failed.unmeasured[metric].distribution, *distributions(failed))
    return all(name in failed.code and failed.code[name] == measured.code.get(name) for name in names)


def _united(record: Record, standing: Mapping[str, Stored], whole: Sequence[Stored]) -> Record:
    """Give the newest record the values that stand; what failed in every record stays failed."""
    unmeasured = {
        name: why for stored in whole for name, why in stored.record.unmeasured.items() if name not in standing
    }
    metrics = {name: stored.record.metrics[name] for name, stored in standing.items()}
    return msgspec.structs.replace(record, metrics=metrics, unmeasured=unmeasured)


def _compared(whole: Sequence[Stored], standing: Mapping[str, Stored]) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Count the runs that agree with what stands, and say what does not."""
    agreeing = 1
    conflicts: dict[str, None] = {}
    superseded: dict[str, None] = {}
    for earlier in whole:
        agrees, differs = False, False
        for name, value in earlier.record.metrics.items():
            newest = standing.get(name)
            if newest is earlier:
                continue
            if newest is None:
                superseded[f"{name} {value.value:.6g} ({made_on(earlier.record)}), which newer code cannot measure"] = (
                    None
                )
            elif not (line := disagreement(name, newest, earlier)):
                agrees = agrees or _other_run(newest.record, earlier.record)
                continue
            elif same_code(name, newest.record, earlier.record):
                conflicts[line] = None
            else:
                superseded[line] = None
            differs = True
        agreeing += agrees and not differs
    return agreeing, tuple(conflicts), tuple(superseded)


def _other_run(one: Record, other: Record) -> bool:
    """Whether two records were made at another time or elsewhere: a copy under another name or date reproduces nothing.

    Two runs do not take the same time to the microsecond.
    """
    mine, theirs = (one.timing.fit_s, one.timing.score_s), (other.timing.fit_s, other.timing.score_s)
    if mine == theirs and any(mine):
        return False
    return one.created_utc != other.created_utc or one.environment != other.environment


def distributions(record: Record, metric: str = "") -> tuple[str, ...]:
    """Name the distributions that a value of a record rests on; without ``metric``, all but that of the metric."""
    of = [record.encoder.distribution, record.dataset.distribution, record.prompts.distribution]
    of += ["gapbench", record.aligner.distribution]
    of += [value.distribution for name, value in record.metrics.items() if name == metric]
    return tuple(dict.fromkeys(name for name in of if name))


def code_behind(record: Record, metric: str) -> dict[str, Code | None]:
    """Return the code that a value of a record rests on, by distribution."""
    return {name: record.code.get(name) for name in distributions(record, metric)}


def same_code(metric: str, one: Record, other: Record) -> bool:
    """Whether the same code, as far as it is known, gave two values."""
    mine, theirs = code_behind(one, metric), code_behind(other, metric)
    return mine == theirs and all(code is not None and code.sha256 for code in mine.values())


def disagreement(metric: str, one: Stored, other: Stored) -> str:
    """Say where two records of one question differ in a metric by more than rounding; empty where they agree.

    Two values agree within `TOLERANCE`; values that are shares of counted items also where at most `ITEMS` of the items (at
    least one item) came out differently.
    """
    value, theirs = one.record.metrics[metric], other.record.metrics[metric]
    close = abs(value.value - theirs.value) <= TOLERANCE * max(1.0, abs(value.value), abs(theirs.value))
    if value.n == theirs.n and (close or _few_items(metric, one, other)):
        return ""
    return f"{metric} {value.value:.6g} ({made_on(one.record)}) against {theirs.value:.6g} ({made_on(other.record)})"


def _few_items(metric: str, one: Stored, other: Stored) -> bool:
    """Whether two 0/1 outcomes differ in few items."""
    try:
        mine, theirs = (
            stored.container.measurements(stored.record.outcomes, stored.record.metrics).get(metric)
            for stored in (one, other)
        )
    except DataError:
        return False
    if mine is None or theirs is None or mine.outcomes is None or theirs.outcomes is None:
        return False
    a, b = mine.outcomes, theirs.outcomes
    if not (a.dtype == b.dtype == np.bool_ and len(a) == len(b)):
        return False
    return int(np.count_nonzero(a != b)) <= max(1.0, ITEMS * len(a))


def made_on(record: Record) -> str:
    """Name the code, the environment and the day of a run in a few words."""
    made = record.environment
    code = record.code.get("gapbench")
    words = [
        f"gapbench {'?' if code is None else f'{code.version} {code.sha256[:8]}'.strip()}",
        str(made.get("platform", "?")),
        f"Python {made.get('python', '?')}",
    ]
    return ", ".join([*words, record.created_utc[:10] or "no date"])


def environments(runs: Iterable[Stored]) -> str:
    """Name where runs were made."""
    return "; ".join(dict.fromkeys(made_on(stored.record) for stored in runs))
