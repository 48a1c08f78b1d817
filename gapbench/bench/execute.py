"""Execution: encode what is missing, run the cells that have no record yet, keep each as it ends, compare at the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from threadpoolctl import threadpool_limits

from gapbench.bench.cell import run_cell
from gapbench.bench.header import record_header
from gapbench.bench.isolation import calling
from gapbench.bench.materials import prompt_set
from gapbench.bench.plan import Cell, Plan, Source, needed_splits, wanted_metrics
from gapbench.bench.task import CellTask
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.results import journal
from gapbench.results.finalise import finalise
from gapbench.results.record import Record, Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.progress import Progress

    from gapbench.bench.materials import Materials
    from gapbench.components import EmbeddedSplit, PromptSet
    from gapbench.host.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run: what changes no number.

    ``plugin_files`` and ``blocked`` let a worker process find the same components.
    """

    folder: Path
    jobs: int = 1
    engine: str = "loky"
    timeout: float | None = None
    strict: bool = False
    plugin_files: tuple[Path, ...] = ()
    blocked: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Outcome:
    """What came of a run: the records of its cells, how many were there already, and what failed before its cells."""

    records: list[Record] = field(default_factory=list)
    reused: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failed(self) -> list[Record]:
        """Cells that ended badly."""
        return [record for record in self.records if record.status in ("error", "timeout")]


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
        self.path = journal.run_file(options.folder)
        self.tasks: dict[str, CellTask] = {}

    def run(self, *, encoding: Progress | None = None, on_cell: Callable[[Record], None] | None = None) -> Outcome:
        """Encode, run, compare; on Ctrl-C what is finished is compared and kept, and the interrupt goes on."""
        outcome = Outcome()
        tell = on_cell or _tell_nobody
        tasks: list[CellTask] = []
        known = {record.cell_id: record for record in journal.read(self.path)}
        wanted: list[str] = []
        for source in self.plan.sources:
            try:
                cells, prompts = self._with_prompts(source, outcome)
                self._encode(source, cells, prompts, encoding)
                made = list(self._tasks(source, cells, prompts))
            except GapbenchError as error:
                if self.options.strict:
                    raise
                outcome.failures.append((f"{source.encoder_name} on {source.dataset_name}", str(error)))
                continue
            for task in made:
                self.tasks[task.header.cell_id] = task
                wanted.append(task.header.cell_id)
                if self._is_done(known.get(task.header.cell_id), task):
                    outcome.reused += 1
                    tell(known[task.header.cell_id])
                else:
                    tasks.append(self._with_known_metrics(known.get(task.header.cell_id), task))
        try:
            # Two OpenMP runtimes and a BLAS would each take all cores for matrices of a few rows: one thread is faster,
            # and sums then round the same way on every machine. More cores are used by --jobs.
            with threadpool_limits(limits=1):
                for ended in self._execute(tasks):
                    record = msgspec.structs.replace(
                        ended, created_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                    )
                    journal.append(self.path, record)
                    tell(record)
        finally:
            if tasks:
                self._compare()
        mine = {record.cell_id: record for record in journal.read(self.path)}
        outcome.records = [mine[cell_id] for cell_id in wanted]
        return outcome

    def _with_known_metrics(self, record: Record | None, task: CellTask) -> CellTask:
        """Measure again what an earlier record has: asking for one metric more must not lose the others."""
        registered = self.registry.components(Kind.METRIC)
        earlier = [
            name for name in (record.metrics if record else ()) if name in registered and name not in task.metrics
        ]
        return replace(task, metrics=(*task.metrics, *earlier))

    def _compare(self) -> None:
        """Fill in what needs all cells of a table; a record of an older gapbench or of other data is left as it is."""
        journal.rewrite(self.path, finalise(journal.read(self.path), self.path.parent))

    def _is_done(self, record: Record | None, task: CellTask) -> bool:
        if record is None or record.status != "ok" or record.outcomes is None:
            return False
        have = {*record.metrics, *record.notes.get("left_out", {})}
        return set(task.metrics) <= have and (self.path.parent / record.outcomes.file).is_file()

    # -- encoding -----------------------------------------------------------------------------------------------

    def _with_prompts(self, source: Source, outcome: Outcome) -> tuple[list[Cell], dict[str, PromptSet]]:
        """Write the prompts of a source's cells; a strategy that fails costs its own cells alone."""
        cells = [cell for cell in self.plan.cells if cell.source is source]
        strategies = {cell.prompts_name: cell.prompts for cell in cells if cell.prompts is not None}
        written: dict[str, PromptSet] = {}
        for name, strategy in strategies.items():
            classes = self.materials.known_manifest(source.dataset, "test").classes
            try:
                written[name] = prompt_set(strategy, classes)
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
            yield CellTask(
                header=self._header(cell, test, train, prompt_sets.get(cell.prompts_name)),
                test=test,
                train=train,
                aligner=cell.aligner.label,
                metrics=tuple(metric.name for metric in metrics),
                protocol=cell.protocol,
                seed=cell.seed,
                captioned=cell.captioned,
                index=self.plan.index,
                folder=self.path.parent,
                timeout=self.options.timeout,
                strict=self.options.strict,
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
        seconds = self.materials.encode_seconds.get((source.encoder_key, source.dataset.name), 0.0)
        header = record_header(cell, test, train, prompts, study=self.study, index=self.plan.index, encoder=encoder)
        return msgspec.structs.replace(header, timing=Timing(encode_s=round(seconds, 3), fit_s=0.0, score_s=0.0))

    # -- running ------------------------------------------------------------------------------------------------

    def _execute(self, tasks: Sequence[CellTask]) -> Iterable[Record]:
        if self.options.jobs == 1 or len(tasks) <= 1:
            return map(partial(run_cell, registry=self.registry), tasks)
        return self._parallel(tasks)

    def _parallel(self, tasks: Sequence[CellTask]) -> Iterator[Record]:
        """Run cells in worker processes, one thread each; a worker that dies costs its cells, not the run."""
        from joblib import Parallel, delayed, parallel_config

        _prepare_engine(self.options.engine)
        files, blocked = self.options.plugin_files, self.options.blocked
        pending = {task.header.cell_id: task for task in tasks}
        threads = {"inner_max_num_threads": 1} if self.options.engine == "loky" else {}
        with parallel_config(backend=self.options.engine, n_jobs=self.options.jobs, **threads):
            pool = Parallel(return_as="generator_unordered")
            try:
                for record in pool(delayed(run_in_worker)(task, files, blocked) for task in tasks):
                    pending.pop(record.cell_id)
                    yield record
            except (KeyboardInterrupt, GapbenchError):
                raise
            except Exception as error:
                if self.options.strict:
                    raise
                # The pool broke (a segmentation fault, no memory left): say so for every cell that has no record.
                for task in pending.values():
                    reason = f"a worker process died while the cell was waiting or running: {error}"
                    yield msgspec.structs.replace(task.header, status="error", reason=" ".join(reason.split()))


def _tell_nobody(record: Record) -> None:
    """Do nothing with a finished cell."""
    del record


def run_in_worker(task: CellTask, plugin_files: tuple[Path, ...], blocked: tuple[str, ...]) -> Record:
    """Find the components again in a worker process, once, and run a cell."""
    from gapbench.host.discovery import discover

    key = (plugin_files, blocked)
    if key not in _REGISTRIES:
        _REGISTRIES[key] = discover(plugin_files=plugin_files, blocked=blocked)
    return run_cell(task, _REGISTRIES[key])


_REGISTRIES: dict[tuple[tuple[Path, ...], tuple[str, ...]], Registry] = {}


def _prepare_engine(engine: str) -> None:
    """Register what joblib does not know by itself.

    Raises
    ------
    GapbenchError
        The engine's package is not installed.
    """
    try:
        if engine == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        elif engine == "dask":
            from distributed import Client

            Client(processes=True)  # joblib's backend finds the newest client
    except ImportError as error:
        raise GapbenchError(
            f"--engine {engine} needs a package: pip install 'gapbench[{engine}]' ({error})."
        ) from error
