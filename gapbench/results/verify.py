"""Checking records against what they rest on: their own ids, the outcomes of every item, and each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gapbench.errors import DataError
from gapbench.results import journal
from gapbench.results.finalise import finalise, label_of, load_outcomes
from gapbench.results.identity import cell_id
from gapbench.results.merge import repeat_of
from gapbench.results.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.components import Measurement
    from gapbench.results.merge import Repeat
    from gapbench.results.record import MetricValue

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
        As of `verify_records`. Runs of one cell that do not agree all fail: nobody can tell from outside who is right.
    """
    verdicts = [verdict for path in journal.files(folder) for verdict in verify_records(path)]
    cells: dict[str, list[Record]] = {}
    for path in journal.files(folder):
        for _, record in journal.scan(path):
            if isinstance(record, Record):
                cells.setdefault(record.cell_id, []).append(record)
    repeats = {cell: repeat_of(runs, folder / journal.FOLDER) for cell, runs in cells.items() if len(runs) > 1}
    return [_with_repeat(verdict, repeats.get(verdict.cell_id)) for verdict in verdicts]


def _with_repeat(verdict: Verdict, repeat: Repeat | None) -> Verdict:
    if repeat is None or len(repeat.runs) < 2:  # noqa: PLR2004 - copies of one run say nothing
        return verdict
    conflicts = tuple(f"another run of the same cell does not agree: {line}" for line in repeat.conflicts)
    return replace(verdict, reasons=(*verdict.reasons, *conflicts), runs=len(repeat.runs))


def with_recomputed(verdict: Verdict, found: Mapping[str, Sequence[str]]) -> Verdict:
    """Add to a verdict what came of computing its cell again from embeddings, where that was possible."""
    if verdict.cell_id not in found:
        return verdict
    reasons = tuple(f"computed again from the embeddings, it does not agree: {line}" for line in found[verdict.cell_id])
    return replace(verdict, reasons=(*verdict.reasons, *reasons), again=True)


def verify_records(path: Path, *, table: bool = True) -> list[Verdict]:
    """Check every record of a file against its id, its outcomes, and what the table makes of it.

    Parameters
    ----------
    path
        The records file; outcomes lie below its folder.
    table
        Whether differences, tests and order must be those of all records of this file.

    Returns
    -------
    list of Verdict
        One for each line.
    """
    read = list(journal.scan(path))
    whole = [record for _, record in read if isinstance(record, Record)]
    compared = finalise(whole, path.parent, again=True) if table else whole
    again = {record.cell_id: record for record in compared}
    order = [record.cell_id for record in compared]
    verdicts = []
    place = 0
    for line, record in read:
        if isinstance(record, DataError):
            verdicts.append(Verdict(path.name, line, f"line {line}", (str(record),)))
            continue
        misplaced = order[place] != record.cell_id
        place += 1
        verdicts.append(_verdict(path, line, record, again[record.cell_id], misplaced=misplaced))
    return verdicts


def _verdict(path: Path, line: int, record: Record, again: Record, *, misplaced: bool) -> Verdict:
    reasons = []
    if cell_id(record) != record.cell_id:
        reasons.append("its id is not that of its encoder, data, aligner and protocol: one of them was changed")
    if misplaced:
        reasons.append("it is not where the order of records puts it")
    measured: dict[str, Measurement] = {}
    try:
        _check_file(record)
        measured = load_outcomes(record, path.parent)
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
        reasons += _against_table(name, value, again.metrics[name])
    if record.status == "ok" and not record.metrics:
        reasons.append("it is ok and has no metric")
    name = f"{record.encoder.name} / {record.dataset.name} / {record.prompts.name} / {label_of(record)}"
    return Verdict(
        file=path.name,
        line=line,
        name=f"{name} / seed {record.seed}" if record.seed else name,
        reasons=tuple(reasons),
        checked=checked,
        resting=tuple(resting),
        cell_id=record.cell_id,
    )


def _check_file(record: Record) -> None:
    """Refuse outcomes that lie outside the folder of the records."""
    if record.outcomes is not None:
        path = PurePosixPath(record.outcomes.file)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"The outcomes file {record.outcomes.file!r} is outside the folder of the records.")


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


def _against_table(name: str, value: MetricValue, again: MetricValue) -> list[str]:
    """Compare what only the whole table can tell: difference, p value, correction."""
    reasons = []
    for field_name in ("delta", "p", "p_holm"):
        mine, theirs = getattr(value, field_name), getattr(again, field_name)
        if (mine is None) != (theirs is None) or (
            mine is not None and not math.isclose(mine, theirs, rel_tol=CLOSE, abs_tol=1e-12)
        ):
            reasons.append(f"{name} has {field_name} {mine}, but its table gives {theirs}")
    return reasons


def well(verdicts: Sequence[Verdict]) -> bool:
    """Whether there is something, and nothing of it failed."""
    return bool(verdicts) and all(not verdict.reasons for verdict in verdicts)
