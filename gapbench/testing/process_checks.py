"""Checks that need a process of their own: what start-up costs, and whether another process gives the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from gapbench.host.registry import Kind
from gapbench.testing.checks import DoesNotApplyError, Subject, check

KINDS = tuple(Kind)

#: The longest that a fresh process may take, in seconds; torch alone can take half a minute on a slow disk.
PATIENCE = 300


@check("costs nothing at start-up", *KINDS)
def light(subject: Subject) -> None:
    """Importing the plugin and calling its hook imports nothing heavy, such as NumPy or torch, and prints nothing."""
    found, _ = _fresh(_request(subject))
    assert not found["printed"], (
        f"it prints while it is imported: {found['printed']!r}. Every command imports it, and its words are nobody's output"
    )
    if subject.selected.component.origin.file:
        raise DoesNotApplyError("it is one file, which commands import only where --plugin names it")
    assert not found["heavy"], (
        f"importing it imports {', '.join(found['heavy'])}. Every gapbench command imports the installed plugins, so "
        "each would take that much longer. Import it inside the functions that use it, or put the implementation into a "
        "module of its own, which the spec's factory names"
    )


@check("is the same in another process", *KINDS)
def elsewhere(subject: Subject) -> None:
    """Two processes with different hash seeds give the same result, bit by bit."""
    one, other = _fresh(_request(subject))
    for each in (one, other):
        assert "error" not in each, each["error"]
    if "skipped" in one:
        raise DoesNotApplyError(one["skipped"])
    assert one["result"] == other["result"], (
        "two processes give different results: does it go over a set, or ask the time?"
    )


def _request(subject: Subject) -> str:
    component = subject.selected.component
    module = component.origin.module
    file = getattr(sys.modules.get(module), "__file__", None)
    return json.dumps(
        {
            "module": module,
            "file": str(file) if file and component.origin.entry_point == "--plugin" else "",
            "kind": str(component.kind),
            "name": component.spec.name,
            "argument": subject.selected.argument,
        }
    )


#: Processes that were started ahead, by what they are asked.
_STARTED: dict[str, list[subprocess.Popen[str]]] = {}


def start_ahead(subject: Subject) -> None:
    """Start the processes that these checks read, so that they run while other checks do."""
    request = _request(subject)
    _STARTED.setdefault(request, _started(request))


def end_ahead(subject: Subject) -> None:
    """End processes that were started ahead and not read."""
    for process in _STARTED.pop(_request(subject), []):
        process.kill()
        process.communicate()


def _started(request: str) -> list[subprocess.Popen[str]]:
    """Start two processes with different hash seeds."""
    paths = [str(Path(path).resolve()) for path in sys.path]
    return [
        subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", "gapbench.testing.fresh", request],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        for seed in ("1", "2")
    ]


@lru_cache(maxsize=8)  # both checks read the same two processes
def _fresh(request: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask two processes with different hash seeds."""
    running = _STARTED.pop(request, None) or _started(request)
    try:
        one, other = (_answer(process) for process in running)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return one, other


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"a fresh process took longer than {PATIENCE} s") from None
    last = out.strip().splitlines()[-1:]
    assert process.returncode == 0 and last, f"a fresh process failed: {err.strip().splitlines()[-1:]}"  # noqa: PT018
    answer: dict[str, Any] = json.loads(last[0])
    return answer
