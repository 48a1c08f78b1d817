"""The distributions below plugins/ work as strangers would have them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent.parent / "plugins"


@pytest.mark.parametrize("project", sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml")))
def test_its_own_tests_pass(own_plugins, project):
    path = f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "--rootdir",
        str(PLUGINS / project),
        str(PLUGINS / project),
    ]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_is_found_by_its_entry_point_and_ranked(own_plugins, gapbench):
    env = {
        "PYTHONPATH": f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "GAPBENCH_PLUGINS": "gapbench-example",
    }
    done = gapbench("run", "-d", "digits", "-p", "photo", "-a", "identity", "-a", "halfway", "--no-figures", env=env)
    assert "1   halfway" in done.stdout
    assert "gapbench-example" in gapbench("plugins", env=env).stdout
