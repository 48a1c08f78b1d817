"""Building: what goes wrong in somebody else's code is told as theirs, with the way out."""

import sys

import pytest

from gapbench.errors import DataError, PluginError
from gapbench.host.build import build, load
from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.selection import Selected
from gapbench.specs import ActsOn, AlignerSpec

ORIGIN = Origin("gapbench-toy", "1.0", "toy", "toy")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported, and forget it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("toy_implementation", None)

    def write(text, name="toy_implementation"):
        (tmp_path / f"{name}.py").write_text(text)
        return f"{name}:A"

    return write


def selected(factory):
    spec = AlignerSpec(name="toy", factory=factory, summary="", family="", needs=frozenset(), acts_on=ActsOn.BOTH)
    return Selected(Component(Kind.ALIGNER, spec, ORIGIN))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import math\nmath.no_such_function", "importing 'toy_implementation' raises AttributeError: module 'math'"),
        ("raise ModuleNotFoundError('get the toys first')", "ModuleNotFoundError: get the toys first"),
        ("import sys\nsys.exit(4)", "raises SystemExit: 4"),
        ("import a_package_that_nobody_has", "Run: pip install a_package_that_nobody_has"),
        ("x = 1", "module 'toy_implementation' has no 'A'"),
    ],
)
def test_a_reference_that_cannot_be_loaded_says_why(module, text, message):
    with pytest.raises(PluginError) as caught:
        load(module(text), ORIGIN)
    assert str(caught.value).startswith("gapbench-toy 1.0: ")
    assert message in str(caught.value)


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(PluginError, match="no module 'a_module_that_nobody_wrote'"):
        load("a_module_that_nobody_wrote:A", ORIGIN)


def test_a_missing_package_is_told_by_the_extra_that_brings_it(module, tmp_path):
    info = tmp_path / "gapbench_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gapbench-toy\nVersion: 1.0\nProvides-Extra: toys\n"
        "Requires-Dist: a-package-that-nobody-has>=2; extra == 'toys'\n"
    )
    with pytest.raises(PluginError, match=r"Run: pip install 'gapbench-toy\[toys\]'"):
        load(module("import a_package_that_nobody_has"), ORIGIN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\n\n\ndef A():\n    sys.exit(2)", "building aligner 'toy' raises SystemExit: 2"),
        ("def A():\n    import a_package_that_nobody_has", "needs the package 'a_package_that_nobody_has'"),
        ("A = 3", "TypeError: 'int' object is not callable"),
        ("class A:\n    pass", "has no method fit()"),
        ("class A:\n    fit = 3", "has no method fit()"),
    ],
)
def test_a_factory_that_fails_says_why(module, text, message):
    with pytest.raises(PluginError) as caught:
        build(selected(module(text)))
    assert message in str(caught.value)


def test_errors_raised_on_purpose_pass_through(module):
    text = "from gapbench.errors import DataError\n\n\ndef A():\n    raise DataError('row 3')"
    with pytest.raises(DataError, match=r"^row 3$"):
        build(selected(module(text)))


def test_an_interruption_is_no_failure_of_the_plugin(module):
    with pytest.raises(KeyboardInterrupt):
        build(selected(module("def A():\n    raise KeyboardInterrupt")))
