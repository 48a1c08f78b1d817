"""The entry point: a lazy group of commands, and errors without tracebacks."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from typing import Any

import click

from gapbench import __version__
from gapbench.errors import BrokenPluginError, GapbenchError, GapbenchWarning, UsageError

#: Command, module and one line of help; the module is imported when its command is called.
COMMANDS = {
    "run": ("gapbench.cli.run", "Run a benchmark: tables, leaderboard, figures."),
    "plan": ("gapbench.cli.plan", "Show what a run would do: cells, skips, what is to be encoded."),
    "list": ("gapbench.cli.list", "List encoders, datasets, prompts, aligners and metrics."),
    "show": ("gapbench.cli.show", "Show one component in full."),
    "plugins": ("gapbench.cli.plugins", "List plugins, broken ones with their cause."),
    "new": ("gapbench.cli.new", "Begin a plugin: a distribution, or one file."),
    "check": ("gapbench.cli.check", "Check that a component keeps the contract."),
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
            from gapbench.host.registry import did_you_mean

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


def main() -> None:
    """Run the command line and leave with its exit code.

    0: all well; 1: some cell failed, or nothing could run; 2: usage; 3: a requested component is in a broken plugin.
    """
    plain = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, GapbenchWarning):
            click.echo(f"warning: {message}", err=True)
        else:
            plain(message, category, *place, **more)

    warnings.showwarning = show
    try:
        code = _exit_code()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: an interrupt while leaving changes nothing
    except KeyboardInterrupt:  # it came between the two lines above
        code = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 1
    isolation = sys.modules.get("gapbench.bench.isolation")
    if isolation is not None and any(thread.is_alive() for thread in isolation.LEFT_BEHIND):
        os._exit(code)  # the interpreter would wait for the threads that plugins left behind
    sys.exit(code)


def _exit_code() -> int:
    try:
        result = cli.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was finished is kept; the same command goes on from there.", err=True)
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - nobody reads any more
        return 1
    except GapbenchError as error:
        return _told(error)
    return result if isinstance(result, int) else 0


def _told(error: GapbenchError) -> int:
    """Tell an error and give its exit code; ``--strict`` adds the traceback, and leaves usage errors their code."""
    code = 3 if isinstance(error, BrokenPluginError) else 2
    if "--strict" not in sys.argv:
        click.echo(f"error: {error}", err=True)
        return code
    import traceback

    traceback.print_exception(error)
    return code if isinstance(error, UsageError | BrokenPluginError) else 1
