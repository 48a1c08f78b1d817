"""No plugin changes another's number: each saboteur runs before the others, whose values are those of a run without it."""

import os
import textwrap
from pathlib import Path

import numpy as np
import pytest

import gapbench
from gapbench.errors import GapbenchWarning
from saboteurs.bodies import ALIGNERS, HOSTED, METRICS

INNOCENT = ("identity", "mean-center", "procrustes", "ols", "gda-clip")
MEASURED = ("top1", "centroid-l2", "mmd", "modality-mixing", "hubness-skew-i2t", "linear-separability")
HEAD = "import os as _os\nimport gapbench\nfrom gapbench import ActsOn, Need\nimport numpy as np\n"
MARK = "open(_os.environ['SABOTEUR_MARK'], 'a').close()"


def indented(body, by):
    return textwrap.indent(body, " " * by)


def an_aligner(body, method):
    bodies = {"fit": "", "images": "return x"} | {method: f"{MARK}\n{body}"}
    return (
        f"{HEAD}\n\nclass It:\n    def fit(self, data):\n{indented(bodies['fit'], 8)}\n        return self\n\n"
        f"    def images(self, x):\n{indented(bodies['images'], 8)}\n\n\n"
        "@gapbench.hookimpl\ndef gapbench_aligners():\n"
        "    needs = {Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS, Need.PAIRS, Need.LABELS, Need.CLASS_TEXTS}\n"
        "    return [gapbench.AlignerSpec(name='aa', factory='saboteur:It', summary='s', family='f', "
        "needs=frozenset(needs), acts_on=ActsOn.IMAGES)]\n"
    )


def a_metric(body):
    return (
        f"{HEAD}\n\nclass It:\n    def measure(self, data):\n        {MARK}\n{indented(body, 8)}\n"
        "        outcomes = np.ones(data.n_images)\n"
        "        return gapbench.Measurement(value=1.0, n=data.n_images, outcomes=outcomes)\n\n\n"
        "@gapbench.hookimpl\ndef gapbench_metrics():\n"
        "    return [gapbench.MetricSpec(name='aa', factory='saboteur:It', summary='s', unit='share', "
        "better=gapbench.Better.HIGHER, family=gapbench.MetricFamily.TASK, needs=frozenset({Need.LABELS, Need.PAIRS}))]\n"
    )


def values(results, *, without=()):
    """What was found of the innocents: values, intervals and numbers of items."""
    assert all("bad" in what for what, _ in results.failures), results.failures
    found = {}
    for record in results.records:
        if record.aligner.name in INNOCENT:
            assert record.status == "ok", record.reason
            of = record.dataset.name, record.prompts.name, record.aligner.name
            kept = {name: value for name, value in record.metrics.items() if name not in without}
            found[of] = {name: (value.value, value.ci95, value.n) for name, value in kept.items()}
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Two cones with five classes, in a file that is mapped."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 16))
    labels = rng.permutation(np.repeat(np.arange(5), 60))
    images = centres[labels] + 0.8 * rng.normal(size=(300, 16)) + 1
    path = tmp_path_factory.mktemp("rows") / "t.npz"
    np.savez(path, image=images.astype("f4"), text=(centres - 1).astype("f4"), label=labels)
    return path


def ran(rows, *more, **options):
    return gapbench.run(
        datasets=f"embeddings:{rows}", aligners=[*more, *INNOCENT], metrics=options.pop("metrics", MEASURED), **options
    )


@pytest.fixture(scope="module")
def expected(rows):
    return values(ran(rows))


@pytest.fixture
def sabotaged(tmp_path, monkeypatch, rows):
    """Run with a saboteur, which must have been there."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("SABOTEUR_MARK", str(mark))

    def run(text, *more, **options):
        plugin = tmp_path / "saboteur.py"
        plugin.write_text(text)
        results = ran(rows, *more, plugins=plugin, **options)
        assert mark.exists(), "the saboteur was never called"
        return results

    return run


@pytest.mark.parametrize("name", ALIGNERS)
def test_an_aligner_changes_no_other(name, sabotaged, expected):
    method = "images" if name.endswith("in images") else "fit"
    results = sabotaged(an_aligner(ALIGNERS[name], method), "aa")
    assert values(results) == expected
    (own,) = [record for record in results.records if record.aligner.name == "aa"]
    assert own.status in ("ok", "error")


def test_an_aligner_that_never_ends_costs_its_time_alone(sabotaged, expected):
    endless = "import time\nwhile True:\n    try:\n        time.sleep(0.1)\n    except BaseException:\n        pass"
    results = sabotaged(an_aligner(endless, "fit"), "aa", timeout=3)
    assert values(results) == expected
    (own,) = [record for record in results.records if record.aligner.name == "aa"]
    assert own.status == "timeout"
    assert "still in fit()" in own.reason


def test_an_aligner_that_wants_too_much_memory_costs_its_own_cell(sabotaged, expected):
    much = "self.kept = [np.ones(2**26) for _ in range(20)]"  # 10 GiB
    results = sabotaged(an_aligner(much, "fit"), "aa", memory=1)
    assert values(results) == expected
    (own,) = [record for record in results.records if record.aligner.name == "aa"]
    assert own.status == "error"
    assert "MemoryError" in own.reason


REMEMBERED = {
    "its answer for each row": """
        memo = self.__dict__.setdefault("memo", {})
        for row in x:
            memo.setdefault(row.tobytes(), row - x.mean(axis=0))
        return np.stack([memo[row.tobytes()] for row in x])
    """,
    "the mean of the first batch": """
        self.mean = getattr(self, "mean", x.mean(axis=0))
        return x - self.mean
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no copy of a fitted aligner here")
@pytest.mark.parametrize("what", REMEMBERED)
def test_an_aligner_that_remembers_the_rows_around_a_row_is_found_out(what, sabotaged, expected):
    results = sabotaged(an_aligner(textwrap.dedent(REMEMBERED[what]).strip(), "images"), "aa")
    assert values(results) == expected
    (own,) = [record for record in results.records if record.aligner.name == "aa"]
    assert own.status == "error"
    assert "images() does not work row by row" in own.reason


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no copy of a fitted aligner here")
@pytest.mark.parametrize(
    "body", ["import os\nreturn x * (1 if os.getpid() == self.pid else 1 / 0)", "return self.thread(x)"]
)
def test_where_the_copy_cannot_answer_the_aligner_itself_is_asked(body, sabotaged, expected):
    """What runs in threads of its own does not survive a fork."""
    text = an_aligner(body, "images").replace(
        "        return self\n\n",
        "        from concurrent.futures import ThreadPoolExecutor\n        self.pid = _os.getpid()\n"
        "        self.pool = ThreadPoolExecutor(1)\n        self.pool.submit(int).result()\n"
        "        self.thread = lambda x: self.pool.submit(lambda: x * 1).result()\n        return self\n\n",
    )
    results = sabotaged(text, "aa")
    assert values(results) == expected
    assert {record.status for record in results.records} == {"ok"}


@pytest.mark.parametrize("where", ["body", "hook"])
@pytest.mark.parametrize("what", ["np.linalg.norm = np.mean", "import scipy.special as p; p.stdtrit = lambda *a: 0.5"])
def test_what_is_replaced_while_a_plugin_is_imported_is_put_back_and_told(where, what, sabotaged, expected):
    what = f"{what}\n{MARK}"
    text = an_aligner("", "fit")
    if where == "body":
        text = text.replace("\n\nclass It", f"\n{what}\n\nclass It")
    else:
        text = text.replace("gapbench_aligners():\n", f"gapbench_aligners():\n{indented(what, 4)}\n")
    with pytest.warns(GapbenchWarning, match="while it was imported, replaced"):
        results = sabotaged(text)
    assert values(results) == expected


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("ignore:.*replaced:gapbench.errors.GapbenchWarning")
def test_a_metric_changes_no_other(name, sabotaged, expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    results = sabotaged(a_metric(METRICS[name]), metrics=("aa", *MEASURED))
    assert values(results, without=("aa",)) == expected


HOSTED_TEXT = """
from gapbench.components import PromptSet
from gapbench.testing import ToyDataset, ToyEncoder


class Pictures(ToyEncoder):
    def identity(self):
        return {**super().identity(), "of": "KIND"}

    def encode_images(self, batch):
        BODY
        return super().encode_images(batch)


class Data(ToyDataset):
    sizes = {"train": 24, "test": 16}

    def split(self, name):
        BODY
        return super().split(name)


class Words:
    def prompts(self, classes):
        BODY
        return PromptSet(prompts=[f"KIND {name}" for name in classes], owner=range(len(classes)))


@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name="KIND-encoder", factory="MODULE:Pictures", summary="")]


@gapbench.hookimpl
def gapbench_datasets():
    return [gapbench.DatasetSpec(name="KIND-dataset", factory="MODULE:Data", summary="", licence="",
                                 offers=frozenset({gapbench.Offer.LABELS}), splits=Data.sizes)]


@gapbench.hookimpl
def gapbench_prompts():
    return [gapbench.PromptSpec(name="KIND-prompts", factory="MODULE:Words", summary="")]
"""


def hosted(module, kind, where="", body=""):
    """Write a plugin with an encoder, a dataset and a prompt strategy; one of them has a body."""
    parts = (HEAD + HOSTED_TEXT).replace("KIND", kind).replace("MODULE", module).split("        BODY\n")
    bodies = {"encoder": "", "dataset": "", "prompts": ""}
    if where:
        bodies[where] = indented(f"{MARK}\n{body}", 8) + "\n"
    return "".join(part + more for part, more in zip(parts, [*bodies.values(), ""], strict=True))


@pytest.mark.parametrize("where", ["encoder", "dataset", "prompts"])
@pytest.mark.parametrize("name", HOSTED)
@pytest.mark.filterwarnings("ignore:.*(replaced|encoded again are equal):gapbench.errors.GapbenchWarning")
def test_what_runs_in_the_host_changes_no_other(where, name, tmp_path, monkeypatch):
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("SABOTEUR_MARK", str(tmp_path / "mark"))
    monkeypatch.chdir(tmp_path)
    good, bad = tmp_path / "innocents.py", tmp_path / "saboteur.py"
    good.write_text(hosted("innocents", "good"))
    bad.write_text(hosted("saboteur", "bad", where, HOSTED[name]))
    chosen = {"aligners": INNOCENT, "metrics": MEASURED}
    innocent = {"encoders": "good-encoder", "datasets": "good-dataset", "prompts": "good-prompts"}
    plain = gapbench.run(**innocent, plugins=[good], **chosen)
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store2"))
    both = {what: [names.replace("good", "bad"), names] for what, names in innocent.items()}
    results = gapbench.run(**both, plugins=[good, bad], **chosen)
    assert (tmp_path / "mark").exists(), "the saboteur was never called"
    results.records[:] = [record for record in results.records if record.encoder.name == "good-encoder"]
    found = values(results)
    of_good = {names: found[names] for names in found if names[:2] == ("good-dataset", "good-prompts")}
    assert of_good
    assert of_good == values(plain)
    assert Path.cwd() == tmp_path
