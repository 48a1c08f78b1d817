"""``gapbench run``: plan, encode, run the cells, show the tables, write the leaderboard, draw the figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.options import context_from, plugin_options, registry_from, selection_options, study_from
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.plan import Plan
    from gapbench.model.record import Record


@click.command("run")
@selection_options
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Processes for the cells.")
@click.option("--engine", default="loky", type=click.Choice(["loky", "dask", "ray"]), help="What runs the processes.")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Longest time of one cell.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where results go  [default: leaderboards/STUDY]"
)
@click.option("--no-figures", is_flag=True, help="Draw nothing.")
@plugin_options
def command(**options: Any) -> int:
    """Run every selected encoder x dataset x prompt strategy x aligner.

    Without options: everything that is registered and needs no download. What was finished before is not run again.
    """
    from rich.console import Console

    out, err = Console(file=sys.stdout, highlight=False), Console(file=sys.stderr, highlight=False)
    study, _ = study_from(options)
    context = context_from(options)
    registry = registry_from(options["plugin_files"], options["blocked"], strict=options["strict"])

    from gapbench.bench.execute import Options, Runner
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.embeddings.store import Store, default_root

    folder = options["out"] or Path("leaderboards") / study.name
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
            jobs=options["jobs"],
            engine=options["engine"],
            timeout=options["timeout"],
            strict=options["strict"],
            plugin_files=tuple(path.resolve() for path in options["plugin_files"]),
            blocked=tuple(options["blocked"]),
        ),
    )
    if not plan.cells:
        _show_skips(plan, err)
        err.print("[bold red]Nothing could run.[/] Supply what is missing, or choose something else.")
        return 1
    outcome = _run(runner, err)

    from gapbench.cli.report import report

    report(study, plan, outcome, runner, out, err, draw=not options["no_figures"])
    broken = any(skip.failed for skip in plan.skips)
    return 1 if outcome.failed or outcome.failures or broken or not outcome.answers else 0


def _check_writable(folder: Path) -> None:
    """Find out before the work, not after it, that results cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".gapbench-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"Results cannot be written to {folder} ({error.strerror}). Choose another folder with --out."
        ) from error


def _run(runner: Runner, err: Console) -> Outcome:
    """Run with two progress displays, one after the other: encoding, then cells."""
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

    with encoding:
        try:
            return runner.run(encoding=encoding, on_cell=on_cell)
        finally:
            cells.stop()


def _show_skips(plan: Plan, err: Console) -> None:
    from gapbench.cli.report import skips_table

    err.print(skips_table(plan.skips))
