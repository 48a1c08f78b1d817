"""Reading and writing the files of the store and of results: regular files alone, whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from gapbench.errors import GapbenchWarning, UnwritableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

#: Size, time of change (of content, of anything) and inode of a file.
Signature = tuple[int, int, int, int]


#: No link is followed, no pipe is waited for, and no byte is changed on the way.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def descriptor(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, and return its descriptor; a link is not followed, and a pipe is not waited for.

    Parameters
    ----------
    path, flags
        As those of `os.open`.

    Raises
    ------
    OSError
        There is no such file, or it is something else.
    """
    try:
        file = os.open(path, flags | _PLAIN, 0o666)
    except ValueError as error:  # a name with a null byte
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, as `descriptor`."""
    # By its name: a memory map of the file is handed to other processes by that.
    return open(path, "rb", opener=lambda _name, _flags: descriptor(path))


def read_regular(path: Path) -> bytes:
    """Read a regular file, as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def signature(path: Path) -> Signature:
    """Return what changes when a file is written, replaced or touched; the content is not read."""
    status = path.lstat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def reason(error: BaseException) -> str:
    """Say in words what went wrong, without the path that `OSError` adds."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def tell(sentence: str) -> None:
    """Tell what was noticed and dealt with; the command line writes it on stderr."""
    warnings.warn(sentence, GapbenchWarning, stacklevel=3)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn a failed write into an error that names the store.

    Raises
    ------
    UnwritableError
        The disk is full, the folder cannot be written to, or a file stands in its place.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableError(
            f"The store of embeddings at {root} cannot be written to ({reason(error)}). Make room or allow writing there, "
            "or name another folder in the environment variable GAPBENCH_CACHE."
        ) from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an `OSError` of this block name ``path``: writing to an open file names none, or a temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, reason(error), str(path)) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and see it and its name on disk; a link is replaced, not followed.

    Others may not write it at the same time; see `locked`.

    Raises
    ------
    OSError
        It cannot be written; names the file.
    """
    temporary = path.with_name(f".gapbench-{path.name}.tmp")
    with naming(path):
        temporary.unlink(missing_ok=True)
        try:
            write(temporary, data)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, and wait for it where another process holds it; the holder may take it again.

    Raises
    ------
    OSError
        It cannot be written to, or it is a link.
    NotImplementedError
        The file system has no locks.
    """
    from filelock import FileLock

    with naming(path):
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link")
        lock = FileLock(path, is_singleton=True)
        lock.acquire(poll_interval=0.005)
    try:
        yield
    finally:
        lock.release()


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with all it holds; nothing where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                shutil.rmtree(path)  # tells why
        else:
            path.unlink()


def write(path: Path, data: bytes) -> None:
    """Write a file and flush it to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Flush a folder's list of files to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Yield a new path to write to; its lock is held meanwhile, and what is left there at the end is deleted."""
    from filelock import FileLock

    path = root / "tmp" / f"{uuid4().hex}.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        try:
            yield path
        finally:
            with suppress(OSError):
                remove(path)
                path.with_suffix(".lock").unlink(missing_ok=True)


def discard(root: Path, path: Path) -> None:
    """Take something out of the store in one step, and then delete it: nobody sees half of it."""
    with scratch(root) as taken, suppress(FileNotFoundError):
        path.rename(taken)


@contextmanager
def held(lock: Path) -> Iterator[bool]:
    """Hold a lock if nobody else does, without waiting; yields whether that is so."""
    from filelock import FileLock, Timeout

    mine = FileLock(lock, timeout=0)
    try:
        mine.acquire()
    except Timeout:
        yield False
        return
    except OSError:  # it cannot be written to, so that nobody can hold it either
        yield True
        return
    try:
        yield True
    finally:
        mine.release()
