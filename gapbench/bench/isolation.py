"""What a cell may not do to the others: print over them, run for ever, leave threads behind."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from typing import TYPE_CHECKING

from gapbench.errors import GapbenchError, PluginError
from gapbench.host.validate import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

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
        yield
    except (GapbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        component = selected.component
        raise PluginError(
            f"{component.kind.capitalize()} {selected.name!r} ({component.origin}) raised {describe(error)}."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[Quiet]:
    """Keep what a plugin prints away from the terminal."""
    sink = Quiet()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield sink


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `CellTimeout` after some seconds, at the next step of Python code.

    Uses an alarm signal, so it works in the main thread of a process on POSIX; elsewhere there is no limit.
    """
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise CellTimeout(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def no_threads_left(what: str) -> Iterator[None]:
    """Raise `PluginError` where threads that were started inside are still running at the end.

    A thread cannot be stopped from outside; it is named, and the process ends without waiting for it.
    """
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]
    if left:
        LEFT_BEHIND.extend(left)
        names = ", ".join(thread.name for thread in left)
        raise PluginError(f"{what} left {len(left)} thread(s) running ({names}); join them before you return.")


#: Threads that plugins left behind: the interpreter would wait for them for ever.
LEFT_BEHIND: list[threading.Thread] = []
