"""Every registered aligner, the distributions below plugins/ included: undeclared reads, and many dimensions.

What every aligner must do besides is in the conformance suite, which runs on all of them (tests/testing).
"""

import importlib
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers import class_split, fit_spec, scored

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.builtin.aligners import SPECS
from gapbench.errors import UndeclaredData
from gapbench.specs import Need

PLUGINS = Path(__file__).parents[2] / "plugins"


def of_plugins():
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        sys.path.insert(0, str(project.parent))
        for module in tomllib.loads(project.read_text())["project"]["entry-points"]["gapbench"].values():
            yield from getattr(importlib.import_module(module), "gapbench_aligners", tuple)()


ALIGNERS = {spec.name: spec for spec in (*SPECS, *of_plugins())}


def few_of(n, d):
    return class_split(n_classes=3, d=d, n=n)


def ranked(spec, split):
    """Fit and rank everything; what a metric would see."""
    return scored(fit_spec(spec, split), spec, split, captioned=False).sample.ranked("images")


@pytest.mark.parametrize("name", ALIGNERS)
def test_reading_anything_else_is_refused(name):
    spec = ALIGNERS[name]
    split = few_of(20, 5)
    data = GuardedFitData(spec, FitRows(split, captioned=False, raw=False), np.random.default_rng(0))
    reads = {
        Need.UNPAIRED_IMAGES: lambda: data.images,
        Need.UNPAIRED_TEXTS: lambda: data.texts,
        Need.PAIRS: lambda: data.pairs,
        Need.LABELS: lambda: data.labels,
        Need.CLASS_TEXTS: lambda: data.class_texts,
        Need.TEST_IMAGES: lambda: data.test_images,
        Need.TEST_TEXTS: lambda: data.test_texts,
        Need.VALIDATION: lambda: data.validation,
    }
    for need, read in reads.items():
        if need not in spec.needs:
            with pytest.raises(UndeclaredData):
                read()


#: Decompositions of d x d matrices: a minute each at 4,096 dimensions, so one of each kind stands for the others.
CUBIC = {
    "shuffled-pairs", "abtt", "whiten-pca", "subspace-alignment", "coral", "gaussian-ot", "leace", "procrustes", "ols",
    "ridge-identity", "cca", "csa", "pls-svd", "random-rotation", "gda-clip",
}  # fmt: skip


@pytest.mark.parametrize("name", [spec.name for spec in SPECS if spec.name not in CUBIC | {"whiten-zca", "ridge"}])
def test_four_thousand_dimensions(name):
    """d = 4096, with fewer rows than dimensions: one fit, finite."""
    assert np.isfinite(ranked(ALIGNERS[name], few_of(64, 4096))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whiten-zca", "ridge"])
def test_a_decomposition_in_four_thousand_dimensions(name):
    assert np.isfinite(ranked(ALIGNERS[name], few_of(64, 4096))).all()


@pytest.mark.parametrize("name", sorted(CUBIC | {"whiten-zca", "ridge"}))
def test_a_thousand_dimensions(name):
    assert np.isfinite(ranked(ALIGNERS[name], few_of(64, 1024))).all()
