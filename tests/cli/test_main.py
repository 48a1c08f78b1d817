"""The command line itself: help, mistakes, exit codes."""

import subprocess
import sys

import pytest

from gapbench import __version__
from gapbench.cli.group import COMMANDS

BROKEN = "import gapbench\n\n\n@gapbench.hookimpl\ndef gapbench_aligner():\n    return []\n"


def test_help_names_every_command(gapbench):
    shown = gapbench("--help").stdout
    for name, (_, summary) in COMMANDS.items():
        assert name in shown
        assert summary in shown


def test_version(gapbench):
    assert __version__ in gapbench("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["lst"], 2, "Did you mean 'list'?"),
        (["list", "aligne"], 2, "Did you mean 'aligner'?"),
        (["plan", "-a", "identiti"], 2, "Did you mean 'identity'?"),
        (["list", "--plugin", "nowhere.py"], 2, "There is no plugin file"),
        (["list", "--nonsense"], 2, "No such option"),
    ],
)
def test_a_mistake_is_one_clear_message(gapbench, arguments, code, hint):
    done = gapbench(*arguments, code=code)
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_strict_adds_the_traceback_and_keeps_the_code(gapbench):
    done = gapbench("plan", "-a", "identiti", "--strict", code=2)
    assert "Traceback" in done.stderr
    assert "Did you mean 'identity'?" in done.stderr


def test_strict_shows_where_a_named_plugin_is_broken(gapbench, tmp_path):
    (tmp_path / "plugin_misspelt.py").write_text(BROKEN)
    done = gapbench("list", "--plugin", "plugin_misspelt.py", "--strict", code=3)
    assert "Traceback" in done.stderr


def test_a_broken_plugin_is_one_line(gapbench, tmp_path):
    (tmp_path / "plugin_misspelt.py").write_text(BROKEN)
    lines = gapbench("list", "metric", "--plugin", "plugin_misspelt.py", code=3).stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: plugin_misspelt.py is broken: ")


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "gapbench", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_an_interruption_is_one_line(monkeypatch, capsys):
    from gapbench.cli import group
    from gapbench.cli import main as module

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(group.cli, "main", interrupted)
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 130
    assert len(capsys.readouterr().err.splitlines()) == 1
