"""Putting back what a plugin's code changed in this process: encoders, datasets, prompt strategies and metrics run in it.

This is for accidents and for careless code: functions of NumPy, torch and gapbench that were replaced, and the state that
all code of a process shares. It is no wall: code that means to get around it can. Aligners have processes of their own.
"""

from __future__ import annotations

import contextlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import GapbenchWarning
from gapbench.host.imports import GAPBENCH
from gapbench.host.interrupts import check_interrupt
from gapbench.host.patches import Patches, import_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from gapbench.host.registry import Component

#: Signals that a run itself listens to.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name))


@contextlib.contextmanager
def unchanged(component: Component) -> Iterator[None]:
    """Put back, after code of a plugin ran, what it changed, and tell of functions that it replaced."""
    if component.origin.distribution == GAPBENCH:
        yield
        return
    with functions_kept(f"{component.kind.capitalize()} {component.spec.name!r} ({component.origin})"):
        restore = _state()
        try:
            yield
        finally:
            restore()
            check_interrupt()


@contextlib.contextmanager
def functions_kept(who: str) -> Iterator[None]:
    """Put back functions and constants that are replaced meanwhile, and tell of them; ``who`` begins the sentence."""
    import_ahead()
    patches = Patches()
    try:
        yield
    finally:
        changed = patches.undo()
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004
            warnings.warn(
                f"{who} replaced {', '.join(changed[:3])}{more}; this was undone, since it would have changed what others "
                "compute, or what is shown of it.",
                GapbenchWarning,
                stacklevel=3,
            )


def _state() -> Callable[[], None]:
    """Remember what all code of a process shares, and return what restores it."""
    environ, folder = dict(os.environ), _folder()
    errors, drawn, printing = np.geterr(), np.random.get_state(), np.get_printoptions()  # noqa: NPY002 - the shared one
    rolled, filters, limit, path = random.getstate(), list(warnings.filters), sys.getrecursionlimit(), list(sys.path)
    spoken, streams, mask = locale.setlocale(locale.LC_ALL), (sys.stdout, sys.stderr), os.umask(0)
    os.umask(mask)
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if main else {}

    def restore() -> None:
        if dict(os.environ) != environ:
            os.environ.clear()
            os.environ.update(environ)
        if folder and _folder() != folder:
            os.chdir(folder)
        np.seterr(**errors)
        np.random.set_state(drawn)  # noqa: NPY002 - see above
        np.set_printoptions(**printing)
        random.setstate(rolled)
        warnings.filters[:] = filters  # type: ignore[index]  # it is a list
        sys.setrecursionlimit(limit)
        sys.path[:] = path
        locale.setlocale(locale.LC_ALL, spoken)
        sys.stdout, sys.stderr = streams
        os.umask(mask)
        for number, handler in handlers.items():
            _restore_handler(number, handler)

    return restore


def _restore_handler(number: int, handler: Callable[[int, FrameType | None], Any] | int | None) -> None:
    if handler is not None and signal.getsignal(number) is not handler:
        signal.signal(number, handler)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as a string, whatever it is
    except FileNotFoundError:
        return ""
