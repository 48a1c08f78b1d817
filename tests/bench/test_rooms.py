"""Rooms: what goes in, what comes out, and what is said when they end."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gapbench
from gapbench.bench.fitdata import FitParts, FitRows
from gapbench.bench.rooms import Here, Room, processes
from gapbench.bench.rooms.wire import Channel, Garbled, RoomEnded, Shared, TooLate
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import AlignerError, UndeclaredData, UsageError
from gapbench.host.discovery import built_in
from gapbench.host.registry import Kind
from gapbench.host.selection import select

REGISTRY = built_in()
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def ends():
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs), theirs


@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "i8", "u8", "?", "i1"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (4, 5), (300, 200)])
def test_arrays_arrive_as_they_were(ends, kind, shape):
    one, other, _ = ends
    sent = (np.random.default_rng(0).random(shape) * 100).astype(kind)
    one.send({"a": 1}, [sent[...], Shared(sent)] if 0 < sent.nbytes < 2**16 else [sent[:0] if shape else sent])
    message, received = other.receive(time.monotonic() + 5)
    assert message == {"a": 1}
    for array in received:
        assert array.dtype == sent.dtype
        assert np.array_equal(array, sent if array.shape == sent.shape else sent[:0])


def test_what_is_written_to_a_shared_array_stays_where_it_was_written():
    array = np.arange(12.0).reshape(3, 4)
    shared = Shared(array)
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            Channel(ours).send({}, [shared])
            ((got,),) = (Channel(theirs).receive()[1],)
        assert np.array_equal(got, array)
        got[:] = -1


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files are sealed on Linux alone")
def test_a_shared_file_cannot_be_changed():
    shared = Shared(np.arange(3.0))
    with pytest.raises(PermissionError):
        os.pwrite(shared.fd, b"x", 0)


@pytest.mark.parametrize("sent", [b"x" * 64, b"\0" * 7 + b"\x05hello", b"\xff" * 8])
def test_what_is_no_message_is_told(ends, sent):
    one, _, raw = ends
    raw.sendall(sent)
    with pytest.raises((Garbled, TooLate)):
        one.receive(time.monotonic() + 0.2)


@pytest.mark.parametrize("head", [["O", [2], False], ["<c16", [2], False], ["<f4", [-1], False], ["<f4", [2.5], False]])
def test_arrays_of_something_else_are_refused(ends, head):
    import msgspec

    one, _, raw = ends
    header = msgspec.msgpack.encode(({}, [head]))
    raw.sendall(len(header).to_bytes(8, "big") + header)
    with pytest.raises(Garbled):
        one.receive(time.monotonic() + 0.2)


def test_the_end_of_the_other_side_is_told(ends):
    one, _, raw = ends
    raw.close()
    with pytest.raises(RoomEnded):
        one.receive()


def parts_of(name, *, dim=8, n=60):
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(3, dim)).astype("f4")
    split = EmbeddedSplit(
        images=rng.normal(size=(n, dim)).astype("f4"),
        fingerprint="toy",
        classes=("a", "b", "c"),
        labels=np.arange(n) % 3,
        prompts=Texts(rows=texts, owner=np.arange(3)),
    )
    (selected,) = select(REGISTRY, Kind.ALIGNER, [name])
    rows = FitRows(split, captioned=False, raw=selected.component.spec.raw)
    return selected, FitParts(selected.component.spec, rows), rows.rows(split.images, slice(None))


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize("name", ["procrustes", "whiten-zca", "gda-clip", "random-rotation", "leace"])
def test_a_room_gives_what_this_process_gives(name, forks, monkeypatch):
    monkeypatch.setattr(processes, "FORKS", forks and processes.FORKS)
    selected, parts, x = parts_of(name)
    here = Here(selected).fit(parts, np.random.default_rng(1))
    with Room(selected, [selected.component.origin], "") as there:
        there.fit(parts, np.random.default_rng(1))
        assert there.notes == here.notes
        for method in ("images", "texts", "text_bias"):
            if method in there.methods:
                assert np.array_equal(getattr(there, method)(x), np.asarray(getattr(here, method)(x), dtype=np.float32))
    assert there.hashed


def test_what_is_not_declared_never_comes_in():
    _, parts, _ = parts_of("mean-center")
    for name in ("labels", "pairs", "validation.images", "test_images", "moments.classes", "split", "_fit"):
        with pytest.raises(UndeclaredData, match="mean-center"):
            parts.of(name)


def test_a_room_that_was_killed_is_told_and_the_next_one_works():
    selected, parts, x = parts_of("mean-center")
    with Room(selected, [selected.component.origin], "") as killed:
        killed.fit(parts, np.random.default_rng(0))
        os.kill(killed._process._pid, signal.SIGKILL)
        with pytest.raises(AlignerError, match=r"ended its process in images\(\): it was ended by signal SIGKILL"):
            killed.images(x)
    with Room(selected, [selected.component.origin], "") as fresh:
        assert fresh.fit(parts, np.random.default_rng(0)).images(x).shape == x.shape


@pytest.mark.skipif(not processes.FORKS, reason="there is no server")
def test_a_server_that_was_killed_is_started_again():
    selected, parts, x = parts_of("mean-center")
    for _ in range(2):
        with Room(selected, [selected.component.origin], "") as there:
            assert there.fit(parts, np.random.default_rng(0)).images(x).shape == x.shape
        server = processes._servers[()]
        server._process.kill()
        server._process.wait()


@pytest.mark.skipif(not processes.FORKS, reason="rooms are not forked here")
@pytest.mark.parametrize("asked", [[], [{"do": "start"}], [{"do": "start"}, b"f"], [{"do": "leave", "pid": 1 << 22}]])
def test_a_server_whose_host_is_gone_in_the_middle_of_a_request_ends_quietly(asked):
    ours, theirs = socket.socketpair()
    code = (
        "import socket, sys; from gapbench.bench.rooms.server import serve; from gapbench.bench.rooms.inside import live;"
        "serve(socket.socket(fileno=int(sys.argv[1])), live)"
    )
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for part in asked:
            if isinstance(part, bytes):
                socket.send_fds(ours, [part], [theirs.fileno()])
            else:
                Channel(ours).send(part)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


@pytest.mark.skipif(not processes.FORKS, reason="rooms are not forked here")
def test_an_interrupt_between_a_request_and_its_answer_spoils_no_later_room(tmp_path, monkeypatch):
    def run(out):
        results = gapbench.run(
            datasets=[f"embeddings:{path}"], aligners=["identity", "mean-center", "procrustes"], out=tmp_path / out
        )
        assert {(record.status, record.reason) for record in results.records} == {("ok", "")}
        return {(record.cell_id, name): value for record in results.records for name, value in record.metrics.items()}

    def interrupted(self, until=None):
        if until is None:
            signal.raise_signal(signal.SIGINT)
        return receive(self, until)

    path = tmp_path / "t.npz"
    rng = np.random.default_rng(0)
    np.savez(path, image=rng.random((60, 8), np.float32), text=rng.random((60, 8), np.float32), pair=np.arange(60))
    expected = run("one")
    receive = Channel.receive
    # What a shell starts in the background ignores the signal, pytest among it: then it would raise nothing.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Channel, "receive", interrupted)
            run("two")
    finally:
        signal.signal(signal.SIGINT, before)
    assert expected
    assert run("three") == expected


def test_no_process_outlives_the_host():
    code = (
        "import os, sys, time, numpy as np; sys.path[:] = eval(sys.argv[1])\n"
        "from tests.bench.test_rooms import parts_of\nfrom gapbench.bench.rooms import Room\n"
        "selected, parts, x = parts_of('mean-center')\nroom = Room(selected, [selected.component.origin], '')\n"
        "room.fit(parts, np.random.default_rng(0))\n"
        "from gapbench.bench.rooms import processes as module\n"
        "print(room._process._pid, module._servers[()]._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    path = repr([os.fspath(entry) for entry in [*sys.path, os.fspath(ROOT)]])
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as host:
        pids = [int(pid) for pid in host.stdout.readline().split()]
        host.kill()
        host.wait()
    assert pids
    until = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("limit", [{"timeout": 5}, {"memory": 1}])
def test_limits_of_a_room_need_one(limit):
    with pytest.raises(UsageError, match="with in_process it has none"):
        gapbench.run("digits", in_process=True, **limit)


def test_an_aligner_of_a_notebook_has_a_room(tmp_path):
    np.savez(
        tmp_path / "e.npz", image=np.eye(20, 6, dtype="f4") + 1, text=np.eye(20, 6, dtype="f4") + 2, pair=np.arange(20)
    )
    results = gapbench.run(
        datasets=f"embeddings:{tmp_path / 'e.npz'}",
        aligners=["identity", "shift"],
        metrics="centroid-l2",
        plugins=Notebook,
    )
    assert not results.failed, [record.reason for record in results.failed]
    assert results.records[1].notes["pid"] != os.getpid()


class Shift:
    def fit(self, data):
        return self

    def images(self, x):
        return x + np.float32(1)

    def notes(self):
        return {"pid": os.getpid()}


class Notebook:
    @staticmethod
    @gapbench.hookimpl
    def gapbench_aligners():
        return [
            gapbench.AlignerSpec(
                name="shift", factory=f"{__name__}:Shift", summary="", family="f", needs=frozenset(),
                acts_on=gapbench.ActsOn.IMAGES,
            )
        ]  # fmt: skip
