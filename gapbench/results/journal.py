"""The records file: one JSON object a line, appended and flushed cell by cell."""

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

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Record)


class _Version(msgspec.Struct):
    schema_version: int


def append(path: Path, record: Record) -> None:
    """Add a record and see it on disk; a crash leaves at most a torn last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a torn line: begin a new one, so that only the torn record is lost
                file.write(b"\n")
        file.write(_encoder.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Record]:
    """Read all records; of several with one cell id the last counts.

    A torn line, the beginning of a record that a crash in the middle of writing leaves, is passed over.

    Raises
    ------
    DataError
        A line that is damaged in another way, JSON that is no record, or a record of a newer schema; names file and line.
    """
    records: dict[str, Record] = {}
    for _, found in scan(path):
        if isinstance(found, DataError):
            raise found
        records.pop(found.cell_id, None)
        records[found.cell_id] = found
    return list(records.values())


def scan(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Give the number of each line with its record, or with what is wrong with it; torn lines are passed over."""
    if not path.is_file():
        return
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            try:
                record = _record(line, f"{path}, line {number},")
            except DataError as error:
                yield number, error
            else:
                if record is not None:
                    yield number, record


def _record(line: bytes, where: str) -> Record | None:
    """Read one line; None where it is torn."""
    try:
        version = msgspec.json.decode(line, type=_Version).schema_version
    except msgspec.ValidationError as error:
        raise DataError(f"{where} is no record: {error}.") from error
    except msgspec.DecodeError as error:
        if _torn(line, error):
            return None
        raise DataError(
            f"{where} is damaged: {error}. Restore the file, or remove the line: its cell runs again."
        ) from error
    if version > SCHEMA_VERSION:
        raise DataError(
            f"{where} has schema version {version}; this gapbench reads up to {SCHEMA_VERSION}. Upgrade gapbench."
        )
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise DataError(f"{where} is no record: {error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is damaged: it is not UTF-8 ({error}).") from error


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
            file.write(_encoder.encode(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
