"""``gapbench run``: plan, encode, run the cells, show the tables, write the leaderboard, draw the figures."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.console import console, echo
from gapbench.cli.options import context_from, registry_from, request_options, results_folder, study_from
from gapbench.errors import UsageError
from gapbench.heartbeat import heartbeat
from gapbench.model.request import Request
from gapbench.results.folder import check_folder

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.plan import Plan
    from gapbench.model.record import Record


@click.command("run")
@request_options
def command(**options: Any) -> int:
    """Run every selected encoder x dataset x prompt strategy x aligner.

    Without options: everything that is registered and needs no download. What the same code has
    answered before is not measured again.
    """
    out, err = console(), console(err=True)
    request = Request.from_command_line(options)
    study = study_from(request)
    context = context_from(request)
    registry = registry_from(request.plugins, request.no_plugin, strict=request.strict, computes=True)

    from gapbench.bench.execute import Runner
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.bench.workers import Options
    from gapbench.embeddings.store import Store, default_root

    folder = results_folder(request, study)
    _check_writable(folder)
    materials = Materials(Store(default_root()), context)
    plan = make_plan(study, registry, materials)
    runner = Runner(
        plan,
        study.name,
        materials,
        registry,
        Options(
            folder=folder,
            jobs=request.jobs,
            engine=request.engine,
            timeout=request.timeout,
            memory=None if request.memory is None else int(request.memory * 2**30),
            in_process=request.in_process,
            strict=request.strict,
            plugin_files=tuple(path.resolve() for path in request.plugins),
            blocked=request.no_plugin,
        ),
    )
    if not plan.cells:
        _show_skips(plan, err)
        err.print("[bold red]Nothing could run.[/] Supply what is missing, or choose something else.")
        return 1
    outcome = _run(runner, err)

    from gapbench.cli.report import report

    written = report(request, study, plan, outcome, runner, out, err, draw=not request.no_figures)
    broken = any(skip.failed for skip in plan.skips)
    return 1 if outcome.failed or outcome.failures or broken or not outcome.answers or not written else 0


def _check_writable(folder: Path) -> None:
    """Find out before the work, not after it, that results cannot be written."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=".gapbench-"):
            pass
    except OSError as error:
        raise UsageError(
            f"Results cannot be written to {folder} ({error.strerror}). Choose another folder with --out."
        ) from error


def _run(runner: Runner, err: Console) -> Outcome:
    """Run with two progress displays, encoding and then cells; without a terminal with plain lines."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gapbench.embeddings.encode import encoding_progress

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    cells = Progress(*columns, console=err, disable=not err.is_terminal, transient=True)
    encoding = encoding_progress(err)
    task = cells.add_task("running cells", total=len(runner.plan.cells))

    def on_cell(record: Record) -> None:
        encoding.stop()
        cells.start()
        cells.advance(task)
        del record

    def line() -> str:
        begun = [one for one in encoding.tasks if not one.finished]
        words = f"encoding {begun[-1].description}" if begun else "running cells"
        one = begun[-1] if begun else cells.tasks[0]
        return f"{words}: {one.completed:,.0f} of {one.total or 0:,.0f}"

    lines = nullcontext() if err.is_terminal else heartbeat(line, partial(echo, err=True))
    with encoding, lines:
        try:
            return runner.run(encoding=encoding, on_cell=on_cell)
        finally:
            cells.stop()


def _show_skips(plan: Plan, err: Console) -> None:
    from gapbench.cli.report import print_skips

    print_skips(plan.skips, err)
