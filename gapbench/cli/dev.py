"""``gapbench dev``: check and run a plugin's file at each save."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.console import echo
from gapbench.cli.options import plugin_options
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gapbench.host.imports import Stamp

#: How often files are looked at, and how long a round that is interrupted may take to end by itself.
POLL_S, GRACE_S = 0.2, 5.0


@click.command("dev")
@click.argument("file", metavar="FILE.py", shell_complete=complete.paths())
@click.option("--once", is_flag=True, help="One round, with the exit code of check and run.")
@click.option(
    "--watched", is_flag=True, hidden=True
)  # a round of one that watches: where that ends it, it says nothing
@plugin_options
def command(file: str, *, once: bool, watched: bool, **options: Any) -> int:
    """Check the components of FILE.py and run them against identity, now and at each save of it or of what it imports
    from beside it.

    A round takes a few seconds: the conformance suite, then aligners and metrics on color-digits, fitted and scored once.
    It runs in a process of its own, and keeps no results. Ctrl-C ends the watching.
    """  # noqa: D205 - click joins the lines
    from gapbench.model.values import File, Unfit

    try:
        path = File().check(file)
    except Unfit as error:
        raise UsageError(f"FILE.py {error}.") from None
    if not path.is_file():
        raise UsageError(f"There is no plugin file {file!r}. Check the path, or begin one: gapbench new --single-file.")
    if not (once or watched):
        return _watch([path, *options["plugins"]], [file, *_written(options)])
    from gapbench.cli.dev_round import one_round

    try:
        return one_round(path, **options)
    except KeyboardInterrupt:
        if watched:
            return 130
        raise


def _written(options: dict[str, Any]) -> list[str]:
    """Write the options of plugins as words of a command line."""
    from gapbench.model.request import OPTIONS

    return [
        word
        for name in ("plugins", "no_plugin", "strict")
        for word in OPTIONS[name].values.words(OPTIONS[name].flag, options[name])
    ]


def _watch(files: Sequence[Path], words: Sequence[str]) -> int:
    """Start a round whenever something has changed; a save while one runs ends it, and begins another."""
    seen: dict[Path, Stamp] | None = None
    running: subprocess.Popen[bytes] | None = None
    try:
        while True:
            now = _stamps(files)
            if now != seen and all(
                file.is_file() for file in files
            ):  # some editors take a file away while they save it
                if running is not None:
                    _end(running)
                    echo("saved again: this round is left off")
                seen = now
                echo(f"\n{time.strftime('%H:%M:%S')} {files[0]}", bold=True)
                running = _start(words)
            if running is not None and running.poll() is not None:
                running = None
                echo(f"watching {len(now)} {'file' if len(now) == 1 else 'files'}; Ctrl-C ends it", dim=True)
            sys.stdout.flush()  # it may be a pipe
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return 0
    finally:
        if running is not None:
            _end(running)


def _stamps(files: Sequence[Path]) -> dict[Path, Stamp]:
    """Return what changes with each save: of the files, and of what they import from beside them."""
    from gapbench.host.imports import stamp
    from gapbench.host.provenance import files_of

    return {path: stamp(path) for file in files for path in files_of(file)}


def _start(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a round; out of reach of the terminal's Ctrl-C, so that one process alone decides when it ends."""
    # As this process was started: `python -m` finds what lies in the working folder, and the command does not.
    safe = [] if getattr(sys.modules["__main__"], "__spec__", None) is not None else ["-P"]
    command = [sys.executable, *safe, "-m", "gapbench", "dev", "--watched", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=os.name == "posix")  # noqa: S603 - no shell


def _end(running: subprocess.Popen[bytes]) -> None:
    """End a round: it is interrupted, so that it tidies up, and killed where it does not heed that."""
    if os.name == "posix":
        running.send_signal(signal.SIGINT)
    else:
        running.terminate()
    try:
        running.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
