"""Checking records against what they rest on: themselves, the outcomes of every item, and each other.

A row is *verified* where every check that could be made passed; `Verdict` says which ones these were.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError
from gapbench.results import implied, journal
from gapbench.results.answers import answers
from gapbench.results.checks import check_fields
from gapbench.results.implied import Labels
from gapbench.results.journal import Stored, TornLineError
from gapbench.results.outcomes import SUFFIX
from gapbench.results.recount import check_outcomes, hits_of
from gapbench.results.signatures import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gapbench.bench.again import Recomputed
    from gapbench.host.installed import CodeState, Installed
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer


@dataclass(kw_only=True)
class Verdict:
    """What came of checking one line.

    Parameters
    ----------
    file, line, name
        Where the line is, and the row in words.
    record
        None where the line is none.
    reasons
        What failed.
    remarks
        What a reader should know, and which is no failure by itself.
    values, intervals
        Metrics whose value, and whose interval, was computed again from the outcomes of every item.
    as_told
        Metrics that are no means over items: outcomes cannot give their value.
    labels
        With how many other rows of the same items the outcomes were compared, item by item.
    code
        For each distribution that took part, whether its code is installed here.
    runs
        How many different runs of the cell agree.
    again
        By which code the values were computed again from embeddings: ``recorded``, ``other``, or not at all.
    not_again
        Why they were not.
    signer
        Who signed the submission, where that was looked at and holds.
    """

    file: str
    line: int
    name: str
    record: Record | None = None
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    values: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()
    as_told: tuple[str, ...] = ()
    labels: int = 0
    code: dict[str, CodeState] = field(default_factory=dict)
    runs: int = 1
    again: str = ""
    not_again: str = ""
    signer: str = ""

    @property
    def state(self) -> str:
        """``failed``; ``no result`` of a cell that failed, or was cut off; ``reproduced`` or ``verified``."""
        if self.reasons:
            return "failed"
        if self.record is None or self.record.status != "ok":
            return "no result"
        return "reproduced" if self.runs > 1 else "verified"


@dataclass(kw_only=True)
class Verified:
    """What came of checking a folder of results.

    Parameters
    ----------
    verdicts
        One for each line.
    found
        The records that could be read, in the order of their files.
    answers
        What they say together.
    failures, remarks
        About files rather than lines.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    found: list[Stored] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    labels: Labels = field(default_factory=Labels, repr=False)


def verify_folder(folder: Path, installed: Installed | None = None) -> Verified:
    """Check every records file of a folder of results, and all records against each other. Each file is read once.

    Parameters
    ----------
    folder
        Of the results; see `gapbench.results.journal`.
    installed
        What is installed: with it names, labels, families and units are held against the specs of the recorded code.

    Returns
    -------
    Verified
        Runs of one cell by the same code that do not agree all fail: nobody can tell from outside who is right.
    """
    done = Verified()
    paths = journal.files(folder)
    for path in paths:
        _check_file(path, installed, done)
    of_record = _between(done)
    done.answers = answers(done.found)
    repeats = {answer.record.cell_id: answer for answer in done.answers if len(answer.runs) > 1}
    for verdict in of_record:
        assert verdict.record is not None
        if (answer := repeats.get(verdict.record.cell_id)) is not None:
            verdict.reasons += [f"another run of the same cell does not agree: {line}" for line in answer.conflicts]
            verdict.remarks += [f"superseded: {line}" for line in answer.superseded]
            verdict.runs = answer.reproduced
    _check_containers(folder, paths, done)
    return done


def verify_records(path: Path, installed: Installed | None = None) -> Verified:
    """Check every record of one file, with the container of outcomes beside it; see `verify_folder`."""
    done = Verified()
    _check_file(path, installed, done)
    _between(done)
    return done


def _check_file(path: Path, installed: Installed | None, done: Verified) -> None:
    """Check each line of a file by itself."""
    container = journal.container_of(path)
    shared: dict[object, Any] = {}
    for line, record in journal.scan(path):
        if isinstance(record, TornLineError):
            done.verdicts.append(Verdict(file=path.name, line=line, name=f"line {line}", remarks=[str(record)]))
        elif isinstance(record, DataError):
            done.verdicts.append(Verdict(file=path.name, line=line, name=f"line {line}", reasons=[str(record)]))
        else:
            stored = Stored(journal.sharing(record, shared), path.name, line, container)
            verdict = _of_fields(stored, installed)
            if record.outcomes is not None:
                _of_outcomes(verdict, stored, installed, done.labels, len(done.found))
            done.found.append(stored)
            done.verdicts.append(verdict)


def _of_fields(stored: Stored, installed: Installed | None) -> Verdict:
    record = stored.record
    name = f"{record.encoder.name} / {record.dataset.name} / {record.prompts.name} / {record.label}"
    verdict = Verdict(
        file=stored.file,
        line=stored.line,
        name=f"{name} / seed {record.seed}" if record.seed else name,
        record=record,
        reasons=list(check_fields(record, installed)),
        code={} if installed is None else installed.code(record),
    )
    if record.status != "ok":
        verdict.remarks.append(f"{record.status}: {record.reason}")
    failed = [(metric, why) for metric, why in record.unmeasured.items() if why.status == "error"]
    verdict.remarks += [f"{metric} failed: {why.reason}" for metric, why in failed]
    return verdict


def _of_outcomes(verdict: Verdict, stored: Stored, installed: Installed | None, labels: Labels, position: int) -> None:
    record = stored.record
    assert record.outcomes is not None
    try:
        block = stored.container.opened(record.outcomes)
        checked = check_outcomes(record, block, installed)
        if (told := hits_of(record, block)) is not None:
            labels.add(position, record, *told)
    except DataError as error:
        verdict.reasons.append(str(error))
        return
    verdict.reasons += checked.reasons
    verdict.values, verdict.intervals, verdict.as_told = checked.values, checked.intervals, checked.as_told


def _between(done: Verified) -> list[Verdict]:
    """Check the records against each other; return the verdicts of those that could be read."""
    verdicts = [verdict for verdict in done.verdicts if verdict.record is not None]
    records = [stored.record for stored in done.found]
    for findings in (done.labels.contradictions(), implied.disagreements(records), implied.overlaps(done.found)):
        for position, line in findings:
            verdicts[position].reasons.append(line)
    for position, line in implied.copies(done.found):
        verdicts[position].remarks.append(line)
    for position, count in done.labels.compared().items():
        verdicts[position].labels = count
    return verdicts


def _check_containers(folder: Path, paths: Sequence[Path], done: Verified) -> None:
    """Tell the bytes that no record refers to, and the files that belong to no records."""
    by_file: dict[str, list[Stored]] = {}
    for stored in done.found:
        by_file.setdefault(stored.file, []).append(stored)
    for path in paths:
        mine = by_file.get(path.name, [])
        with contextlib.suppress(DataError):  # a container that cannot be read is a matter of its rows
            if mine and (rest := implied.unreferenced(mine, mine[0].container.size)):
                done.remarks.append(f"{rest} bytes of {mine[0].container.path.name} belong to no record")
    known = {path.with_suffix(suffix).name for path in paths for suffix in (".jsonl", SUFFIX, f".jsonl{SIGNATURE}")}
    place = folder / journal.FOLDER
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.name not in known and path.name != journal.LOCK:
            done.remarks.append(f"{journal.FOLDER}/{path.name} belongs to no records file")


def well(done: Verified) -> bool:
    """Whether there is something, and nothing of it failed."""
    return bool(done.verdicts) and not done.failures and not any(verdict.reasons for verdict in done.verdicts)


def with_recomputed(done: Verified, again: Recomputed) -> None:
    """Add to the verdicts what came of computing their cells again from embeddings.

    What the recorded code gives differently is a failure. Other code that gives another value may well be better; the row
    is not reproduced all the same, so that it fails with words that say so.
    """
    for verdict in done.verdicts:
        key = "" if verdict.record is None else verdict.record.checksum
        if (found := again.found.get(key)) is not None:
            verdict.again = "recorded" if found.same_code else "other"
            words = (
                "computed again from the embeddings, it does not agree"
                if found.same_code
                else "superseded? recomputed with other code than the recorded, it does not agree"
            )
            verdict.reasons += [f"{words}: {line}" for line in found.lines]
            verdict.remarks += [f"{name} could not be recomputed: no such metric here" for name in found.absent]
        else:
            verdict.not_again = again.not_here.get(key, "it is no record")
