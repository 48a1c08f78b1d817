"""``gapbench.run`` from Python: typed results, and nothing on the terminal."""

import logging
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import gapbench
from gapbench.errors import GapbenchError, GapbenchWarning, UsageError


@pytest.fixture(scope="module")
def results():
    return gapbench.run(
        datasets=["digits"],
        prompts=["photo"],
        aligners=["identity", "mean-center", "random-rotation"],
        metrics=["top1", "rmg"],
    )


def test_results_are_typed_and_compared(results):
    assert [record.aligner.name for record in results.records] == ["identity", "mean-center", "random-rotation"]
    (table,) = results.tables
    assert table.row("identity").rank == 1
    assert table.row("random-rotation").values["top1"].p_holm < 0.01
    assert results.failed == []
    assert results.failures == []


def test_a_run_prints_nothing_configures_no_logging_and_leaves_no_files(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    gapbench.run(datasets=["digits"], prompts=["plain"], aligners=["identity"], metrics=["top1"])
    assert capfd.readouterr() == ("", "")
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)
    assert not list(tmp_path.iterdir())


def test_a_folder_keeps_the_results_and_goes_on_from_them(tmp_path):
    chosen = {"datasets": ["digits"], "prompts": ["photo"], "metrics": ["top1"], "out": tmp_path / "kept"}
    first = gapbench.run(**chosen, aligners=["identity"])
    again = gapbench.run(**chosen, aligners=["identity", "dn"])
    assert first.records[0].created_utc == again.records[0].created_utc
    assert len((tmp_path / "kept" / "records/run.jsonl").read_text().splitlines()) == 2


def test_a_data_frame_has_one_row_for_each_cell_and_metric(results):
    pytest.importorskip("pandas")
    frame = results.to_pandas()
    assert len(frame) == 6
    row = frame.set_index(["aligner", "metric"]).loc[("mean-center", "rmg")]
    assert row["value"] == results.records[1].metrics["rmg"].value
    assert row["low"] < row["value"] < row["high"]
    assert row["delta"] < 0
    assert frame.pivot(index="aligner", columns="metric", values="value").loc["identity", "top1"] > 0.99


def test_without_pandas_the_error_says_what_to_install(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(GapbenchError, match="pip install pandas"):
        results.to_pandas()


def test_a_notebook_shows_a_table_and_escapes_names(results):
    from gapbench.leaderboard.notebook import html

    assert '<td style="text-align:left">mean-center</td>' in results._repr_html_()
    assert "random-rotation (control)" in results._repr_html_()
    results.tables[0].rows[0].label, kept = "<script>alert(1)</script>", results.tables[0].rows[0].label
    shown = html(results.tables, results.metrics)
    results.tables[0].rows[0].label = kept
    assert "<script>" not in shown


def test_rich_shows_a_table(results):
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=80)
    console.print(results)
    assert "mini-clip / digits / photo" in console.file.getvalue()


class Half:
    """Half of the way, as it would be written in a notebook."""

    def fit(self, data):
        self.step = (data.moments.texts.mean - data.moments.images.mean) / 2
        return self

    def images(self, x):
        return (x + self.step).astype("float32")

    @gapbench.hookimpl
    def gapbench_aligners():
        return [
            gapbench.AlignerSpec(
                name="half",
                factory="notebook:Half",
                summary="half of the way",
                family="mean",
                needs=frozenset({gapbench.Need.UNPAIRED_IMAGES, gapbench.Need.UNPAIRED_TEXTS}),
                acts_on=gapbench.ActsOn.IMAGES,
            )
        ]


def test_a_class_of_a_notebook_is_a_plugin(monkeypatch):
    notebook = types.ModuleType("notebook")
    notebook.Half = Half
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    chosen = {"datasets": ["digits"], "prompts": ["photo"], "aligners": ["identity", "half"], "metrics": ["top1"]}
    found = gapbench.run(**chosen, plugins=[Half])
    assert {row.label for row in found.tables[0].rows} == {"identity", "half"}
    with pytest.raises(UsageError, match="jobs=1"):
        gapbench.run(**chosen, plugins=[Half], jobs=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aligners": ["procrustse"]}, "Did you mean 'procrustes'"),
        ({"study": "digts"}, "Did you mean 'digits'"),
        ({"protocol": "in-smaple"}, "run\\(\\): protocol must be one of .* Did you mean 'in-sample'"),
        ({"fit_size": 0}, "run\\(\\): fit_size must be numbers of images from 1 "),
        ({"fit_size": 3, "shots": [1]}, "two ways"),
        ({"plugins": ["nothing.py"]}, "no plugin file"),
    ],
)
def test_bad_options_are_told(options, words):
    with pytest.raises(UsageError, match=words):
        gapbench.run(**options)


def test_an_unknown_keyword_is_told_with_the_one_that_may_be_meant():
    with pytest.raises(UsageError, match=r"run\(\) has no keyword 'encodrs'. Did you mean 'encoders'?"):
        gapbench.run(encodrs=["mini-clip"])
    with pytest.raises(UsageError, match="one study by position"):
        gapbench.run("digits", ["mini-clip"])


class WithoutHooks:
    """No plugin."""


@pytest.mark.parametrize("plugins", [WithoutHooks, [WithoutHooks], [WithoutHooks()], [3], b"x", {"a": 1}])
def test_an_object_without_hooks_is_refused(plugins):
    with pytest.raises(UsageError, match=r"run\(\): plugins: .* is no plugin: It has no hook"):
        gapbench.run(plugins=plugins)


def half_of_a_way():
    """No plugin either."""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"aligners": [Half]}, "aligners takes names, such as 'procrustes', not Half; what has hooks goes into plugins="),
        ({"aligners": Half()}, "not an instance of Half; what has hooks goes into plugins=[...], and the name of its aligner"),
        ({"aligners": ["identity", half_of_a_way]}, "not half_of_a_way; what has hooks"),
        ({"metrics": types}, "metrics takes names, such as 'top1', not types;"),
        ({"encoders": gapbench.EncoderSpec(name="x", factory="a:b", summary="")}, "not an instance of EncoderSpec;"),
        ({"aligners": 3}, "aligners takes names, such as 'procrustes', not 3."),
        ({"aligners": [None]}, "not None."),
        ({"aligners": {"procrustes": 1}}, "not {'procrustes': 1}."),
        ({"aligners": [["procrustes"]]}, "not ['procrustes']."),
        ({"datasets": np.zeros((2, 2))}, "datasets takes names, such as 'digits', not array("),
        ({"datasets": Path("rows.npz")}, "not the path rows.npz; write embeddings:rows.npz (embeddings), folder:rows.npz"),
        ({"prompts": [Path("mine.toml")]}, "not the path mine.toml; write file:mine.toml."),
        ({"encoders": Path("weights.pt")}, "not the path weights.pt."),
        ({"seeds": "1"}, "seeds must be a list of numbers from 0 to 2^63 - 1, up to 10,000 seeds, such as [1, 3], not '1'."),
        ({"seeds": 1}, "seeds must be a list: [1] for the one number 1, range(1) for as many numbers."),
        ({"seeds": ["1"]}, "seeds must be numbers from 0 to 2^63 - 1, up to 10,000 seeds, not '1'."),
        ({"seeds": [0.0]}, "not 0.0."),
        ({"fit_size": "10"}, "or 'all', up to 100 sizes, such as [1, 3], not '10'."),
        ({"shots": "1,2"}, "such as [1, 3], not '1,2'."),
        ({"jobs": "2"}, "jobs must be a whole number from 1 to 1,024, not '2'."),
        ({"timeout": "5"}, "timeout must be a number of seconds from 0.1 to 10,000,000, not '5'."),
        ({"download": 1}, "download must be true or false, not 1."),
        ({"protocol": ["held-out"]}, "protocol must be one of held-out, in-sample, transductive, not ['held-out']."),
        ({"study": ["digits"]}, "study must be text, not ['digits']."),
        ({"out": 3}, "out must be a path, not 3."),
        ({"plugins": {"a.py"}}, "plugins takes paths of files, and modules, classes or instances with hooks: one, or a list"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_with_what_is_wanted(options, told):
    with pytest.raises(UsageError) as raised:
        gapbench.run(**options)
    assert str(raised.value).startswith("run(): ")
    assert told in str(raised.value)


def test_names_may_come_from_anything_that_gives_texts():
    for names in (np.array(["identity"]), (name for name in ["identity"]), {"identity"}):
        (record,) = gapbench.run(datasets=["digits"], prompts="photo", aligners=names, metrics="top1").records
        assert record.label == "identity"


@pytest.mark.parametrize(
    ("keyword", "given"),
    [("datasets", []), ("aligners", ()), ("metrics", set()), ("encoders", (name for name in ())), ("seeds", range(0)),
     ("prompts", np.array([])), ("shots", []), ("fit_size", [])],
)  # fmt: skip
def test_an_empty_list_does_not_mean_all(keyword, given):
    with pytest.raises(UsageError, match=rf"run\(\): {keyword} is empty, so nothing would run"):
        gapbench.run(**{keyword: given})


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_what_is_said_of_a_device_is_not_said_of_an_option(device):
    with pytest.raises(UsageError, match="device") as raised:
        gapbench.run(device=device)
    assert "--device" not in str(raised.value)


def test_what_is_not_there_is_told(tmp_path):
    chosen = {"datasets": "digits", "prompts": "photo", "aligners": "identity", "metrics": "top1"}
    with pytest.warns(GapbenchWarning) as told:
        gapbench.run(**chosen, no_plugin="zz", data_root=tmp_path / "nowhere")
    texts = [str(one.message) for one in told]
    assert any("There is no plugin 'zz' to leave out" in text for text in texts)
    assert any("data_root: there is no folder" in text and "nowhere" in text for text in texts)


def test_python_takes_what_the_command_line_takes(tmp_path):
    chosen = {"datasets": "digits", "prompts": "photo", "aligners": "identity", "metrics": "top1", "out": str(tmp_path)}
    (record,) = gapbench.run(**chosen, index="hnsw", dtype="float32", offline=True, engine="loky").records
    assert record.index == "hnsw"
    with pytest.raises(UsageError, match=r"run\(\): out: .* cannot be written"):
        (tmp_path / "file").write_text("")
        gapbench.run(**chosen | {"out": tmp_path / "file" / "below"})


def test_a_plugin_that_is_left_out_is_not_there(tmp_path):
    (tmp_path / "left_out.py").write_text(
        "import gapbench\n\n@gapbench.hookimpl\ndef gapbench_metrics():\n    return []\n"
    )
    chosen = {"datasets": ["digits"], "prompts": ["photo"], "aligners": ["identity"], "metrics": ["top1"]}
    found = gapbench.run(**chosen, plugins=tmp_path / "left_out.py", no_plugin=["left_out"])
    assert len(found.records) == 1


def test_importing_gapbench_imports_nothing_of_weight():
    code = "import sys, gapbench; print(sorted({'numpy', 'rich', 'msgspec', 'pluggy', 'click'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_id_of_a_cell_can_be_checked_from_its_record(tmp_path):
    from gapbench.model.identity import cell_id
    from gapbench.results import journal

    gapbench.run(
        datasets=["digits", "color-digits"],
        prompts=["photo", "captions"],
        aligners=["identity", "gap-shift[delta=auto]", "procrustes[pull=0.3]"],
        metrics=["centroid-l2"],
        fit_size=[20, "all"],
        out=tmp_path,
    )
    records = [stored.record for stored in journal.read_folder(tmp_path)]
    assert len({record.cell_id for record in records}) == len(records) == 18
    assert all(cell_id(record) == record.cell_id for record in records)
