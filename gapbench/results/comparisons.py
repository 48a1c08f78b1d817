"""Comparisons: differences to ``identity``, paired tests and Holm's correction, computed from records on reading.

Terminal, Markdown, CSV, LaTeX, page, notebook and pandas all show what is computed here. Nothing of it is ever written
into a record, so nothing is half-compared, whatever ends a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.fingerprint import fingerprint
from gapbench.errors import DataError
from gapbench.host.provenance import gapbench_code
from gapbench.results.answers import is_baseline, made_on, table_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gapbench.components import Measurement
    from gapbench.embeddings.memo import Memos
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer, TableKey


class Difference(msgspec.Struct, frozen=True, gc=False):
    """How one value compares with that of ``identity``: difference, p value of the paired test, and after Holm."""

    delta: float
    p: float | None = None
    p_holm: float | None = None


#: The kind of memo that holds p values.
KIND = "tests"

NO_DIFFERENCES: Mapping[str, Difference] = {}


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
            older, newer = sorted((known, answer), key=lambda one: one.record.created_utc)
            line = f"{record.label} with other parameters or fit items ({made_on(older.record)})"
            table[row] = msgspec.structs.replace(newer, superseded=(*newer.superseded, *older.superseded, line))
    return {key: list(table.values()) for key, table in tables.items()}


def compare_table(answers: Sequence[Answer], memos: Memos | None = None) -> list[Compared]:
    """Compare the answers of one table with ``identity``, seed by seed.

    Holm's correction counts the aligners that were tested in one metric and seed.
    """
    seeds: dict[int, list[Answer]] = {}
    for answer in answers:
        seeds.setdefault(answer.record.seed, []).append(answer)
    return [compared for group in seeds.values() for compared in _compare_seed(group, memos)]


def _compare_seed(group: Sequence[Answer], memos: Memos | None) -> list[Compared]:
    read = [_read(answer) for answer in group]
    base = next((i for i, one in enumerate(group) if is_baseline(one.record) and one.stored), None)
    if base is None:
        return [
            Compared(answer=one, measured=found, untested=why) for one, (found, why) in zip(group, read, strict=True)
        ]
    whole = not any(why for _, why in read)  # of damaged outcomes nothing is remembered
    tested = _tested(group, [found for found, _ in read], base, memos if whole else None)
    adjusted = _adjusted(tested)
    theirs = group[base].record.metrics
    return [
        Compared(
            answer=answer,
            differences=NO_DIFFERENCES
            if i == base
            else {
                name: Difference(value.value - theirs[name].value, tested[i].get(name), adjusted[i].get(name))
                for name, value in answer.record.metrics.items()
                if name in theirs
            },
            measured=read[i][0],
            untested=read[i][1],
        )
        for i, answer in enumerate(group)
    ]


def _read(answer: Answer) -> tuple[dict[str, Measurement], str]:
    try:
        return answer.measurements(), ""
    except DataError as error:
        return {}, str(error)


def _tested(
    group: Sequence[Answer], measured: Sequence[Mapping[str, Measurement]], base: int, memos: Memos | None
) -> list[dict[str, float]]:
    """Test each answer of a group against one; p values of a bootstrap take long enough to be remembered."""
    slow = any(_is_real(found) for one in measured for found in one.values())
    name = _memo_name(group, base) if memos is not None and slow else ""
    if name and memos is not None and (known := _recalled(memos.recall(KIND, name, ()), len(group))) is not None:
        return known
    tested = _paired(measured, base)
    if name and memos is not None:
        memos.remember(KIND, name, (), {"p": tested})
    return tested


def _is_real(found: Measurement) -> bool:
    return found.outcomes is not None and found.outcomes.dtype != bool


def _paired(measured: Sequence[Mapping[str, Measurement]], base: int) -> list[dict[str, float]]:
    from gapbench.stats import paired_ps

    tested: list[dict[str, float]] = [{} for _ in measured]
    for name, theirs in measured[base].items():
        have = [i for i, mine in enumerate(measured) if name in mine and i != base]
        for i, p in zip(have, paired_ps([measured[i][name] for i in have], theirs), strict=True):
            if p is not None:
                tested[i][name] = p
    return tested


def _memo_name(group: Sequence[Answer], base: int) -> str:
    """Name the tests of a group by all that they depend on: outcomes, and the code of the tests."""
    outcomes = [
        sorted(
            (name, stored.record.outcomes.sha256) for name, stored in answer.stored.items() if stored.record.outcomes
        )
        for answer in group
    ]
    return fingerprint([gapbench_code().sha256, base, outcomes])


def _recalled(memo: Mapping[str, object] | None, answers: int) -> list[dict[str, float]] | None:
    """Read a memo of p values; None where it is not what it should be."""
    found = None if memo is None else memo.get("p")
    if not isinstance(found, list) or len(found) != answers or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _adjusted(tested: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Correct the p values of each metric after Holm."""
    from gapbench.stats import holm

    adjusted: list[dict[str, float]] = [{} for _ in tested]
    for name in dict.fromkeys(name for found in tested for name in found):
        mine = [i for i, found in enumerate(tested) if name in found]
        for i, p in zip(mine, holm([tested[i][name] for i in mine]), strict=True):
            adjusted[i][name] = p
    return adjusted
