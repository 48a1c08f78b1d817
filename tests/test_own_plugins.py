"""The distributions below plugins/ work as strangers would have them: installed by pip, found by their entry points."""

import json
import os
import shutil
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent.parent / "plugins"
PROJECTS = sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))


@pytest.mark.parametrize(
    "project",
    [pytest.param(name, marks=[] if name == "gapbench-example" else pytest.mark.slow) for name in PROJECTS],
)
def test_installed_by_pip_it_is_found_and_its_own_tests_pass(fresh_environment, tmp_path, project):
    source = tmp_path / project
    shutil.copytree(PLUGINS / project, source, ignore=shutil.ignore_patterns("__pycache__"))
    fresh_environment("pip", "install", "-q", "--no-deps", "--no-build-isolation", source, cwd=tmp_path)
    try:
        found = json.loads(fresh_environment("gapbench", "plugins", "--json", cwd=tmp_path))
        (mine,) = [entry for entry in found if entry["distribution"] == project]
        assert mine["state"] == "ok"
        tested = fresh_environment(
            "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, source / "tests", cwd=tmp_path
        )
        assert " passed" in tested
        assert "failed" not in tested
    finally:
        fresh_environment("pip", "uninstall", "-q", "-y", project, cwd=tmp_path)


def test_the_example_is_found_by_its_entry_point_and_ranked(own_plugins, gapbench):
    env = {
        "PYTHONPATH": f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "GAPBENCH_PLUGINS": "gapbench-example",
    }
    done = gapbench("run", "-d", "digits", "-p", "photo", "-a", "identity", "-a", "halfway", "--no-figures", env=env)
    assert "1   halfway" in done.stdout
    assert "gapbench-example" in gapbench("plugins", env=env).stdout
