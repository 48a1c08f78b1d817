"""``gapbench cache``: the stored embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gapbench.cli.console import console, echo, echo_json

if TYPE_CHECKING:
    from gapbench.embeddings.store import Entry, Store


@click.group("cache")
def command() -> None:
    """List, verify or prune the stored embeddings (GAPBENCH_CACHE says where they are)."""


def _store() -> Store:
    from gapbench.embeddings.store import Store, default_root

    return Store(default_root())


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


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
    store = _store()
    entries = store.entries()
    if as_json:
        fields = ("kind", "key", "what", "rows", "dim", "size", "complete")
        echo_json([{name: getattr(entry, name) for name in fields} for entry in entries])
        return 0
    if entries:
        _show(entries)
    echo(f"{len(entries)} entries, {_size(sum(entry.size for entry in entries))}, in {store.root}")
    return 0


@command.command("verify")
def verify() -> int:
    """Compare everything with its checksums."""
    store = _store()
    problems = store.verify()
    for entry, problem in problems:
        echo(f"damaged: {entry.kind} {entry.key[:10]} ({entry.what}): {problem}", err=True)
    halves = sum(not entry.complete for entry in store.entries())
    echo(f"{len(store.entries())} entries checked, {len(problems)} damaged, {halves} incomplete")
    if problems or halves:
        echo("`gapbench cache prune` removes these; they are encoded again when needed.")
    return 1 if problems else 0


@command.command("prune")
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
def prune(everything: bool) -> int:
    """Remove what is damaged or was left by an interrupted run."""
    store = _store()
    damaged = {entry.path for entry, _ in store.verify()}
    gone = [entry for entry in store.entries() if everything or not entry.complete or entry.path in damaged]
    for entry in gone:
        store.remove(entry)
    echo(f"removed {len(gone)} entries, {_size(sum(entry.size for entry in gone))}")
    return 0
