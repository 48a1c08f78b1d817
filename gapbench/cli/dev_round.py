"""One round of ``gapbench dev``: the conformance suite, then a small run, each in a few lines."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gapbench.cli.console import console
from gapbench.cli.options import registry_from
from gapbench.host.registry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from gapbench.api import Results
    from gapbench.host.registry import Component
    from gapbench.leaderboard.table import Row, Table
    from gapbench.specs import MetricSpec
    from gapbench.testing.checks import Outcome

#: What is run: captions that ``identity`` is far from reading well, and class prompts.
CHOSEN: dict[str, Any] = {"encoders": "mini-clip", "datasets": "color-digits", "prompts": ["captions", "photo"]}
METRICS = ("top1", "i2t-recall@1", "centroid-l2", "rmg")

#: What a metric is tried on, beside ``identity``: a map that is fitted, and one that destroys everything.
TRIED = ("procrustes", "random-rotation")

#: Seconds after which one cell is given up.
TIMEOUT = 60.0


def one_round(file: Path, *, plugins: Sequence[Path], no_plugin: Sequence[str], strict: bool) -> int:
    """Check and run what a file registers, show what came of it, and return the exit code."""
    out = console()
    begun = time.perf_counter()
    registry = registry_from([file, *plugins], no_plugin, strict=strict)
    own = [
        component
        for plugin in registry.plugins
        if plugin.origin.file == str(file.resolve())
        for component in plugin.components
    ]
    if not own:
        out.print(Text(f"{file} registers nothing: its hooks return no spec.", style="bold red"))
        return 1
    whole = [_check(component, file, out) for component in own]
    checked = time.perf_counter()
    ran = [
        _run(
            aligners, protocol, own, out, {"plugins": [file, *plugins], "no_plugin": list(no_plugin), "strict": strict}
        )
        for aligners, protocol in _runs(own)
    ]
    if not ran:
        for component in own:
            out.print(Text(f"to run it: {_how(component, file)}", style="dim"))
    took = f"{checked - begun:.1f} s of checks, {time.perf_counter() - checked:.1f} s of running"
    out.print(Text(took, style="dim"))
    return 0 if all(whole) and all(ran) else 1


def _check(component: Component, file: Path, out: Console) -> bool:
    """Run the conformance suite, show what failed, and say whether all is well."""
    name = f"{component.kind} {component.spec.name}"
    if component.spec.argument:
        member = shlex.quote(f"{component.spec.name}:{component.spec.argument}")
        words = f"gapbench check {component.kind} {member} --plugin {shlex.quote(str(file))}"
        out.print(Text(f"{name}: it needs an argument, so it is not checked here: {words}", style="dim"))
        return True

    from gapbench.bench.isolation import quiet
    from gapbench.testing.checks import check_component, subject_of

    with console(err=True).status(f"checking {name}"), quiet():
        outcomes = list(check_component(subject_of(component)))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    ran = [outcome for outcome in outcomes if outcome.status != "skipped"]
    passed = len(ran) - len(failed)
    told = f"{passed} of {len(ran)} checks passed" if ran else "no check could run, so nothing is known"
    well = bool(ran) and not failed
    out.print(Text(f"{name}: {told}", style="green" if well else "bold red"))
    _show_failed(failed, out)
    return well


def _show_failed(failed: Sequence[Outcome], out: Console) -> None:
    """Tell each reason once: one mistake fails many checks."""
    reasons: dict[str, list[Outcome]] = {}
    for outcome in failed:
        reasons.setdefault(outcome.reason, []).append(outcome)
    for reason, outcomes in reasons.items():
        more = f" (and {len(outcomes) - 1} more checks)" if len(outcomes) > 1 else ""
        out.print(Text(f"  ✗ {outcomes[0].check.name}{more}", style="bold red"))
        out.print(Text(f"      {reason}"))
        if not more:
            out.print(Text(f"      wanted: {outcomes[0].check.doc}", style="dim"))


def _runs(own: Sequence[Component]) -> Iterator[tuple[list[str], str]]:
    """Return the aligners of each run with its protocol; where there are metrics alone, aligners to try them on."""
    from gapbench.bench.plan import TRANSDUCTIVE
    from gapbench.specs import AlignerSpec

    specs = [part.spec for part in own if isinstance(part.spec, AlignerSpec) and not part.spec.argument]
    for protocol in ("held-out", "transductive"):
        names = [spec.name for spec in specs if bool(spec.needs & TRANSDUCTIVE) == (protocol == "transductive")]
        if names:
            yield names, protocol
    if not specs and _names(own, Kind.METRIC):
        yield list(TRIED), "held-out"


def _names(own: Sequence[Component], kind: Kind) -> list[str]:
    return [part.spec.name for part in own if part.kind is kind and not part.spec.argument]


def _run(aligners: list[str], protocol: Any, own: Sequence[Component], out: Console, options: dict[str, Any]) -> bool:
    """Run aligners against ``identity``, show their rows, and say whether all of them have one."""
    from gapbench.api import run

    metrics = _names(own, Kind.METRIC)
    with console(err=True).status("running (the first time, pictures are encoded)"):
        results = run(
            **CHOSEN,
            aligners=["identity", *aligners],
            metrics=[*METRICS, *metrics],
            protocol=protocol,
            timeout=TIMEOUT,
            **options,
        )
    shown = [table for table in results.tables if any(row.label in aligners for row in table.rows)]
    for table in shown:
        _show(table, _names(own, Kind.ALIGNER), metrics, results, out)
    for what, why in (*results.skipped, *results.failures):
        out.print(Text(f"not run: {what}: {why}"))
    return bool(shown) and not results.failed and not results.failures


def _show(table: Table, aligners: Sequence[str], metrics: Sequence[str], results: Results, out: Console) -> None:
    from gapbench.leaderboard.terminal import print_table

    print_table(out, table, results.metrics)
    for name in metrics:
        if name in table.metrics:
            out.print(Text(f"  {_values(table, name, results.metrics[name])}"))
    for row in table.rows:
        if row.label in aligners and row.ok:
            out.print(Text(f"  {row.label}: {_verdict(row, table.primary, results)}", style="bold"))


def _values(table: Table, metric: str, spec: MetricSpec) -> str:
    """Write a metric of the file for every row: the table has room for some metrics only."""
    from gapbench.leaderboard.text import difference, heading, is_share, number

    share = is_share(metric, spec)
    parts = []
    for row in table.rows:
        if (value := row.values.get(metric)) is not None:
            change = difference(value, share=share)
            parts.append(f"{row.label} {number(value.value, share=share)}{f' ({change})' if change else ''}")
    return f"{heading(metric, spec)}: {', '.join(parts)}"


def _verdict(row: Row, metric: str, results: Results) -> str:
    """Write in words what the mark of a row says: whether it differs from ``identity`` by more than noise."""
    from gapbench.leaderboard.text import improves

    value = row.values.get(metric)
    if value is None or value.delta is None:
        return f"no {metric}"
    if not value.significant:
        return f"differs from identity by no more than noise ({metric})"
    better = improves(row, metric, results.metrics)
    return f"{'better' if better else 'worse'} than identity by more than noise ({metric})"


def _how(component: Component, file: Path) -> str:
    """Write the command that shows a component at work."""
    from gapbench.scaffold import TRY_IT

    name, argument = component.spec.name, component.spec.argument
    words = TRY_IT[component.kind].format(name=shlex.quote(f"{name}:{argument}") if argument else name)
    return f"{words} --plugin {shlex.quote(str(file))}"
