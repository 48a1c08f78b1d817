"""What a run shows: tables and leaderboard first, figures after them."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable

from gapbench.leaderboard.assemble import build_tables
from gapbench.leaderboard.build import COMMAND, build
from gapbench.leaderboard.table import largest_fits
from gapbench.leaderboard.terminal import print_table
from gapbench.leaderboard.text import LEGEND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.plan import Plan, Skip
    from gapbench.model.study import Study

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
    frozen: bool,
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
    reference = study.reference
    tables = build_tables(outcome.records, runner.path.parent, specs, reference)
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
    if frozen:
        (folder / COMMAND).unlink(missing_ok=True)
    else:
        (folder / COMMAND).write_text(shlex.join(["gapbench", *sys.argv[1:]]) + "\n", encoding="utf-8")
    build(folder, study, specs)
    out.print(escape(f"leaderboard: {folder / 'README.md'}, and page.html beside it"))
    if draw:
        from gapbench.figures.draw import draw_all

        with err.status("drawing figures (the first time takes longer)"):
            drawn = draw_all(runner, study, outcome, specs)
        build(folder, study, specs)  # now with the figures
        out.print(escape(f"figures: {_common(drawn)}") if drawn else "figures: none (nothing to draw)")


def _common(paths: Sequence[Path]) -> str:
    return f"{len(paths)} files in {paths[0].parent}"


def _say_what_happened(plan: Plan, outcome: Outcome, runner: Runner, out: Console, *, named: bool) -> None:
    """Tell cells, failures and skips."""
    failed = outcome.failed
    done = len(outcome.records) - len(failed)
    encode = sum(runner.materials.encode_seconds.values())
    fit = sum(record.timing.fit_s for record in outcome.records)
    score = sum(record.timing.score_s for record in outcome.records)
    out.print()
    out.print(
        f"{done} cells ok ({outcome.reused} from an earlier run), {len(failed)} failed, {len(plan.skips)} things not run"
    )
    out.print(f"encoding {encode:.1f} s, fitting {fit:.1f} s, scoring {score:.1f} s")
    for what, cause in outcome.failures:
        out.print(f"[red]failed[/] {escape(what)}: {escape(cause)}")
    reasons: dict[tuple[str, str, str], int] = {}
    for record in failed:
        key = (record.status, str(record.notes.get("label")), record.reason)
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
