"""The journal: records are appended under a lock, one JSON object a line, and never changed.

A folder of results has its records in ``records/``: ``run.jsonl`` of the runs that were made there, and one file for
each submission that was added. The outcomes of every item lie beside each in one container, ``run.outcomes``. Any
number of processes may append at the same time. A record is written after its outcomes, each flushed to disk, so that
whatever ends a process leaves whole records, and at most a last line without its end, which is passed over: the next
record is written behind it, and a mark between them. A damaged line of any other kind is an error.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.embeddings import disk
from gapbench.errors import DataError, UsageError
from gapbench.model.identity import checksum, sealed
from gapbench.model.record import SCHEMA_VERSION, Outcomes, Record
from gapbench.results.outcomes import SUFFIX, Container

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER, RUN = "records", "run.jsonl"

LOCK = ".lock"

#: Ends a line that was cut off, once another stands behind it: it costs itself alone. No record ends so.
CUT_OFF = b" (cut off)"

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Record)


class TornLineError(DataError):
    """The beginning of a record: what a crash in the middle of writing leaves."""


class _Version(msgspec.Struct):
    schema_version: int


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record where it lies: its file and line, and the container of its outcomes."""

    record: Record
    file: str
    line: int
    container: Container


def run_file(folder: Path) -> Path:
    """Return the records file of the runs in a folder of results."""
    return folder / FOLDER / RUN


def files(folder: Path) -> list[Path]:
    """Return all records files of a folder of results, that of its own runs first."""
    return sorted((folder / FOLDER).glob("*.jsonl"), key=lambda path: (path.name != RUN, path.name))


def container_of(path: Path) -> Container:
    """Return the container that belongs to a records file."""
    return Container(path.with_suffix(SUFFIX))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of results; one process at a time writes there.

    Raises
    ------
    UsageError
        The folder cannot be written to, is a link, or its file system has no locks.
    """
    place = folder / FOLDER
    with ExitStack() as held:
        try:
            if place.is_symlink():
                raise OSError(errno.ELOOP, "it is a link")
            place.mkdir(parents=True, exist_ok=True)
            held.enter_context(disk.locked(place / LOCK))
        except (OSError, NotImplementedError) as error:
            raise UsageError(
                f"{place} cannot be locked ({disk.reason(error)}). Choose another folder with --out."
            ) from error
        yield


def line_of(record: Record) -> bytes:
    """Write a record as one line."""
    return _encoder.encode(record) + b"\n"


def append(path: Path, record: Record, content: bytes | None) -> Record:
    """Add an answer, first its outcomes and then its record, and see both on disk.

    Parameters
    ----------
    path
        The records file, ``records/NAME.jsonl`` of a folder of results.
    record
        Not sealed yet.
    content
        The block of its outcomes (`gapbench.results.outcomes.pack`); None where it has none.

    Returns
    -------
    Record
        As it was written: with the place of its outcomes, its id and its checksum.

    Raises
    ------
    OSError
        It cannot be written; names the file, in which nothing is left of it.
    """
    from hashlib import sha256

    with locked(path.parent.parent):
        where = None
        if content is not None:
            offset = _append(path.with_suffix(SUFFIX), content)
            where = Outcomes(offset=offset, length=len(content), sha256=sha256(content).hexdigest())
        whole = sealed(msgspec.structs.replace(record, outcomes=where))
        _append(path, _end_of_line(path) + line_of(whole))
    return whole


def _append(path: Path, content: bytes) -> int:
    """Add bytes to a file, and see them on disk; return where they begin. What cannot be written leaves nothing."""
    with disk.naming(path), ExitStack() as opened:
        file = disk.descriptor(path, os.O_RDWR | os.O_CREAT)
        opened.callback(os.close, file)
        end = os.lseek(file, 0, os.SEEK_END)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
            if not end:  # it may be new: its name is to be seen on disk as well
                disk.sync(path.parent)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(file, end)
            raise
    return end


def _end_of_line(path: Path) -> bytes:
    """Return what ends the last line of a records file: nothing where it is whole, else a mark that it was cut off."""
    with disk.naming(path):
        try:
            with disk.open_regular(path) as lines:
                lines.seek(max(0, lines.seek(0, os.SEEK_END) - 1))
                if lines.read() in (b"", b"\n"):
                    return b""
                lines.seek(0)
                last = lines.read().rpartition(b"\n")[2]
        except FileNotFoundError:
            return b""
    return b"\n" if isinstance(_record_in(last, "it"), Record) else CUT_OFF + b"\n"


def read(path: Path) -> list[Stored]:
    """Read all records of a file, in their order. A torn line is passed over.

    Raises
    ------
    DataError
        A line that is damaged in another way, JSON that is no record, or a record of another schema; names file and line.
    """
    records = []
    container = container_of(path)
    shared: dict[object, Any] = {}
    for number, found in scan(path):
        if isinstance(found, TornLineError):
            continue
        if isinstance(found, DataError):
            raise found
        records.append(Stored(sharing(found, shared), path.name, number, container))
    return records


def since(path: Path, start: int) -> tuple[list[Record], int]:
    """Return the records that were appended behind a place in a records file, and the place behind the last whole line.

    A line that is no record is passed over here; whoever reads the file tells it.
    """
    if not path.is_file():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        content = file.read()
    end = content.rfind(b"\n") + 1
    found = [_record_in(line, str(path)) for line in content[:end].split(b"\n") if line.strip()]
    return [record for record in found if isinstance(record, Record)], start + end


def sharing(record: Record, shared: dict[object, Any]) -> Record:
    """Return a record that has what it has in common with others from ``shared``, where it is noted.

    So it is held once: of a large leaderboard that is a third of the memory.
    """
    environment, code = _encoder.encode(record.environment), _encoder.encode(record.code)
    return msgspec.structs.replace(
        record,
        encoder=shared.setdefault(record.encoder, record.encoder),
        dataset=shared.setdefault(record.dataset, record.dataset),
        prompts=shared.setdefault(record.prompts, record.prompts),
        protocol=shared.setdefault(record.protocol, record.protocol),
        environment=shared.setdefault(environment, record.environment),
        code=shared.setdefault(code, record.code),
    )


def read_folder(folder: Path) -> list[Stored]:
    """Read all records of a folder of results.

    Raises
    ------
    DataError
        As `read`.
    """
    return [stored for path in files(folder) for stored in read(path)]


def scan(path: Path) -> Iterator[tuple[int, Record | DataError]]:
    """Yield the number of each line with its record, or with what is wrong with it."""
    try:
        with disk.open_regular(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _record_in(line, f"{path}, line {number},")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield 0, DataError(f"{path} cannot be read ({disk.reason(error)}).")


def _record_in(line: bytes, where: str) -> Record | DataError:
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _wrong(line, error, where)
    if record.schema_version != SCHEMA_VERSION:
        return _of_another_schema(record, where)
    if record.checksum != checksum(record):
        return DataError(
            f"{where} does not match its own checksum: something in it was changed, by hand or by a fault of the disk. "
            "Restore the file, or remove the line: its cell runs again."
        )
    return record


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
    except (msgspec.DecodeError, RecursionError) as wrong:
        if _cut_off(line, wrong):
            return TornLineError(
                f"{where} is cut off, as a crash while it was written leaves it; its cell is to be run again."
            )
        return DataError(f"{where} is damaged: {wrong}. Restore the file, or remove the line: its cell runs again.")
    if version.schema_version != SCHEMA_VERSION:
        return _of_another_schema(version, where)
    return DataError(f"{where} is no record: {error}.")


def _cut_off(line: bytes, error: Exception) -> bool:
    """Whether a line is a record that was cut off; a power cut can leave zeros in place of the rest, or of all of it.

    A line with its end was written as a whole, so that what is wrong with it is another kind of damage.
    """
    if not line.startswith((b"{", b"\0")):
        return False
    if line.endswith(b"\n"):
        return line.endswith(CUT_OFF + b"\n")
    return line.endswith(b"\0") or "trailing characters" not in str(error)
