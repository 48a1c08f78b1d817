"""An interrupt of the user ends a run; a `KeyboardInterrupt` that a plugin raises by itself is an error like others."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class _Watch(threading.local):
    """What is known of interrupts in a thread; the signal reaches the main thread alone."""

    depth = 0
    pressed = False


_watch = _Watch()


@contextlib.contextmanager
def interrupts_noticed() -> Iterator[None]:
    """Notice the signal of an interrupt, and let it do what it does otherwise."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main and not _watch.depth else None

    def notice(number: int, frame: FrameType | None) -> None:
        _watch.pressed = True
        assert callable(handler)
        handler(number, frame)

    if callable(handler):  # else a signal raises nothing here
        _watch.pressed = False
        signal.signal(signal.SIGINT, notice)
    _watch.depth += 1
    try:
        yield
    finally:
        _watch.depth -= 1
        if callable(handler) and signal.getsignal(signal.SIGINT) is notice:
            signal.signal(signal.SIGINT, handler)


def by_user(error: BaseException) -> bool:
    """Whether an error is an interrupt of the user; where nobody watches, each `KeyboardInterrupt` is taken for one."""
    return isinstance(error, KeyboardInterrupt) and (_watch.pressed or not _watch.depth)


def check_interrupt() -> None:
    """Raise `KeyboardInterrupt` where the user has interrupted, though a plugin caught it."""
    if _watch.depth and _watch.pressed:
        raise KeyboardInterrupt
