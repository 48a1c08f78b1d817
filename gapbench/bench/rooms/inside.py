"""What runs in a room: one aligner that is fitted and maps rows, with the process all to itself."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitview import About, FitView
from gapbench.bench.isolation import quiet
from gapbench.bench.notes import plain_notes
from gapbench.bench.rooms import server
from gapbench.bench.rooms.twin import Twin
from gapbench.bench.rooms.wire import NUMBERS, Channel
from gapbench.errors import DataError, UndeclaredData
from gapbench.host.blame import Fault, fault_of
from gapbench.host.build import build, load
from gapbench.host.discovery import load_file
from gapbench.host.imports import GAPBENCH, watched
from gapbench.host.provenance import adopt, code_of, imported, unknown

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from gapbench.bench.fitview import Arrays
    from gapbench.host.imports import Stamp
    from gapbench.host.registry import Origin
    from gapbench.host.selection import Selected

#: Methods of an aligner that the host may call once it is fitted.
METHODS = ("images", "texts", "text_bias", "image_bias", "scores", "text_scores", "fused")

#: Errors of the host's that an aligner gets to see as they are.
KNOWN = {error.__name__: error for error in (UndeclaredData, DataError)}


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a room, or a server of a plugin's own, starts with.

    Parameters
    ----------
    path, environ, folder
        Where modules are found, the environment, and the working folder: as in the host.
    origins
        The plugin that the aligner belongs to.
    factory
        What its aligner is built by, where that is in no file.
    sha256
        Of the plugin's code as the host has it; empty where it has no hash.
    reference
        What the spec names as the factory.
    known
        The files of all plugins, as the host has imported them.
    content
        The rest, pickled, for a room; empty for a server.
    memory
        Largest number of bytes of its own that the process may hold.
    """

    path: list[str]
    environ: dict[str, str]
    folder: str
    origins: tuple[Origin, ...]
    reference: str
    sha256: str
    known: dict[str, dict[Path, Stamp]]
    content: bytes = b""
    memory: int | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """An aligner to build and fit: which, with what generator, and what it may know of its data."""

    selected: Selected
    rng: np.random.Generator
    about: About
    factory: Callable[..., Any] | None = None


def alone(fd: int) -> None:
    """Live in an interpreter that was started for this."""
    import socket

    live(socket.socket(fileno=fd))


def live(connection: socket.socket) -> None:
    """Wait for a hello, and live as what it says."""
    pickle.loads(pickle.dumps(np.random.default_rng(0)))  # noqa: S301 - what the first use costs is paid while waiting
    told: Hello = pickle.loads(Channel(connection).receive()[0])  # noqa: S301 - the host wrote it
    sys.path[:] = told.path
    os.environ.clear()
    os.environ.update(told.environ)
    os.chdir(told.folder)
    if told.content:
        _silence()
        _limit(told.memory)
        _others(told)
        _Room(Channel(connection), told).run()
    else:
        _import(told)
        server.serve(connection, live)


def _silence() -> None:
    """Send what is printed past Python to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)


def _limit(memory: int | None) -> None:
    if memory is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _import(told: Hello) -> None:
    """Import a plugin once for all its rooms; where that fails, each room fails in its turn and says so."""
    from threadpoolctl import threadpool_limits

    try:
        with watched([told.origins[0].distribution]):
            for origin in told.origins:
                _load(origin)
            load(told.reference, told.origins[0])
    except BaseException:  # noqa: S110 - see above
        pass
    threadpool_limits(limits=1)  # of what it brought along


def _load(origin: Origin) -> None:
    """Import a plugin that is one file, and note what its files hold."""
    if origin.file and origin.module.partition(":")[0] not in sys.modules:
        from pathlib import Path

        load_file(Path(origin.file))
    imported(origin)


def _others(told: Hello) -> None:
    """Know of other plugins what the host knows: what theirs and this one have in common is covered by their hashes."""
    mine = {origin.distribution for origin in told.origins}
    adopt({name: files for name, files in told.known.items() if name not in mine})


class _Room:
    """The loop of a room: the host asks, and it answers."""

    def __init__(self, channel: Channel, told: Hello) -> None:
        self._channel = channel
        self._told = told
        self._aligner: Any = None
        self._home = told.reference.partition(":")[0]
        self._twin: Twin | None = None

    def run(self) -> None:
        with quiet() as printed:
            while True:
                message, arrays = self._channel.receive()
                if message["do"] == "end":
                    name = self._told.origins[0].distribution
                    self._channel.send({"printed": printed.characters, "unknown": unknown(name)})
                    return
                try:
                    with watched([self._told.origins[0].distribution]):
                        answer, out = self._fit() if message["do"] == "fit" else self._call(message, arrays)
                except BaseException as error:
                    kind = type(error).__name__ if type(error) in KNOWN.values() else ""
                    fault: Fault = fault_of(error, self._home)
                    self._channel.send({"error": [kind, fault.text, fault.place, fault.traceback]})
                else:
                    self._channel.send(answer, out)

    def _fit(self) -> tuple[dict[str, Any], Arrays]:
        for origin in self._told.origins:
            _load(origin)
        job: Job = pickle.loads(self._told.content)  # noqa: S301 - the host wrote it
        mine = "" if not self._told.sha256 else code_of(list(self._told.origins)).sha256
        if mine != self._told.sha256:
            name = self._told.origins[0].distribution
            raise DataError(f"The code of {name} has changed since this run began to use it. Run again.")
        aligner = build(job.selected, factory=job.factory)
        fitted = aligner.fit(FitView(job.about, job.rng, self._part))
        self._aligner = aligner if fitted is None else fitted
        notes = plain_notes(self._aligner.notes(), job.selected.name) if hasattr(self._aligner, "notes") else {}
        methods = [name for name in METHODS if callable(getattr(self._aligner, name, None))]
        if hasattr(os, "fork") and self._told.origins[0].distribution != GAPBENCH:
            self._twin = Twin(self._call, self._channel.close)
        return {"methods": methods, "notes": notes}, ()

    def _part(self, name: str) -> Arrays:
        self._channel.send({"part": name})
        answer, arrays = self._channel.receive()
        if "error" in answer:
            raise KNOWN[answer["error"][0]](answer["error"][1])
        return tuple(arrays)

    def _call(self, message: dict[str, Any], arrays: list[Any]) -> tuple[dict[str, Any], Arrays]:
        for array in arrays:
            array.flags.writeable = False
        name = message["do"]
        if (
            message["apart"]
            and self._twin is not None
            and (apart := self._twin.ask({**message, "apart": False}, arrays))
        ):
            return apart
        given = getattr(self._aligner, name)(*(array.view() for array in arrays), *message["more"])
        if name not in ("images", "texts"):
            given = np.asarray(given)
        if not isinstance(given, np.ndarray) or given.dtype.kind not in NUMBERS:
            return {"odd": f"{given.dtype} values" if isinstance(given, np.ndarray) else type(given).__name__}, ()
        return {}, (given.astype(np.float32) if given.dtype.kind == "f" else given,)
