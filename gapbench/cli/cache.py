"""``gapbench cache``: the stored embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gapbench.cli.console import console, echo, echo_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.embeddings.housekeeping import Entry
    from gapbench.embeddings.store import Store


@click.group("cache")
def command() -> None:
    """List, verify or prune the stored embeddings (GAPBENCH_CACHE says where they are)."""


def _store() -> Store:
    from gapbench.embeddings.store import Store, default_root

    return Store(default_root())


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _count(entries: Sequence[Entry]) -> str:
    return f"{len(entries):,} {'entry' if len(entries) == 1 else 'entries'}"


def _show(entries: list[Entry]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("kind", "key", "what", "rows", "size"):
        grid.add_column(name, justify="right" if name in ("rows", "size") else "left", overflow="fold")
    for entry in entries:
        grid.add_row(entry.kind, entry.key[:10], escape(entry.what), f"{entry.rows:,}", _size(entry.size))
    console().print(grid)


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def ls(as_json: bool) -> int:
    """List what is stored."""
    from gapbench.embeddings.housekeeping import entries

    store = _store()
    found = entries(store)
    if as_json:
        fields = ("kind", "key", "what", "rows", "dim", "size", "complete")
        echo_json([{name: getattr(entry, name) for name in fields} for entry in found])
        return 0
    if found:
        _show(found)
    echo(f"{_count(found)}, {_size(sum(entry.size for entry in found))}, in {store.root}")
    return 0


@command.command("verify")
def verify() -> int:
    """Compare everything with its checksums."""
    from gapbench.embeddings import housekeeping

    store = _store()
    problems = housekeeping.verify(store)
    for entry, problem in problems:
        echo(f"damaged: {entry.kind} {entry.key[:10]} ({entry.what}): {problem}", err=True)
    found = housekeeping.entries(store)
    unfinished = [entry for entry in found if not entry.complete]
    whole = [entry for entry in (*found, *housekeeping.memos(store)) if entry.complete]
    writing = sum(entry.what == housekeeping.WRITING for entry in unfinished)
    echo(
        f"{_count(whole)} checked, {len(problems)} damaged, {len(unfinished) - writing} unfinished, {writing} being written"
    )
    if problems or len(unfinished) > writing:
        echo("`gapbench cache prune` removes what is damaged or unfinished; it is encoded again when needed.")
    return 1 if problems else 0


@command.command("prune")
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
def prune(everything: bool) -> int:
    """Remove what is damaged or was left by an interrupted run; what a run is writing is left alone."""
    from gapbench.embeddings import housekeeping

    removed, left = housekeeping.prune(_store(), everything=everything)
    echo(f"removed {_count(removed)}, {_size(sum(entry.size for entry in removed))}")
    if left:
        echo(f"left {_count(left)} alone: a running process is writing there")
    return 0
