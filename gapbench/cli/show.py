"""``gapbench show``: one component in full."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.console import echo, echo_json
from gapbench.cli.list import described
from gapbench.cli.options import plugin_options, registry_from
from gapbench.errors import BrokenPluginError, PluginError, UsageError, did_you_mean
from gapbench.host.registry import Kind

if TYPE_CHECKING:
    from gapbench.host.registry import Component, Registry


@click.command("show")
@click.argument("name", shell_complete=complete.names)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@plugin_options
def command(name: str, as_json: bool, **options: Any) -> int:
    """Show all that is known of the component NAME: what it needs, its parameters, its formula and where it is from."""
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    found = _found(registry, name)
    if as_json:
        everything = [{"kind": c.kind, **described(c), "documentation": documentation(c)} for c in found]
        echo_json(everything)
    else:
        for number, component in enumerate(found):
            if number:
                echo()
            echo(f"{component.kind} {component.spec.name}", bold=True)
            echo(_written(component))
    return 0


def _found(registry: Registry, name: str) -> list[Component]:
    found = [parts[name] for kind in Kind if name in (parts := registry.components(kind))]
    if found:
        return found
    for kind in Kind:
        if broken := registry.broken_with(kind, name):
            raise BrokenPluginError(
                f"{name!r} belongs to the broken plugin {broken.origin}: {broken.cause} {broken.fix}"
            )
    close = did_you_mean(name, [known for kind in Kind for known in registry.components(kind)])
    hint = close if close.startswith(" Did") else " `gapbench list` names all there are."
    raise UsageError(f"There is no component {name!r}.{hint}")


def _written(component: Component) -> str:
    told = described(component)
    params = told.pop("params", {})
    plugin = told.pop("plugin")
    del told["name"]
    lines = [f"  {told.pop('summary')}", ""]
    told = {"from": f"{plugin['distribution']} {plugin['version']}".strip(), **told}
    width = max(map(len, told))
    for key, value in told.items():
        if value not in ("", [], {}, None):
            lines.append(f"  {key.replace('_', ' '):<{width}}  {_plain(value)}")
    if params:
        lines += ["", "  parameters"]
        for key, param in params.items():
            lines.append(f"    {key}={_plain(param['default'])}  {param['doc']} ({_allowed(param)})")
    if text := documentation(component):
        lines += ["", *(f"  {line}".rstrip() for line in text.splitlines())]
    return "\n".join(lines)


def _allowed(param: dict[str, Any]) -> str:
    ends = [param["low"], param["high"]]
    allowed = ", ".join(map(_plain, param["choices"])) or "..".join("" if end is None else f"{end:g}" for end in ends)
    grid = ", ".join(map(_plain, param["grid"]))
    return "; ".join(part for part in (allowed if allowed != ".." else "any", f"auto: {grid}" if grid else "") if part)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def documentation(component: Component) -> str:
    """Give the docstring of the implementation; empty where it cannot be imported."""
    from gapbench.host.build import load

    try:
        told = inspect.getdoc(load(component.spec.factory, component.origin)) or ""
    except PluginError as error:
        return f"(Its implementation cannot be imported: {error})"
    return re.sub(r"(?::\w+:)?(`+)([^`]*)\1", r"\2", told)  # a terminal shows no roles
