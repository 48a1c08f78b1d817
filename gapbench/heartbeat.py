"""Plain lines that tell how far long work is, where no terminal shows a bar."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain, count
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Seconds after the beginning at which a line is due, and how often one is due from then on.
FIRST, EVERY = (2.0, 5.0, 10.0), 30.0


@contextmanager
def heartbeat(
    line: Callable[[], str],
    write: Callable[[str], object],
    *,
    first: Sequence[float] = FIRST,
    every: float = EVERY,
) -> Iterator[None]:
    """Write a line now and then while the block runs, also where the work itself stands still.

    Parameters
    ----------
    line
        Return what to write; nothing is written while it is empty.
    write
        Called in a thread of its own.
    first, every
        Seconds after the beginning at which the first lines are due, and seconds between all others.
    """
    done = Event()

    def beat() -> None:
        start = monotonic()
        for due in chain(first, count(every, every)):
            if done.wait(max(0.0, start + due - monotonic())):
                return
            if text := line():
                write(text)

    thread = Thread(target=beat, name="gapbench-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
