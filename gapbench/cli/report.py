"""What a run leaves and shows: pages first, then the terminal, then figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from gapbench.errors import GapbenchError
from gapbench.leaderboard.assemble import only
from gapbench.leaderboard.build import build, tables_of
from gapbench.leaderboard.kept import keep_study
from gapbench.leaderboard.table import largest_fits
from gapbench.leaderboard.terminal import print_table
from gapbench.leaderboard.text import legend
from gapbench.results.answers import question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.plan import Plan, Skip
    from gapbench.leaderboard.table import Table
    from gapbench.model.request import Request
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec

PLAIN_BOX = box.SIMPLE_HEAD

_GIGA, _MEGA = 1_000_000_000, 1_000_000


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return ""
    return f"{count / _GIGA:.1f} GB" if count >= _GIGA else f"{count / _MEGA:.0f} MB"


def print_skips(skips: Sequence[Skip], out: Console) -> None:
    """List what did not run and why: a table on a terminal, else a line each, with every path whole."""
    if not out.is_terminal:
        for skip in skips:
            about = f" (about {size(skip.size)})" if skip.size else ""
            _paragraph(f"not run: {skip.what}{about}: {skip.reason}", out)
        return
    grid = RichTable(box=PLAIN_BOX, pad_edge=False, show_edge=False)
    grid.add_column("not run", overflow="fold", max_width=30)
    grid.add_column("why", overflow="fold")
    grid.add_column("size, about", justify="right", no_wrap=True)
    for skip in skips:
        grid.add_row(escape(skip.what), escape(skip.reason), size(skip.size))
    out.print(grid)


def _paragraph(text: str | Text, out: Console) -> None:
    """Print a sentence; where no terminal has a width it stays one line."""
    out.print(Text(text) if isinstance(text, str) else text, soft_wrap=not out.is_terminal)


def report(
    request: Request,
    study: Study,
    plan: Plan,
    outcome: Outcome,
    runner: Runner,
    out: Console,
    err: Console,
    *,
    draw: bool,
) -> bool:
    """Write the leaderboard, show the tables, then draw; nothing that fails later costs what came earlier.

    Returns
    -------
    bool
        Whether there was a table to show for what was asked, and all pages could be written. Figures have no part in it:
        one that cannot be drawn is told in a line.
    """
    specs = runner.registry.metric_specs()
    everything = tables_of(runner.options.folder, specs, study, runner.materials.store.memos) if outcome.answers else []
    problem = _written(runner.options.folder, request, study, specs, everything) if everything else ""
    wanted = [metric.label for metric in plan.metrics] if study.metrics else []
    asked = only(everything, lambda record: question(record) in outcome.asked)
    _show(asked, specs, out, wanted)
    _say_what_happened(plan, outcome, runner, out, named=bool(study.datasets))
    if not everything:
        out.print("leaderboard: none (no results)")
        return not outcome.answers
    if not problem:
        _paragraph(f"leaderboard: {runner.options.folder / 'README.md'}, and page.html beside it", out)
    if draw:
        _draw(study, outcome, runner, everything, out, err)
        problem = _written(runner.options.folder, request, study, specs, everything)  # now with the figures
    if problem:
        _paragraph(f"error: {problem} Records and outcomes are kept.", err)
    return bool(asked) and not problem


def _written(
    folder: Path, request: Request, study: Study, specs: Mapping[str, MetricSpec], tables: Sequence[Table]
) -> str:
    """Write the pages; return what is wrong where that is not possible."""
    try:
        keep_study(folder, study, request)
        build(folder, study, specs, tables)
    except GapbenchError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename} cannot be written ({error.strerror})."
    return ""


def _show(tables: Sequence[Table], specs: Mapping[str, MetricSpec], out: Console, asked: Sequence[str]) -> None:
    shown = largest_fits(tables)
    for table in shown:
        print_table(out, table, specs, asked)
    if len(shown) < len(tables):
        out.print(f"\n{len(tables) - len(shown)} tables with fewer fitted items are in the leaderboard.", style="dim")
    out.print()
    for line in legend(shown):
        out.print(escape(line), style="dim")


def _draw(study: Study, outcome: Outcome, runner: Runner, tables: Sequence[Table], out: Console, err: Console) -> None:
    """Draw all figures; those that fail cost a line each."""
    from gapbench.figures.draw import draw_all
    from gapbench.figures.style import failures_told

    specs = runner.registry.metric_specs()
    with err.status("drawing figures (the first time takes longer)"), failures_told() as failed:
        drawn = draw_all(runner, study, outcome, specs, tables)
    _paragraph(f"figures: {_common(drawn)}" if drawn else "figures: none (nothing to draw)", out)
    for name, cause in failed:
        _paragraph(f"warning: the figure {name} could not be drawn: {cause}", err)


def _common(paths: Sequence[Path]) -> str:
    return f"{len(paths)} files in {paths[0].parent}"


def _say_what_happened(plan: Plan, outcome: Outcome, runner: Runner, out: Console, *, named: bool) -> None:
    """Tell cells, failures and skips."""
    failed = outcome.failed
    records = [answer.record for answer in outcome.answers]
    done = len(records) - len(failed)
    encode = sum(runner.materials.encode_seconds.values())
    fit = sum(record.timing.fit_s for record in records)
    score = sum(record.timing.score_s for record in records)
    out.print()
    out.print(
        f"{done} cells ok ({outcome.reused} from an earlier run), {len(failed)} failed, {len(plan.skips)} things not run"
    )
    for line in outcome.changes:
        _paragraph(line, out)
    out.print(f"encoding {encode:.1f} s, fitting {fit:.1f} s, scoring {score:.1f} s")
    for what, cause in outcome.failures:
        _paragraph(Text.assemble(("failed", "red"), f" {what}: {cause}"), out)
    reasons: dict[tuple[str, str, str], int] = {}
    for record in failed:
        for status, reason in outcome.failures_of(record):
            key = (status, record.label, reason)
            reasons[key] = reasons.get(key, 0) + 1
    for (status, label, reason), count in reasons.items():
        cells = "cell" if count == 1 else "cells"
        _paragraph(Text.assemble((status, "red"), f" {label} ({count} {cells}): {reason}"), out)
    absent = [skip for skip in plan.skips if skip.size is not None or skip.what.startswith(("dataset", "encoder"))]
    others = [skip for skip in plan.skips if skip not in absent]
    if named or len(absent) <= 3:  # noqa: PLR2004 - a short list is told in full
        others, absent = [*others, *absent], []
    if others:
        print_skips(others, out)
    if absent:
        names = ", ".join(skip.what.removeprefix("dataset ") for skip in absent)
        total = size(sum(skip.size or 0 for skip in absent))
        _paragraph(f"not on this machine ({total}; --download fetches it, `gapbench plan` tells more): {names}", out)
