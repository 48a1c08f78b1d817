"""Discovery: built-ins through the same hooks, single files, and what is loaded when."""

import subprocess
import sys

import pytest

from gapbench.errors import PluginError, UsageError
from gapbench.host.build import build, load
from gapbench.host.discovery import BUILTIN, discover
from gapbench.host.registry import HOOKS, Kind
from gapbench.host.selection import select

GOOD = """
import gapbench

class A:
    def fit(self, data):
        return self

@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="mine", factory="{stem}:A", summary="", family="", needs=frozenset(),
                                 acts_on=gapbench.ActsOn.BOTH)]
"""


def plugin(tmp_path, name, text):
    path = tmp_path / f"{name}.py"
    path.write_text(text.replace("{stem}", name))
    return path


def test_built_ins_register_through_every_hook():
    registry = discover()
    assert registry.broken == ()
    assert registry.plugins[0].origin == BUILTIN
    assert set(registry.plugins[0].hooks) == set(HOOKS.values())


def test_every_built_in_factory_exists():
    registry = discover()
    for kind in Kind:
        for component in registry.components(kind).values():
            assert callable(load(component.spec.factory, component.origin))


def test_a_single_file_is_a_plugin(tmp_path):
    registry = discover(plugin_files=[plugin(tmp_path, "single_file_plugin", GOOD)])
    (selected,) = select(registry, Kind.ALIGNER, ["mine"])
    assert build(selected).fit(None) is not None
    assert selected.component.origin.distribution == "single_file_plugin.py"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no plugin file"):
        discover(plugin_files=[tmp_path / "absent.py"])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("def broken(:", "SyntaxError"),
        ("x = 1", "It has no hook"),
        ("def gapbench_aligners():\n    return []", "lacks the mark"),
        (GOOD.replace('name="mine"', 'name="My Method"'), "bad name"),
        (GOOD.replace("frozenset()", 'frozenset({"labels!"})'), "no gapbench.Need"),
        (GOOD.replace("return [", "yield 1; return ["), "gives int"),
        (GOOD.replace("acts_on=", 'params={"a": 1}, acts_on='), "write gapbench.Param"),
        (
            GOOD.replace("acts_on=", 'params={"a": gapbench.Param(default=3, high=2, doc="")}, acts_on='),
            "outside None..2",
        ),
        (GOOD.replace("return [", "return ").replace(")]", ")"), "must return a list of specs"),
    ],
)
def test_a_bad_file_is_broken_with_its_cause(tmp_path, text, cause):
    name = f"bad_file_{abs(hash(cause)) % 10**8}"
    registry = discover(plugin_files=[plugin(tmp_path, name, text)])
    (broken,) = registry.broken
    assert cause in broken.cause
    assert "Mend" in broken.fix
    assert len(registry.plugins) == 1


def test_strict_raises(tmp_path):
    with pytest.raises(PluginError, match="no hook"):
        discover(plugin_files=[plugin(tmp_path, "strictly_bad", "x = 1")], strict=True)


def test_two_names_in_one_plugin_clash(tmp_path):
    text = GOOD.replace("return [", "spec = ").replace(
        "acts_on=gapbench.ActsOn.BOTH)]", "acts_on=gapbench.ActsOn.BOTH)\n    return [spec, spec]"
    )
    (broken,) = discover(plugin_files=[plugin(tmp_path, "twice_the_name", text)]).broken
    assert "two aligners named 'mine'" in broken.cause


def test_looking_at_components_imports_neither_numpy_nor_torch():
    code = """
import sys
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.host.selection import select
for kind in Kind:
    select(discover(), kind)
print(sorted({"numpy", "torch", "faiss", "scipy", "sklearn", "msgspec", "PIL", "rich"} & set(sys.modules)))
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
