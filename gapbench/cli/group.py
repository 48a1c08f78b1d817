"""The group of commands: each a module that is imported only when it is called."""

from __future__ import annotations

import importlib
import io

import click

from gapbench import __version__
from gapbench.cli.console import echo, shown_warnings
from gapbench.host.interrupts import interrupts_noticed

#: Command, module and one line of help; the module is imported when its command is called.
COMMANDS = {
    "run": ("gapbench.cli.run", "Run a benchmark: tables, leaderboard, figures."),
    "plan": ("gapbench.cli.plan", "Show what a run would do: cells, skips, what is to be encoded."),
    "embed": ("gapbench.cli.embed", "Write what an encoder makes of a dataset as an embedding file."),
    "list": ("gapbench.cli.list", "List encoders, datasets, prompts, aligners and metrics."),
    "show": ("gapbench.cli.show", "Show one component in full."),
    "plugins": ("gapbench.cli.plugins", "List plugins, broken ones with their cause."),
    "new": ("gapbench.cli.new", "Begin a plugin: a distribution, or one file."),
    "check": ("gapbench.cli.check", "Check that a component keeps the contract."),
    "dev": ("gapbench.cli.dev", "Watch a plugin's file: check it and run it at each save."),
    "leaderboard": ("gapbench.cli.leaderboard", "Build a leaderboard from its records, or verify it."),
    "cache": ("gapbench.cli.cache", "List, verify or prune the stored embeddings."),
    "figures": ("gapbench.cli.figures", "Draw the figures of a run again."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports them on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in their order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which command may be meant where there is none of that name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from gapbench.errors import did_you_mean

            raise click.UsageError(f"There is no command {name!r}.{did_you_mean(name, COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gapbench")
def cli() -> None:
    """Does closing the modality gap of a CLIP-like dual encoder help, and by how much more than noise?

    Begin with `gapbench run`: it needs no network and no data, and takes less than a minute.
    """


def run() -> int:
    """Run the command that the command line names, and return its exit code; what goes wrong there is raised."""
    with shown_warnings(), interrupts_noticed():
        return _run()


def _run() -> int:
    try:
        result = cli.main(prog_name="gapbench", standalone_mode=False)
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        text = io.StringIO()
        error.show(file=text)
        echo(text.getvalue().rstrip("\n"), err=True)
        return 2
    return result if isinstance(result, int) else 0
