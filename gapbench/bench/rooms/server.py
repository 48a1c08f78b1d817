"""The server that rooms are forked from: it has what built-in code imports, and never ran a parallel region.

OpenMP does not survive a fork of a process that used it, and the host did. A fork of this process costs some milliseconds;
a new interpreter with NumPy, SciPy and FAISS half a second. A server of a plugin's own is forked from the first one and
imports the plugin once, so that its rooms need not.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from gapbench.bench.rooms.wire import Channel, RoomEnded

if TYPE_CHECKING:
    from collections.abc import Callable

#: What built-in components import when they run.
PRELOADED = (
    "numpy.random", "scipy.linalg", "scipy.optimize", "scipy.sparse.csgraph", "faiss", "cloudpickle",
    "gapbench.host.selection",
)  # fmt: skip

#: How long a process that hung up may take to end by itself.
_GRACE_S = 1.0


def main(fd: int) -> None:
    """Run the first server, which the host starts; ``fd`` is its end of a socket.

    The first message names modules of the host's own that are imported before anything is forked.
    """
    import importlib

    from threadpoolctl import threadpool_limits

    from gapbench.bench.rooms import inside
    from gapbench.host.provenance import gapbench_code

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=fd)
    try:
        modules, _ = Channel(connection).receive()
    except RoomEnded:
        return
    for name in (*PRELOADED, *modules):
        importlib.import_module(name)
    threadpool_limits(limits=1)  # as in the host, so that sums are formed in the same order
    gapbench_code()  # it is the same in all rooms
    gc.freeze()  # what is here stays: a room's collector need not touch, and so copy, these pages
    serve(connection, inside.live)


def serve(connection: socket.socket, live: Callable[[socket.socket], None]) -> None:
    """Fork a process for each request, and say how it ended; ends with the connection."""
    control = Channel(connection)
    children: set[int] = set()
    while True:
        try:
            request, _ = control.receive()
            if request["do"] == "start":
                pid = _forked(connection, live)
                children.add(pid)
                control.send({"pid": pid})
            elif request["do"] == "leave":
                if request["pid"] in children:
                    _kill(request["pid"])  # nobody waits for it
            else:
                children.discard(request["pid"])
                control.send({"status": _ended(request["pid"], wait=request["wait"])})
        except RoomEnded:  # the host is gone, maybe in the middle of a request
            for pid in children:
                _kill(pid)
            os._exit(0)
        children -= _gone(children)


def _forked(connection: socket.socket, live: Callable[[socket.socket], None]) -> int:
    """Fork a process that talks to the host over the socket that comes next, and return its number."""
    try:
        files = socket.recv_fds(connection, 1, 1)[1]
    except OSError as error:
        raise RoomEnded(str(error)) from error
    if not files:
        raise RoomEnded
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(files[0], live)
    os.close(files[0])
    return pid


def _become(fd: int, live: Callable[[socket.socket], None]) -> None:
    """Be the new process, in a session of its own; never return into the server."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        live(socket.socket(fileno=fd))
    except RoomEnded:  # it was forked ahead, and is not needed any more
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _ended(pid: int, *, wait: bool) -> int:
    """End a process with all that it started, and return its wait status; one that hung up is let end by itself."""
    until = time.monotonic() + (_GRACE_S if wait else 0)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done or time.monotonic() >= until:
            break
        time.sleep(0.002)
    _kill(pid)
    if not done:
        status = os.waitpid(pid, 0)[1]
    return status


def _gone(children: set[int]) -> set[int]:
    """Return those that have ended, so that none is left as a zombie."""
    return {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0]}


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
