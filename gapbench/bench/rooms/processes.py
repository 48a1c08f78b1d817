"""Processes for rooms: forked from a server, or interpreters of their own; starting them, and telling how they ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gapbench.bench.rooms.wire import Channel, RoomEnded
from gapbench.host.imports import GAPBENCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gapbench.bench.rooms.inside import Hello

#: Whether rooms are forked from a server; else each is a new interpreter.
FORKS = sys.platform.startswith("linux")

_SERVER = "import sys; sys.path[:] = {path!r}; from gapbench.bench.rooms.server import main; main({fd})"
_ALONE = "import sys; sys.path[:] = {path!r}; from gapbench.bench.rooms.inside import alone; alone({fd})"

#: One thread for each library: the server is forked, and a room computes as the host does.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Forked:
    """A process that a server forked."""

    def __init__(self, server: Server, pid: int) -> None:
        self._server = server
        self._pid = pid

    def end(self, *, wait: bool) -> str:
        """End it, and say how it ended; with ``wait`` it may first end by itself."""
        return _how(self._server.ask({"do": "end", "pid": self._pid, "wait": wait})["status"])

    def leave(self) -> None:
        """End it without waiting for it."""
        with contextlib.suppress(RoomEnded):
            self._server.tell({"do": "leave", "pid": self._pid})


class Interpreter:
    """A process that is an interpreter of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def end(self, *, wait: bool) -> str:
        """End it, and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0 if wait else 0.0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        return _how(-code if code < 0 else code << 8)

    def leave(self) -> None:
        """End it; it is gone at once, so that waiting takes no time."""
        self.end(wait=False)


class Server:
    """A process that forks others: the first one, or one that has imported a plugin.

    Parameters
    ----------
    connection
        This end of its socket.
    process
        The process, where it is one that this process started.
    """

    def __init__(self, connection: socket.socket, process: subprocess.Popen[bytes] | None = None) -> None:
        self._process = process
        self._connection = connection
        self._channel = Channel(connection)
        self._lock = threading.Lock()
        self._ahead: socket.socket | None = None
        self._pid_ahead = 0

    def close(self) -> None:
        """Hang up: the server ends, and with it all that it has forked."""
        with self._lock:
            self._hang_up()
        if self._process is not None:
            self._process.wait()

    def tell(self, request: dict[str, Any]) -> None:
        """Send a request that has no answer."""
        with self._whole():
            self._channel.send(request)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises
        ------
        RoomEnded
            The server is gone.
        """
        with self._whole():
            self._channel.send(request)
            while True:
                answer: dict[str, Any] = self._channel.receive()[0]
                if "status" in answer:
                    return answer
                self._pid_ahead = answer["pid"]

    def start(self, hello: Hello) -> tuple[Forked, socket.socket]:
        """Return a process that was forked ahead, with this end of its socket; the next one is forked meanwhile."""
        with self._whole():
            connection, self._ahead = self._ahead or self._fork(), None
            try:
                pid = self._pid_ahead or self._channel.receive()[0]["pid"]
                self._pid_ahead = 0
                Channel(connection).send(pickle.dumps(hello))
                self._ahead = self._fork()
            except BaseException:
                connection.close()
                raise
        return Forked(self, pid), connection

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Let one request through; where it is cut off, say by an interrupt, hang up: answers would no longer fit."""
        with self._lock:
            try:
                yield
            except BaseException:
                self._hang_up()
                raise

    def _hang_up(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
        self._connection.close()

    def _fork(self) -> socket.socket:
        """Have a process forked, without waiting for it; the answer is the next thing to be received."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._channel.send({"do": "start"})
                socket.send_fds(self._connection, [b"f"], [theirs.fileno()])
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise RoomEnded(str(error)) from error
            raise
        return ours


#: The servers of this process: the first one under an empty key, and those that have imported a plugin.
_servers: dict[tuple[object, ...], Server] = {}
_lock = threading.Lock()
_owner = 0


def prepare(modules: Iterable[str] = ()) -> None:
    """Start the first server where there is none yet, without waiting for it; it imports ``modules`` of gapbench's own."""
    if FORKS:
        with _lock:
            _first_server(modules)


def start(hello: Hello) -> tuple[Forked | Interpreter, socket.socket]:
    """Start a process for a room; servers that are gone are started again."""
    if not FORKS:
        process, connection = _spawned(_ALONE)
        Channel(connection).send(pickle.dumps(hello))
        return Interpreter(process), connection
    try:
        return _server_for(hello).start(hello)
    except RoomEnded:
        leave()
        return _server_for(hello).start(hello)


def _server_for(hello: Hello) -> Server:
    """Return the server that has imported what the aligner of a room lies in."""
    with _lock:
        first = _first_server()
        if hello.origins[0].distribution == GAPBENCH or not hello.sha256:
            return first
        of = (hello.origins[0].distribution, hello.reference.partition(":")[0])
        key = (*of, hello.sha256, tuple(sorted(hello.known.get(of[0], {}).items())), tuple(hello.path))
        if key not in _servers:
            for old in [known for known in _servers if known[:2] == of]:  # it has imported what was there before
                _servers.pop(old).close()
            _servers[key] = Server(first.start(replace(hello, content=b""))[1])
        return _servers[key]


def _first_server(modules: Iterable[str] = ()) -> Server:
    global _owner  # noqa: PLW0603 - servers belong to a process: where it was forked there are none
    if _owner != os.getpid():
        _servers.clear()
        _owner = os.getpid()
    if () not in _servers:
        process, connection = _spawned(_SERVER)
        Channel(connection).send(sorted(modules))
        _servers[()] = Server(connection, process)
    return _servers[()]


@atexit.register
def leave() -> None:
    """Let all servers of this process end; the next room starts new ones."""
    with _lock:
        if _owner == os.getpid():
            for server in reversed(_servers.values()):
                server.close()
        _servers.clear()


def _spawned(code: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start an interpreter with one end of a socket, in a session of its own, and return this end."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-c", code.format(path=sys.path, fd=theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
            start_new_session=True,
        )
    return process, ours


def _how(status: int) -> str:
    """Return in words how a process ended."""
    if os.WIFSIGNALED(status):
        return f"it was ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"its exit code was {os.WEXITSTATUS(status)}"
