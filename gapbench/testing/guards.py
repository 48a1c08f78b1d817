"""Guards against what a component must leave alone: random state, threads, the environment, network, files."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_info

if TYPE_CHECKING:
    from collections.abc import Iterator


ENVIRONMENT = "the environment variable"

#: A seed that nobody uses.
_ODD = 1_912_847_301

#: pytest changes it between the parts of a test.
PYTESTS_OWN = "PYTEST_CURRENT_TEST"

#: Variables that PyTorch sets for itself when it is imported or first used.
OF_LIBRARIES = ("TORCHINDUCTOR_", "TRITON_", "KMP_", "PYTORCH_")


def _random_state() -> dict[str, Any]:
    legacy: Any = np.random.get_state()  # noqa: NPY002 - the global state is what is watched
    found: dict[str, Any] = {
        "Python's random state": random.getstate(),
        "NumPy's global random state": (legacy[0], tuple(legacy[1]), *legacy[2:]),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch's global random state"] = torch.random.get_rng_state().numpy().tobytes()
    return found


def _watched(name: str) -> bool:
    return name != PYTESTS_OWN and not name.startswith(OF_LIBRARIES)


def _settings() -> dict[str, Any]:
    found: dict[str, Any] = {
        **{f"{ENVIRONMENT} {name}": value for name, value in os.environ.items() if _watched(name)},
        "NumPy's error handling": np.geterr(),
        "the working folder": str(Path.cwd()),
        "the module search path": list(sys.path),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch's number of threads"] = torch.get_num_threads()
        found["torch's default type"] = torch.get_default_dtype()
        found["torch's gradient mode"] = torch.is_grad_enabled()
        found["torch's deterministic mode"] = torch.are_deterministic_algorithms_enabled()
    for pool in threadpool_info():
        found[f"the number of threads of {pool['filepath']}"] = pool["num_threads"]
    return found


def snapshot() -> dict[str, Any]:
    """Give all that is watched, by name."""
    return _random_state() | _settings()


@contextlib.contextmanager
def _fresh_generators() -> Iterator[None]:
    """Put the global generators into a state that nobody would seed them with, and put them back at the end."""
    torch = sys.modules.get("torch")
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is what is watched
    of_torch = None if torch is None else torch.random.get_rng_state()
    try:
        random.seed(_ODD)
        np.random.seed(_ODD)  # noqa: NPY002
        if torch is not None:
            torch.random.default_generator.manual_seed(_ODD)
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
        if torch is not None and of_torch is not None:
            torch.random.set_rng_state(of_torch)


@contextlib.contextmanager
def no_global_changes() -> Iterator[None]:
    """Fail where the block leaves global state other than it was, or a thread running.

    Raises
    ------
    AssertionError
        Names what has changed.
    """
    with _fresh_generators():
        before, threads = snapshot(), set(threading.enumerate())
        yield
        after = snapshot()
    new = [name for name in after.keys() - before.keys() if name.startswith(ENVIRONMENT)]  # not pools of new libraries
    changed = sorted([*new, *(name for name, value in before.items() if after.get(name) != value)])
    left = [thread.name for thread in _still_running(set(threading.enumerate()) - threads)]
    assert not changed, f"it changes {', '.join(changed)}"
    assert not left, f"it leaves threads running: {', '.join(left)}"


#: Seconds that threads have to end once the work is done.
_PATIENCE_S = 0.5

#: Threads of libraries that stay, and do nothing to results.
_THREADS_OF_LIBRARIES = ("TMonitor",)  # tqdm's


def _still_running(threads: set[threading.Thread]) -> list[threading.Thread]:
    until = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [one for one in threads if one.is_alive() and type(one).__name__ not in _THREADS_OF_LIBRARIES]


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Refuse connections and look-ups of names, as a machine without a network does, and fail where any was tried.

    Raises
    ------
    AssertionError
        Names where to.
    """
    tried: list[str] = []

    def refuse(_socket: Any, address: Any, *_: Any) -> Any:
        tried.append(str(address))
        raise OSError(f"there is no network here ({address})")

    def look_up(host: Any, *_: Any, **__: Any) -> Any:
        tried.append(str(host))
        raise socket.gaierror(f"there is no network here ({host})")

    kept = socket.getaddrinfo
    names = ("connect", "connect_ex", "sendto")
    own = {name: vars(socket.socket)[name] for name in names if name in vars(socket.socket)}
    try:
        socket.getaddrinfo = look_up
        for name in names:
            setattr(socket.socket, name, refuse)
        yield
    finally:
        socket.getaddrinfo = kept
        for name in names:
            delattr(socket.socket, name)
        for name, method in own.items():
            setattr(socket.socket, name, method)
    assert not tried, f"it uses the network ({', '.join(dict.fromkeys(tried))})"


@contextlib.contextmanager
def no_files() -> Iterator[None]:
    """Run the block in an empty folder, and fail where it leaves something there.

    Raises
    ------
    AssertionError
        Names what is there.
    """
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
        left = sorted(path.name for path in Path(folder).iterdir())
    assert not left, f"it leaves files in the working folder: {', '.join(left)}"


@contextlib.contextmanager
def clock_ahead(seconds: float) -> Iterator[None]:
    """Let the clocks of the module `time` go ahead by so much."""
    kept = {name: getattr(time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")}

    def ahead(clock: Any, by: float) -> Any:
        return lambda: clock() + type(clock())(by)

    try:
        for name, clock in kept.items():
            setattr(time, name, ahead(clock, seconds * (1e9 if name.endswith("_ns") else 1)))
        yield
    finally:
        for name, clock in kept.items():
            setattr(time, name, clock)
