"""Comparisons: differences to ``identity`` and the paired test of each row, computed from records on reading.

Terminal, Markdown, CSV, LaTeX, page, notebook and pandas all show what is computed here. Nothing of it is ever written
into a record, so nothing is half-compared, whatever ends a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.fingerprint import fingerprint
from gapbench.errors import DataError
from gapbench.host.provenance import gapbench_code
from gapbench.model.record import HALF, IN_SAMPLE
from gapbench.results.answers import is_baseline, made_on, table_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gapbench.components import Measurement
    from gapbench.embeddings.memo import Memos
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer, TableKey


class Difference(msgspec.Struct, frozen=True, gc=False):
    """How the value of one seed compares with that of ``identity``, and the p value of the row's paired test over all seeds.

    ``p`` is that of this one test; what a table makes of all its tests together is in `gapbench.leaderboard.ranking`.
    """

    delta: float
    p: float | None = None


#: The kind of memo that holds p values.
KIND = "tests"

NO_DIFFERENCES: Mapping[str, Difference] = {}
NO_TESTS: Mapping[str, float] = {}


class Compared(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer with what its table makes of it.

    Parameters
    ----------
    answer
        What was measured.
    differences
        For each metric that ``identity`` of the same seed has as well.
    measured
        The outcomes of every item, by metric.
    untested
        Why there are none.
    """

    answer: Answer
    differences: Mapping[str, Difference] = {}
    measured: Mapping[str, Measurement] = {}
    untested: str = ""

    @property
    def record(self) -> Record:
        """The record that stands."""
        return self.answer.record


def without_outcomes(one: Compared) -> Compared:
    """Let go of the outcomes, which are large, once everything was computed from them."""
    return msgspec.structs.replace(one, measured={})


def compare(answers: Iterable[Answer], memos: Memos | None = None) -> Iterator[list[Compared]]:
    """Compare the answers of each table, table by table.

    Parameters
    ----------
    answers
        What was measured.
    memos
        Where p values are remembered by the outcomes that they come from; without it, all tests are made.
    """
    for table in by_table(answers).values():
        yield compare_table(table, memos)


def by_table(answers: Iterable[Answer]) -> dict[TableKey, list[Answer]]:
    """Group answers into tables, in their order; of one row and seed the newest stands, older ones are superseded.

    Two questions of one row differ where an aligner's defaults have changed under its name.
    """
    tables: dict[TableKey, dict[tuple[str, str, int], Answer]] = {}
    for answer in answers:
        record = answer.record
        row = (record.label, record.aligner.distribution, record.seed)
        table = tables.setdefault(table_key(record), {})
        known = table.get(row)
        if known is None:
            table[row] = answer
        else:
            older, newer = sorted((known, answer), key=lambda one: (one.record.created_utc, one.record.checksum))
            line = f"{record.label} with other parameters or fit items ({made_on(older.record)})"
            table[row] = msgspec.structs.replace(newer, superseded=(*newer.superseded, *older.superseded, line))
    return {key: list(table.values()) for key, table in tables.items()}


def compare_table(answers: Sequence[Answer], memos: Memos | None = None) -> list[Compared]:
    """Compare the answers of one table with ``identity``: differences seed by seed, one test a row over all its seeds.

    In-sample nothing is tested: items that were fitted on say nothing of others.
    """
    read = [_read(answer) for answer in answers]
    base = {answer.record.seed: i for i, answer in enumerate(answers) if is_baseline(answer.record) and answer.stored}
    tested: list[Mapping[str, float]] = [NO_TESTS] * len(answers)
    if base and is_judged(answers[0].record):
        whole = not any(why for _, why in read)  # of damaged outcomes nothing is remembered
        tested = _tested(answers, [found for found, _ in read], base, memos if whole else None)
    return [
        Compared(
            answer=answer,
            differences=_differences(answer.record, answers, base, tested[i])
            if i not in base.values()
            else NO_DIFFERENCES,
            measured=read[i][0],
            untested=read[i][1],
        )
        for i, answer in enumerate(answers)
    ]


def is_judged(record: Record) -> bool:
    """Whether differences of a table are tested: not where the scored items are those that were fitted on."""
    return record.protocol.name != IN_SAMPLE


def shares_items(record: Record) -> bool:
    """Whether all seeds of a table score the same items; otherwise each scores a half of its own."""
    return record.protocol.fit_split != HALF


def _differences(
    record: Record, answers: Sequence[Answer], base: Mapping[int, int], tested: Mapping[str, float]
) -> Mapping[str, Difference]:
    if record.seed not in base:
        return NO_DIFFERENCES
    theirs = answers[base[record.seed]].record.metrics
    return {
        name: Difference(value.value - theirs[name].value, tested.get(name))
        for name, value in record.metrics.items()
        if name in theirs
    }


def _read(answer: Answer) -> tuple[dict[str, Measurement], str]:
    try:
        return answer.measurements(), ""
    except DataError as error:
        return {}, str(error)


def _tested(
    answers: Sequence[Answer],
    measured: Sequence[Mapping[str, Measurement]],
    base: Mapping[int, int],
    memos: Memos | None,
) -> list[Mapping[str, float]]:
    """Test each row against ``identity``; p values of a bootstrap take long enough to be remembered."""
    slow = any(_is_real(found) for one in measured for found in one.values())
    name = _memo_name(answers, base) if memos is not None and slow else ""
    if name and memos is not None and (known := _recalled(memos.recall(KIND, name, ()), len(answers))) is not None:
        return known
    tested = _paired(answers, measured, base)
    if name and memos is not None:
        memos.remember(KIND, name, (), {"p": tested})
    return tested


def _is_real(found: Measurement) -> bool:
    return found.outcomes is not None and found.outcomes.dtype != bool


def _paired(
    answers: Sequence[Answer], measured: Sequence[Mapping[str, Measurement]], base: Mapping[int, int]
) -> list[Mapping[str, float]]:
    """Return for each answer the p values of its row, by metric."""
    from gapbench.joint import p_against

    rows: dict[tuple[str, str], list[int]] = {}
    for i, answer in enumerate(answers):
        if answer.record.seed in base and i != base[answer.record.seed]:
            rows.setdefault((answer.record.label, answer.record.aligner.distribution), []).append(i)
    by_seeds: dict[tuple[int, ...], list[list[int]]] = {}
    for row in rows.values():
        by_seeds.setdefault(tuple(sorted(answers[i].record.seed for i in row)), []).append(
            sorted(row, key=lambda i: answers[i].record.seed)
        )
    tested: list[dict[str, float]] = [{} for _ in answers]
    shared = shares_items(answers[0].record)
    for seeds, many in by_seeds.items():
        for name in measured[base[seeds[0]]]:
            theirs = [measured[base[seed]][name] for seed in seeds if name in measured[base[seed]]]
            have = [row for row in many if all(name in measured[i] for i in row)]
            if len(theirs) < len(seeds) or not have:
                continue
            found = p_against([[measured[i][name] for i in row] for row in have], theirs, shared=shared)
            for row, p in zip(have, found, strict=True):
                for i in row if p is not None else ():
                    tested[i][name] = p  # type: ignore[assignment]
    return list(tested)


def _memo_name(answers: Sequence[Answer], base: Mapping[int, int]) -> str:
    """Name the tests of a table by all that they depend on: outcomes, seeds, and the code of the tests."""
    outcomes = [
        [
            answer.record.label,
            answer.record.seed,
            sorted((name, one.record.outcomes.sha256) for name, one in answer.stored.items() if one.record.outcomes),
        ]
        for answer in answers
    ]
    return fingerprint([gapbench_code().sha256, shares_items(answers[0].record), sorted(base.items()), outcomes])


def _recalled(memo: Mapping[str, object] | None, answers: int) -> list[Mapping[str, float]] | None:
    """Read a memo of p values; None where it is not what it should be."""
    found = None if memo is None else memo.get("p")
    if not isinstance(found, list) or len(found) != answers or not all(isinstance(one, dict) for one in found):
        return None
    return found
