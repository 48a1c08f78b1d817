"""Messages between the host and a room: a header and arrays, never a pickle on the way to the host.

What comes from a room may be anything. It is read as plain values and as arrays of numbers, copied into memory of the
host's own; where it is neither, the room is at fault.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import tempfile
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Arrays from this size on are handed to rooms as a mapped file, which is written once for all rooms.
MAPPED_BYTES = 64 * 1024

#: Kinds of numbers that an array may hold.
NUMBERS = frozenset("biuf")

_PREFIX = struct.Struct(">Q")
_MOST_FILES = 16
_LONGEST_HEADER = 64 * 2**20


class RoomEnded(Exception):  # noqa: N818 - what happened
    """The other side is gone."""


class TooLate(Exception):  # noqa: N818 - what happened
    """There was no answer before the deadline."""


class Garbled(Exception):  # noqa: N818 - what happened
    """What came is no message."""


class Shared:
    """An array that rooms map from a file: each gets memory of its own, copied only where it is written to.

    The file has no name, and cannot be changed any more where the system can promise that (Linux).

    Parameters
    ----------
    array
        Of numbers.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        array = np.asarray(array, order="C")
        self.shape, self.dtype = array.shape, array.dtype
        self.fd = _written(array)

    def __del__(self) -> None:
        """Close the file."""
        if hasattr(self, "fd"):
            os.close(self.fd)


def _written(array: NDArray[Any]) -> int:
    content = _bytes(array)
    if hasattr(os, "memfd_create"):
        import fcntl

        fd = os.memfd_create("gapbench-rows", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        _write(fd, content)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return fd
    with tempfile.NamedTemporaryFile(prefix="gapbench-rows-") as file:
        _write(file.fileno(), content)
        return os.open(file.name, os.O_RDONLY)


def _bytes(array: NDArray[Any]) -> memoryview:
    content: memoryview = array.data
    return content.cast("B")


def _write(fd: int, content: memoryview) -> None:
    at = 0
    while at < len(content):
        at += os.write(fd, content[at : at + 2**30])


def shared(array: NDArray[Any]) -> NDArray[Any] | Shared:
    """Return what to send in place of an array that several rooms ask for."""
    return Shared(array) if array.nbytes >= MAPPED_BYTES else array


class Channel:
    """One end of a connection.

    Parameters
    ----------
    connection
        A Unix socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: object, arrays: Sequence[NDArray[Any] | Shared] = ()) -> None:
        """Send plain values and arrays.

        Raises
        ------
        RoomEnded
            The other side is gone.
        """
        files = [array.fd for array in arrays if isinstance(array, Shared)]
        inline = [np.asarray(array, order="C") for array in arrays if not isinstance(array, Shared)]
        heads = [(array.dtype.str, array.shape, isinstance(array, Shared)) for array in arrays]
        header = msgspec.msgpack.encode((message, heads))
        try:
            self._connection.settimeout(None)
            if files:
                socket.send_fds(self._connection, [_PREFIX.pack(len(header))], files)
                self._connection.sendall(header)
            else:
                self._connection.sendall(_PREFIX.pack(len(header)) + header)
            for array in inline:
                if array.nbytes:
                    self._connection.sendall(_bytes(array))
        except OSError as error:
            raise RoomEnded(str(error)) from error

    def receive(self, until: float | None = None) -> tuple[Any, list[NDArray[Any]]]:
        """Wait for a message.

        Parameters
        ----------
        until
            Time on the monotonic clock; None waits for ever.

        Raises
        ------
        RoomEnded, TooLate, Garbled
            There is no message.
        """
        prefix, files = self._prefix(until)
        try:
            size = _PREFIX.unpack(prefix)[0]
            if size > _LONGEST_HEADER:
                raise Garbled(f"a header of {size} bytes")
            try:
                message, heads = msgspec.msgpack.decode(self._exactly(size, until))
                heads = [(np.dtype(kind), tuple(shape), bool(mapped)) for kind, shape, mapped in heads]
            except (msgspec.DecodeError, TypeError, ValueError) as error:
                raise Garbled(str(error)) from error
            waiting = iter(files)
            return message, [self._array(kind, shape, mapped, waiting, until) for kind, shape, mapped in heads]
        finally:
            for fd in files:
                os.close(fd)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _array(self, kind: np.dtype[Any], shape: Any, mapped: bool, files: Any, until: float | None) -> NDArray[Any]:
        whole = all(isinstance(size, int) and size >= 0 for size in shape)
        if kind.kind not in NUMBERS or not whole:
            raise Garbled(f"an array of {kind} and shape {shape}")
        if mapped:
            memory = mmap.mmap(next(files), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            return np.frombuffer(memory, dtype=kind).reshape(shape)
        try:
            array = np.empty(shape, dtype=kind)
        except (MemoryError, ValueError, OverflowError) as error:
            raise Garbled(f"an array of shape {shape}") from error
        if array.nbytes:
            self._fill(_bytes(array), until)
        return array

    def _prefix(self, until: float | None) -> tuple[bytes, list[int]]:
        self._wait(until)
        try:
            data, files, _, _ = socket.recv_fds(self._connection, _PREFIX.size, _MOST_FILES)
            if data and len(data) < _PREFIX.size:
                data += self._exactly(_PREFIX.size - len(data), until)
        except TimeoutError as error:
            raise TooLate from error
        except OSError as error:
            raise RoomEnded(str(error)) from error
        if not data:
            raise RoomEnded
        return data, files

    def _exactly(self, size: int, until: float | None) -> bytearray:
        content = bytearray(size)
        self._fill(memoryview(content), until)
        return content

    def _fill(self, content: memoryview, until: float | None) -> None:
        at = 0
        while at < len(content):
            self._wait(until)
            try:
                got = self._connection.recv_into(content[at:])
            except TimeoutError as error:
                raise TooLate from error
            except OSError as error:
                raise RoomEnded(str(error)) from error
            if not got:
                raise RoomEnded
            at += got

    def _wait(self, until: float | None) -> None:
        if until is None:
            self._connection.settimeout(None)
            return
        left = until - monotonic()
        if left <= 0:
            raise TooLate
        self._connection.settimeout(left)
