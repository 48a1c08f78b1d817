"""A metric that fails costs its own value: the cell stands, the others are ranked and tested, and the run ends with 1."""

import json

import pytest

from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare

PLUGIN = '''
import gapbench
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable


class Raises:
    def measure(self, data):
        raise ValueError("no luck today")


class Odd:
    """Not measurable, which is no failure."""

    def measure(self, data):
        raise NotMeasurable("there are too few rows")


class Endless:
    def measure(self, data):
        return Measurement(value=float("nan"), n=1)


def spec(name, cls):
    return gapbench.MetricSpec(name=name, factory=f"failing:{cls}", summary="", unit="share",
                               better=gapbench.Better.HIGHER, family=gapbench.MetricFamily.TASK)


@gapbench.hookimpl
def gapbench_metrics():
    return [spec("raises", "Raises"), spec("odd", "Odd"), spec("endless", "Endless")]
'''

RUN = (
    "run",
    "-d",
    "digits",
    "-p",
    "photo",
    "-a",
    "identity",
    "-a",
    "mean-center",
    "-a",
    "random-rotation",
    "--no-figures",
)
PLAIN = ("-m", "top1", "-m", "centroid-l2")


def rows(folder):
    (table,) = compare(answers(journal.read_folder(folder)))
    return {one.answer.record.label: one for one in table}


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "failing.py").write_text(PLUGIN)
    return ("--plugin", "failing.py")


def test_a_metric_that_raises_costs_its_own_value(gapbench, plugin, tmp_path):
    gapbench(*RUN, *PLAIN, "--out", tmp_path / "plain")
    done = gapbench(*RUN, *PLAIN, *plugin, "-m", "raises", "--out", tmp_path / "out", code=1)
    assert "raises failed for" in " ".join(done.stdout.split())
    assert "ValueError: no luck today" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr
    plain, found = rows(tmp_path / "plain"), rows(tmp_path / "out")
    assert found.keys() == plain.keys()
    for label, one in found.items():
        record = one.answer.record
        assert record.status == "ok"
        assert record.metrics == plain[label].answer.record.metrics
        assert one.differences == plain[label].differences
        assert record.unmeasured.keys() == {"raises"}
        why = record.unmeasured["raises"]
        assert (why.status, why.distribution) == ("error", "failing.py")
        assert "ValueError: no luck today" in why.reason

    def ranks(folder):
        lines = (tmp_path / folder / "table.csv").read_text().splitlines()
        return [line for line in lines if ",top1," in line]

    assert ranks("plain") == ranks("out")


def test_what_has_no_meaning_is_no_failure(gapbench, plugin, tmp_path):
    gapbench(*RUN, *PLAIN, *plugin, "-m", "odd", "-m", "endless", "--out", tmp_path / "out", code=0)
    for one in rows(tmp_path / "out").values():
        unmeasured = one.answer.record.unmeasured
        assert {name: why.status for name, why in unmeasured.items()} == dict.fromkeys(
            ("odd", "endless"), "not measurable"
        )
        assert unmeasured["odd"].reason == "there are too few rows"
        assert "nan" in unmeasured["endless"].reason


def test_what_has_no_meaning_is_found_out_once_and_what_failed_is_tried_again(gapbench, plugin, tmp_path):
    out = tmp_path / "out"
    gapbench(*RUN, "-m", "top1", *plugin, "-m", "odd", "--out", out)
    done = gapbench(*RUN, "-m", "top1", *plugin, "-m", "odd", "--out", out)
    assert "3 from an earlier run" in done.stdout
    gapbench(*RUN, "-m", "top1", *plugin, "-m", "raises", "--out", out, code=1)
    lines = len((out / "records/run.jsonl").read_text().splitlines())
    gapbench(*RUN, "-m", "top1", *plugin, "-m", "raises", "--out", out, code=1)
    assert len((out / "records/run.jsonl").read_text().splitlines()) == lines + 3
    (tmp_path / "failing.py").write_text(
        PLUGIN.replace('raise ValueError("no luck today")', "return Measurement(value=0.5, n=1)")
    )
    gapbench(*RUN, "-m", "top1", *plugin, "-m", "raises", "--out", out)
    for one in rows(out).values():
        assert one.answer.record.metrics["raises"].value == 0.5
        assert "raises" not in one.answer.record.unmeasured


def test_python_tells_it_as_well(plugin, tmp_path):
    import gapbench

    found = gapbench.run(
        datasets=["digits"],
        prompts=["photo"],
        aligners=["identity", "mean-center"],
        metrics=["top1", "raises"],
        plugins=[tmp_path / "failing.py"],
    )
    assert [record.label for record in found.failed] == ["identity", "mean-center"]
    assert {row.label for row in found.tables[0].rows if row.rank} == {"identity", "mean-center"}


def test_an_aligner_that_raises_while_a_metric_asks_is_the_aligners_failure(gapbench, tmp_path):
    (tmp_path / "late.py").write_text("""
import gapbench


class Late:
    def fit(self, data):
        return self

    def images(self, x):
        raise RuntimeError("too late")


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="late", factory="late:Late", summary="", family="toy", needs=frozenset(),
                                 acts_on=gapbench.ActsOn.IMAGES)]
""")
    gapbench("run", "-d", "digits", "-p", "photo", "-a", "identity", "-a", "late", *PLAIN, "--plugin", "late.py",
             "--no-figures", "--out", tmp_path / "out", code=1)  # fmt: skip
    found = [json.loads(line) for line in (tmp_path / "out/records/run.jsonl").read_text().splitlines()]
    late = next(record for record in found if record["label"] == "late")
    assert (late["status"], late["metrics"]) == ("error", {})
    assert "RuntimeError: too late" in late["reason"]
