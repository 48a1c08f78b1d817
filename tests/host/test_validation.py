"""What a plugin hands over is held to the contract, and whatever it does, the host goes on."""

import subprocess
import sys

import pytest

from gapbench.host.discovery import discover
from gapbench.host.registry import Kind

SPEC = {
    "name": '"mine"',
    "factory": '__name__ + ":A"',
    "summary": '""',
    "family": '""',
    "needs": "frozenset()",
    "acts_on": "ActsOn.BOTH",
}
HEAD = "from gapbench import ActsOn, AlignerSpec, Need, Param, hookimpl\n\n\n"


def text_of(head="", tail="", **changed):
    fields = ", ".join(f"{key}={value}" for key, value in (SPEC | changed).items())
    return f"{head}{HEAD}@hookimpl\ndef gapbench_aligners():\n    return [AlignerSpec({fields})]\n{tail}"


@pytest.fixture(autouse=True)
def _forget_modules(tmp_path):
    """Forget what was imported from the temporary folder: the next test writes modules of the same names."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def found(tmp_path):
    """Discover with one file as a plugin."""

    def run(text, name="plugin_under_test"):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return discover(plugin_files=[path])

    return run


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"needs": "None"}, "needs None; write frozenset"),
        ({"needs": "[Need.PAIRS]"}, "write frozenset"),
        ({"summary": "None"}, "summary=None; it must be of type str"),
        ({"family": "None"}, "family=None"),
        ({"argument": "3"}, "argument=3"),
        ({"acts_on": '"sideways"'}, "acts_on='sideways'; it must be of type ActsOn"),
        ({"options": "{3: 1}"}, "options that are no keywords: 3"),
        ({"params": '{"a b": Param(default=1, doc="")}'}, "parameter 'a b'"),
        ({"params": '{"a": Param(default=1, low="x", doc="")}'}, "bounds 'x'..None"),
        ({"params": '{"a": Param(default=1, choices=None, doc="")}'}, "choices=None; write a tuple"),
        ({"params": '{"a": Param(default=float("nan"), doc="")}'}, "must be finite"),
    ],
)
def test_a_field_of_the_wrong_type_breaks_that_plugin_alone(found, changed, cause):
    registry = found(text_of(**changed))
    (broken,) = registry.broken
    assert broken.stage == "validate"
    assert cause in broken.cause
    assert (Kind.ALIGNER, "mine") in broken.components
    assert registry.get(Kind.ALIGNER, "identity").origin.distribution == "gapbench"


def test_a_spec_that_raises_when_it_is_read_breaks_that_plugin_alone(found):
    tail = (
        "\n\nclass Hostile(AlignerSpec):\n    @property\n    def reference(self):\n        raise LookupError('not today')"
        "\n\n    @reference.setter\n    def reference(self, value):\n        pass\n"
    )
    registry = found(text_of(tail=tail).replace("[AlignerSpec(", "[Hostile("))
    (broken,) = registry.broken
    assert "not today" in broken.cause


@pytest.mark.parametrize(
    "tail",
    [
        "\n\ndef __dir__():\n    return ['gapbench_aligners', 'lazy']\n\n\ndef __getattr__(name):\n    raise ImportError(name)\n",
        "\n\nclass Proxy:\n    def __getattr__(self, name):\n        raise RuntimeError('no context')\n\n\nproxy = Proxy()\n",
        "\n\nfrom unittest.mock import call\n",
    ],
    ids=["lazy attribute", "proxy", "has every attribute"],
)
def test_other_names_of_a_module_are_no_concern_of_the_host(found, tail):
    registry = found(text_of(tail=tail))
    assert registry.broken == ()
    assert "mine" in registry.components(Kind.ALIGNER)


def test_a_bad_item_does_not_hide_the_names_of_the_good_ones(found):
    (broken,) = found(text_of().replace(")]", "), {}]")).broken
    assert broken.components == ((Kind.ALIGNER, "mine"),)


def test_a_file_given_twice_is_one_plugin(tmp_path):
    path = tmp_path / "plugin_given_twice.py"
    path.write_text(text_of())
    registry = discover(plugin_files=[path, path])
    assert registry.broken == ()
    assert [plugin.origin.distribution for plugin in registry.plugins] == ["gapbench", "plugin_given_twice.py"]


@pytest.mark.parametrize("name", ["plugin_left_out", "plugin_left_out.py", "Plugin-left-out"])
def test_a_file_can_be_left_out_by_either_name(tmp_path, name):
    path = tmp_path / "plugin_left_out.py"
    path.write_text(text_of(name='"identity"'))
    assert discover(plugin_files=[path], blocked=[name]).broken == ()
    assert discover(plugin_files=[path]).broken[0].fix == "Choose another name in plugin_left_out.py."


def test_a_file_whose_name_cannot_be_imported_says_so(found):
    (broken,) = found(text_of(), name="my-method").broken
    assert "rename the file" in broken.cause


def test_a_file_cannot_take_the_place_of_a_library_that_is_not_imported_yet(tmp_path):
    path = tmp_path / "colorsys.py"
    path.write_text(text_of())
    code = (
        "import sys; from pathlib import Path; from gapbench.host.discovery import discover\n"
        "print(discover(plugin_files=[Path(sys.argv[1])]).broken[0].cause)\n"
        "import colorsys; print(colorsys.__file__)"
    )
    cause, file = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True).splitlines()
    assert "taken by another module" in cause
    assert file != str(path)


def test_what_a_plugin_prints_does_not_get_into_the_output(found, capsys):
    found(text_of(head="print('good morning')\n"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "good morning" in printed.err


def test_two_entry_points_of_one_distribution_that_clash_are_told_apart(tmp_path, monkeypatch):
    for name in ("one_of_two", "two_of_two"):
        (tmp_path / f"{name}.py").write_text(text_of())
    info = tmp_path / "gapbench_pair-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gapbench-pair\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gapbench]\nfirst = one_of_two\nsecond = two_of_two\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GAPBENCH_PLUGINS", "gapbench-pair")
    causes = [broken.cause for broken in discover().broken]
    assert ["second" in causes[0], "first" in causes[1]] == [True, True]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Give a folder on the path with one whole plugin, ``ok``, and nothing else limited to it."""
    (tmp_path / "plugin_on_site.py").write_text(text_of())
    info = tmp_path / "gapbench_ok-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gapbench-ok\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gapbench]\nok = plugin_on_site\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GAPBENCH_PLUGINS", "ok")
    return tmp_path


def test_a_package_with_unreadable_entry_points_does_not_stop_the_others(site):
    info = site / "unrelated-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unrelated\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nthere is no equals sign here\n")
    registry = discover()
    assert registry.broken == ()
    assert registry.get(Kind.ALIGNER, "mine").origin.distribution == "gapbench-ok"


def test_a_plugin_whose_metadata_is_gone_still_loads(site):
    (site / "gapbench_ok-1.0.dist-info" / "METADATA").unlink()
    origin = discover().get(Kind.ALIGNER, "mine").origin
    assert (origin.distribution, origin.handle) == ("unknown", "ok")
