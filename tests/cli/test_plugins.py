"""``gapbench plugins``: it works whatever is broken."""

import json

import pytest

BAD = {
    "plugin_exits": "raise SystemExit(3)\n",
    "plugin_misspelt": "import gapbench\n\n\n@gapbench.hookimpl\ndef gapbench_aligner():\n    return []\n",
    "plugin_wrong_needs": (
        "from gapbench import ActsOn, AlignerSpec, hookimpl\n\n\n@hookimpl\ndef gapbench_aligners():\n"
        "    return [AlignerSpec(name='a', factory='a:B', summary='', family='', needs=None, acts_on=ActsOn.BOTH)]\n"
    ),
}


@pytest.fixture
def arguments(tmp_path):
    for name, text in BAD.items():
        (tmp_path / f"{name}.py").write_text(text)
    return [argument for name in BAD for argument in ("--plugin", f"{name}.py")]


def test_json_tells_hooks_and_components_of_what_works(gapbench):
    (built_in,) = json.loads(gapbench("plugins", "--json").stdout)
    assert built_in["state"] == "ok"
    assert len(built_in["hooks"]) == 5
    assert {"kind": "aligner", "name": "procrustes"} in built_in["components"]


def test_json_tells_cause_and_remedy_of_what_does_not(gapbench, arguments):
    found = {
        entry["distribution"]: entry for entry in json.loads(gapbench("plugins", "--json", *arguments, code=3).stdout)
    }
    assert found["plugin_exits.py"]["stage"] == "discover"
    assert "SystemExit: 3" in found["plugin_exits.py"]["cause"]
    assert "Did you mean 'gapbench_aligners'?" in found["plugin_misspelt.py"]["cause"]
    assert "write frozenset" in found["plugin_wrong_needs.py"]["cause"]
    assert all(entry["fix"] for name, entry in found.items() if name != "gapbench")


def test_the_table_tells_the_same_at_eighty_columns(gapbench, arguments):
    shown = gapbench("plugins", *arguments, code=3).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "builtin = gapbench.builtin" in shown
    assert "gapbench_encoders" in shown
    assert shown.count("broken:") == 3
