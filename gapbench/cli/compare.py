"""``gapbench leaderboard compare``: what changed, by how much, and whether it is more than noise."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.console import console, echo, echo_json
from gapbench.cli.options import plugin_options, registry_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.leaderboard.compare import Changes
    from gapbench.specs import MetricSpec

#: Lines of a table in the terminal.
MOST_LINES = 40


@click.command("compare")
@click.argument("before")
@click.argument("after")
@click.option("--markdown", "as_markdown", is_flag=True, help="Write Markdown, ready to be posted as a comment.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@plugin_options
def command(before: str, after: str, as_markdown: bool, as_json: bool, **options: Any) -> int:
    """Compare the results BEFORE and AFTER, cell by cell.

    Each is a study, a folder of results, a records file, a commit (its leaderboards/), or COMMIT:PATH.
    """
    specs = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"]).metric_specs()
    found = _comparisons(before, after)
    if as_json:
        echo_json({name: _plain(comparison) for name, comparison in found.items()})
    elif as_markdown:
        from gapbench.leaderboard.compare import to_markdown

        echo("\n".join(to_markdown(name, comparison, specs) for name, comparison in found.items()))
    else:
        for name, comparison in found.items():
            _show(name, comparison, specs)
    return 0


def _comparisons(before: str, after: str) -> dict[str, Changes]:
    """Compare one with one, or folders of studies by their names; a study of one side alone is new or gone."""
    from gapbench.cli.sources import results_in
    from gapbench.leaderboard.compare import compare

    with tempfile.TemporaryDirectory(prefix="gapbench-") as one, tempfile.TemporaryDirectory(prefix="gapbench-") as two:
        old, new = results_in(before, Path(one)), results_in(after, Path(two))
        if len(old) == len(new) == 1:
            (mine,), (theirs,) = old.values(), new.values()
            return {f"{before} → {after}": compare(mine, theirs)}
        for one_side, other_side in ((old, new), (new, old)):
            if len(one_side) == 1 and (names := one_side.keys() & other_side.keys()):
                (name,) = names
                return {name: compare(old[name], new[name])}
        return {name: compare(old.get(name, []), new.get(name, [])) for name in sorted(old.keys() | new.keys())}


def _plain(comparison: Changes) -> dict[str, Any]:
    changes = [
        {
            "where": change.where,
            "aligner": change.label,
            "metric": change.metric,
            "before": change.before,
            "after": change.after,
            "p_holm": change.p,
            "verdict": change.kind,
        }
        for change in comparison.changes
    ]
    return {"changes": changes, "added": comparison.added, "removed": comparison.removed}


def _show(name: str, comparison: Changes, specs: Mapping[str, MetricSpec]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from gapbench.leaderboard.compare import cells, shown, summary

    out = console()
    out.print(f"[bold]{escape(name)}[/]")
    changes = shown(comparison)
    if changes:
        grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for head in ("where", "aligner", "metric"):
            grid.add_column(head, overflow="fold")
        for head in ("before", "after", "Δ", "p"):
            grid.add_column(head, justify="right", no_wrap=True)
        for change in changes[:MOST_LINES]:
            grid.add_row(*map(escape, (change.where, change.label, change.metric, *cells(change, specs))))
        out.print(grid)
        if len(changes) > MOST_LINES:
            out.print(f"and {len(changes) - MOST_LINES} more (--json gives all)")
    for what, rows in (("new", comparison.added), ("gone", comparison.removed)):
        for row in rows[:MOST_LINES]:
            out.print(f"{what}: {escape(row)}")
    for line in summary(comparison):
        out.print(escape(line))
