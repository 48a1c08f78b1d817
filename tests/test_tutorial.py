"""The tutorial is run from top to bottom."""

import re
import shlex
from pathlib import Path

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
