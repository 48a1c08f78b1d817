"""``gapbench check``: the conformance suite of a kind, on one component."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.console import console, echo_json
from gapbench.cli.options import data_options, kind_named, plugin_options, registry_from
from gapbench.errors import UsageError
from gapbench.host.selection import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from gapbench.testing.checks import Outcome, Subject

MARKS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "expected failure": ("~", "yellow"),
    "skipped": ("–", "dim"),
}


@click.command("check")
@click.argument("kind", shell_complete=complete.kinds)
@click.argument("name", shell_complete=complete.names, required=False, metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@data_options
@plugin_options
def command(kind: str, name: str | None, as_json: bool, data_root: Path | None, **options: Any) -> int:
    """Check that a component of KIND (encoder, dataset, prompts, aligner, metric) keeps the contract.

    NAME is written as everywhere: a name, a glob, or a family with its argument. Ends with 1 where a check fails, or where
    none could run. What could not be tried is named at the end.
    """
    of_kind = kind_named(kind)
    if name is None:
        raise UsageError(f"Which {of_kind}? Write gapbench check {of_kind} NAME; `gapbench list {of_kind}` lists them.")
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    chosen = select(registry, of_kind, [name])

    from gapbench.bench.isolation import quiet
    from gapbench.testing.checks import Subject, check_component, offline_context

    out, err = console(), console(err=True)
    results: list[tuple[Subject, list[Outcome]]] = []
    for selected in chosen:
        subject = Subject(selected, offline_context(data_root))
        outcomes: list[Outcome] = []
        with err.status(f"checking {subject.name}") as status:
            checking = check_component(subject)
            while True:
                with quiet():
                    outcome = next(checking, None)
                if outcome is None:
                    break
                outcomes.append(outcome)
                status.update(f"checking {subject.name}: {outcome.check.name}")
        results.append((subject, outcomes))
        if not as_json:
            _show(out, subject, outcomes)
    if as_json:
        echo_json([_described(*result) for result in results])
    return 0 if all(_well(outcomes) for _, outcomes in results) else 1


def _well(outcomes: Sequence[Outcome]) -> bool:
    """Whether something ran and nothing failed."""
    ran = [outcome for outcome in outcomes if outcome.status != "skipped"]
    return bool(ran) and all(outcome.status != "failed" for outcome in ran)


def _show(out: Console, subject: Subject, outcomes: Sequence[Outcome]) -> None:
    from rich.text import Text

    out.print(Text(f"{subject.name} ({subject.selected.component.origin})", style="bold"))
    told: set[str] = set()
    for outcome in outcomes:
        mark, style = MARKS[outcome.status]
        out.print(Text(f"  {mark} {outcome.check.name}", style=style))
        if outcome.status == "failed" and _cause(outcome) in told:
            continue
        told.add(_cause(outcome))
        if outcome.reason and outcome.status != "skipped":
            out.print(Text(f"      {outcome.reason}", style="" if outcome.status == "failed" else "dim"))
        if outcome.status == "failed":
            others = [one.check.name for one in outcomes if one is not outcome and _same_failure(one, outcome)]
            if others:
                out.print(Text(f"      for the same cause fail: {', '.join(others)}"))
            out.print(Text(f"      wanted: {outcome.check.doc}", style="dim"))
    out.print(Text(_summary(outcomes), style="green" if _well(outcomes) else "bold red"))
    for reason, names in _not_tried(outcomes).items():
        out.print(Text(f"not tried ({reason}): {', '.join(names)}", style="yellow"))


def _cause(outcome: Outcome) -> str:
    """Return why a check failed without the numbers, which differ between checks that fail for one cause."""
    return re.sub(r"[-+\d.]+(e[-+]?\d+)?", "#", outcome.reason)


def _same_failure(one: Outcome, other: Outcome) -> bool:
    return one.status == other.status == "failed" and _cause(one) == _cause(other)


def _not_tried(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Name the promises that could not be tried, by the reason."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status == "skipped":
            found.setdefault(outcome.reason, []).append(outcome.check.name)
    return found


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in MARKS}
    ran = len(outcomes) - counts["skipped"]
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{ran} of {len(outcomes)} checks ran: {told}" if ran else "No check could run, so nothing is known."


def _described(subject: Subject, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "kind": subject.selected.component.kind,
        "name": subject.selected.name,
        "distribution": subject.selected.component.origin.distribution,
        "ok": _well(outcomes),
        "not_tried": _not_tried(outcomes),
        "checks": [
            {"name": outcome.check.name, "status": outcome.status, "reason": outcome.reason} for outcome in outcomes
        ],
    }
