"""Checking records against what they rest on: their own ids, the outcomes of every item, and each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gapbench.errors import DataError
from gapbench.model.identity import cell_id
from gapbench.model.record import Record
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.journal import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.components import Measurement
    from gapbench.model.record import MetricValue
    from gapbench.results.answers import Answer

#: Real outcomes are kept in single precision, so a mean of them is known to about seven digits.
CLOSE = 1e-6


@dataclass(frozen=True)
class Verdict:
    """What came of checking one line: ``verified`` where every check passed, else ``failed`` with the reasons.

    ``checked`` counts the values that were computed again from outcomes; ``resting`` names the metrics that cannot be,
    since they are no means over items. ``again`` says that all values were computed again from embeddings.
    """

    file: str
    line: int
    name: str
    reasons: tuple[str, ...] = ()
    checked: int = 0
    resting: tuple[str, ...] = field(default=(), repr=False)
    cell_id: str = field(default="", repr=False)
    checksum: str = field(default="", repr=False)
    runs: int = 1
    again: bool = False

    @property
    def state(self) -> str:
        """``failed``; ``reproduced`` where other runs agree; else ``verified``."""
        return "failed" if self.reasons else "reproduced" if self.runs > 1 else "verified"


def verify_folder(folder: Path) -> list[Verdict]:
    """Check every records file of a folder of results, and the runs of one cell against each other.

    Parameters
    ----------
    folder
        Of the results; see `gapbench.results.journal`.

    Returns
    -------
    list of Verdict
        As of `verify_records`. Runs of one cell by the same code that do not agree all fail: nobody can tell from outside
        who is right.
    """
    verdicts = [verdict for path in journal.files(folder) for verdict in verify_records(path)]
    found = [
        Stored(record, path.name, line, journal.container_of(path))
        for path in journal.files(folder)
        for line, record in journal.scan(path)
        if isinstance(record, Record)
    ]
    repeats = {answer.record.cell_id: answer for answer in answers(found) if len(answer.runs) > 1}
    return [_with_repeat(verdict, repeats.get(verdict.cell_id)) for verdict in verdicts]


def _with_repeat(verdict: Verdict, answer: Answer | None) -> Verdict:
    if answer is None:
        return verdict
    conflicts = tuple(f"another run of the same cell does not agree: {line}" for line in answer.conflicts)
    return replace(verdict, reasons=(*verdict.reasons, *conflicts), runs=answer.reproduced)


def with_recomputed(verdict: Verdict, found: Mapping[str, Sequence[str]]) -> Verdict:
    """Add to a verdict what came of computing its cell again from embeddings, where that was possible."""
    if verdict.checksum not in found:
        return verdict
    reasons = tuple(
        f"computed again from the embeddings, it does not agree: {line}" for line in found[verdict.checksum]
    )
    return replace(verdict, reasons=(*verdict.reasons, *reasons), again=True)


def verify_records(path: Path) -> list[Verdict]:
    """Check every record of a file against its id and its outcomes.

    Parameters
    ----------
    path
        The records file; the container of its outcomes lies beside it.

    Returns
    -------
    list of Verdict
        One for each line.
    """
    container = journal.container_of(path)
    return [
        Verdict(path.name, line, f"line {line}", (str(record),))
        if isinstance(record, DataError)
        else _verdict(Stored(record, path.name, line, container))
        for line, record in journal.scan(path)
    ]


def _verdict(stored: Stored) -> Verdict:
    record = stored.record
    reasons = []
    if cell_id(record) != record.cell_id:
        reasons.append("its id is not that of its encoder, data, aligner and protocol: one of them was changed")
    measured: dict[str, Measurement] = {}
    try:
        measured = stored.container.measurements(record.outcomes, record.metrics)
    except DataError as error:
        reasons.append(str(error))
    resting = []
    checked = 0
    for name, value in record.metrics.items():
        if name in measured:
            reasons += _against_outcomes(name, value, measured[name])
        if name in measured and measured[name].outcomes is not None:
            checked += 1
        else:
            resting.append(name)
    if record.status == "ok" and not record.metrics and not record.unmeasured:
        reasons.append("it is ok and has no metric")
    name = f"{record.encoder.name} / {record.dataset.name} / {record.prompts.name} / {record.label}"
    return Verdict(
        file=stored.file,
        line=stored.line,
        name=f"{name} / seed {record.seed}" if record.seed else name,
        reasons=tuple(reasons),
        checked=checked,
        resting=tuple(resting),
        cell_id=record.cell_id,
        checksum=record.checksum,
    )


def _against_outcomes(name: str, value: MetricValue, measured: Measurement) -> list[str]:
    if measured.outcomes is not None:
        mean = float(measured.outcomes.mean())
        if not math.isclose(mean, value.value, rel_tol=CLOSE, abs_tol=CLOSE):
            return [f"{name} is {value.value:.6g}, but its outcomes give {mean:.6g}"]
    from gapbench.stats import interval

    ends = interval(measured)
    if ends is None or value.ci95 is None:
        return []
    # An interval may have been cut to what its unit allows: to 0..1, to -1..1, or to what is not negative.
    allowed = (ends[0], max(ends[0], 0.0), max(ends[0], -1.0)), (ends[1], min(ends[1], 1.0))
    for mine, theirs in zip(value.ci95, allowed, strict=True):
        if not any(math.isclose(mine, end, rel_tol=CLOSE, abs_tol=CLOSE) for end in theirs):
            return [f"{name} has the interval {list(value.ci95)}, but its outcomes give {list(ends)}"]
    return []


def well(verdicts: Sequence[Verdict]) -> bool:
    """Whether there is something, and nothing of it failed."""
    return bool(verdicts) and all(not verdict.reasons for verdict in verdicts)
