"""Calling what runs in the host's own process, and keeping quiet what is printed."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from gapbench.errors import GapbenchError, PluginError
from gapbench.host.interrupts import by_user
from gapbench.host.streams import output_kept, printing_to_stderr
from gapbench.host.unchanged import unchanged
from gapbench.host.validate import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.host.selection import Selected


class CellTimeout(GapbenchError):  # noqa: N818 - becomes the status "timeout"
    """A cell took longer than it may."""


class Quiet(io.TextIOBase):
    """Takes what is printed, counts it and keeps none of it."""

    def __init__(self) -> None:
        self.characters = 0

    def writable(self) -> bool:
        """Say that one may print."""
        return True

    def write(self, text: str) -> int:
        """Count and forget."""
        self.characters += len(text)
        return len(text)


@contextlib.contextmanager
def calling(selected: Selected) -> Iterator[None]:
    """Turn whatever an encoder, a dataset or a prompt strategy raises into a `PluginError` with its name."""
    try:
        with printing_to_stderr(), unchanged(selected.component):
            yield
    except GapbenchError:
        raise
    except BaseException as error:
        if by_user(error):
            raise
        component = selected.component
        raise PluginError(
            f"{component.kind.capitalize()} {selected.name!r} ({component.origin}) raised {describe(error)}."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[Quiet]:
    """Keep what a plugin prints away from the terminal."""
    sink = Quiet()
    with output_kept(shown=False), contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield sink
