"""The last guard: whatever happens is told in one sentence, with a place where all of it can be read."""

from __future__ import annotations

import errno
import os
import platform
import shlex
import signal
import sys
import tempfile
import time
import traceback
from importlib.metadata import PackageNotFoundError, entry_points, version

from gapbench import __version__
from gapbench.errors import BrokenPluginError, GapbenchError, UnwritableError, UsageError
from gapbench.model.plain import one_line, plain_text

#: Whose versions a report tells.
LIBRARIES = ("click", "faiss-cpu", "joblib", "matplotlib", "msgspec", "numpy", "rich", "scikit-learn", "scipy", "torch")

#: Frames of a traceback, the last ones, that are told where no report can be written.
FRAMES = 4

#: Characters of the message of an error that nobody foresaw.
LONGEST = 300

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
PLACES = "--out for results, GAPBENCH_CACHE for stored embeddings, TMPDIR for temporary files"


def told(error: BaseException) -> int:
    """Tell an error on standard error and return the exit code; with ``--strict`` the traceback is shown."""
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would cut off the sentence
        _print("Interrupted. What was finished is kept; the same command goes on from there.")
        return 130
    if isinstance(error, SystemExit):  # of something that gapbench called
        return error.code if error.code in (0, 1) else 1
    strict = "--strict" in sys.argv
    if strict:
        _print("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, GapbenchError):
        code = 3 if isinstance(error, BrokenPluginError) else 1 if isinstance(error, UnwritableError) else 2
        if strict:
            return code if isinstance(error, UsageError | BrokenPluginError) else 1
        _print(f"error: {error}")
        return code
    if not strict:
        _print(f"error: {_foreseen(error) or _unforeseen(error)}")
    return 1


def _print(text: str) -> None:
    print(plain_text(text), file=sys.stderr, flush=True)


def _foreseen(error: BaseException) -> str:
    """Say what the machine lacks; nothing where that is not the cause."""
    if isinstance(error, MemoryError):
        detail = f" ({one_line(str(error))[:LONGEST]})" if str(error) else ""
        return f"There is not enough memory{detail}. Take fewer or smaller data, or fewer processes (--jobs)."
    if not isinstance(error, OSError) or error.errno is None:
        return ""
    path, why = _path_of(error), error.strerror or os.strerror(error.errno)
    if not path:
        return ""
    if error.errno in FULL:
        return f"{path} cannot be written: {why}. Make room, or choose another place ({PLACES})."
    if error.errno in FORBIDDEN:
        return f"{path} cannot be used: {why}. Choose a place that you may write to ({PLACES})."
    return f"{path} cannot be used: {why}."


def _path_of(error: OSError) -> str:
    """Return the file that an error of the system is about."""
    name = error.filename if error.filename is not None else error.filename2
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return "" if name is None else one_line(str(name))


def _unforeseen(error: BaseException) -> str:
    """Describe an error that nobody foresaw, and say where its report is."""
    words = one_line(str(error))
    words = f"{words[:LONGEST]}…" if len(words) > LONGEST else words
    what = f"gapbench ended where it should not have: {type(error).__name__}{f': {words}' if words else ''}."
    try:
        descriptor, path = tempfile.mkstemp(prefix="gapbench-report-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_report(error))
    except OSError:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        return f"{what} No report could be written; it happened at {places}."
    return f"{what} The full report is in {path}; send it along when you tell about this."


def _report(error: BaseException) -> str:
    versions = [f"gapbench {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} is not installed")
    plugins = sorted({str(point.dist and point.dist.name) for point in entry_points(group="gapbench")})
    return "\n".join(
        [
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            shlex.join(sys.argv),
            *versions,
            f"plugins: {', '.join(plugins) or 'none'}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
