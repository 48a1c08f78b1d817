"""Adding somebody's records to a leaderboard: checked, kept as they came, and never lost half-way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from gapbench.errors import DataError
from gapbench.results import journal, outcomes
from gapbench.results.finalise import finalise
from gapbench.results.merge import same_run
from gapbench.results.record import Outcomes
from gapbench.results.verify import verify_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gapbench.results.record import Record


@dataclass(kw_only=True)
class Added:
    """What came of adding a file.

    Parameters
    ----------
    path
        The new records file; None where there was nothing new.
    records
        What is new.
    known
        Number of records that the leaderboard has already.
    refused
        For each line that was left out, why.
    """

    path: Path | None = None
    records: list[Record] = field(default_factory=list)
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def add(file: Path, folder: Path, belongs: Callable[[Record], str] = lambda _: "") -> Added:
    """Add the records of a file, and their outcomes, to a folder of results.

    Each submission becomes one file, ``records/<hash of its content>.jsonl``. Outcomes are copied first and the records
    are written last, each at once or not at all, so that a crash leaves nothing half-written and adding again completes
    it. A file that was added before changes nothing.

    Parameters
    ----------
    file
        Records; their outcomes lie below its folder.
    folder
        The results that they are added to.
    belongs
        Says why a record is no part of this leaderboard, or nothing.

    Raises
    ------
    DataError
        There is no such file, or it has no record that can be taken.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    found = Added()
    sound = _sound(file, belongs, found)
    if not sound and not found.refused:
        raise DataError(f"{file} has no records.")
    known: dict[str, list[Record]] = {}
    for path in journal.files(folder):
        for record in journal.read(path):
            known.setdefault(record.cell_id, []).append(record)
    new = [r for r in sound if not any(same_run(r, other) for other in known.get(r.cell_id, ()))]
    found.known = len(sound) - len(new)
    if new:
        _write(new, file.parent, folder / journal.FOLDER, found)
    return found


def _sound(file: Path, belongs: Callable[[Record], str], found: Added) -> list[Record]:
    """Give the records that stand up to a check; note the others."""
    verdicts = {verdict.line: verdict for verdict in verify_records(file, table=False)}
    last: dict[str, Record] = {}
    for line, record in journal.scan(file):
        if isinstance(record, DataError):
            found.refused.append((line, "it " + str(record).removeprefix(f"{file}, line {line}, ")))
        elif record.status != "ok":
            found.refused.append((line, f"its status is {record.status!r} ({record.reason})"))
        elif record.outcomes is None:
            found.refused.append((line, "it has no per-item outcomes, so nothing can be checked"))
        elif reasons := verdicts[line].reasons:
            found.refused.append((line, "; ".join(reasons)))
        elif reason := belongs(record):
            found.refused.append((line, reason))
        else:
            last.pop(record.cell_id, None)
            last[record.cell_id] = record
    return list(last.values())


def _write(records: list[Record], source: Path, target: Path, found: Added) -> None:
    """Copy outcomes under the hash of their content, then write the records."""
    placed = []
    for record in records:
        assert record.outcomes is not None
        name = f"{outcomes.FOLDER}/{record.outcomes.sha256[:32]}{outcomes.SUFFIX}"
        if not (target / name).is_file():
            outcomes.write(target / name, (source / record.outcomes.file).read_bytes())
        placed.append(msgspec.structs.replace(record, outcomes=Outcomes(file=name, sha256=record.outcomes.sha256)))
    found.records = finalise(placed, target, again=True)
    content = b"".join(journal.line(record) for record in found.records)
    found.path = target / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    outcomes.write(found.path, content)
