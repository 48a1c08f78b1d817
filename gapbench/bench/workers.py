"""Running cells, here or in worker processes: what a worker is told, and how it finds the same code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from gapbench.bench.cell import run_cell
from gapbench.bench.rooms import built_in_modules, prepare
from gapbench.errors import GapbenchError
from gapbench.host.interrupts import interrupts_noticed
from gapbench.host.provenance import Provenance
from gapbench.results.answers import question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gapbench.bench.task import CellTask
    from gapbench.host.registry import Registry
    from gapbench.model.record import Record

#: A record that is not sealed yet, and the block of its outcomes.
Ended = tuple["Record", bytes | None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run: what changes no number.

    ``plugin_files`` and ``blocked`` let a worker process find the same components.
    """

    folder: Path
    jobs: int = 1
    engine: str = "loky"
    timeout: float | None = None
    memory: int | None = None
    in_process: bool = False
    strict: bool = False
    plugin_files: tuple[Path, ...] = ()
    blocked: tuple[str, ...] = ()


def run_cells(tasks: Iterable[CellTask], count: int, registry: Registry, options: Options) -> Iterable[Ended]:
    """Run cells and yield each as it ends.

    Parameters
    ----------
    tasks, count
        The cells, one after the other taken when it is to run, and how many there are at most.
    registry
        The components, for cells that run in this process.
    options
        How many processes run, and with which engine.
    """
    if options.jobs == 1 or count <= 1 or options.in_process:
        return map(partial(run_cell, registry=registry), tasks)
    return _parallel(list(tasks), options)


def _parallel(tasks: Sequence[CellTask], options: Options) -> Iterator[Ended]:
    """Run cells in worker processes, one thread each; a worker that dies costs its cells, not the run."""
    from joblib import Parallel, delayed, parallel_config

    _prepare_engine(options.engine)
    pending = {question(task.header): task for task in tasks}
    threads = {"inner_max_num_threads": 1} if options.engine == "loky" else {}
    with parallel_config(backend=options.engine, n_jobs=options.jobs, **threads):
        pool = Parallel(return_as="generator_unordered")
        jobs = (delayed(run_in_worker)(task, options.plugin_files, options.blocked) for task in tasks)
        try:
            for record, content in pool(jobs):
                pending.pop(question(record))
                yield record, content
        except (KeyboardInterrupt, GapbenchError):
            raise
        except Exception as error:
            if options.strict:
                raise
            # The pool broke (a segmentation fault, no memory left): say so for every cell that has no record.
            for task in pending.values():
                reason = f"a worker process died while the cell was waiting or running: {error}"
                yield msgspec.structs.replace(task.header, status="error", reason=" ".join(reason.split())), None


def run_in_worker(task: CellTask, plugin_files: tuple[Path, ...], blocked: tuple[str, ...]) -> Ended:
    """Find the components again in a worker process, once for each state of their code, and run a cell."""
    with interrupts_noticed():
        return _run_found(task, plugin_files, blocked)


def _run_found(task: CellTask, plugin_files: tuple[Path, ...], blocked: tuple[str, ...]) -> Ended:
    from gapbench.host.discovery import discover

    key, code = (plugin_files, blocked), task.header.code
    registry = _REGISTRIES.get(key)
    mine = {} if registry is None else Provenance(registry).codes(code)
    if registry is None or mine != code:
        registry = _REGISTRIES[key] = discover(plugin_files=plugin_files, blocked=blocked, computes=True)
        prepare(built_in_modules(registry))
        mine = Provenance(registry).codes(code)
    for name, theirs in code.items():
        if theirs.sha256 and mine.get(name) != theirs:
            reason = f"a worker process has other code of {name} than the one that started it; run again"
            return msgspec.structs.replace(task.header, status="error", reason=reason), None
    return run_cell(task, registry)


#: What a worker process has found.
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
