"""The entry point: exit codes, and errors without tracebacks. All else is imported behind its guard."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line and leave with its exit code.

    0: all well; 1: some cell failed, nothing could run, something unforeseen happened, or what was to be shown or written
    could not be; 2: usage; 3: a plugin that is named, or whose component is, is broken; 130: interrupted.
    """
    try:
        code = _exit_code()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: an interrupt while leaving changes nothing
    except KeyboardInterrupt:  # it came between the two lines above
        code = 130
    sys.exit(code)


def _exit_code() -> int:
    try:
        from gapbench.cli.console import Displays

        displays = Displays()
        code = _guarded()
        if lost := displays.finish():
            print(f"error: not everything was shown: {lost}. Files are as they should be.", file=sys.stderr)
            return code or 1
    except BaseException as error:
        from gapbench.cli.guard import told

        return told(error)
    return code


def _guarded() -> int:
    try:
        from gapbench.cli.group import run

        return run()
    except BaseException as error:
        from gapbench.cli.guard import told

        return told(error)
