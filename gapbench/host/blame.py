"""What went wrong in a plugin, and where in its own files."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from gapbench.host.validate import describe

_LONGEST_TRACEBACK = 20_000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error in one line, the last line of the plugin's own that it went through, and the whole traceback."""

    text: str
    place: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.place})" if self.place else self.text


def fault_of(error: BaseException, module: str) -> Fault:
    """Describe an error that came from a plugin's code.

    Parameters
    ----------
    module
        One of the plugin's modules.
    """
    try:
        whole = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    except Exception:  # a plugin's exceptions may raise when they are written
        whole = ""
    text = describe(error)
    if isinstance(error, ValueError) and "read-only" in text:
        text += "; what is handed over is read-only, work on a copy"
    return Fault(text=text, place=_place(error, module), traceback=printable(whole))


def printable(text: str) -> str:
    """Return text that can be written as UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _place(error: BaseException, module: str) -> str:
    """Say the file and line, of the top-level package that a module belongs to, that an error went through last."""
    top = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if not isinstance(top, str):
        return ""
    own = Path(top).parent if Path(top).name == "__init__.py" else Path(top)
    place, step = "", error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if file == own or own in file.parents:
            place = f"{file.name}, line {step.tb_lineno}"
        step = step.tb_next
    return place
