"""Execution: encode what is missing, run the cells that have no answer of the installed code yet, keep each as it ends."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from threadpoolctl import threadpool_limits

from gapbench.bench.header import record_header
from gapbench.bench.isolation import calling
from gapbench.bench.materials import prompt_set
from gapbench.bench.plan import Cell, Plan, Source, needed_splits, wanted_metrics
from gapbench.bench.reuse import Known, renamed
from gapbench.bench.rooms import built_in_modules, prepare
from gapbench.bench.task import CellTask
from gapbench.bench.workers import run_cells
from gapbench.embeddings.disk import tell
from gapbench.errors import GapbenchError
from gapbench.host.provenance import Provenance
from gapbench.intake import intake_sentences
from gapbench.model.record import Timing
from gapbench.results import journal
from gapbench.results.answers import answers, distributions, names_of, question
from gapbench.results.runlog import RunLog, now
from gapbench.specs import FitContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.progress import Progress

    from gapbench.bench.materials import Materials
    from gapbench.bench.workers import Options
    from gapbench.components import EmbeddedSplit, PromptSet
    from gapbench.host.registry import Registry
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer


@dataclass(kw_only=True)
class Outcome:
    """What came of a run.

    Parameters
    ----------
    answers, asked
        Of its cells, and for the question of each the metrics that were asked for: the same journal may hold others.
    reused
        How many cells were answered already.
    changes
        What was measured again because its code changed.
    failures
        What failed before it came to cells, each with the cause.
    """

    answers: list[Answer] = field(default_factory=list)
    asked: dict[tuple[object, ...], tuple[str, ...]] = field(default_factory=dict)
    reused: int = 0
    changes: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failed(self) -> list[Record]:
        """Cells that ended badly, as a whole or in a metric that was asked for."""
        return [answer.record for answer in self.answers if self.failures_of(answer.record)]

    def failures_of(self, record: Record) -> list[tuple[str, str]]:
        """Return what failed in a cell: each time the status and the reason."""
        if record.status != "ok":
            return [(record.status, record.reason)]
        wanted = self.asked.get(question(record), ())
        failed = [(name, why.reason) for name, why in record.unmeasured.items() if why.status == "error"]
        return [("error", f"metric {name!r}: {reason}") for name, reason in failed if name in wanted]


class Runner:
    """Runs a plan.

    Parameters
    ----------
    plan, study
        What to run, and under which study's name.
    materials, registry
        Where embeddings and components come from.
    options
        Where results go, and how many processes run.
    """

    def __init__(self, plan: Plan, study: str, materials: Materials, registry: Registry, options: Options) -> None:
        self.plan = plan
        self.study = study
        self.materials = materials
        self.registry = registry
        self.options = options
        self.path = journal.run_file(Path(os.path.realpath(options.folder)))  # links may go round
        self.tasks: dict[str, CellTask] = {}
        self._provenance = Provenance(registry)
        self._run = uuid4().hex
        self._told: set[tuple[str, str]] = set()

    def run(self, *, encoding: Progress | None = None, on_cell: Callable[[Record], None] | None = None) -> Outcome:
        """Encode, and run what has no answer of the installed code yet; each record is appended as its cell ends."""
        outcome = Outcome()
        ended_cell = on_cell or _tell_nobody
        log, waiting = RunLog(self.path), dict[str, list[CellTask]]()
        known = Known(log.records, self.registry, self._provenance)
        tasks: list[CellTask] = []
        for task in self._all_tasks(outcome, encoding):
            outcome.asked[question(task.header)] = task.metrics
            missing = known.missing(task)
            if len(missing) < len(task.metrics):
                for record, content in known.renamed(task):
                    log.append(record, content)
            if missing and task.header.cell_id in waiting:  # the same question under another name: it is measured once
                waiting[task.header.cell_id].append(task)
            elif missing:
                if not tasks and self.options.jobs == 1 and not self.options.in_process:
                    prepare(built_in_modules(self.registry))  # meanwhile the rest is encoded
                waiting[task.header.cell_id] = []
                tasks.append(replace(task, metrics=missing))
            else:
                outcome.reused += 1
                ended_cell(task.header)
        outcome.changes = known.changes()
        # Two OpenMP runtimes and a BLAS would each take all cores for matrices of a few rows: one thread is faster,
        # and sums then round the same way on every machine. More cores are used by --jobs.
        with threadpool_limits(limits=1):
            open_tasks = (task for task in tasks if not log.answered(task.header, task.metrics))
            for ended, content in run_cells(open_tasks, len(tasks), self.registry, self.options):
                record = msgspec.structs.replace(ended, created_utc=now())
                for named in (record, *(renamed(record, task.header) for task in waiting[record.cell_id])):
                    log.append(named, content)
                    ended_cell(named)
        outcome.answers = [answer for answer in answers(log.records) if question(answer.record) in outcome.asked]
        return outcome

    def changes(self) -> list[str]:
        """Say what a run would measure again of what is there under the same names, and why; nothing is read or encoded."""
        known = Known(journal.read(self.path), self.registry, self._provenance)
        for cell in self.plan.cells:
            metrics = wanted_metrics(self.plan.metrics, cell.source, captioned=cell.captioned)
            names = names_of(
                encoder=cell.source.encoder_name,
                dtype="" if cell.source.encoder is None else self.materials.context.dtype,
                dataset=cell.source.dataset_name,
                prompts=cell.prompts_name,
                protocol=cell.protocol,
                index=self.plan.index,
            )
            known.look((*names, cell.aligner.label, cell.seed), [metric.label for metric in metrics])
        return known.changes()

    def _all_tasks(self, outcome: Outcome, encoding: Progress | None) -> Iterator[CellTask]:
        """Yield the cells of all sources, each after its pictures and texts were encoded; note what failed before that."""
        for source in self.plan.sources:
            try:
                cells, prompts = self._with_prompts(source, outcome)
                self._encode(source, cells, prompts, encoding)
                cells = self._told_apart(source, cells, prompts, outcome)
                self._tell_intake(source, cells)
                made = list(self._tasks(source, cells, prompts))
            except GapbenchError as error:
                if self.options.strict:
                    raise
                outcome.failures.append((f"{source.encoder_name} on {source.dataset_name}", str(error)))
                continue
            self.tasks |= {task.header.cell_id: task for task in made}
            yield from made

    # -- encoding -----------------------------------------------------------------------------------------------

    def _with_prompts(self, source: Source, outcome: Outcome) -> tuple[list[Cell], dict[str, PromptSet]]:
        """Write the prompts of a source's cells; a strategy that fails costs its own cells alone."""
        cells = [cell for cell in self.plan.cells if cell.source is source]
        strategies = {cell.prompts_name: cell.prompts for cell in cells if cell.prompts is not None}
        written: dict[str, PromptSet] = {}
        for name, strategy in strategies.items():
            classes = self.materials.known_manifest(source.dataset, "test").classes
            try:
                written[name] = prompt_set(strategy, classes, source.dataset)
            except GapbenchError as error:
                if self.options.strict:
                    raise
                outcome.failures.append((f"prompts {name} on {source.dataset_name}", str(error)))
        return [cell for cell in cells if cell.prompts is None or cell.prompts_name in written], written

    def _encode(
        self, source: Source, cells: Sequence[Cell], prompts: dict[str, PromptSet], progress: Progress | None
    ) -> None:
        """Encode what the store does not have: each picture and each string once."""
        if source.encoder is None or not cells:
            return
        strings: list[str] = []
        for split in needed_splits(source, cells[0].protocol):
            self.materials.encode(source.encoder, source.dataset, split, progress)
            strings += self.materials.known_manifest(source.dataset, split).caption_strings
        for written in prompts.values():
            strings += written.prompts
        self.materials.encode_strings(source.encoder, source.dataset, strings, progress)

    def _told_apart(
        self, source: Source, cells: Sequence[Cell], prompts: dict[str, PromptSet], outcome: Outcome
    ) -> list[Cell]:
        """Keep the cells whose classes are told apart by what the encoder reads of their texts; tell the others."""
        lost: set[str] = set()
        for name, written in prompts.items():
            try:
                assert source.encoder is not None  # given embeddings have no prompts to write
                self.materials.check_prompts(source.encoder, source.dataset, written)
            except GapbenchError as error:
                if self.options.strict:
                    raise
                outcome.failures.append((f"prompts {name} on {source.encoder_name}, {source.dataset_name}", str(error)))
                lost.add(name)
        return [cell for cell in cells if cell.prompts is None or cell.prompts_name not in lost]

    def _tell_intake(self, source: Source, cells: Sequence[Cell]) -> None:
        """Tell what a dataset noticed while it was read, once however many encoders read it."""
        for split in needed_splits(source, cells[0].protocol) if cells else ():
            if (source.dataset_name, split) not in self._told:
                self._told.add((source.dataset_name, split))
                intake = (
                    self._embedded(source, None, split).intake
                    if source.encoder is None
                    else (self.materials.known_manifest(source.dataset, split).intake)
                )
                for sentence in intake_sentences(f"{source.dataset_name} ({split})", intake):
                    tell(sentence)

    # -- tasks --------------------------------------------------------------------------------------------------

    def _tasks(self, source: Source, cells: Sequence[Cell], prompt_sets: dict[str, PromptSet]) -> Iterator[CellTask]:
        splits: dict[str, tuple[EmbeddedSplit, EmbeddedSplit | None]] = {}
        for cell in cells:
            if cell.prompts_name not in splits:
                both = [
                    self._embedded(source, prompt_sets.get(cell.prompts_name), split)
                    for split in needed_splits(source, cell.protocol)
                ]
                splits[cell.prompts_name] = (both[0], both[1] if len(both) > 1 else None)
            test, train = splits[cell.prompts_name]
            metrics = wanted_metrics(self.plan.metrics, source, captioned=cell.captioned)
            header = self._header(cell, test, train, prompt_sets.get(cell.prompts_name))
            of_metrics = [metric.component.origin.distribution for metric in metrics]
            code = self._provenance.codes([*distributions(header), *of_metrics])
            yield CellTask(
                run=self._run,
                header=msgspec.structs.replace(header, code=code),
                test=test,
                train=train,
                aligner=cell.aligner.label,
                metrics=tuple(metric.label for metric in metrics),
                protocol=cell.protocol,
                seed=cell.seed,
                captioned=cell.captioned,
                index=self.plan.index,
                timeout=self.options.timeout,
                strict=self.options.strict,
                in_process=self.options.in_process,
                memory=self.options.memory,
                context=FitContext(device=self.materials.context.device, dtype=self.materials.context.dtype),
            )

    def _embedded(self, source: Source, prompts: PromptSet | None, split: str) -> EmbeddedSplit:
        if source.encoder is None:
            with calling(source.dataset):
                return self.materials.precomputed(source.dataset).embedded(split)
        return self.materials.embedded(source.encoder, source.dataset, prompts, split)

    def _header(
        self, cell: Cell, test: EmbeddedSplit, train: EmbeddedSplit | None, prompts: PromptSet | None
    ) -> Record:
        source = cell.source
        encoder = test.fingerprint if source.encoder is None else self.materials.encoder_fingerprint(source.encoder)
        seconds = self.materials.encode_seconds.get((source.encoder_key, source.dataset.label), 0.0)
        names = {"study": self.study, "index": self.plan.index, "dtype": self.materials.context.dtype}
        header = record_header(cell, test, train, prompts, encoder=encoder, **names)
        return msgspec.structs.replace(header, timing=Timing(encode_s=round(seconds, 3), fit_s=0.0, score_s=0.0))


def _tell_nobody(record: Record) -> None:
    """Do nothing with a finished cell."""
    del record
