"""Fixtures: a command line without installed plugins, a shared store, and the bad plugins."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from places import SHARED

# A busy machine is no failure, and a judge that draws other examples each time is no judge.
settings.register_profile(
    "gapbench", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("gapbench")


def pytest_configure(config):
    """Register gapbench's own fixtures where it is run from its checkout; an installed one brings them."""
    if not config.pluginmanager.has_plugin("gapbench"):
        from gapbench.testing import fixtures

        config.pluginmanager.register(fixtures, "gapbench")
    if config.getoption("dist", "no") != "no":
        os.environ.update(ONE_THREAD)  # before the workers start: their libraries read it when they are loaded


def pytest_runtest_setup(item):
    """Measure time alone, or not at all."""
    if item.get_closest_marker("benchmark") and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("it measures time: run it alone, with -m benchmark -n 0")


#: Workers share the cores already, and two OpenMP runtimes on two cores wait for each other.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def _quiet_environment(tmp_path_factory):
    """Keep what is installed or stored on this machine out of the tests; all workers share one store."""
    before = dict(os.environ)
    base = tmp_path_factory.getbasetemp()
    store = (base.parent if "PYTEST_XDIST_WORKER" in before else base) / "store"
    os.environ.update(ONE_THREAD, GAPBENCH_PLUGINS="", GAPBENCH_CACHE=str(store), COLUMNS="80")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def shared_file():
    """Give a file of published embeddings, or skip."""

    def find(name):
        path = SHARED / name
        if not path.is_file():
            pytest.skip(f"{name} is not beside this checkout (../shared/data)")
        return path

    return find


@pytest.fixture
def gapbench(tmp_path):
    """Run the command line in a process of its own, in a temporary folder."""

    def run(*arguments, env=None, cwd=tmp_path, timeout=300, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "gapbench", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def bad_plugins(tmp_path_factory):
    """Put all bad plugins on a path of their own, with the metadata that an installation would write."""
    return install_all(ROOT / "tests" / "plugins_broken", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def own_plugins(tmp_path_factory):
    """Put the distributions below ``plugins/`` on a path of their own."""
    return install_all(ROOT / "plugins", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory):
    """Make a virtual environment that sees gapbench and what it needs, and none of its plugins; run modules in it."""
    root = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    site = next(root.glob("lib/python*/site-packages"))
    (site / "parent.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    hidden = ("PYTHONPATH", "GAPBENCH_PLUGINS")

    def run(*arguments, cwd, code=0):
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [root / "bin" / "python", "-m", *map(str, arguments)],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def install_all(source, site):
    """Write modules and ``*.dist-info`` folders: what pip does with a pure Python distribution."""
    for project in sorted(source.glob("*/pyproject.toml")):
        meta = tomllib.loads(project.read_text())["project"]
        for module in project.parent.glob("*.py"):
            (site / module.name).write_text(module.read_text())
        for package in project.parent.glob("*/__init__.py"):
            shutil.copytree(package.parent, site / package.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
        info = site / f"{meta['name'].replace('-', '_')}-{meta['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {meta['name']}\nVersion: {meta['version']}\n")
        entry = "".join(f"{name} = {value}\n" for name, value in meta["entry-points"]["gapbench"].items())
        (info / "entry_points.txt").write_text(f"[gapbench]\n{entry}")
    return site
