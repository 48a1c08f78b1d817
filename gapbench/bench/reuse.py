"""Reuse: which values of earlier runs the installed code would give again; what has to be measured again, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from gapbench.errors import DataError
from gapbench.host.registry import Kind
from gapbench.results.answers import answers, names_key, row_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gapbench.bench.task import CellTask
    from gapbench.host.provenance import Provenance
    from gapbench.host.registry import Registry
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer
    from gapbench.results.journal import Stored


class Known:
    """What a journal holds, looked at with the code that is installed now.

    Parameters
    ----------
    records
        The journal.
    registry, provenance
        What is installed, and its code.
    """

    def __init__(self, records: Sequence[Stored], registry: Registry, provenance: Provenance) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self._named: dict[tuple[object, ...], Answer] = {}
        for answer in sorted(answers(records), key=lambda answer: answer.record.created_utc):
            self._answers.setdefault(answer.record.cell_id, []).append(answer)
            self._named[row_key(answer.record)] = answer
        self._registry = registry
        self._provenance = provenance
        self._changed: Counter[str] = Counter()
        self._damaged = 0
        self._blocks: dict[str, bool] = {}

    def missing(self, task: CellTask) -> tuple[str, ...]:
        """Return the metrics of a cell that have to be measured; those of a cell that failed all have to."""
        found = self._answers.get(task.header.cell_id)
        if not found or found[0].record.status != "ok":
            return task.metrics
        return tuple(name for name in task.metrics if not self._stands(found[0], name))

    def look(self, names: tuple[object, ...], metrics: Sequence[str]) -> None:
        """Look at the newest answer of some names, for `changes`; what was not measured before is no change."""
        answer = self._named.get(names)
        for name in metrics if answer is not None and answer.record.status == "ok" else ():
            assert answer is not None
            self._stands(answer, name)

    def renamed(self, task: CellTask) -> Iterator[tuple[Record, bytes | None]]:
        """Yield records that answer a cell's question under other names, with the names of the cell, and their outcomes."""
        found = self._answers.get(task.header.cell_id, [])
        mine = names_key(task.header)
        if not found or any(names_key(answer.record) == mine for answer in found):
            return
        for stored in {id(one): one for one in found[0].stored.values()}.values():
            record, where = stored.record, stored.record.outcomes
            try:
                content = None if where is None else stored.container.block(where)
            except DataError:  # damaged or gone: it is measured again
                continue
            yield renamed(record, task.header), content

    def changes(self) -> list[str]:
        """Say what is measured again, and why."""
        lines = [f"{what} changed: {_count(values)} measured again" for what, values in self._changed.items()]
        if self._damaged:
            lines.append(f"outcomes of earlier runs are damaged or gone: {_count(self._damaged)} measured again")
        return lines

    def _stands(self, answer: Answer, metric: str) -> bool:
        """Whether a value was measured by what is installed now, and its outcomes are there; counts why not."""
        stored = answer.stored.get(metric)
        if stored is None:
            return any(self._cannot_be_measured(run.record, metric) for run in answer.runs)
        if cause := self._cause(stored.record, metric):
            self._changed[cause] += 1
            return False
        if not self._whole(stored):
            self._damaged += 1
            return False
        return True

    def _whole(self, stored: Stored) -> bool:
        """Whether the outcomes of a record are there; looked at once."""
        name = stored.record.checksum
        if name not in self._blocks:
            try:
                if stored.record.outcomes is not None:
                    stored.container.block(stored.record.outcomes)
                self._blocks[name] = True
            except DataError:
                self._blocks[name] = False
        return self._blocks[name]

    def _cannot_be_measured(self, record: Record, metric: str) -> bool:
        """Whether the installed code has found already that a metric has no meaning here."""
        why = record.unmeasured.get(metric)
        if why is None or why.status != "not measurable":
            return False
        return not self._cause(record, metric) and self._is_current(record, why.distribution)

    def _cause(self, record: Record, metric: str) -> str:
        """Name the first part that a value rests on and whose code is another one now; empty where there is none."""
        value = record.metrics.get(metric)
        installed = self._registry.named(Kind.METRIC, metric)
        parts = [
            ("gapbench", "gapbench"),
            (f"encoder {record.encoder.name}", record.encoder.distribution),
            (f"dataset {record.dataset.name}", record.dataset.distribution),
            (f"prompt strategy {record.prompts.name}", record.prompts.distribution),
            (f"aligner {record.aligner.name}", record.aligner.distribution),
            (f"metric {metric}", "" if value is None else value.distribution),
        ]
        if value is not None and installed is not None and installed.origin.distribution != value.distribution:
            return f"metric {metric}"
        return next((what for what, name in parts if name and not self._is_current(record, name)), "")

    def _is_current(self, record: Record, distribution: str) -> bool:
        code = record.code.get(distribution)
        return code is not None and bool(code.sha256) and code == self._provenance.code(distribution)


def renamed(record: Record, header: Record) -> Record:
    """Return a record with the names under which its question is asked."""
    return msgspec.structs.replace(
        record, study=header.study, encoder=header.encoder, dataset=header.dataset, prompts=header.prompts
    )


def _count(values: int) -> str:
    return f"{values:,} value{' is' if values == 1 else 's are'}"
