"""Running something in a forked child: under a deadline, in a process group of its own that ends with it."""

import contextlib
import os
import signal
import sys
import time
import traceback


@contextlib.contextmanager
def forked(work):
    """Fork; the child does ``work`` and leaves with what it returns. Yields the child, which is gone at the end."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        code = 99
        try:
            os.setsid()
            code = work()
        except BaseException:
            with contextlib.suppress(BaseException):
                traceback.print_exc()
        finally:
            os._exit(code)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def ended(child, seconds):
    """Wait for the exit code (negative: the signal that ended it); None where the deadline came first."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(pause)
        pause = min(0.02, pause * 1.3)


def shared(count, work, at_once):
    """Do ``work(first, step)`` in so many forked children, each of which takes every ``step``-th of all; wait for them."""
    children = []
    for first in range(at_once):
        child = os.fork()
        if not child:
            code = 99
            try:
                work(range(first, count, at_once))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not any(codes), f"a driver of the fuzzing itself ended with {codes}"
