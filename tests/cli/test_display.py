"""Displays that show too little, or nothing, cost nothing but what is shown."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gapbench.cli.console import console, echo, echo_json

PLUGIN = """
import gapbench
class It:
    "Steers \\x1b]0;title\\x07 and \\u202e turns."
    def fit(self, data): return self
    def images(self, rows): return rows
    def texts(self, rows): return rows
@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="odd", factory="odd:It", summary="s\\x1b[2J \\u202e\\x9b [bold] :smile:", family="f",
                                 needs=frozenset(), acts_on=gapbench.ActsOn.IMAGES)]
"""


@pytest.fixture
def toy(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    texts = rng.normal(size=(3, 8)).astype("f4")
    images = (texts[labels] + rng.normal(size=(60, 8))).astype("f4")
    np.savez(tmp_path / "t.npz", image=images, text=texts, label=labels)
    return "embeddings:t.npz"


def run(*arguments, cwd, env=None, **streams):
    command = [sys.executable, "-m", "gapbench", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, timeout=120, check=False, **streams)


def words(toy, out):
    return [
        "run",
        "-d",
        toy,
        "-a",
        "identity",
        "-a",
        "mean-center",
        "-m",
        "top1",
        "-m",
        "centroid-l2",
        "--no-figures",
        "--out",
        out,
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_replaced_and_the_files_are_the_same(toy, tmp_path, encoding):
    whole = run(*words(toy, "a"), cwd=tmp_path)
    part = run(*words(toy, "b"), cwd=tmp_path, env={"PYTHONIOENCODING": encoding})
    assert (whole.returncode, part.returncode) == (0, 0)
    assert part.stderr == b""
    shown = part.stdout.decode(encoding)
    assert "identity" in shown
    assert "\\u" not in shown
    for name in ("README.md", "table.csv"):
        assert (tmp_path / "a" / name).read_text().replace("out a", "out b") == (tmp_path / "b" / name).read_text()


@pytest.mark.parametrize(
    "arguments",
    [["list", "aligner"], ["show", "procrustes"], ["plugins"], ["cache", "ls"], ["--help"], ["run", "--help"]],
)
@pytest.mark.parametrize(
    "locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_commands_work_where_characters_are_missing(tmp_path, arguments, locale):
    done = run(*arguments, cwd=tmp_path, env=locale)
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout


def test_lookalikes_keep_numbers_readable(tmp_path):
    code = "from gapbench.cli.console import Displays, echo\nDisplays()\necho('−0.5 → Δ 日')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True
    )
    assert done.stdout == b"-0.5 > d ?\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_display_is_told_and_the_files_are_there(toy, tmp_path):
    with open("/dev/full", "w") as full:
        done = run(*words(toy, "o"), cwd=tmp_path, stdout=full)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert b"No space left on device" in done.stderr
    assert (tmp_path / "o" / "README.md").is_file()


@pytest.mark.parametrize("flags", [[], ["-u"]])
def test_a_closed_display_is_told_and_no_file_takes_its_place(toy, tmp_path, flags):
    command = [sys.executable, *flags, "-m", "gapbench", *words(toy, "o")]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    texts = [path.read_text() for path in (tmp_path / "o" / "records").glob("*.jsonl")]
    assert texts
    assert all(line.startswith("{") for text in texts for line in text.splitlines())


def test_closed_errors_change_no_exit_code(tmp_path):
    for arguments, code in ((["list", "metric"], 0), (["list", "nonsense"], 2)):
        command = [sys.executable, "-m", "gapbench", *arguments]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code


def test_a_reader_that_goes_away_costs_neither_files_nor_the_exit_code(toy, tmp_path):
    command = [sys.executable, "-m", "gapbench", *words(toy, "o")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
    assert (tmp_path / "o" / "README.md").is_file()


def test_text_of_plugins_steers_nothing(tmp_path):
    (tmp_path / "odd.py").write_text(PLUGIN)
    for arguments in (
        ["list", "aligner"],
        ["show", "odd"],
        ["plugins"],
        ["list", "aligner", "--json"],
        ["plan", "-a", "\x1b[2J\u202e"],
    ):
        done = run(*arguments, "--plugin", "odd.py", cwd=tmp_path)
        shown = (done.stdout + done.stderr).decode()
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x7f"} & set(shown), arguments


def test_a_rich_console_shows_text_of_others_as_text_in_tables_too(capsys):
    from rich.table import Table

    grid = Table("a\x1b[2Jb")
    grid.add_row("\u202ec\x9b :smile:")
    console().print(grid)
    console(err=True).print("[bold]d[/]\x07")
    echo("e\x1b", bold=True)
    echo_json({"f\x7f": "\x1b\u202e"})
    shown = "".join(capsys.readouterr())
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x7f"} & set(shown)
    for text in ("a\\x1b[2Jb", "\\u202ec\\x9b :smile:", "d\\x07", "e\\x1b", '"f\\u007f": "\\u001b\\u202e"'):
        assert text in shown
