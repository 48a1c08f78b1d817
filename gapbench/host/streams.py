"""Standard output belongs to gapbench: what a plugin writes there, past Python even, goes elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT, ERR = 1, 2


class _Diverted:
    """What is known of the diversion of this process: there is one at a time, and inner ones change nothing."""

    lock = threading.Lock()
    depth = 0
    kept: int | None = None
    streams: tuple[Any, ...] = ()


@contextlib.contextmanager
def output_kept(*, shown: bool) -> Iterator[None]:
    """Let what is written to the descriptor of standard output meanwhile go to standard error if ``shown``, else nowhere."""
    with _Diverted.lock:
        _Diverted.depth += 1
        if _Diverted.depth == 1:
            _divert(shown=shown)
    try:
        yield
    finally:
        with _Diverted.lock:
            _Diverted.depth -= 1
            if _Diverted.depth == 0:
                _restore()


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Let what is printed meanwhile go to standard error: it must not get into a command's output (JSON, say)."""
    with output_kept(shown=True), contextlib.redirect_stdout(sys.stderr):
        yield


def _divert(*, shown: bool) -> None:
    _Diverted.streams = (sys.stdout, sys.__stdout__)
    _flush()
    with contextlib.suppress(OSError):  # there may be no standard output
        _Diverted.kept = os.dup(OUT)
        if shown:
            os.dup2(ERR, OUT)
        else:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, OUT)
            os.close(nowhere)


def _restore() -> None:
    _flush()
    if _Diverted.kept is not None:
        os.dup2(_Diverted.kept, OUT)
        os.close(_Diverted.kept)
        _Diverted.kept = None


def _flush() -> None:
    """Write out what waits in buffers, C's among them: else it would go where the descriptor leads next."""
    for stream in (*_Diverted.streams, sys.__stdout__):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
            stream.flush()
    import ctypes  # which most commands do without

    with contextlib.suppress(AttributeError, OSError, TypeError):  # not on Windows
        ctypes.CDLL(None).fflush(None)
