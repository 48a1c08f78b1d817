"""Records files: one JSON object a line; a run appends and flushes cell by cell.

A folder of results has them in ``records/``: ``run.jsonl`` of the runs that were made there, and one file for each
submission that was added. The outcomes of every item lie beside them, in ``records/outcomes/``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from gapbench.errors import DataError
from gapbench.results.record import SCHEMA_VERSION, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER, RUN = "records", "run.jsonl"

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Record)


class TornLineError(DataError):
    """The beginning of a record: what a crash in the middle of writing leaves."""


class _Version(msgspec.Struct):
    schema_version: int


def run_file(folder: Path) -> Path:
    """Give the records file of the runs in a folder of results."""
    return folder / FOLDER / RUN


def files(folder: Path) -> list[Path]:
    """Give all records files of a folder of results, that of its own runs first."""
    return sorted((folder / FOLDER).glob("*.jsonl"), key=lambda path: (path.name != RUN, path.name))


def line(record: Record) -> bytes:
    """Write a record as one line."""
    return _encoder.encode(record) + b"\n"


def append(path: Path, record: Record) -> None:
    """Add a record and see it on disk; a crash leaves at most a torn last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a torn line: begin a new one, so that only the torn record is lost
                file.write(b"\n")
        file.write(line(record))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Record]:
    """Read all records; of several with one cell id the last counts.

    A torn line (`TornLineError`) is passed over.

    Raises
    ------
    DataError
        A line that is damaged in another way, JSON that is no record, or a record of a newer schema; names file and line.
    """
    records: dict[str, Record] = {}
    for _, found in scan(path):
        if isinstance(found, TornLineError):
            continue
        if isinstance(found, DataError):
            raise found
        records.pop(found.cell_id, None)
        records[found.cell_id] = found
    return list(records.values())


def scan(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Give the number of each line with its record, or with what is wrong with it."""
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    record = _decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    yield number, _wrong(line.rstrip(b"\n"), error, f"{path}, line {number},")
                else:
                    old = record.schema_version != SCHEMA_VERSION
                    yield number, _of_another_schema(record, f"{path}, line {number},") if old else record


def _of_another_schema(record: _Version | Record, where: str) -> DataError:
    way_out = "Upgrade gapbench." if record.schema_version > SCHEMA_VERSION else "Run its cell again."
    return DataError(
        f"{where} has schema version {record.schema_version}; this gapbench reads version {SCHEMA_VERSION}. {way_out}"
    )


def _wrong(line: bytes, error: Exception, where: str) -> DataError:
    """Say what is wrong with a line that is no record of this schema."""
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{where} is damaged: it is not UTF-8 ({error}).")
    try:
        version = msgspec.json.decode(line, type=_Version)
    except msgspec.ValidationError as wrong:
        return DataError(f"{where} is no record: {wrong}.")
    except msgspec.DecodeError as wrong:
        if _torn(line, wrong):
            return TornLineError(
                f"{where} is cut off, as a crash while it was written leaves it; its cell is to be run again."
            )
        return DataError(f"{where} is damaged: {wrong}. Restore the file, or remove the line: its cell runs again.")
    if version.schema_version != SCHEMA_VERSION:
        return _of_another_schema(version, where)
    return DataError(f"{where} is no record: {error}.")


def _torn(line: bytes, error: msgspec.DecodeError) -> bool:
    """Whether a line is a record that was cut off; a power cut can leave zeros in place of the rest."""
    if line.endswith(b"\0"):
        return True
    return line.startswith(b"{") and (not line.endswith(b"}") or "truncated" in str(error))


def rewrite(path: Path, records: Iterable[Record]) -> None:
    """Replace the whole file at once."""
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    with temporary.open("wb") as file:
        for record in records:
            file.write(line(record))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
