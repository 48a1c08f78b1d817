"""Guards against what a component must leave alone: random state, threads, torch's flags, the environment."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_info

if TYPE_CHECKING:
    from collections.abc import Iterator


ENVIRONMENT = "the environment variable"

#: pytest changes it between the parts of a test.
PYTESTS_OWN = "PYTEST_CURRENT_TEST"


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


def _settings() -> dict[str, Any]:
    found: dict[str, Any] = {
        **{f"{ENVIRONMENT} {name}": value for name, value in os.environ.items() if name != PYTESTS_OWN},
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
def no_global_changes() -> Iterator[None]:
    """Fail where the block leaves global state other than it was, or a thread running.

    Raises
    ------
    AssertionError
        Names what has changed.
    """
    before, threads = snapshot(), set(threading.enumerate())
    yield
    after = snapshot()
    new = [name for name in after.keys() - before.keys() if name.startswith(ENVIRONMENT)]  # not pools of new libraries
    changed = sorted([*new, *(name for name, value in before.items() if after.get(name) != value)])
    left = [thread.name for thread in set(threading.enumerate()) - threads if thread.is_alive() and not thread.daemon]
    assert not changed, f"it changes {', '.join(changed)}"
    assert not left, f"it leaves threads running: {', '.join(left)}"
