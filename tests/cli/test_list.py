"""``gapbench list``."""

import json

import pytest

from gapbench.host.registry import Kind


def test_json_has_every_kind_with_its_details(gapbench):
    found = json.loads(gapbench("list", "--json").stdout)
    assert set(found) == set(Kind)
    procrustes = next(entry for entry in found["aligner"] if entry["name"] == "procrustes")
    assert procrustes["needs"] == ["pairs"]
    assert {"center", "scale", "side", "pull", "tie_break"} <= set(procrustes["params"])
    assert procrustes["params"]["center"]["default"] is False
    assert procrustes["plugin"]["distribution"] == "gapbench"


@pytest.mark.parametrize("kind", ["aligner", "aligners", "Aligner"])
def test_one_kind_alone(gapbench, kind):
    shown = gapbench("list", kind).stdout
    assert "procrustes" in shown
    assert "mini-clip" not in shown


def test_eighty_columns_and_no_colour_codes_when_piped(gapbench):
    shown = gapbench("list").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_what_comes_from_a_plugin_says_so(gapbench, tmp_path):
    (tmp_path / "plugin_listed.py").write_text(
        "from gapbench import ActsOn, AlignerSpec, hookimpl\n\n\n@hookimpl\ndef gapbench_aligners():\n"
        "    return [AlignerSpec(name='listed', factory='plugin_listed:A', summary='mine', family='toy',\n"
        "                        needs=frozenset(), acts_on=ActsOn.BOTH)]\n"
    )
    assert "from plugin_listed.py" in gapbench("list", "aligner", "--plugin", "plugin_listed.py").stdout
