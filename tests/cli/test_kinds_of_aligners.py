"""Score-side, transductive, validating and raw aligners, as a plugin of one file brings them."""

import json

import pytest

PLUGIN = '''
import numpy as np
import gapbench
from gapbench import ActsOn, Need


class PlusBias:
    """Adds a number to the score of each class."""

    def fit(self, data):
        self.three = data.class_texts[3]
        return self

    def text_bias(self, t):
        return np.where(np.abs(t - self.three).max(axis=1) < 1e-4, 10.0, 0.0).astype("float32")


class ByScores(PlusBias):
    """The same without a vector form."""

    def scores(self, x, t):
        return x @ t.T + self.text_bias(t)


class SeesTest:
    def fit(self, data):
        self.mean = data.test_images.mean(axis=0) - data.images.mean(axis=0)
        return self

    def images(self, x):
        return (x - self.mean).astype("float32")


class Validates:
    def fit(self, data):
        self.sizes = (len(data.images), len(data.validation.images))
        return self

    def notes(self):
        return {"sizes": list(self.sizes)}

    def images(self, x):
        return x


class Raw:
    def fit(self, data):
        self.norm = float(np.linalg.norm(data.images, axis=1).mean())
        return self

    def notes(self):
        return {"norm": self.norm}

    def images(self, x):
        assert abs(np.linalg.norm(x, axis=1).mean() - 1) > 0.01
        return (x / self.norm).astype("float32")


def spec(name, cls, needs=(), acts_on=ActsOn.IMAGES, raw=False):
    return gapbench.AlignerSpec(name=name, factory=f"kinds:{cls}", summary="", family="toy", needs=frozenset(needs),
                                acts_on=acts_on, raw=raw)


@gapbench.hookimpl
def gapbench_aligners():
    return [
        spec("plus-bias", "PlusBias", {Need.CLASS_TEXTS}, acts_on=ActsOn.SCORES),
        spec("by-scores", "ByScores", {Need.CLASS_TEXTS}, acts_on=ActsOn.SCORES),
        spec("sees-test", "SeesTest", {Need.TEST_IMAGES, Need.UNPAIRED_IMAGES}),
        spec("validates", "Validates", {Need.VALIDATION, Need.UNPAIRED_IMAGES}),
        spec("raw", "Raw", {Need.UNPAIRED_IMAGES}, raw=True),
        spec("texts-missing", "SeesTest", acts_on=ActsOn.BOTH),
    ]
'''


@pytest.fixture
def run(gapbench, tmp_path):
    (tmp_path / "kinds.py").write_text(PLUGIN)

    def with_plugin(*arguments, code=0):
        out = tmp_path / "out"
        same = ("run", "-d", "digits", "-p", "photo", "--plugin", "kinds.py", "--no-figures", "--out", out)
        done = gapbench(*same, *arguments, code=code)
        lines = (out / "records/run.jsonl").read_text().splitlines()
        return done, {record["aligner"]["name"]: record for record in map(json.loads, lines)}

    return with_plugin


def test_a_bias_and_plain_scores_give_the_same_predictions(run):
    _, records = run("-a", "plus-bias", "-a", "by-scores", "-a", "identity")
    for record in (records["plus-bias"], records["by-scores"]):
        assert record["metrics"]["top1"]["value"] == pytest.approx(0.1, abs=0.01)  # everything is a three
        gap = records["identity"]["metrics"]["centroid-l2"]["value"]
        assert record["metrics"]["centroid-l2"]["value"] == pytest.approx(gap)


def test_what_reads_test_items_runs_as_transductive_only(run):
    done, records = run("-a", "sees-test", "-a", "identity")
    assert "run it with --protocol transductive" in " ".join(done.stdout.split())
    assert set(records) == {"identity"}
    done, records = run("-a", "sees-test", "-a", "identity", "-a", "mean-center", "--protocol", "transductive")
    assert records["sees-test"]["status"] == "ok"
    assert records["sees-test"]["protocol"]["name"] == "transductive"
    assert "mean-center" not in records
    assert "it reads no test items" in " ".join(done.stdout.split())


def test_a_validation_slice_is_cut_from_the_fit_split(run):
    _, records = run("-a", "validates")
    assert records["validates"]["notes"]["sizes"] == "[1038, 259]"


def test_raw_rows_keep_their_norms(run):
    _, records = run("-a", "raw", "-a", "identity")
    assert records["raw"]["notes"]["norm"] > 1.01
    assert records["raw"]["metrics"]["top1"]["value"] == records["identity"]["metrics"]["top1"]["value"]


def test_a_side_that_is_declared_must_have_its_method(run):
    _, records = run("-a", "texts-missing", code=1)
    assert records["texts-missing"]["status"] == "error"


def test_changing_the_code_of_a_plugin_runs_its_cells_again(run, tmp_path):
    run("-a", "plus-bias", "-a", "identity")
    path = tmp_path / "kinds.py"
    path.write_text(path.read_text().replace("class_texts[3]", "class_texts[5]"))
    done, _ = run("-a", "plus-bias", "-a", "identity")
    assert "(1 from an earlier run)" in done.stdout
    assert "aligner plus-bias changed" in " ".join((done.stdout + done.stderr).split())
    rows = [line for line in done.stdout.splitlines() if line.split()[:2] == ["2", "plus-bias"]]
    assert len(rows) == 1
