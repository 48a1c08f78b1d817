"""Reuse: what the installed code has measured is not measured again, and nothing that other code has measured stands."""

import collections
import resource
import shutil
import sys
import textwrap
import warnings

import msgspec
import numpy as np
import pytest
from records import forge

import gapbench
from gapbench.errors import DataError, GapbenchWarning
from gapbench.host import provenance
from gapbench.model.record import Code
from gapbench.results import journal
from gapbench.results.outcomes import SUFFIX

#: One file for each kind of component, and what each writes into the log when it does its work.
FILES = {
    "toy_encoder": """
import gapbench
from gapbench.testing import ToyEncoder


class Encoder(ToyEncoder):
    def encode_images(self, batch):
        return super().encode_images(batch)


@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name="toy-encoder", factory="toy_encoder:Encoder", summary="")]
""",
    "toy_dataset": """
import gapbench
from gapbench.testing import ToyDataset


class Dataset(ToyDataset):
    sizes = {"train": 24, "test": 16}


@gapbench.hookimpl
def gapbench_datasets():
    return [gapbench.DatasetSpec(name="toy-dataset", factory="toy_dataset:Dataset", summary="", licence="",
                                 offers=frozenset({gapbench.Offer.LABELS}), splits=Dataset.sizes)]
""",
    "toy_prompts": """
import gapbench
from gapbench.components import PromptSet


class Prompts:
    def prompts(self, classes):
        return PromptSet(prompts=[f"a {name} square" for name in classes], owner=range(len(classes)))


@gapbench.hookimpl
def gapbench_prompts():
    return [gapbench.PromptSpec(name="toy-prompts", factory="toy_prompts:Prompts", summary="")]
""",
    "toy_aligner": """
import os
from pathlib import Path
import numpy as np
import gapbench
from toy_log import note


class Aligner:
    share = 0.5

    def fit(self, data):
        note("aligner")
        self.step = self.share * data.moments.images.mean
        return self

    def images(self, x):
        return (x - self.step).astype(np.float32)


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="toy-aligner", factory="toy_aligner:Aligner", summary="", family="toy",
                                 needs=frozenset({gapbench.Need.UNPAIRED_IMAGES}), acts_on=gapbench.ActsOn.IMAGES)]
""",
    "toy_metric": """
import gapbench
from gapbench.components import Measurement
from toy_amount import amount
from toy_log import note


class Metric:
    def measure(self, data):
        note("metric")
        hits = (data.top_classes(1)[:, 0] == data.labels) & (data.labels < amount)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


@gapbench.hookimpl
def gapbench_metrics():
    return [gapbench.MetricSpec(name="toy-metric", factory="toy_metric:Metric", summary="", unit="share",
                                better=gapbench.Better.HIGHER, family=gapbench.MetricFamily.TASK,
                                needs=frozenset({gapbench.Need.LABELS}))]
""",
}
LOG = """
import os


def note(word):
    with open(os.environ["WORK_LOG"], "a") as log:
        log.write(word + "\\n")
"""
ALIGNERS = ("identity", "toy-aligner")


class Toy:
    """The files of the plugins, and runs with them."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "out"
        self.log = folder / "log"
        self.plugins = tuple(folder / f"{name}.py" for name in FILES)
        for name, text in FILES.items():
            (folder / f"{name}.py").write_text(text)
        (folder / "toy_amount.py").write_text("amount = 4\n")
        (folder / "toy_log.py").write_text(LOG)

    def run(self, **options):
        """Run, and return the results with how often each plugin worked."""
        self.log.write_text("")
        chosen = {
            "encoders": ["toy-encoder"],
            "datasets": ["toy-dataset"],
            "prompts": ["toy-prompts"],
            "aligners": ALIGNERS,
            "metrics": ["toy-metric", "top1"],
            "plugins": self.plugins,
            "out": self.out,
        } | options
        results = gapbench.run(**chosen)
        assert not results.failed
        assert not results.failures
        return results, dict(collections.Counter(self.log.read_text().split()))

    def edit(self, name, old, new):
        path = self.folder / f"{name}.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def records(self):
        return [stored.record for stored in journal.read_folder(self.out)]


def forget():
    """Begin as a process does that has imported no plugin."""
    provenance._loaded.clear()
    for name in [*FILES, "toy_amount", "toy_log", "toy_moved", "toy_package", "toy_folder", "toy_share"]:
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("WORK_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield Toy(tmp_path)
    forget()


#: What a first run does: one fit, and the metric once for each row.
ALL = {"aligner": 1, "metric": 2}


def values(results):
    return {(r.label, name): m.value for r in results.records for name, m in r.metrics.items()}


def test_nothing_changed_nothing_measured(toy):
    first, work = toy.run()
    assert work == ALL
    before = {path: path.read_bytes() for path in (toy.out / "records").iterdir()}
    again, work = toy.run()
    assert work == {}
    assert again.changes == []
    assert values(again) == values(first)
    assert {path: path.read_bytes() for path in (toy.out / "records").iterdir()} == before


def test_touching_a_file_measures_nothing(toy):
    toy.run()
    for path in toy.folder.glob("*.py"):
        path.write_text(path.read_text())
    assert toy.run()[1] == {}


def test_an_edited_metric_is_measured_again_and_nothing_else(toy):
    first, _ = toy.run()
    toy.edit("toy_metric", "< amount", "< amount - 2")
    again, work = toy.run()
    assert work == {"aligner": 1, "metric": 2}  # a fit is not kept, so what measures again fits again
    assert again.changes == ["metric toy-metric changed: 2 values are measured again"]
    for key, found in values(again).items():
        assert (found == values(first)[key]) == (key[1] == "top1"), key
    added = toy.records()[2:]
    assert [set(record.metrics) for record in added] == [{"toy-metric"}] * 2
    assert toy.run()[1] == {}


def test_an_edited_aligner_is_measured_again_and_no_other_row(toy):
    chosen = {"metrics": ["toy-metric", "centroid-l2"]}
    first, _ = toy.run(**chosen)
    toy.edit("toy_aligner", "share = 0.5", "share = 1.0")
    again, work = toy.run(**chosen)
    assert values(again)["toy-aligner", "centroid-l2"] < values(first)["toy-aligner", "centroid-l2"]
    assert work == {"aligner": 1, "metric": 1}
    assert again.changes == ["aligner toy-aligner changed: 2 values are measured again"]
    assert [record.label for record in toy.records()[2:]] == ["toy-aligner"]
    assert {k: v for k, v in values(again).items() if k[0] == "identity"} == {
        k: v for k, v in values(first).items() if k[0] == "identity"
    }


def test_an_edited_module_beside_a_plugin_is_seen(toy):
    first, _ = toy.run()
    (toy.folder / "toy_amount.py").write_text("amount = 2\n")
    again, work = toy.run()
    assert work["metric"] == 2
    assert again.changes == ["metric toy-metric changed: 2 values are measured again"]
    for row in ALIGNERS:
        assert values(again)[row, "toy-metric"] < values(first)[row, "toy-metric"]


def test_an_edited_module_in_a_folder_beside_a_plugin_is_seen(toy):
    (toy.folder / "toy_folder").mkdir()
    (toy.folder / "toy_folder" / "shares.py").write_text("from toy_share import share\n")
    (toy.folder / "toy_share.py").write_text("share = 0.5\n")
    toy.edit("toy_aligner", "from toy_log", "from toy_folder import shares\nfrom toy_log")
    toy.edit("toy_aligner", "share = 0.5", "share = shares.share")
    first, work = toy.run(metrics=["toy-metric", "centroid-l2"])
    assert work == ALL
    assert toy.run(metrics=["toy-metric", "centroid-l2"])[1] == {}
    toy.edit("toy_share", "0.5", "0.25")
    again, work = toy.run(metrics=["toy-metric", "centroid-l2"])
    assert work == {"aligner": 1, "metric": 1}
    gaps = [values(results)["toy-aligner", "centroid-l2"] for results in (first, again)]
    assert gaps[0] != gaps[1]
    assert toy.run(metrics=["toy-metric", "centroid-l2"])[1] == {}


def test_an_edited_prompt_strategy_with_the_same_prompts_measures_its_cells_again(toy):
    toy.run()
    toy.edit("toy_prompts", "class Prompts:", "class Prompts:  # the same, otherwise written")
    again, work = toy.run()
    assert work == ALL
    assert again.changes == ["prompt strategy toy-prompts changed: 4 values are measured again"]
    assert all(one.answer.reproduced == 2 for one in again.compared)


def test_other_prompts_are_another_question(toy):
    toy.run()
    toy.edit("toy_prompts", "a {name} square", "a {name} thing")
    again, work = toy.run()
    assert work == ALL
    assert again.changes == []
    assert len({record.cell_id for record in toy.records()}) == 4


def test_an_edited_dataset_with_the_same_items_measures_its_cells_again(toy):
    toy.run()
    toy.edit("toy_dataset", "class Dataset(ToyDataset):", "class Dataset(ToyDataset):  # the same")
    with pytest.warns(GapbenchWarning, match="code or that of the dataset changed"):
        again, work = toy.run()
    assert work == ALL
    assert again.changes == ["dataset toy-dataset changed: 4 values are measured again"]


def test_other_items_are_another_question(toy):
    toy.run()
    toy.edit("toy_dataset", '"test": 16', '"test": 20')
    with pytest.warns(GapbenchWarning, match="code or that of the dataset changed"):
        again, work = toy.run()
    assert work == ALL
    assert {record.dataset.n for record in again.records} == {20}
    assert len({record.cell_id for record in toy.records()}) == 4


def test_an_edited_encoder_measures_its_cells_again(toy):
    toy.run()
    toy.edit("toy_encoder", "return super()", "return 1.0 * super()")
    with pytest.warns(GapbenchWarning, match="code .*changed"):
        again, work = toy.run()
    assert work == ALL
    assert again.changes == ["encoder toy-encoder changed: 4 values are measured again"]


def test_all_that_changed_is_said(toy):
    toy.run()
    toy.edit("toy_aligner", "share = 0.5", "share = 1.0")
    toy.edit("toy_metric", "< amount", "< amount - 1")
    again, _ = toy.run()
    assert sorted(again.changes) == [
        "aligner toy-aligner changed: 2 values are measured again",
        "metric toy-metric changed: 1 value is measured again",
    ]


def test_going_back_to_older_code_measures_again(toy):
    """The newest value is that of the code in between, so the older value has to be shown to be true again."""
    first, _ = toy.run()
    toy.edit("toy_aligner", "share = 0.5", "share = 1.0")
    toy.run()
    toy.edit("toy_aligner", "share = 1.0", "share = 0.5")
    again, work = toy.run()
    assert work == {"aligner": 1, "metric": 1}
    assert values(again) == values(first)


def test_a_metric_that_is_asked_for_later_is_added(toy):
    toy.run(metrics=["top1"])
    again, work = toy.run()
    assert work == {"aligner": 1, "metric": 2}
    assert again.changes == []
    assert set(values(again)) == {(row, name) for row in ALIGNERS for name in ("top1", "toy-metric")}
    assert toy.run(metrics=["top1"])[1] == {}


def test_other_code_of_gapbench_measures_everything_again(toy):
    toy.run()
    forge(
        journal.run_file(toy.out),
        lambda record: msgspec.structs.replace(
            record, code={**record.code, "gapbench": Code(version="0.0.1", sha256="0" * 64)}
        ),
    )
    again, work = toy.run()
    assert again.changes == ["gapbench changed: 4 values are measured again"]
    assert work == ALL


def test_a_metric_of_one_name_from_another_distribution_is_another_metric(toy):
    toy.run()
    (toy.folder / "toy_moved.py").write_text(FILES["toy_metric"].replace("toy_metric:", "toy_moved:"))
    plugins = [toy.folder / f"{name}.py" for name in (*FILES, "toy_moved") if name != "toy_metric"]
    again, work = toy.run(plugins=plugins)
    assert again.changes == ["metric toy-metric changed: 2 values are measured again"]
    assert work == ALL
    assert {record.metrics["toy-metric"].distribution for record in again.records} == {"toy_moved.py"}


def test_what_older_code_could_not_measure_is_tried_by_the_code_that_is_here(toy):
    """Also where the code that is here was first run with another metric of the same file."""
    other = FILES["toy_metric"].partition("@gapbench.hookimpl")[2].replace('"toy-metric"', '"toy-other"')
    other = other.replace("def gapbench_metrics():\n    return", "").replace("toy_metric:Metric", "toy_metric:Other")
    toy.edit("toy_metric", "[gapbench.MetricSpec", f"{other.strip()} + [gapbench.MetricSpec")
    toy.edit("toy_metric", "        hits =", "        raise NotMeasurable('not yet')\n        hits =")
    toy.edit(
        "toy_metric",
        "class Metric:",
        "class Other:\n    def measure(self, data):\n        return Measurement(value=0.5, n=9)\n\n\nclass Metric:",
    )
    toy.edit("toy_metric", "import gapbench\n", "import gapbench\nfrom gapbench.errors import NotMeasurable\n")
    chosen = {"metrics": ["toy-metric", "toy-other"]}
    assert set(values(toy.run(**chosen)[0])) == {(row, "toy-other") for row in ALIGNERS}
    assert toy.run(**chosen)[1] == {}  # the same code need not find it out again
    toy.edit("toy_aligner", "share = 0.5", "share = 1.0")
    toy.run(metrics=["toy-other"])
    assert toy.run(**chosen)[1] == {"aligner": 1, "metric": 1}


def test_code_that_cannot_be_told_is_never_reused(toy):
    toy.run()

    def unknown(record):
        code = {**record.code, "toy_aligner.py": Code(version="", sha256="")}
        return msgspec.structs.replace(record, code=code) if record.label == "toy-aligner" else record

    forge(journal.run_file(toy.out), unknown)
    again, work = toy.run()
    assert work == {"aligner": 1, "metric": 1}
    assert again.changes == ["aligner toy-aligner changed: 2 values are measured again"]


def test_an_unknown_hash_is_not_the_same_as_another_unknown_hash(toy, monkeypatch):
    monkeypatch.setattr(provenance, "_hash_files", lambda files: "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GapbenchWarning)  # pictures are looked at again as well
        assert toy.run()[1] == ALL
    assert all(not code.sha256 for record in toy.records() for name, code in record.code.items() if name != "gapbench")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GapbenchWarning)
        assert toy.run()[1] == ALL


def test_outcomes_that_are_damaged_are_measured_again(toy):
    first, _ = toy.run()
    path = journal.run_file(toy.out).with_suffix(SUFFIX)
    content = bytearray(path.read_bytes())
    content[toy.records()[1].outcomes.offset + 100] ^= 1
    path.write_bytes(content)
    again, work = toy.run()
    assert again.changes == ["outcomes of earlier runs are damaged or gone: 2 values are measured again"]
    assert work == {"aligner": 1, "metric": 1}
    assert values(again) == values(first)
    assert all(row.rank is not None for table in again.tables for row in table.rows)
    path.unlink()
    assert toy.run()[1] == ALL


def test_a_worker_that_has_run_something_else_before_an_edit_runs_what_is_there_after_it(toy):
    """A worker imports all plugins with its first cell, whichever that is."""
    from joblib.externals.loky import ProcessPoolExecutor

    from gapbench.bench.workers import run_in_worker

    with ProcessPoolExecutor(max_workers=1) as worker:

        def gap(aligner):
            task = tasks(toy)[aligner]
            record, _ = worker.submit(run_in_worker, task, toy.plugins, ()).result()
            assert record.status == "ok", record.reason
            return record.metrics["centroid-l2"].value

        gap("identity")
        toy.edit("toy_aligner", "share = 0.5", "share = 1.0")
        edited = gap("toy-aligner")
        results, _ = toy.run(metrics=["centroid-l2"])
        assert [record.metrics["centroid-l2"].value for record in results.records[1:]] == [edited]
        toy.edit("toy_aligner", "share = 1.0", "share = 0.5")
        assert gap("toy-aligner") != edited


def tasks(toy):
    """Return the cells of a run by their aligner, as workers get them."""
    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.bench.workers import Options
    from gapbench.embeddings.store import Store, default_root
    from gapbench.host.discovery import discover
    from gapbench.model.study import Study
    from gapbench.specs import Context

    registry = discover(plugin_files=toy.plugins)
    materials = Materials(Store(default_root()), Context(data_root=toy.folder))
    study = Study(
        name="toy", encoders=("toy-encoder",), datasets=("toy-dataset",), prompts=("toy-prompts",), aligners=ALIGNERS,
        metrics=("centroid-l2",),
    )  # fmt: skip
    runner = Runner(
        make_plan(study, registry, materials), "toy", materials, registry, Options(folder=toy.folder / "none")
    )
    return {task.aligner: task for task in runner._all_tasks(Outcome(), None)}


def test_a_full_disk_ends_a_run_in_one_line_and_the_same_run_goes_on(toy):
    whole, _ = toy.run(out=toy.folder / "whole")
    toy.run(aligners=["identity"])
    before = journal.run_file(toy.out).read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(
            DataError, match=r"run\.jsonl cannot be written \(File too large\)\. What was finished is kept"
        ):
            toy.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert journal.run_file(toy.out).read_bytes() == before
    again, work = toy.run()
    assert work == {"aligner": 1, "metric": 1}
    assert values(again) == values(whole)


def test_a_failed_cell_runs_again(toy):
    toy.edit("toy_aligner", "self.step =", "assert not os.path.exists('no')\n        self.step =")
    (toy.folder / "broken").touch()
    toy.edit("toy_aligner", "os.path.exists('no')", f"os.path.exists({str(toy.folder / 'broken')!r})")
    failed = gapbench.run(
        encoders=["toy-encoder"], datasets=["toy-dataset"], prompts=["toy-prompts"], aligners=ALIGNERS,
        metrics=["top1"], plugins=toy.plugins, out=toy.out,
    )  # fmt: skip
    assert [record.label for record in failed.failed] == ["toy-aligner"]
    (toy.folder / "broken").unlink()
    again, work = toy.run(metrics=["top1"])
    assert work == {"aligner": 1}
    assert not again.failed


def test_a_data_file_of_an_installed_package_is_part_of_its_code(toy, monkeypatch):
    site = toy.folder / "site-packages"
    home = site / "toy_package"
    home.mkdir(parents=True)
    text = FILES["toy_aligner"].replace("toy_aligner", "toy_package.deep").replace("toy-aligner", "packed")
    text = text.replace("share = 0.5", "share = float(Path(__file__).with_name('share.txt').read_text())")
    head, hook = text.split("@gapbench.hookimpl")
    (home / "deep.py").write_text(head)
    (home / "__init__.py").write_text(f"import gapbench\n\n\n@gapbench.hookimpl{hook}")
    (home / "share.txt").write_text("0.5\n")
    info = site / "toy_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gapbench]\ntoy = toy_package\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("GAPBENCH_PLUGINS", "toy-package")
    chosen = {"aligners": ["identity", "packed"], "metrics": ["toy-metric", "centroid-l2"]}
    first, work = toy.run(**chosen)
    assert work == ALL
    assert toy.run(**chosen)[1] == {}
    (home / "share.txt").write_text("1.0\n")
    again, work = toy.run(**chosen)
    assert again.changes == ["aligner packed changed: 2 values are measured again"]
    assert work == {"aligner": 1, "metric": 1}
    code = [results.records[1].code["toy-package"].sha256 for results in (first, again)]
    assert code[0] != code[1]
    gaps = [values(results)["packed", "centroid-l2"] for results in (first, again)]
    assert gaps[0] != gaps[1]  # what is read while a module is imported was read again
    shutil.rmtree(home / "__pycache__", ignore_errors=True)
    assert toy.run(**chosen)[1] == {}


def test_the_same_arrays_in_another_file_are_answered_already(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.normal(size=(20, 4)).astype(np.float32),
        "text": rng.normal(size=(4, 4)).astype(np.float32),
        "label": np.arange(20) % 4,
        "names": np.array(["ant", "bee", "cat", "dog"]),
    }
    np.savez(tmp_path / "one.npz", **arrays)
    shutil.copy(tmp_path / "one.npz", tmp_path / "two.npz")
    chosen = {"aligners": ["identity"], "metrics": ["top1"], "protocol": "in-sample", "out": tmp_path / "out"}
    first = gapbench.run(datasets=[f"embeddings:{tmp_path / 'one.npz'}"], **chosen)
    second = gapbench.run(datasets=[f"embeddings:{tmp_path / 'two.npz'}"], **chosen)
    assert first.records[0].cell_id == second.records[0].cell_id
    assert "two.npz" in second.records[0].dataset.name
    records = [stored.record for stored in journal.read_folder(tmp_path / "out")]
    assert [record.dataset.name for record in records] == ["embeddings:one.npz", "embeddings:two.npz"]
    assert records[0].created_utc == records[1].created_utc  # measured once, and shown under both names
    assert second.compared[0].answer.reproduced == 1
    gapbench.run(datasets=[f"embeddings:{tmp_path / 'two.npz'}"], **chosen)
    assert len(journal.read_folder(tmp_path / "out")) == 2
    journal.run_file(tmp_path / "out").with_suffix(SUFFIX).unlink()
    shutil.copy(tmp_path / "one.npz", tmp_path / "three.npz")
    third = gapbench.run(datasets=[f"embeddings:{tmp_path / 'three.npz'}"], **chosen)
    assert third.changes == ["outcomes of earlier runs are damaged or gone: 1 value is measured again"]
    assert [record.dataset.name for record in third.records] == ["embeddings:three.npz"]
    assert not third.compared[0].untested


def test_a_plugin_that_is_edited_while_it_runs_has_code_that_cannot_be_told(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(40, 4)), "text": rng.normal(size=(2, 4))}
    np.savez(tmp_path / "e.npz", **{name: a.astype(np.float32) for name, a in arrays.items()}, label=np.arange(40) % 2)
    plugin = tmp_path / "edits_itself.py"
    plugin.write_text(
        "import gapbench\n\n\nclass It:\n    def fit(self, data):\n        with open(__file__, 'a') as me:\n            me.write('# more\\n')\n\n"
        "    def images(self, x):\n        return x\n\n\n@gapbench.hookimpl\ndef gapbench_aligners():\n"
        "    return [gapbench.AlignerSpec(name='edits-itself', factory='edits_itself:It', summary='s', family='f', "
        "needs=frozenset(), acts_on=gapbench.ActsOn.IMAGES)]\n"
    )
    chosen = {"datasets": f"embeddings:{tmp_path / 'e.npz'}", "aligners": "edits-itself", "metrics": "top1"}
    results = gapbench.run(**chosen, plugins=plugin, out=tmp_path / "out")
    assert results.records[0].code["edits_itself.py"].sha256 == ""
    before = plugin.read_text()
    assert gapbench.run(**chosen, plugins=plugin, out=tmp_path / "out").changes == [
        "aligner edits-itself changed: 1 value is measured again"
    ]
    assert plugin.read_text() != before


@pytest.mark.parametrize("how", ["namespace", "elsewhere", "dynamic", "by its path"])
def test_a_helper_that_no_hash_covers_is_never_reused(tmp_path, how):
    """Wherever it lies and however it is imported: what it does may be another thing in the next run."""
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(40, 4)), "text": rng.normal(size=(2, 4))}
    np.savez(tmp_path / "e.npz", **{name: a.astype(np.float32) for name, a in arrays.items()}, label=np.arange(40) % 2)
    folder = tmp_path / "plugins"
    helper = {
        "namespace": folder / f"ns_{how[:3]}" / "step.py", "elsewhere": tmp_path / "lib" / "helper_elsewhere.py",
        "dynamic": folder / "helper_dynamic.py", "by its path": tmp_path / "lib" / "helper_of_path.py",
    }[how]  # fmt: skip
    helper.parent.mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    load = {
        "namespace": f"sys.path.insert(0, {str(folder)!r})\nfrom ns_nam.step import STEP",
        "elsewhere": f"sys.path.insert(0, {str(helper.parent)!r})\nfrom helper_elsewhere import STEP",
        "dynamic": f"sys.path.insert(0, {str(folder)!r})\nSTEP = __import__('importlib').import_module('helper' + '_dynamic').STEP",
        "by its path": (
            "from importlib.util import module_from_spec, spec_from_file_location\n"
            f"spec = spec_from_file_location('helper_of_path', {str(helper)!r})\n"
            "module = sys.modules['helper_of_path'] = module_from_spec(spec)\nspec.loader.exec_module(module)\n"
            "STEP = module.STEP"
        ),
    }[how]
    plugin = folder / f"stepping_{how[:3].strip()}.py"
    plugin.write_text(
        f"import sys\nimport gapbench\n\n\nclass It:\n    def fit(self, data):\n{textwrap.indent(load, ' ' * 8)}\n"
        "        self.step = STEP\n        return self\n\n    def images(self, x):\n        return x + x.dtype.type(self.step)\n\n\n"
        "@gapbench.hookimpl\ndef gapbench_aligners():\n    return [gapbench.AlignerSpec(name='stepping', "
        f"factory='{plugin.stem}:It', summary='s', family='f', needs=frozenset(), acts_on=gapbench.ActsOn.IMAGES)]\n"
    )
    chosen = {"datasets": f"embeddings:{tmp_path / 'e.npz'}", "aligners": "stepping", "metrics": "centroid-l2"}

    def value(step, out):
        helper.write_text(f"STEP = {step}\n")
        path = list(sys.path)
        try:
            (record,) = gapbench.run(**chosen, plugins=plugin, out=tmp_path / out).records
        finally:
            sys.path[:] = path
        assert record.status == "ok", record.reason
        return record.metrics["centroid-l2"].value

    first = value(0.5, "one")
    again = value(25.0, "one")
    assert again != first
    assert again == value(25.0, "two")
