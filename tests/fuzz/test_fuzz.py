"""Whatever is typed and whatever lies on disk: an exit code that is documented, a sentence, and no traceback.

The seed is fixed, so that a failure is one of the code. Other seeds and numbers come from the environment::

    GAPBENCH_FUZZ_SEED=7 GAPBENCH_FUZZ_LINES=3000 GAPBENCH_FUZZ_FILES=100000 pytest -m slow tests/fuzz

Each case is repeated alone, with all that it says, by the command that its failure shows.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import files, lines

HERE = Path(__file__).parent
SEED = os.environ.get("GAPBENCH_FUZZ_SEED", "0")
LINES = int(os.environ.get("GAPBENCH_FUZZ_LINES", "320"))
FILES = int(os.environ.get("GAPBENCH_FUZZ_FILES", "10000"))

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not Path("/proc/self/statm").exists(), reason="forks, on Linux alone"
)


def driven(script, count):
    """Run a driver in a process of its own: this one may have threads, which a forked child would lack."""
    command = [sys.executable, HERE / script, "--seed", SEED]
    done = subprocess.run([*command, "--count", str(count)], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    found = json.loads(done.stdout)
    for number, what in found["found"].items():
        print(f"{what}\n=> repeat it with: python tests/fuzz/{script} --seed {SEED} --only {number}\n")
    return found


@pytest.mark.parametrize("count", [pytest.param(LINES, marks=pytest.mark.slow), 20])
def test_command_lines_end_with_a_code_that_is_documented_and_without_a_traceback(count):
    result = driven("lines.py", count)
    assert not result["found"]
    assert sum(result["codes"].values()) == count
    assert result["codes"].keys() <= {str(code) for code in lines.CODES}
    if count >= 300:
        assert {"0", "1", "2"} <= result["codes"].keys()  # not all are refused at the door


@pytest.mark.parametrize("count", [pytest.param(FILES, marks=pytest.mark.slow), 200])
def test_damaged_files_are_read_or_named(count):
    result = driven("files.py", count)
    assert not result["found"]
    assert sum(result["kinds"].values()) == count
    if count >= 10_000:
        assert len(result["kinds"]) >= len(files.KINDS) - 1  # signatures need ssh-keygen


def test_all_commands_and_options_are_drawn():
    from gapbench.cli.group import COMMANDS
    from gapbench.model.request import OPTIONS

    words = {word.partition("=")[0] for number in range(3_000) for word in lines.draw("0", number).words}
    assert set(COMMANDS) <= words
    assert not [option.flag for option in OPTIONS.values() if not {*option.flags} & words]


@pytest.mark.parametrize(
    ("code", "printed", "wrong"),
    [
        (0, "all well", []),
        (None, "", ["it did not end within 60 seconds"]),
        (-11, "", ["its exit code is -11"]),
        (130, "Interrupted.", ["it says that it was interrupted, and was not"]),
        (1, "error: ... in /tmp/gapbench-report-x.txt", ["the last guard caught something that nobody foresaw"]),
        (1, f"{lines.TRACEBACK}:\n  File\nValueError: x", ["it shows a traceback"]),
        (2, "", ["it says nothing"]),
    ],
)
def test_a_line_that_ends_badly_is_found(code, printed, wrong):
    assert list(lines._wrong(lines.Line(["run"], {}), code, printed)) == wrong


def test_writing_outside_of_the_folder_is_found(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from fuzz import lines; "
        "folder, told = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT); lines._watch(folder, told); "
        "(folder / 'inside').touch(); Path(os.devnull).open('w').close(); (folder.parent / 'outside').touch()"
    )
    (tmp_path / "folder").mkdir()
    command = [sys.executable, "-c", script, tmp_path / "folder", tmp_path / "told"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(HERE.parent)})
    assert "outside" in (tmp_path / "told").read_text()
    assert "inside" not in (tmp_path / "told").read_text()


def test_an_exception_a_hang_and_a_crash_of_a_reader_are_found(tmp_path, monkeypatch):
    script = (
        "import os, sys, time; from pathlib import Path; from fuzz import files; "
        "files.DEADLINE, files.BATCH = 1, 4; "
        "ways = [lambda: 1 / 0, lambda: os.abort(), lambda: time.sleep(60), lambda: bytearray(1 << 40), lambda: None]; "
        "files.damage = lambda seed, number, root, folder: (ways[number], 'x: y'); "
        "kinds, found = files.run('0', 5, None, Path(sys.argv[1]), 1); print({n: w.splitlines()[-1] for n, w in sorted(found.items())})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    assert sorted(eval(done.stdout)) == [0, 1, 2, 3], done.stdout + done.stderr
