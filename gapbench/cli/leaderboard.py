"""``gapbench leaderboard``: build it from its records, and check that it is what they give."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.options import plugin_options, registry_from

if TYPE_CHECKING:
    from gapbench.bench.study import Study
    from gapbench.results.verify import Verdict

#: Reasons of one row that are told; more would hide the other rows.
MOST_REASONS = 5


@click.group("leaderboard")
def command() -> None:
    """Build and verify leaderboards, each a folder with records.jsonl and the outcomes of every item."""


def _where(study: str, out: Path | None) -> tuple[Path, Study]:
    """Find the folder of a study, and the study itself where gapbench knows it."""
    from gapbench.bench.study import Study, load_study, study_names

    folder = out or Path("leaderboards") / Path(study).stem
    known = study in study_names() or study.endswith(".toml")
    return folder, load_study(study) if known else Study(name=study)


@command.command("build")
@click.argument("study")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder, if not leaderboards/STUDY.")
@plugin_options
def build_command(study: str, out: Path | None, **options: Any) -> int:
    """Write README.md, table.csv, table.tex and the figures of STUDY again, from its records alone."""
    registry = registry_from(options["plugin_files"], options["blocked"], strict=options["strict"])
    folder, found = _where(study, out)

    from gapbench.figures.draw import draw_again
    from gapbench.leaderboard.build import build

    specs = registry.metric_specs()
    drawn = draw_again(folder, specs)
    for path in [*build(folder, found, specs), *drawn]:
        click.echo(str(path))
    return 0


@command.command("verify")
@click.argument("study")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder, if not leaderboards/STUDY.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@plugin_options
def verify_command(study: str, out: Path | None, as_json: bool, **options: Any) -> int:
    """Check every record of STUDY: its id, its values against the outcomes of every item, its tests against the table.

    Then whether README.md and the tables are what the records give. Ends with 1 where anything is not.
    """
    registry = registry_from(options["plugin_files"], options["blocked"], strict=options["strict"])
    folder, found = _where(study, out)

    from gapbench.errors import DataError, UsageError
    from gapbench.leaderboard.build import RECORDS, stale
    from gapbench.results.verify import verify_records, well

    verdicts = verify_records(folder / RECORDS)
    if not verdicts:
        raise UsageError(f"{folder} has no {RECORDS} with results; run `gapbench run --out {folder}` first.")
    try:
        old = stale(folder, found, registry.metric_specs())
    except DataError:  # a damaged line has its own verdict
        old = ["README.md", "table.csv", "table.tex"]
    ok = well(verdicts) and not old
    if as_json:
        rows = [
            {"line": v.line, "name": v.name, "state": v.state, "reasons": v.reasons, "recomputed": v.checked}
            for v in verdicts
        ]
        click.echo(json.dumps({"ok": ok, "rows": rows, "stale": old}, indent=1))
    else:
        _show(folder, verdicts, old)
    return 0 if ok else 1


def _show(folder: Path, verdicts: list[Verdict], old: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    out = Console(file=sys.stdout, highlight=False)
    failed = [verdict for verdict in verdicts if verdict.reasons]
    for verdict in failed:
        out.print(f"[red]failed[/] line {verdict.line}: {escape(verdict.name)}")
        for reason in verdict.reasons[:MOST_REASONS]:
            out.print(f"  {escape(reason)}")
        if len(verdict.reasons) > MOST_REASONS:
            out.print(f"  and {len(verdict.reasons) - MOST_REASONS} more")
    for name in old:
        out.print(f"[red]stale[/] {escape(name)} is not what the records give; `gapbench leaderboard build` writes it")
    values = sum(verdict.checked for verdict in verdicts)
    resting = sorted({name for verdict in verdicts for name in verdict.resting})
    out.print(f"{escape(str(folder))}: {len(verdicts) - len(failed)} of {len(verdicts)} records verified")
    out.print(f"{values:,} values computed again from the outcomes of every item")
    if resting:
        out.print(f"not means over items, so their values are taken as told: {escape(', '.join(resting))}")
