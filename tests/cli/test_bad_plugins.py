"""Whatever a plugin does, the others' results stand, and it is said what was wrong."""

import json
import os

import pytest

BROKEN = {
    "gapbench-import-raises": "RuntimeError: no luck today",
    "gapbench-import-exits": "SystemExit: 7",
    "gapbench-misspelt-hook": "Did you mean 'gapbench_aligners'?",
    "gapbench-wrong-arguments": "takes arguments",
    "gapbench-hook-raises": "KeyError: 'nothing here'",
    "gapbench-wrong-type": "gives dict where a AlignerSpec is wanted",
    "gapbench-bad-spec": "'not a reference'",
    "gapbench-clash-one": "gapbench-clash-two 1.0",
    "gapbench-clash-two": "gapbench-clash-one 1.0",
    "gapbench-too-new": "It speaks version 99 of the contract, and gapbench",
    "gapbench-too-old": "It speaks version 0 of the contract, and gapbench",
    "gapbench-takes-builtin-name": "its aligner 'identity' has the name of one of gapbench",
}
FAILING = {
    "factory-fails": "cannot be built",
    "extra-missing": "pip install a_package_that_nobody_has",
    "fit-raises": "ZeroDivisionError: one over nothing",
    "fit-exits": "SystemExit: 9",
    "transform-raises": "IndexError: lost the way",
    "gives-nan": "NaN",
    "wrong-shape": "499",
    "mutates-input": "read-only",
    "undeclared-data": "'labels' without declaring it",
    "undeclared-moments": "'moments.images' without declaring it",
}


@pytest.fixture
def everybody(bad_plugins, gapbench, monkeypatch):
    monkeypatch.delenv("GAPBENCH_PLUGINS")
    path = f"{bad_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    def run(*arguments, **options):
        return gapbench(*arguments, env={"PYTHONPATH": path}, **options)

    return run


def test_run_with_all_bad_plugins_finishes_the_healthy_cells(everybody, tmp_path):
    done = everybody(
        "run",
        "-d",
        "digits",
        "-p",
        "photo",
        "-m",
        "top1",
        "--no-figures",
        "--timeout",
        "5",
        "--out",
        tmp_path / "out",
        code=1,
    )
    records = [json.loads(line) for line in (tmp_path / "out" / "records/run.jsonl").read_text().splitlines()]
    by_name = {record["aligner"]["name"]: record for record in records}
    healthy = {name for name, record in by_name.items() if record["status"] == "ok"}
    assert by_name.keys() - healthy == {*FAILING, "takes-forever"}
    assert {"identity", "random-rotation", "mean-center", "procrustes", "healthy", "prints-much"} <= healthy
    assert by_name["healthy"]["metrics"]["top1"]["value"] == by_name["identity"]["metrics"]["top1"]["value"]
    assert by_name["identity"]["aligner"]["distribution"] == "gapbench"
    for name, cause in FAILING.items():
        assert by_name[name]["status"] == "error", name
        assert cause in by_name[name]["reason"], by_name[name]["reason"]
        assert by_name[name]["metrics"] == {}
    assert by_name["takes-forever"]["status"] == "timeout"
    assert by_name["prints-much"]["printed"] > 2**20
    assert len(done.stdout) < 20_000
    for name in BROKEN:
        assert f"warning: plugin {name} 1.0 is broken" in done.stderr


def test_plugins_command_names_each_cause(everybody):
    found = {entry["distribution"]: entry for entry in json.loads(everybody("plugins", "--json").stdout)}
    assert {name for name, entry in found.items() if entry["state"] == "broken"} == set(BROKEN)
    for name, cause in BROKEN.items():
        assert cause in found[name]["cause"], found[name]["cause"]
        assert "--no-plugin" in found[name]["fix"]


def test_a_requested_component_of_a_broken_plugin_is_exit_code_3(everybody):
    done = everybody("plan", "-a", "clash", code=3)
    assert "belongs to the broken plugin gapbench-clash-one 1.0" in done.stderr


def test_no_plugin_leaves_one_out_and_the_clash_is_gone(everybody):
    done = everybody("list", "aligner", "--json", "--no-plugin", "gapbench-clash-one")
    assert "clash" in [entry["name"] for entry in json.loads(done.stdout)["aligner"]]


def test_strict_raises_at_the_first_broken_plugin(everybody):
    done = everybody("list", "--strict", code=None)
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_limiting_plugins_by_environment(bad_plugins, gapbench):
    path = f"{bad_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = gapbench("plugins", "--json", env={"PYTHONPATH": path, "GAPBENCH_PLUGINS": "healthy"})
    assert [entry["distribution"] for entry in json.loads(done.stdout)] == ["gapbench", "gapbench-healthy"]
