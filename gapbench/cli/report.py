"""What a run shows: tables and leaderboard first, figures after them."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable

from gapbench.bench.execute import question
from gapbench.leaderboard.assemble import only
from gapbench.leaderboard.build import build, tables_of
from gapbench.leaderboard.kept import keep_study
from gapbench.leaderboard.table import largest_fits
from gapbench.leaderboard.terminal import print_table
from gapbench.leaderboard.text import LEGEND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.plan import Plan, Skip
    from gapbench.bench.study import Study
    from gapbench.model.record import Record

PLAIN_BOX = box.SIMPLE_HEAD

_GIGA, _MEGA = 1_000_000_000, 1_000_000


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return ""
    return f"{count / _GIGA:.1f} GB" if count >= _GIGA else f"{count / _MEGA:.0f} MB"


def skips_table(skips: Sequence[Skip]) -> RichTable:
    """List what did not run and why; what is only missing here takes few words."""
    grid = RichTable(box=PLAIN_BOX, pad_edge=False, show_edge=False)
    grid.add_column("not run", overflow="fold", max_width=30)
    grid.add_column("why", overflow="fold")
    grid.add_column("size", justify="right", no_wrap=True)
    for skip in skips:
        grid.add_row(escape(skip.what), escape(skip.reason), size(skip.size))
    return grid


def report(
    study: Study,
    plan: Plan,
    outcome: Outcome,
    runner: Runner,
    out: Console,
    err: Console,
    *,
    draw: bool,
) -> None:
    """Show the tables, write the leaderboard, then draw."""
    folder = runner.options.folder
    specs = runner.registry.metric_specs()
    everything = tables_of(folder, specs, study) if outcome.answers else []
    tables = only(everything, lambda record: question(record) in outcome.asked)
    shown = largest_fits(tables)
    for table in shown:
        print_table(out, table, specs)
    if len(shown) < len(tables):
        out.print(f"\n{len(tables) - len(shown)} tables with fewer fitted items are in the leaderboard.", style="dim")
    out.print()
    for line in LEGEND:
        out.print(escape(line), style="dim")
    _say_what_happened(plan, outcome, runner, out, named=bool(study.datasets))
    if not (runner.path.is_file() and runner.path.stat().st_size):
        out.print("leaderboard: none (no results)")
        return
    keep_study(folder, study, shlex.join(["gapbench", *sys.argv[1:]]))
    build(folder, study, specs, everything)
    out.print(escape(f"leaderboard: {folder / 'README.md'}, and page.html beside it"))
    if draw:
        from gapbench.figures.draw import draw_all

        with err.status("drawing figures (the first time takes longer)"):
            drawn = draw_all(runner, study, outcome, specs, everything)
        build(folder, study, specs, everything)  # now with the figures
        out.print(escape(f"figures: {_common(drawn)}") if drawn else "figures: none (nothing to draw)")


def _failures_of(record: Record) -> list[tuple[str, str, str]]:
    """Give what failed in a cell: status, aligner, reason."""
    if record.status != "ok":
        return [(record.status, record.label, record.reason)]
    failed = [(name, why.reason) for name, why in record.unmeasured.items() if why.status == "error"]
    return [("error", record.label, f"metric {name!r}: {reason}") for name, reason in failed]


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
        out.print(escape(line))
    out.print(f"encoding {encode:.1f} s, fitting {fit:.1f} s, scoring {score:.1f} s")
    for what, cause in outcome.failures:
        out.print(f"[red]failed[/] {escape(what)}: {escape(cause)}")
    reasons: dict[tuple[str, str, str], int] = {}
    for record in failed:
        for key in _failures_of(record):
            reasons[key] = reasons.get(key, 0) + 1
    for (status, label, reason), count in reasons.items():
        out.print(f"[red]{status}[/] {escape(label)} ({count} cells): {escape(reason)}")
    absent = [skip for skip in plan.skips if skip.size is not None or skip.what.startswith(("dataset", "encoder"))]
    others = [skip for skip in plan.skips if skip not in absent]
    if named or len(absent) <= 3:  # noqa: PLR2004 - a short list is told in full
        others, absent = [*others, *absent], []
    if others:
        out.print(skips_table(others))
    if absent:
        names = ", ".join(skip.what.removeprefix("dataset ") for skip in absent)
        total = size(sum(skip.size or 0 for skip in absent))
        out.print(f"not on this machine ({total}; --download fetches it, `gapbench plan` tells more): {escape(names)}")
