"""A plugin that somebody names has to work: exit code 3, or an exception, and never a warning and 0."""

import json
import os
import types

import pytest

import gapbench as package
from gapbench.errors import BrokenPluginError

SPEC = (
    "AlignerSpec(name='{name}', factory='named_plugin:A', summary='', family='toy', needs={needs}, acts_on=ActsOn.BOTH)"
)
HOOK = (
    "from gapbench import ActsOn, AlignerSpec, hookimpl\n\n\n@hookimpl\ndef gapbench_aligners():\n    return [{spec}]\n"
)


def text(name="mine", needs="frozenset()"):
    return HOOK.format(spec=SPEC.format(name=name, needs=needs))


#: Text of a plugin, and words of what is told about it.
BROKEN = {
    "does not compile": ("def broken(:\n", "SyntaxError"),
    "raises": ("raise RuntimeError('no luck today')\n", "no luck today"),
    "exits": ("raise SystemExit(0)\n", "SystemExit: 0"),
    "has no hook": ("x = 1\n", "It has no hook"),
    "misspells a hook": (text().replace("gapbench_aligners", "gapbench_aligner"), "Did you mean 'gapbench_aligners'?"),
    "has a bad spec": (text(needs="None"), "write frozenset"),
    "takes a built-in's name": (text("identity"), "Choose another name in named_plugin"),
}
COMMANDS = {
    "run": ("run", "-d", "digits", "-p", "photo", "-a", "identity", "-m", "top1", "--no-figures"),
    "list": ("list", "aligner"),
    "check": ("check", "aligner", "identity"),
    "plan": ("plan", "-a", "identity"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("cause", ["raises", "takes a built-in's name"])
def test_a_broken_file_after_plugin_is_exit_code_3(gapbench, tmp_path, words, cause):
    body, told = BROKEN[cause]
    (tmp_path / "named_plugin.py").write_text(body)
    done = gapbench(*words, "--plugin", "named_plugin.py", code=3)
    assert done.stderr.startswith("error: named_plugin.py is broken: ")
    assert told in done.stderr
    assert "warning" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "leaderboards").exists()


@pytest.mark.parametrize(("body", "told"), BROKEN.values(), ids=BROKEN)
def test_whatever_is_wrong_with_it(gapbench, tmp_path, body, told):
    (tmp_path / "named_plugin.py").write_text(body)
    assert told in gapbench("list", "metric", "--plugin", "named_plugin.py", code=3).stderr


@pytest.mark.parametrize("words", [("show", "identity"), ("new", "aligner", "fresh"), ("leaderboard", "build")])
def test_other_commands_say_so_too(gapbench, tmp_path, words):
    (tmp_path / "named_plugin.py").write_text("x = 1\n")
    assert "It has no hook" in gapbench(*words, "--plugin", "named_plugin.py", code=3).stderr


def test_all_that_are_broken_are_told_at_once(gapbench, tmp_path):
    for name in ("one_plugin.py", "two_plugin.py"):
        (tmp_path / name).write_text("x = 1\n")
    done = gapbench("list", "--plugin", "one_plugin.py", "--plugin", "two_plugin.py", code=3)
    assert "one_plugin.py is broken" in done.stderr
    assert "two_plugin.py is broken" in done.stderr


def test_one_that_is_left_out_is_not_looked_at(gapbench, tmp_path):
    (tmp_path / "named_plugin.py").write_text("raise RuntimeError\n")
    gapbench("list", "metric", "--plugin", "named_plugin.py", "--no-plugin", "named_plugin")


def test_two_files_with_one_name_are_both_told(gapbench, tmp_path):
    (tmp_path / "named_plugin.py").write_text(text())
    (tmp_path / "other_plugin.py").write_text(text())
    done = gapbench("list", "--plugin", "named_plugin.py", "--plugin", "other_plugin.py", code=3)
    assert "or leave the other out with --no-plugin other_plugin.py" in done.stderr


def test_one_that_is_installed_and_broken_stays_a_warning(gapbench, bad_plugins):
    path = f"{bad_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {"PYTHONPATH": path, "GAPBENCH_PLUGINS": "gapbench-import-raises"}
    for words in COMMANDS.values():
        assert "warning: plugin gapbench-import-raises 1.0 is broken" in gapbench(*words, env=env).stderr


def test_plugins_lists_it_and_ends_with_3(gapbench, tmp_path):
    (tmp_path / "named_plugin.py").write_text("x = 1\n")
    found = json.loads(gapbench("plugins", "--json", "--plugin", "named_plugin.py", code=3).stdout)
    assert [entry["state"] for entry in found] == ["ok", "broken"]


CHOSEN = {"datasets": ["digits"], "prompts": ["photo"], "aligners": ["identity"], "metrics": ["top1"]}


@pytest.mark.parametrize(("body", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_an_exception_in_python(tmp_path, body, told):
    (tmp_path / "named_plugin.py").write_text(body)
    with pytest.raises(BrokenPluginError) as raised:
        package.run(**CHOSEN, plugins=[tmp_path / "named_plugin.py"])
    assert told in str(raised.value)


@pytest.mark.parametrize("cause", ["misspells a hook", "has a bad spec", "takes a built-in's name"])
def test_a_broken_module_is_an_exception_in_python(cause):
    body, told = BROKEN[cause]
    module = types.ModuleType("named_plugin")
    exec(body, vars(module))
    with pytest.raises(BrokenPluginError) as raised:
        package.run(**CHOSEN, plugins=[module])
    assert told in str(raised.value)
