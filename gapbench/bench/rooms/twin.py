"""A copy of a fitted aligner that has mapped nothing yet, so that it remembers nothing of the rows that were mapped."""

from __future__ import annotations

import contextlib
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gapbench.bench.rooms.wire import Channel, Garbled, RoomEnded, TooLate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gapbench.bench.fitview import Arrays

    Answer = tuple[dict[str, Any], Arrays]

#: How long it may take over a few rows. What runs in threads does not survive a fork, so that it may never answer.
_WAIT_S = 5.0


class Twin:
    """A process that was forked after the fit.

    Parameters
    ----------
    call
        Answers a request: maps rows.
    leave
        Lets go, in the new process, of what belongs to the old one.
    """

    def __init__(self, call: Callable[[dict[str, Any], list[Any]], Answer], leave: Callable[[], None]) -> None:
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            leave()
            _live(Channel(theirs), call)
        theirs.close()
        self._channel: Channel | None = Channel(ours)

    def ask(self, message: dict[str, Any], arrays: list[NDArray[Any]]) -> Answer | None:
        """Return its answer; None where it has none, say since the method cannot work in a forked process."""
        if self._channel is None:
            return None
        try:
            self._channel.send(message, arrays)
            answer, out = self._channel.receive(monotonic() + _WAIT_S)
        except (RoomEnded, TooLate, Garbled):
            self._channel.close()
            self._channel = None
            return None
        return None if "failed" in answer else (answer, tuple(out))


def _live(channel: Channel, call: Callable[[dict[str, Any], list[Any]], Answer]) -> None:
    """Answer until the room hangs up; never return into the room."""
    with contextlib.suppress(BaseException):
        while True:
            message, arrays = channel.receive()
            try:
                answer, out = call(message, arrays)
            except Exception:
                answer, out = {"failed": True}, ()
            channel.send(answer, out)
    os._exit(0)
