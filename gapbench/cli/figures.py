"""``gapbench figures``: draw the figures of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gapbench.cli.options import plugin_options, registry_from


@click.command("figures")
@click.option(
    "--study", default="local", show_default=True, metavar="NAME", help="Whose results, in leaderboards/NAME."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder of the results instead.")
@plugin_options
def command(study: str, out: Path | None, **options: Any) -> int:
    """Draw the figures of a run again, from its records alone."""
    registry = registry_from(options["plugin_files"], options["blocked"], strict=options["strict"])

    from gapbench.figures.draw import draw_again

    for path in draw_again(out or Path("leaderboards") / study, registry.metric_specs()):
        click.echo(str(path))
    return 0
