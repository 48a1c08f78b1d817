"""Completion by the shell: click's own, asked as the scripts of bash, zsh and fish ask it."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.model.study import study_names


@pytest.fixture
def completed(gapbench):
    """Give what bash would offer for a line that ends at the cursor, each with its type."""

    def ask(line, **options):
        words = line.split(" ")
        env = {"_GAPBENCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        done = gapbench(env=env, **options)
        assert done.stderr == ""
        return [tuple(offer.split(",", 1)) for offer in done.stdout.splitlines() if offer]

    return ask


@pytest.fixture
def offered(completed):
    def ask(line, **options):
        return [text for _, text in completed(line, **options)]

    return ask


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("encoder", "-e"), ("dataset", "-d"), ("prompts", "--prompts"), ("aligner", "-a"), ("metric", "-m")],
)
def test_components_of_each_kind(offered, kind, flag):
    found = offered(f"gapbench run {flag} ")
    for name, component in discover().components(Kind(kind)).items():
        assert (f"{name}:" if component.spec.argument else name) in found


def test_a_beginning_is_completed(offered):
    assert offered("gapbench plan -a gap-") == ["gap-shift", "gap-projection"]
    assert offered("gapbench run -d color") == ["color-digits"]
    assert offered("gapbench run -a nothing-like-this") == []


def test_a_family_stops_at_its_colon(offered):
    assert offered("gapbench run -e open") == ["open_clip:", "open_clip:MODEL/PRETRAINED"]


def test_parameters_in_brackets(offered):
    assert offered("gapbench run -a procrustes[") == [
        *(f"procrustes[{name}=" for name in discover().components(Kind.ALIGNER)["procrustes"].spec.params)
    ]
    assert offered("gapbench run -a procrustes[ce") == ["procrustes[center=true]", "procrustes[center=false]"]
    assert offered("gapbench run -a procrustes[tie_break=") == [
        f"procrustes[tie_break={value}]"
        for value in discover().components(Kind.ALIGNER)["procrustes"].spec.params["tie_break"].choices
    ]
    assert "gap-shift[delta=auto]" in offered("gapbench run -a gap-shift[d")
    assert offered("gapbench run -a gap-shift[delta=au") == ["gap-shift[delta=auto]"]


def test_more_values_and_parameters_after_a_comma(offered):
    found = offered("gapbench run -a procrustes[center=true,")
    assert "procrustes[center=true,pull=" in found
    assert "procrustes[center=true,false]" in found
    assert not [text for text in found if text.endswith((",center=", ",true]"))]
    assert offered("gapbench run -a procrustes[center=true,pu") == ["procrustes[center=true,pull="]


def test_brackets_of_what_has_no_parameters_or_is_not_there(offered):
    assert offered("gapbench run -a identity[") == []
    assert offered("gapbench run -a nothing[") == []
    assert offered("gapbench run -a procrustes[wrong=") == []


def test_everything_that_is_offered_can_be_selected(offered):
    from gapbench.host.selection import select as chosen

    registry = discover()
    for name, component in registry.components(Kind.ALIGNER).items():
        if component.spec.params:
            for text in offered(f"gapbench run -a {name}["):
                complete = [text] if text.endswith("]") else offered(f"gapbench run -a {text}")
                assert complete, text
                for selection in complete:
                    assert chosen(registry, Kind.ALIGNER, [selection])


def test_studies_and_files(completed):
    assert [text for _, text in completed("gapbench run --study ")] == study_names()
    assert completed("gapbench run --study mine") == [("file", "mine")]
    assert completed("gapbench run --plugin my") == [("file", "my")]
    assert completed("gapbench dev my") == [("file", "my")]
    assert completed("gapbench run --out re") == [("dir", "re")]
    assert [text for _, text in completed("gapbench leaderboard verify mind")] == ["mind-the-gap-coco"]


def test_kinds_names_and_choices(offered):
    assert offered("gapbench list ") == [str(kind) for kind in Kind]
    assert "procrustes" in offered("gapbench check aligner pro")
    assert "procrustes" not in offered("gapbench check metric pro")
    assert "gap-shift[delta=auto]" in offered("gapbench check aligner gap-shift[delta=a")
    assert offered("gapbench check nothing pro") == []
    assert {"procrustes", "top1", "digits"} <= set(offered("gapbench show "))
    assert offered("gapbench run --protocol in") == ["in-sample"]
    assert offered("gapbench new aligner pro") == []
    assert offered("gapbench lea") == ["leaderboard"]


PLUGIN = """
print("loud")
import sys, warnings
print("louder", file=sys.stderr)
warnings.warn("loudest")
from gapbench import ActsOn, AlignerSpec, Param, hookimpl

@hookimpl
def gapbench_aligners():
    return [AlignerSpec(name="of-a-file", factory="completed_plugin:A", summary="s", family="f", needs=frozenset(),
                        acts_on=ActsOn.BOTH, params={"amount": Param(default=1.5, doc="how much")})]
"""


def test_a_plugin_of_the_same_line_takes_part_and_prints_nothing(offered, tmp_path):
    (tmp_path / "completed_plugin.py").write_text(PLUGIN)
    before = "gapbench run --plugin completed_plugin.py -a of-"
    assert offered(before) == ["of-a-file"]
    assert offered(f"{before}a-file[") == ["of-a-file[amount=1.5]"]


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "def broken(:", "import os; raise KeyError"])
def test_a_broken_plugin_costs_only_its_own_names(offered, tmp_path, body):
    (tmp_path / "completed_plugin.py").write_text(body)
    assert offered("gapbench run --plugin completed_plugin.py -a procr") == ["procrustes"]
    assert offered("gapbench run --plugin nowhere.py -a procr") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_show_a_line_of_help(gapbench, shell):
    line = {"COMP_WORDS": "gapbench run -a procr", "COMP_CWORD": "procr" if shell == "fish" else "3"}
    shown = gapbench(env={"_GAPBENCH_COMPLETE": f"{shell}_complete", **line}).stdout
    assert "procrustes" in shown
    assert discover().components(Kind.ALIGNER)["procrustes"].spec.summary in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(gapbench, shell):
    script = gapbench(env={"_GAPBENCH_COMPLETE": f"{shell}_source"}).stdout
    assert f"_GAPBENCH_COMPLETE={shell}_complete" in script
    assert "python -m" not in script


@pytest.mark.parametrize("line", ["gapbench run -a procrustes[", "gapbench check aligner pro", "gapbench run --study "])
def test_completing_imports_nothing_of_weight(line):
    code = """
import atexit, sys
heavy = {"numpy", "torch", "faiss", "scipy", "sklearn", "PIL", "rich", "pandas", "matplotlib"}
atexit.register(lambda: print("heavy:", sorted(heavy & set(sys.modules))))
sys.argv = ["gapbench"]
from gapbench.cli.main import main
main()
"""
    env = {**os.environ, "_GAPBENCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    shown = subprocess.check_output([sys.executable, "-c", code], text=True, env=env)
    assert len(shown.splitlines()) > 1
    assert shown.splitlines()[-1] == "heavy: []"


def test_a_real_bash_completes_inside_of_a_quote(tmp_path):
    """Bash breaks words at '=' and ':', but not inside of a quote; so the docs say to open one."""
    script = tmp_path / "gapbench"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m gapbench "$@"\n')
    script.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PS1": "",
        "TERM": "dumb",
        "HISTFILE": "",
    }
    ours, its = pty.openpty()
    bash = ["bash", "--norc", "--noprofile", "-i"]
    with subprocess.Popen(bash, stdin=its, stdout=its, stderr=its, env=env, start_new_session=True) as process:
        os.write(ours, b'eval "$(_GAPBENCH_COMPLETE=bash_source gapbench)"; echo rea""dy\n')
        read_until(ours, b"ready\r\n")
        os.write(ours, b"gapbench run -a 'procrustes[center=tr\t")
        read_until(ours, b"procrustes[center=true]'")
        process.kill()
    os.close(ours)
    os.close(its)


def read_until(terminal, words, seconds=30):
    seen, until = b"", time.monotonic() + seconds
    while words not in seen and time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096)
    assert words in seen, seen
