"""A measurement that contradicts itself costs its own value, says why, and costs nothing else."""

import numpy as np
import pytest

import gapbench
from gapbench.bench.door import fault_of, plain
from gapbench.components import Measurement
from gapbench.testing import two_cones

HITS = np.array([True, True, True, False])


def measurement(**changes):
    return Measurement(**{"value": 0.75, "n": 4, "outcomes": HITS, **changes})


GOOD = {
    "hits": measurement(),
    "real": measurement(value=0.3, outcomes=np.full(4, 0.3)),
    "single precision": measurement(value=0.1 + 1e-8, outcomes=np.full(4, 0.1, dtype=np.float32)),
    "several captions an image": measurement(n=10, outcomes=HITS.astype(float)),
    "left out": measurement(outcomes=None, jackknife=np.array([0.7, 0.8])),
    "its own interval": measurement(outcomes=None, ci95=(0.5, 0.9)),
    "numpy numbers": measurement(value=np.float32(0.75), n=np.int64(4)),
}

BAD = {
    "nothing": (None, "gave NoneType where a gapbench.Measurement"),
    "a number": (0.75, "gave float where"),
    "text": (measurement(value="0.75"), "its value is str, not a number"),
    "a truth": (measurement(value=True, outcomes=None), "its value is bool"),
    "per cent": (measurement(value=75.0, outcomes=None), "75, which no share can be"),
    "below zero": (measurement(value=-0.1, outcomes=None), "-0.1, which no share can be"),
    "no items": (measurement(n=0, outcomes=None), "n = 0"),
    "half an item": (measurement(n=4.0), "n = 4.0"),
    "another mean": (measurement(value=0.7), "0.7, and the mean of its outcomes 0.75"),
    "fewer items": (measurement(n=3), "rests on 3 items, and has 4 outcomes"),
    "more items": (measurement(n=5), "rests on 5 items, and has 4 outcomes"),
    "a column": (measurement(outcomes=HITS[:, None]), "shape (4, 1)"),
    "empty": (measurement(outcomes=HITS[:0]), "shape (0,)"),
    "a list": (measurement(outcomes=[True, True, True, False]), "no NumPy array"),
    "NaN": (measurement(outcomes=np.array([0.75, np.nan])), "NaN or infinity"),
    "twice": (measurement(n=10, outcomes=np.repeat(HITS, 5)), "20 outcomes of 10 items"),
    "more than there are": (measurement(n=11, outcomes=None), "rests on 11 items, and there are 10"),
    "two intervals": (measurement(ci95=(0.5, 0.9)), "it has outcomes and ci95; an interval comes from one"),
    "outcomes and groups": (measurement(jackknife=np.array([0.7, 0.8])), "it has outcomes and jackknife"),
    "groups and an interval": (
        measurement(outcomes=None, jackknife=np.array([0.7, 0.8]), ci95=(0.5, 0.9)),
        "it has jackknife and ci95",
    ),
    "left out, infinite": (measurement(outcomes=None, jackknife=np.array([0.7, np.inf])), "jackknife hold NaN"),
    "left out once": (measurement(outcomes=None, jackknife=np.array([0.7])), "its jackknife has 1 values of 4 items"),
    "left out too often": (
        measurement(outcomes=None, jackknife=np.full(5, 0.7)),
        "its jackknife has 5 values of 4 items",
    ),
    "beside its value": (measurement(outcomes=None, ci95=(0.76, 0.9)), "[0.76, 0.9] misses its value 0.75"),
    "no end": (measurement(outcomes=None, ci95=(np.nan, 0.9)), "misses its value"),
    "one end": (measurement(outcomes=None, ci95=(0.5,)), "it has two numbers"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_agrees_passes(name):
    assert fault_of(GOOD[name], "share", most=10) == ""


@pytest.mark.parametrize("name", BAD)
def test_what_contradicts_itself_is_told(name):
    found, told = BAD[name]
    assert told in fault_of(found, "share", most=10)


ODD = """
import gapbench


class Odd:
    def measure(self, data):
        hits = data.top_classes(1)[:, 0] == data.labels
        return gapbench.Measurement(value=float(hits.mean()) / 2, n=len(hits), outcomes=hits)


@gapbench.hookimpl
def gapbench_metrics():
    return [
        gapbench.MetricSpec(
            name="odd", factory="odd:Odd", summary="x", unit="share", better=gapbench.Better.HIGHER,
            family=gapbench.MetricFamily.TASK, needs=frozenset({gapbench.Need.LABELS}),
        )
    ]
"""


def test_a_metric_that_contradicts_itself_costs_its_own_value(tmp_path):
    (tmp_path / "odd.py").write_text(ODD)
    toy = two_cones(60, 8, classes=3)
    np.savez(tmp_path / "e.npz", image=toy.images, text=toy.class_texts, label=toy.labels)
    found = gapbench.run(
        datasets=f"embeddings:{tmp_path / 'e.npz'}",
        aligners=["identity", "mean-center"],
        metrics=["top1", "odd"],
        plugins=tmp_path / "odd.py",
    )
    for record in found.records:
        assert record.metrics.keys() == {"top1"}
        assert "mean of its outcomes" in record.unmeasured["odd"].reason
    assert len(found.failed) == 2
    (table,) = found.tables
    assert table.row("mean-center").values["top1"].p_holm is not None


class Flattering(float):
    """Compares as it likes."""

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__


class Agreeing(np.ndarray):
    """Has the mean that it likes."""

    def mean(self, *more, **named):
        return 0.99


def test_objects_of_a_plugin_have_no_say_in_what_is_compared():
    found = plain(measurement(value=Flattering(0.99), outcomes=HITS.astype(float).view(Agreeing)))
    assert (type(found.value), type(found.outcomes)) == (float, np.ndarray)
    assert "0.99, and the mean of its outcomes 0.75" in fault_of(found, "share", 10)
