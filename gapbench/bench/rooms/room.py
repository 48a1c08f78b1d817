"""The host's side of a room: starting it, asking it, and telling what became of it."""

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
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.bench.fitdata import block_of
from gapbench.bench.isolation import CellTimeout
from gapbench.bench.rooms.inside import KNOWN, METHODS, Hello, Job
from gapbench.bench.rooms.wire import Channel, Garbled, RoomEnded, Shared, TooLate, shared
from gapbench.errors import AlignerError, DataError, GapbenchError, PluginError, UndeclaredData
from gapbench.host.blame import Fault
from gapbench.host.build import load
from gapbench.host.imports import GAPBENCH
from gapbench.host.provenance import as_imported
from gapbench.host.registry import MODULE, OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gapbench.bench.fitdata import FitParts
    from gapbench.components import Float32
    from gapbench.host.registry import Origin
    from gapbench.host.selection import Selected
    from gapbench.model.record import ParamValue

#: Whether rooms are forked from a server; else each is a new interpreter.
FORKS = sys.platform.startswith("linux")

_SERVER = "import sys; sys.path[:] = {path!r}; from gapbench.bench.rooms.server import main; main({fd})"
_ALONE = "import sys; sys.path[:] = {path!r}; from gapbench.bench.rooms.inside import alone; alone({fd})"

#: One thread for each library: the server is forked, and a room computes as the host does.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Room:
    """A process for one aligner; a context that ends it.

    Parameters
    ----------
    selected, origins, sha256
        The aligner, all plugins of its distribution, and the hash of their code as the host has it.
    until
        When it must be done, on the monotonic clock; None: no limit.
    memory
        Largest number of bytes of its own that the process may hold; None: no limit.
    """

    def __init__(
        self,
        selected: Selected,
        origins: Sequence[Origin],
        sha256: str,
        *,
        until: float | None = None,
        memory: int | None = None,
    ) -> None:
        self.name = selected.name
        self.notes: dict[str, ParamValue] = {}
        self.printed = 0
        self.hashed = True
        self.methods: frozenset[str] = frozenset()
        self._selected = selected
        self._factory = _unfiled(selected)
        self._hello = Hello(
            path=list(sys.path),
            environ=dict(os.environ),
            folder=_folder(),
            origins=tuple(origins),
            reference=selected.component.spec.factory,
            sha256="" if self._factory is not None else sha256,
            known=as_imported(),
            memory=memory,
        )
        self._until = until
        self._channel: Channel | None = None
        self._process: _Process | _Interpreter | None = None
        self._apart = False

    def __enter__(self) -> Self:
        """Return it; the process starts with `fit`."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, whatever it does."""
        if self._channel is not None:
            if error[0] is None:
                with contextlib.suppress(RoomEnded, TooLate, Garbled, TypeError, KeyError, GapbenchError):
                    told = self._asked({"do": "end"})[0]
                    self.printed, self.hashed = int(told["printed"]), not told["unknown"]
            self._leave()

    def fit(self, parts: FitParts, rng: np.random.Generator) -> Room:
        """Build and fit the aligner on parts that its spec declares.

        Raises
        ------
        AlignerError, UndeclaredData, DataError, CellTimeout
            It could not be fitted.
        """
        job = Job(selected=self._selected, rng=rng, about=parts.about, factory=self._factory)
        self._process, connection = _start(replace(self._hello, content=_pickled(job, self.name)))
        self._channel = Channel(connection)
        answer, _ = self._asked({"do": "fit"}, parts=parts)
        try:
            self.methods = frozenset(answer["methods"]) & frozenset(METHODS)
            self.notes = {str(key): value for key, value in answer["notes"].items()}
        except (TypeError, KeyError, AttributeError) as error:
            raise self._garbled(error) from error
        return self

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let a copy answer that has mapped nothing before, if the aligner is a plugin's and its process can be forked."""
        self._apart = True
        try:
            yield
        finally:
            self._apart = False

    def __getattr__(self, name: str) -> Callable[..., NDArray[Any]]:
        """Return a method of the fitted aligner, which runs in its room."""
        if name.startswith("_") or name not in self.methods:
            raise AttributeError(name)

        def call(*arguments: Any) -> NDArray[Any]:
            arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
            more = [float(argument) for argument in arguments if not isinstance(argument, np.ndarray)]
            answer, out = self._asked({"do": name, "more": more, "apart": self._apart}, arrays)
            if "odd" in answer or len(out) != 1:
                what = answer.get("odd", "nothing")
                raise AlignerError(f"Aligner {self.name!r}: {name}() gave {what}; it must give floating-point numbers.")
            return out[0]

        return call

    def _asked(
        self, message: dict[str, Any], arrays: Sequence[Float32] = (), parts: FitParts | None = None
    ) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Ask, hand over the parts that are asked for in return, and wait for the answer."""
        assert self._channel is not None
        try:
            self._channel.send(message, arrays)
            while True:
                answer, out = self._channel.receive(self._until)
                if not isinstance(answer, dict):
                    raise Garbled("no answer")
                if "part" not in answer or parts is None:
                    break
                self._hand_over(parts, str(answer["part"]))
        except RoomEnded as error:
            raise AlignerError(
                f"Aligner {self.name!r} ended its process in {message['do']}(): {self._end(hung_up=True)}."
            ) from error
        except TooLate as error:
            self._end(hung_up=False)
            raise CellTimeout(
                f"it was still in {message['do']}() when its time was up; its process was ended"
            ) from error
        except Garbled as error:
            raise self._garbled(error) from error
        if "error" in answer:
            raise self._error(answer["error"])
        return answer, out

    def _hand_over(self, parts: FitParts, name: str) -> None:
        assert self._channel is not None
        try:
            home, inner = parts.of(name)
            arrays = _parts_of(home, inner)
        except (UndeclaredData, DataError) as error:
            self._channel.send({"error": [type(error).__name__, str(error)]})
        else:
            self._channel.send({}, arrays)

    def _error(self, told: Any) -> Exception:
        try:
            kind, text, place, traceback = (str(part) for part in told)
        except (TypeError, ValueError) as error:
            return self._garbled(error)
        raised: GapbenchError = AlignerError(f"Aligner {self.name!r} raised {Fault(text=text, place=place)}")
        if kind in KNOWN:
            raised = KNOWN[kind](text.partition(": ")[2])
        elif text.startswith("PluginError: "):
            raised = AlignerError(text.partition(": ")[2])
        raised.add_note(f"In the aligner's process:\n{traceback}")
        return raised

    def _garbled(self, error: Exception) -> AlignerError:
        return AlignerError(f"Aligner {self.name!r} sent what is no answer ({error}).")

    def _leave(self) -> None:
        """End the process without waiting for it."""
        if self._process is not None:
            assert self._channel is not None
            self._channel.close()
            self._process.leave()
            self._process, self._channel = None, None

    def _end(self, *, hung_up: bool) -> str:
        """End the process and say how it ended."""
        if self._process is None:
            return "it never began"
        if self._channel is not None:
            self._channel.close()
        process, self._process, self._channel = self._process, None, None
        return process.end(wait=hung_up)


def _parts_of(home: FitParts, name: str) -> Sequence[NDArray[Any] | Shared]:
    """Return the arrays of a part; large ones are written once for all aligners of a table, blocks are not kept."""
    if block_of(name)[1] is not None:
        return home.read(name)
    kept = home.rows_of(name).handed
    if name not in kept:
        kept[name] = tuple(shared(array) for array in home.read(name))
    return kept[name]


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as a string, whatever it is
    except FileNotFoundError:
        return "/"


def _unfiled(selected: Selected) -> Callable[..., Any] | None:
    """Return the factory of a plugin that is an object of this process, and in no file that another could import."""
    component = selected.component
    module = component.spec.factory.partition(":")[0]
    if component.origin.file or (component.origin.entry_point not in (OBJECT, MODULE) or _importable(module)):
        return None
    factory: Callable[..., Any] = load(component.spec.factory, component.origin)
    return factory


def _importable(name: str) -> bool:
    """Whether another process with the same path would import a module from the same file."""
    path, found = None, None
    for end in range(1, name.count(".") + 2):
        found = PathFinder.find_spec(".".join(name.split(".")[:end]), path)
        if found is None:
            return False
        path = found.submodule_search_locations
    return found is not None and found.origin == getattr(sys.modules.get(name), "__file__", None)


def _pickled(job: Job, name: str) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]  # it has no types

    home = None if job.factory is None else sys.modules.get(job.factory.__module__)
    by_value = home is not None and home.__name__ not in ("__main__", *cloudpickle.list_registry_pickle_by_value())
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(home)
        content: bytes = cloudpickle.dumps(job)
    except Exception as error:
        raise PluginError(
            f"Aligner {name!r} cannot be sent to a process of its own ({type(error).__name__}: {error}). Define it in a "
            "file and give that as a plugin, or run with --in-process (from Python: in_process=True)."
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(home)
    return content


# -- processes ----------------------------------------------------------------------------------------------------


class _Process:
    """A process that a server forked."""

    def __init__(self, server: _Server, pid: int) -> None:
        self._server = server
        self._pid = pid

    def end(self, *, wait: bool) -> str:
        """End it, and say how it ended; with ``wait`` it may first end by itself."""
        return _how(self._server.ask({"do": "end", "pid": self._pid, "wait": wait})["status"])

    def leave(self) -> None:
        """End it without waiting for it."""
        with contextlib.suppress(RoomEnded):
            self._server.tell({"do": "leave", "pid": self._pid})


class _Interpreter:
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


class _Server:
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

    def start(self, hello: Hello) -> tuple[_Process, socket.socket]:
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
        return _Process(self, pid), connection

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
_servers: dict[tuple[object, ...], _Server] = {}
_lock = threading.Lock()
_owner = 0


def prepare(modules: Iterable[str] = ()) -> None:
    """Start the first server where there is none yet, without waiting for it; it imports ``modules`` of gapbench's own."""
    if FORKS:
        with _lock:
            _first_server(modules)


def _start(hello: Hello) -> tuple[_Process | _Interpreter, socket.socket]:
    """Start a process for a room; servers that are gone are started again."""
    if not FORKS:
        process, connection = _spawned(_ALONE)
        Channel(connection).send(pickle.dumps(hello))
        return _Interpreter(process), connection
    try:
        return _server_for(hello).start(hello)
    except RoomEnded:
        leave()
        return _server_for(hello).start(hello)


def _server_for(hello: Hello) -> _Server:
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
            _servers[key] = _Server(first.start(replace(hello, content=b""))[1])
        return _servers[key]


def _first_server(modules: Iterable[str] = ()) -> _Server:
    global _owner  # noqa: PLW0603 - servers belong to a process: where it was forked there are none
    if _owner != os.getpid():
        _servers.clear()
        _owner = os.getpid()
    if () not in _servers:
        process, connection = _spawned(_SERVER)
        Channel(connection).send(sorted(modules))
        _servers[()] = _Server(connection, process)
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
    """Say in words how a process ended."""
    if os.WIFSIGNALED(status):
        return f"it was ended by signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"its exit code was {os.WEXITSTATUS(status)}"
