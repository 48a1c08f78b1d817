"""``gapbench list``: what is registered, without importing any of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.console import echo, echo_json
from gapbench.cli.options import kind_named, plugin_options, registry_from
from gapbench.host.registry import Kind
from gapbench.specs import MODALITIES, AlignerSpec, DatasetSpec, EncoderSpec, MetricSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.host.registry import Component


@click.command("list")
@click.argument("kind", required=False, shell_complete=complete.kinds)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@plugin_options
def command(kind: str | None, as_json: bool, **options: Any) -> int:
    """List components of a KIND (encoder, dataset, prompts, aligner, metric), or of all."""
    kinds = [kind_named(kind)] if kind else list(Kind)
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    found = {kind: list(registry.components(kind).values()) for kind in kinds}
    if as_json:
        echo_json({kind: [described(c) for c in components] for kind, components in found.items()})
        return 0
    for of_kind, components in found.items():
        _show(of_kind, components)
    return 0


def described(component: Component) -> dict[str, Any]:
    """Give what a spec tells, as JSON values."""
    spec = component.spec
    found: dict[str, Any] = {
        "name": spec.name,
        "argument": spec.argument,
        "summary": spec.summary,
        "plugin": {"distribution": component.origin.distribution, "version": component.origin.version},
    }
    found["params"] = {
        name: {
            "default": p.default,
            "doc": p.doc,
            "low": p.low,
            "high": p.high,
            "choices": list(p.choices),
            "grid": list(p.grid),
        }
        for name, p in spec.params.items()
    }
    if isinstance(spec, AlignerSpec):
        found |= {"family": spec.family, "acts_on": spec.acts_on, "needs": sorted(spec.needs)}
        found |= {"stochastic": spec.stochastic, "raw": spec.raw, "common_space": spec.common_space}
        found["reference"] = spec.reference
    elif isinstance(spec, MetricSpec):
        found |= {"family": spec.family, "unit": spec.unit, "better": spec.better, "needs": sorted(spec.needs)}
        found |= {"default": spec.default, "reference": spec.reference}
    elif isinstance(spec, DatasetSpec):
        found |= {"offers": sorted(spec.offers), "splits": dict(spec.splits), "licence": spec.licence}
    if isinstance(spec, DatasetSpec | EncoderSpec) and spec.modalities != MODALITIES:
        found["modalities"] = list(spec.modalities)
    return found


def _show(kind: Kind, components: Sequence[Component]) -> None:
    """Write name, summary and details; without rich, which would take a third of the start-up."""
    import shutil

    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    echo(f"{kind} ({len(components)})", bold=True, underline=True)
    for component in components:
        spec = component.spec
        echo()
        echo(f"  {spec.name}:{spec.argument}" if spec.argument else f"  {spec.name}", bold=True)
        echo(_indented(spec.summary, width))
        for line in _details(component):
            echo(_indented(line, width), dim=True)
    echo()


def _indented(text: str, width: int) -> str:
    return click.wrap_text(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _details(component: Component) -> list[str]:
    spec = component.spec
    lines = []
    if isinstance(spec, AlignerSpec):
        lines.append(f"{spec.family}; needs {', '.join(sorted(spec.needs)) or 'nothing'}; acts on {spec.acts_on}")
        if spec.params:
            lines.append(", ".join(f"{name}={_written(p.default)}" for name, p in spec.params.items()))
        if spec.reference:
            lines.append(spec.reference)
    elif isinstance(spec, MetricSpec):
        lines.append(f"{spec.family}, {spec.unit}, {spec.better} is better")
    elif isinstance(spec, DatasetSpec):
        lines.append(f"offers {', '.join(sorted(spec.offers))}; licence: {spec.licence}")
    if component.origin.distribution != "gapbench":
        lines.append(f"from {component.origin}")
    return lines


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
