"""Adding somebody's records to a leaderboard: checked, kept as they came, and never lost half-way."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.disk import read_regular, write_whole
from gapbench.errors import DataError
from gapbench.results import journal
from gapbench.results.outcomes import SUFFIX
from gapbench.results.signatures import SIGNATURE, sign
from gapbench.results.verify import verify_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gapbench.host.installed import Installed
    from gapbench.model.record import Record
    from gapbench.results.journal import Stored
    from gapbench.results.verify import Verified


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
    signed
        The records file that was signed; None where none was.
    """

    path: Path | None = None
    records: list[Record] = field(default_factory=list)
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    signed: Path | None = None


def add(
    file: Path,
    folder: Path,
    belongs: Callable[[Record], str] = lambda _: "",
    *,
    installed: Installed | None = None,
    key: Path | None = None,
) -> Added:
    """Add the records of a file, and their outcomes, to a folder of results.

    Each submission becomes one file, ``records/<hash of its content>.jsonl``, with its container beside it. The container is
    written first, then the signature, and the records last, each at once or not at all, and under the lock of the folder:
    several may add at the same time, and what a crash leaves is completed by adding again. Adding the same records again
    changes nothing.

    Parameters
    ----------
    file
        Records; the container of their outcomes lies beside it.
    folder
        The results that they are added to.
    belongs
        Says why a record is no part of this leaderboard, or nothing.
    installed
        What is installed; see `gapbench.results.verify.verify_folder`.
    key
        Signs the submission, also one that is there already with exactly these records and without a signature; see
        `gapbench.results.signatures`.

    Raises
    ------
    UsageError
        The key cannot sign.
    DataError
        There is no such file, or it has no record that can be taken.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    found = Added()
    sound = _sound(file, verify_records(file, installed), belongs, found)
    if not sound and not found.refused:
        raise DataError(f"{file} has no records.")
    if not sound:
        return found
    with journal.locked(folder):
        there = journal.read_folder(folder)
        known = {stored.record.checksum for stored in there}
        new = [stored for stored in sound if stored.record.checksum not in known]
        found.known = len(sound) - len(new)
        if new:
            _write(new, folder / journal.FOLDER, found, key)
        elif key is not None:
            found.signed = _sign_known(sound, there, folder / journal.FOLDER, key)
    return found


def _sound(file: Path, done: Verified, belongs: Callable[[Record], str], found: Added) -> list[Stored]:
    """Return the records that stand up to a check, each once; note the others."""
    kept: dict[str, Stored] = {}
    stored_at = {stored.line: stored for stored in done.found}
    for verdict in done.verdicts:
        record, where = verdict.record, f"{file}, line {verdict.line},"
        if record is None:
            found.refused.append((verdict.line, "; ".join(verdict.reasons or verdict.remarks).replace(where, "it", 1)))
        elif record.status != "ok":
            found.refused.append((verdict.line, f"its status is {record.status!r} ({record.reason})"))
        elif verdict.reasons:
            found.refused.append((verdict.line, "; ".join(verdict.reasons)))
        elif reason := belongs(record):
            found.refused.append((verdict.line, reason))
        else:
            kept[record.checksum] = stored_at[verdict.line]
    return list(kept.values())


def _write(new: list[Stored], target: Path, found: Added, key: Path | None) -> None:
    """Write the container of the new records, their signature, then the records."""
    blocks, lines, offset = [], [], 0
    for stored in new:
        where = stored.record.outcomes
        assert where is not None
        blocks.append(stored.container.block(where))
        placed = msgspec.structs.replace(stored.record, outcomes=msgspec.structs.replace(where, offset=offset))
        offset += where.length
        lines.append(journal.line_of(placed))
        found.records.append(placed)
    content = b"".join(lines)
    found.path = target / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    signature = sign(content, key) if key is not None else None
    write_whole(found.path.with_suffix(SUFFIX), b"".join(blocks))
    if signature is not None:
        write_whole(_signature_of(found.path), signature)
        found.signed = found.path
    write_whole(found.path, content)


def _sign_known(sound: list[Stored], there: list[Stored], target: Path, key: Path) -> Path | None:
    """Sign the submission that has exactly these records and no signature yet; the key is tried in any case."""
    by_file: dict[str, set[str]] = {}
    for stored in there:
        by_file.setdefault(stored.file, set()).add(stored.record.checksum)
    wanted = {stored.record.checksum for stored in sound}
    same = (target / name for name, checksums in by_file.items() if name != journal.RUN and checksums == wanted)
    path = next((path for path in same if not os.path.lexists(_signature_of(path))), None)
    signature = sign(read_regular(path) if path is not None else b"", key)
    if path is not None:
        write_whole(_signature_of(path), signature)
    return path


def _signature_of(path: Path) -> Path:
    return path.with_name(path.name + SIGNATURE)
