"""The journal as one run sees it: what was there, what other runs append meanwhile, and what it appends itself.

Several runs may share a folder and ask the same questions. What another run has answered meanwhile, by the same code, is
neither measured nor written again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from gapbench.errors import UnwritableError
from gapbench.host.provenance import as_run
from gapbench.results import journal
from gapbench.results.answers import question
from gapbench.results.journal import Stored

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from gapbench.model.record import Record


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunLog:
    """Reads the journal once, and then follows it.

    Parameters
    ----------
    path
        The records file; it need not be there yet.

    Raises
    ------
    DataError
        A line is damaged; names file and line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = path.stat().st_size if path.is_file() else 0
        self.records = journal.read(path)
        self._container = journal.container_of(path)
        self._of_others: list[Record] = []

    def answered(self, header: Record, metrics: Collection[str]) -> bool:
        """Whether another run has answered a question since this one began, by the code of ``header``."""
        self._follow()
        return any(_answers(record, header, metrics) for record in self._of_others)

    def append(self, record: Record, content: bytes | None) -> None:
        """Keep an answer, with the time when it ended, unless another run has answered the same meanwhile.

        Raises
        ------
        UnwritableError
            It cannot be written: the disk is full, say.
        """
        record = msgspec.structs.replace(record, code=as_run(record.code))
        try:
            with journal.locked(self.path.parent.parent):
                if record.status == "ok" and self.answered(record, {*record.metrics, *record.unmeasured}):
                    return
                written = journal.append(self.path, record, content)
                self._end = self.path.stat().st_size
        except OSError as error:
            raise UnwritableError(
                f"{error.filename} cannot be written ({error.strerror}). What was finished is kept: make room, and the same "
                "command goes on from there."
            ) from error
        self.records.append(Stored(written, self.path.name, 0, self._container))

    def _follow(self) -> None:
        """Take in what others have appended."""
        found, self._end = journal.since(self.path, self._end)
        self._of_others += found
        self.records += [Stored(record, self.path.name, 0, self._container) for record in found]


def _answers(record: Record, header: Record, metrics: Collection[str]) -> bool:
    """Whether a record answers a question in all metrics that are asked for, by known code that is the same."""
    return (
        record.status == "ok"
        and question(record) == question(header)
        and set(metrics) <= record.metrics.keys() | record.unmeasured.keys()
        and all(code.sha256 and record.code.get(name) == code for name, code in header.code.items())
    )
