"""``gapbench figures``: draw the figures of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gapbench.cli import complete
from gapbench.cli.console import echo
from gapbench.cli.options import plugin_options, registry_from
from gapbench.errors import UsageError
from gapbench.model.names import folder_below

FORMATS = ("png", "svg", "pdf")


@click.command("figures")
@click.option(
    "--study",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Whose results, in leaderboards/NAME.",
    shell_complete=complete.studies,
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the results instead.")
@click.option(
    "--format", "formats", default="png,svg", show_default=True, metavar="LIST", help="png, svg and pdf, as a list."
)
@click.option("--paper", is_flag=True, help="As wide as two columns of a paper, in small letters.")
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="DIR", help="Where to put them  [default: RESULTS/figures]"
)
@plugin_options
def command(study: str, out: Path | None, formats: str, paper: bool, to: Path | None, **options: Any) -> int:
    """Draw the figures of a run again, from its records alone. Ends with 1 where one of them could not be drawn."""
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in formats.split(",")))
    if unknown := [kind for kind in kinds if kind not in FORMATS]:
        raise UsageError(f"--format {unknown[0]!r} is not known; it is a list of {', '.join(FORMATS)}.")
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])

    from gapbench.figures.draw import draw_again
    from gapbench.figures.style import Output, failures_told, written_as

    results = out or folder_below(Path("leaderboards"), study, "The study")
    if to is not None:
        _make(to)
    with written_as(Output(formats=kinds, paper=paper)), failures_told() as failed:
        for path in draw_again(results, registry.metric_specs(), to=to):
            echo(str(path))
    for name, cause in failed:
        echo(f"error: the figure {name} could not be drawn: {cause}", err=True)
    return 1 if failed else 0


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror}). Choose another folder with --to.") from error
