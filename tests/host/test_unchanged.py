"""What a plugin's code changed in this process is put back and told, and an honest plugin is not blamed."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import gapbench
from gapbench import retrieval, stats
from gapbench.bench import door
from gapbench.bench.scored import AlignedSplit
from gapbench.errors import GapbenchWarning
from gapbench.host.patches import import_ahead
from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.unchanged import unchanged
from gapbench.model.units import RANGES
from gapbench.results import comparisons
from gapbench.specs import Better, MetricFamily, MetricSpec

ROOT = Path(__file__).parent.parent.parent
SPEC = MetricSpec(
    name="mine", summary="Mine.", factory="mine:Mine", unit="", better=Better.HIGHER, family=next(iter(MetricFamily))
)
COMPONENT = Component(Kind.METRIC, SPEC, Origin("gapbench-mine", "1", "mine", "mine"))

LIBRARY = """
import warnings
import torch
from tests.host.test_unchanged import COMPONENT
from gapbench.host.unchanged import unchanged

before = torch.manual_seed
warnings.simplefilter("error")
with unchanged(COMPONENT):
    from torch import optim
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = optim.Adam([parameter])
    parameter.sum().backward()
    optimizer.step()
assert torch.manual_seed is not before  # else this test tries nothing
"""


def test_what_a_library_wraps_of_its_own_is_no_fault_of_a_plugin():
    """The first use of an optimiser makes PyTorch wrap `torch.manual_seed`."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}){LIBRARY}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def another_of_numpy(function):
    return np.median


def wrapper(function):
    from functools import wraps

    @wraps(function)
    def wrapped(*arguments, **more):
        return function(*arguments, **more)

    return wrapped


@pytest.mark.parametrize("change", [another_of_numpy, wrapper, np.vectorize])
def test_what_a_plugin_replaces_is_put_back_and_told(change):
    before = np.mean
    try:
        with pytest.warns(GapbenchWarning, match=r"Metric 'mine' .*replaced numpy.mean"), unchanged(COMPONENT):
            np.mean = change(before)
        assert np.mean is before
    finally:
        np.mean = before


def another(*arguments, **named):
    return 0.5


def sets(owner, name, value=another):
    return lambda: setattr(owner, name, value)


#: What is changed of gapbench, and what the warning calls it.
CHANGES = {
    "a function": (sets(retrieval, "rank_classes"), "gapbench.retrieval.rank_classes"),
    "code": (sets(stats.interval, "__code__", another.__code__), "gapbench.stats.interval"),
    "defaults": (sets(door.fault_of, "__defaults__", (1,)), "gapbench.bench.door.fault_of"),
    "defaults of keywords": (sets(comparisons.compare, "__kwdefaults__", {"x": 1}), "comparisons.compare"),
    "code of a method": (sets(AlignedSplit.top_classes, "__code__", another.__code__), "AlignedSplit.top_classes"),
    "code of a property": (
        sets(AlignedSplit.__dict__["captioned"].fget, "__code__", another.__code__),
        "AlignedSplit.captioned",
    ),
    "a cached property": (sets(AlignedSplit, "sample"), "AlignedSplit.sample"),
    "a method that it had not": (sets(AlignedSplit, "__getattribute__"), "AlignedSplit.__getattribute__"),
    "a module": (sets(stats, "np", None), "gapbench.stats.np"),
    "a built-in function, for one module": (sets(stats, "len"), "gapbench.stats.len"),
    "a constant": (sets(door, "CLOSE", 9.0), "gapbench.bench.door.CLOSE"),
    "an entry of a table": (lambda: RANGES.update(share=(-9, 9)), "RANGES"),
    "a table": (RANGES.clear, "RANGES"),
}


def everything():
    """Name what gapbench is made of, by identity."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "gapbench":
            for key, value in list(vars(module).items()):
                found[name, key] = id(value)
                if isinstance(value, types.FunctionType):
                    named = tuple(sorted((value.__kwdefaults__ or {}).items()))
                    found[name, key, "parts"] = value.__code__, value.__defaults__, named
                if isinstance(value, type) and value.__module__ == name:
                    found[name, key, "class"] = {one: id(it) for one, it in vars(value).items() if callable(it)}
    return found


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_plugin_changes_of_gapbench_is_put_back_and_told(what):
    change, named = CHANGES[what]
    import_ahead()
    before = everything(), dict(RANGES), AlignedSplit.top_classes.__code__, AlignedSplit.captioned.fget.__code__
    with pytest.warns(GapbenchWarning, match=rf"Metric 'mine' .*replaced .*{named}"), unchanged(COMPONENT):
        change()
    after = everything(), dict(RANGES), AlignedSplit.top_classes.__code__, AlignedSplit.captioned.fget.__code__
    assert after == before


def test_nobody_is_blamed_for_what_gapbench_does_itself(recwarn):
    with unchanged(COMPONENT):
        gapbench.run(datasets="digits", encoders="mini-clip", prompts="photo", aligners="mean-center")
    assert not [warning for warning in recwarn if issubclass(warning.category, GapbenchWarning)]
