"""What a plugin's code changed in this process is put back and told, and an honest plugin is not blamed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gapbench.errors import GapbenchWarning
from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.unchanged import unchanged
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
