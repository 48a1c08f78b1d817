"""What commands print: text of others stays text, and a display that takes nothing costs nothing but what is shown."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

from gapbench.errors import GapbenchWarning
from gapbench.model.plain import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

#: What stands for a character that an encoding lacks; any other one becomes a question mark. All as wide as before.
LOOKS_LIKE = str.maketrans("−–—‐‑…→←↑↓×·•✓✗Δ±≤≥“”„‘’≈§", '-----.><^v*.*+xd~<>"""\'\'~S')
_REPLACED = "gapbench-lookalike"


def echo(text: object = "", *, err: bool = False, **style: Any) -> None:
    """Print a line: what steers a terminal is shown as an escape, and ``style`` is that of `click.style`."""
    click.secho(plain_text(str(text)), file=sys.stderr if err else sys.stdout, **style)


def echo_json(value: object) -> None:
    """Print JSON in ASCII."""
    click.echo(json.dumps(value, indent=1).replace("\x7f", "\\u007f"), file=sys.stdout)


def console(*, err: bool = False) -> Console:
    """Return a rich console on which all text is plain, whatever it is made of."""
    from rich.console import Console as RichConsole
    from rich.segment import Segment

    class PlainConsole(RichConsole):
        """Escapes what steers a terminal in everything that is rendered; rich's own controls and styles stay."""

        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(plain_text(text), **options)  # before widths are measured

        def render(self, renderable: Any, options: Any = None) -> Any:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(plain_text(text), style)

    return PlainConsole(file=sys.stderr if err else sys.stdout, highlight=False, emoji=False)


class Display(io.RawIOBase):
    """A file descriptor that is written to as long as that is possible; the first error is kept, and nothing raises."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Return true."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._raw.isatty()

    def write(self, data: Any, /) -> int | None:
        """Write, or do nothing where writing failed before."""
        if self.error is None:
            try:
                return self._raw.write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


class Displays:
    """Standard output and error while a command runs.

    Neither an encoding without some character nor a closed pipe or a full disk stops the command.
    """

    def __init__(self) -> None:
        codecs.register_error(_REPLACED, _lookalike)
        self._closed = sys.stdout is None
        _occupy_descriptors()
        self._out, self._err = _tolerant("stdout"), _tolerant("stderr")

    def finish(self) -> str:
        """Write out what is left; say why some of standard output is lost, or nothing.

        A reader that went away (``| head``) has seen what it wanted.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if self._closed:
            return "standard output is closed"
        error = self._out.error if self._out is not None else None
        if error is None or error.errno == errno.EPIPE:
            return ""
        return f"standard output takes no more ({error.strerror})"


def _occupy_descriptors() -> None:
    """Let no file that is opened later become standard output: what is printed would go into it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest one that is free


def _tolerant(name: str) -> Display | None:
    """Make a standard stream tolerant; None where it is not written to a file descriptor (in tests, in notebooks)."""
    stream: TextIO | None = getattr(sys, name)
    if stream is None:
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for the rest of the process
        return None
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not (isinstance(stream, io.TextIOWrapper) and isinstance(raw, io.RawIOBase) and not isinstance(raw, Display)):
        return None
    stream.flush()
    display = Display(raw)
    tolerant = io.TextIOWrapper(
        io.BufferedWriter(display),
        encoding=stream.encoding,
        errors=_REPLACED,
        line_buffering=stream.line_buffering or stream.write_through,  # standard error is shown at once, piped or not
    )
    setattr(sys, name, tolerant)
    return display


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end].translate(LOOKS_LIKE)
    return "".join(sign if sign.isascii() else "?" for sign in lost), error.end


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Show what gapbench warns of as one line, without the place in the code."""
    plain = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, GapbenchWarning):
            echo(f"warning: {message}", err=True)
        else:
            plain(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = plain
