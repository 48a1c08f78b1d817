"""The tutorial is run from top to bottom, and the how-to pages' plugins load."""

import re
import shlex
from pathlib import Path

import pytest

from gapbench.host.discovery import discover

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "plugins" / "gapbench-example"
BLOCK = re.compile(r"```(\w+)(?: ([\w./-]+))?\n(.*?)```", flags=re.DOTALL)
OFFLINE = {"pip install .": ("pip", "install", "-q", "--no-deps", "--no-build-isolation", ".")}


def plain(text):
    """Give the lines of a text without rules and runs of spaces."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not set(line) <= {"─"}]


def assert_shown(wanted, printed, command):
    """Every line of ``wanted`` is in ``printed``, in that order; ``...`` stands for anything."""
    found = iter(plain(printed))
    for line in plain(wanted):
        if line == "...":
            continue
        pattern = ".*".join(re.escape(part.strip()) for part in line.split("..."))
        assert any(re.search(pattern, other) for other in found), f"{command}: no line {line!r} in\n{printed}"


def test_the_tutorial_does_what_it_says(fresh_environment, tmp_path):
    blocks = BLOCK.findall((DOCS / "tutorial.md").read_text())
    command = printed = ""
    ran = 0
    try:
        for language, name, text in blocks:
            if name:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text)
            elif language == "sh":
                command = text.strip()
                printed = fresh_environment(*OFFLINE.get(command, shlex.split(command)), cwd=tmp_path)
                ran += 1
            elif language == "text":
                assert_shown(text, printed, command)
    finally:
        fresh_environment("pip", "uninstall", "-q", "-y", "gapbench-example", cwd=tmp_path)
    assert ran >= 7


def test_the_tutorial_builds_the_example():
    named = {name: text for _, name, text in BLOCK.findall((DOCS / "tutorial.md").read_text()) if name}
    assert sorted(named) == ["gapbench_example.py", "pyproject.toml", "tests/test_contract.py"]
    for name, text in named.items():
        assert (EXAMPLE / name).read_text() == text, name


def plugins():
    for page in sorted((DOCS / "how-to").glob("*.md")):
        for language, name, text in BLOCK.findall(page.read_text()):
            if language == "python" and name:
                yield pytest.param(name, text, id=name)


@pytest.mark.parametrize(("name", "text"), list(plugins()))
def test_a_plugin_of_a_how_to_page_loads(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    registry = discover(plugin_files=[tmp_path / name])
    assert not registry.broken
    (found,) = [plugin for plugin in registry.plugins if plugin.origin.distribution == name]
    assert found.components


def test_the_score_side_method_keeps_the_contract_and_runs(gapbench, tmp_path):
    (block,) = [text for _, name, text in BLOCK.findall((DOCS / "how-to/score-side.md").read_text()) if name]
    (tmp_path / "popular.py").write_text(block)
    gapbench("check", "aligner", "popular", "--plugin", "popular.py")
    done = gapbench(
        *("run", "-d", "color-digits", "-p", "captions", "-a", "identity", "-a", "popular[amount=auto]"),
        *("--plugin", "popular.py", "--no-figures"),
    )
    assert "popular[amount=auto]" in done.stdout


def test_the_written_prompts_run(gapbench, tmp_path):
    (block,) = [text for _, name, text in BLOCK.findall((DOCS / "how-to/prompts.md").read_text()) if name]
    (tmp_path / "prompts.toml").write_text(block)
    done = gapbench("run", "-d", "digits", "-p", "file:prompts.toml", "-a", "identity", "-m", "top1", "--no-figures")
    assert "file:prompts.toml" in done.stdout


def test_the_study_of_the_sweeps_page_can_be_planned(gapbench, tmp_path):
    (block,) = [text for _, name, text in BLOCK.findall((DOCS / "how-to/sweeps.md").read_text()) if name]
    (tmp_path / "study.toml").write_text(block)
    assert "gap-shift[delta=0.25]" in "".join(gapbench("plan", "--study", "study.toml").stdout.split())


def test_the_python_page_runs(capsys):
    (block,) = [
        text for language, _, text in BLOCK.findall((DOCS / "how-to/python.md").read_text()) if language == "python"
    ]
    exec(block, {})
    assert capsys.readouterr().out.count("\n") == 3
