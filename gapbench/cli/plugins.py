"""``gapbench plugins``: every plugin, working or broken; it works whatever is broken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.console import console, echo_json
from gapbench.cli.options import plugin_options

if TYPE_CHECKING:
    from rich.text import Text

    from gapbench.host.registry import Broken, Origin, Plugin, Registry


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@plugin_options
def command(as_json: bool, **options: Any) -> int:
    """List plugins with version, origin, hooks and components; broken ones with cause and remedy.

    Ends with 3 where one that --plugin names is broken.
    """
    from gapbench.host.discovery import discover

    registry = discover(plugin_files=options["plugins"], blocked=options["no_plugin"], strict=options["strict"])
    if as_json:
        found = [_described(plugin) for plugin in registry.plugins] + [_mourned(broken) for broken in registry.broken]
        echo_json(found)
    else:
        _show(registry)
    return 3 if any(broken.origin.named for broken in registry.broken) else 0


def _described(plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.origin.distribution,
        "version": plugin.origin.version,
        "entry_point": plugin.origin.entry_point,
        "module": plugin.origin.module,
        "state": "ok",
        "hooks": list(plugin.hooks),
        "components": [{"kind": c.kind, "name": c.spec.name} for c in plugin.components],
    }


def _mourned(broken: Broken) -> dict[str, Any]:
    return {
        "distribution": broken.origin.distribution,
        "version": broken.origin.version,
        "entry_point": broken.origin.entry_point,
        "module": broken.origin.module,
        "state": "broken",
        "stage": broken.stage,
        "cause": broken.cause,
        "fix": broken.fix,
    }


def _show(registry: Registry) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    grid.add_column("plugin", overflow="fold", max_width=30)
    grid.add_column("brings", overflow="fold")
    for plugin in registry.plugins:
        counts = Counter(component.kind for component in plugin.components)
        names = ", ".join(component.spec.name for component in plugin.components)
        summary = ", ".join(
            f"{count} {kind}{'' if count == 1 or kind.endswith('s') else 's'}" for kind, count in counts.items()
        )
        hooks = ", ".join(plugin.hooks)
        grid.add_row(_where(plugin.origin), Text(summary).append(f"\n{names}\n{hooks}", style="dim"))
    for broken in registry.broken:
        grid.add_row(
            Text("broken: ", style="bold red").append_text(_where(broken.origin)),
            Text(broken.cause).append(f"\n{broken.fix}", style="dim"),
        )
    console().print(grid)


def _where(origin: Origin) -> Text:
    """Distribution and version, and below them the entry point."""
    from rich.text import Text

    return Text(str(origin), style="bold").append(f"\n{origin.entry_point} = {origin.module}", style="not bold dim")
