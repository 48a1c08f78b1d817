"""A run that ends at any moment: the same command again gives what an undisturbed run gives."""

import os
import signal
import traceback
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pytest

import gapbench
from gapbench.model.record import Timing
from gapbench.results import journal

ALIGNERS = ("identity", "mean-center", "random-rotation")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Return a function that runs three small cells into a folder."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("arrays") / "toy.npz"
    labels = np.arange(40) % 4
    texts = rng.normal(size=(4, 5)).astype(np.float32)
    images = (texts[labels] + 0.8 * rng.normal(size=(40, 5)) + 1).astype(np.float32)
    np.savez(file, image=images, text=texts, label=labels, names=np.array(["ant", "bee", "cat", "dog"]))

    def run(out):
        return gapbench.run(
            datasets=[f"embeddings:{file}"],
            aligners=ALIGNERS,
            metrics=["top1", "centroid-l2"],
            protocol="in-sample",
            fit_size=20,
            seeds=[0],
            out=out,
        )

    return run


class Watch:
    """Takes the place of what `os` does to files, counts it below a folder, and kills the process at call ``at``.

    With ``half``, half of a write is done first. With ``cut`` the power fails too: bytes that were not flushed are ``lost``
    or ``zeros``, and so are new files in a folder that was not flushed.
    """

    def __init__(self, folder, at=None, *, half=False, cut=""):
        self.folder, self.at, self.half, self.cut = str(folder), at, half, cut
        self.calls, self.files, self.flushed, self.unnamed = [], {}, {}, set()
        self.real = {name: getattr(os, name) for name in ("open", "write", "fsync", "ftruncate", "close")}
        for name in self.real:
            setattr(os, name, getattr(self, name))

    def reach(self, name):
        if len(self.calls) == self.at:
            self.die()
        self.calls.append(name)

    def die(self):
        for name, function in self.real.items():
            setattr(os, name, function)
        for path in self.unnamed if self.cut else ():
            path.unlink(missing_ok=True)
        for path, size in self.flushed.items() if self.cut else ():
            if path in self.unnamed:
                continue
            content = path.read_bytes()
            path.write_bytes(content[:size] + (b"\0" * (len(content) - size) if self.cut == "zeros" else b""))
        os.kill(os.getpid(), signal.SIGKILL)

    def open(self, path, *args, **kwargs):
        if not str(path).startswith(self.folder):
            return self.real["open"](path, *args, **kwargs)
        self.reach("open")
        new = not Path(path).exists() and not Path(path).name.startswith(".")
        file = self.real["open"](path, *args, **kwargs)
        self.files[file] = Path(path)
        if new:
            self.unnamed.add(Path(path))
        if Path(path).is_file():
            self.flushed.setdefault(Path(path), Path(path).stat().st_size)
        return file

    def write(self, file, content):
        if file in self.files:
            if self.half and len(self.calls) == self.at:
                self.real["write"](file, bytes(content)[: len(content) // 2])
            self.reach("write")
        return self.real["write"](file, content)

    def fsync(self, file):
        if file in self.files:
            self.reach("fsync")
        self.real["fsync"](file)
        if file in self.files and self.files[file].is_dir():
            self.unnamed = {path for path in self.unnamed if path.parent != self.files[file]}
        elif file in self.files:
            self.flushed[self.files[file]] = self.files[file].stat().st_size

    def ftruncate(self, file, size):
        if file in self.files:
            self.reach("ftruncate")
        self.real["ftruncate"](file, size)

    def close(self, file):
        self.files.pop(file, None)
        self.real["close"](file)


def forked(work):
    """Do something in a copy of this process; return what it sent, and the signal that ended it."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: threads of libraries that are idle here
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, work().encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        sent = pipe.read()
    return sent, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def said(results):
    """All that is equal however often a run was disturbed: records but for clocks, comparisons, ranks."""
    nothing = Timing(encode_s=0.0, fit_s=0.0, score_s=0.0)
    found = []
    for one in results.compared:
        record = one.answer.record
        where = msgspec.structs.replace(record.outcomes, offset=0)
        plain = {"outcomes": where, "checksum": "", "created_utc": "", "environment": {}, "timing": nothing}
        found.append((msgspec.structs.replace(record, **plain), one.differences, one.untested, one.answer.reproduced))
    ranks = [(row.label, row.rank, row.rank_high, row.values) for table in results.tables for row in table.rows]
    return found, ranks


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    """Return what an undisturbed run says, and the calls that it makes."""
    whole = said(command(tmp_path_factory.mktemp("whole")))
    folder = tmp_path_factory.mktemp("calls") / "new"

    def work():
        watched = Watch(folder)
        command(folder)
        return " ".join(watched.calls)

    sent, code = forked(work)
    assert code == 0
    return whole, sent.split()


def killed_and_run_again(command, undisturbed, folder, at, **how):
    def work():
        Watch(folder, at, **how)
        command(folder)
        return "it was not killed"

    assert forked(work) == ("", -signal.SIGKILL)
    path = journal.run_file(folder)
    left = path.read_bytes() if path.is_file() else b""
    kept = journal.read(path)
    assert said(command(folder)) == undisturbed, (at, how)
    assert path.read_bytes().startswith(left)  # nothing was rewritten
    records = journal.read(path)
    assert [one.record for one in records[: len(kept)]] == [one.record for one in kept]  # and nothing done twice
    assert sorted(one.record.label for one in records) == sorted(ALIGNERS)
    blocks = {one.container.block(one.record.outcomes) for one in records}
    assert len(blocks) == len(ALIGNERS)


def test_the_moments_are_those_of_a_run(undisturbed):
    calls = undisturbed[1]
    assert calls.count("write") == 2 * len(ALIGNERS)
    assert calls.count("fsync") == 2 * len(ALIGNERS) + 2  # the folder, when each of the two files is new
    assert calls.count("open") > 2 * len(ALIGNERS)


def test_killed_before_any_call_it_goes_on_to_the_same_results(command, undisturbed, tmp_path):
    whole, calls = undisturbed
    for at in range(len(calls)):
        killed_and_run_again(command, whole, tmp_path / str(at), at)


@pytest.mark.parametrize("cut", ["", "lost", "zeros"])
def test_killed_in_the_middle_of_a_write_it_goes_on_to_the_same_results(command, undisturbed, tmp_path, cut):
    whole, calls = undisturbed
    for at in (at for at, name in enumerate(calls) if name == "write"):
        killed_and_run_again(command, whole, tmp_path / str(at), at, half=True, cut=cut)


@pytest.mark.parametrize("cut", ["lost", "zeros"])
def test_a_power_cut_before_bytes_are_flushed_goes_on_to_the_same_results(command, undisturbed, tmp_path, cut):
    whole, calls = undisturbed
    for at in (at for at, name in enumerate(calls) if name == "fsync"):
        killed_and_run_again(command, whole, tmp_path / str(at), at, cut=cut)
