"""The last guard: one sentence, the right exit code, and a report."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gapbench.cli import group, main
from gapbench.cli.guard import told
from gapbench.errors import BrokenPluginError, DataError, UsageError


def ends(monkeypatch, capsys, error, *arguments):
    def failing(**_):
        raise error

    monkeypatch.setattr(group.cli, "main", failing)
    monkeypatch.setattr(sys, "argv", ["gapbench", *arguments])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as left:
            main.main()
    finally:
        signal.signal(signal.SIGINT, before)
    return left.value.code, capsys.readouterr().err


def test_what_nobody_foresaw_is_one_sentence_and_a_report(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, shown = ends(monkeypatch, capsys, ValueError("an odd\n\x1b[2J value"), "run", "--out", "o o")
    assert code == 1
    assert len(shown.splitlines()) == 1
    assert r"ValueError: an odd \x1b[2J value" in shown
    assert "Traceback" not in shown
    report = Path(re.search(r"\S+gapbench-report-\S+\.txt", shown)[0])
    text = report.read_text()
    assert report.parent == tmp_path
    assert report.stat().st_mode & 0o077 == 0
    for part in ("Traceback", "failing", "gapbench run --out 'o o'", "numpy ", "Python "):
        assert part in text


def test_without_a_place_for_the_report_the_place_of_the_error_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    code, shown = ends(monkeypatch, capsys, ZeroDivisionError())
    assert code == 1
    assert len(shown.splitlines()) == 1
    assert "test_guard.py" in shown
    assert "Traceback" not in shown


def test_strict_shows_the_traceback(monkeypatch, capsys):
    code, shown = ends(monkeypatch, capsys, ValueError("odd"), "run", "--strict")
    assert code == 1
    assert "Traceback" in shown


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/some/where"),
            1,
            ["/some/where", "No space left", "Make room"],
        ),
        (OSError(errno.EFBIG, "File too large", "/some/where"), 1, ["/some/where", "File too large"]),
        (
            OSError(errno.EROFS, "Read-only file system", "/some/store"),
            1,
            ["/some/store", "Read-only", "GAPBENCH_CACHE"],
        ),
        (PermissionError(errno.EACCES, "Permission denied", b"/some/store"), 1, ["/some/store", "Permission denied"]),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b\x1b"), 1, ["/a/b\\x1b", "Not a directory"]),
        (MemoryError(), 1, ["not enough memory"]),
        (RecursionError("maximum recursion depth exceeded"), 1, ["RecursionError", "report"]),
        (OSError("no number"), 1, ["OSError: no number", "report"]),
        (DataError("bad data"), 2, ["bad data"]),
        (UsageError("bad usage"), 2, ["bad usage"]),
        (BrokenPluginError("broken"), 3, ["broken"]),
        (SystemExit(1), 1, []),
        (SystemExit("text"), 1, []),
        (KeyboardInterrupt(), 130, ["Interrupted"]),
    ],
)
def test_each_ending_is_one_line_with_its_code(monkeypatch, capsys, tmp_path, error, code, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found, shown = ends(monkeypatch, capsys, error)
    assert found == code
    assert len(shown.splitlines()) == bool(words)
    assert "Traceback" not in shown
    for word in words:
        assert word in shown


def test_an_endless_message_is_cut(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert told(ValueError("x" * 10**6)) == 1
    assert len(capsys.readouterr().err) < 1000


@pytest.mark.parametrize("command", [["-m", "gapbench"], ["-c", "from gapbench.cli.main import main; main()"]])
def test_a_missing_library_is_a_sentence(tmp_path, command):
    (tmp_path / "click.py").write_text("raise ImportError('no click here')")
    done = subprocess.run(
        [sys.executable, *command, "list"], env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no click here" in done.stderr


@pytest.fixture
def interruptible():
    """Children get SIGINT as at a terminal: a shell's background jobs, pytest among them, start with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_libraries_are_imported_is_one_line(tmp_path):
    (tmp_path / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "gapbench", "list"], env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "importing\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(shown.splitlines()) == 1
    assert "Traceback" not in shown


def test_a_store_that_cannot_be_written_is_a_sentence_that_names_it(gapbench, tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = tmp_path / "file" / "store"
    done = gapbench(
        "run", "-d", "digits", "-a", "identity", "-m", "top1", env={"GAPBENCH_CACHE": str(store)}, code=None
    )
    assert done.returncode in (1, 2)
    assert str(store) in "".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", [0, 500, 3000])
def test_files_that_may_not_grow_are_named(tmp_path, size):
    import numpy as np

    resource = pytest.importorskip("resource")
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype("f4")
    np.savez(tmp_path / "t.npz", image=rows, text=rows[:3], label=np.arange(60) % 3)
    done = subprocess.run(
        [sys.executable, "-m", "gapbench", "run", "-d", "embeddings:t.npz", "-a", "identity", "-m", "top1", "--no-figures", "--out", "o"],
        cwd=tmp_path, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert str(Path("o")) in done.stderr
    assert "gapbench-report" not in done.stderr
