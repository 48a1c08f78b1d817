"""Fitting as the runner does it: behind the guard, so that reading what a spec does not declare is an error."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from gapbench_transport import SPECS

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import unit_rows

CLIP = Path(__file__).parents[4] / "shared" / "data" / "mind_the_gap_clip.npz"


@pytest.fixture
def clip():
    """Images and captions, 500 pairs of real unit rows."""
    if not CLIP.is_file():
        pytest.skip(f"{CLIP.name} is not beside this checkout (../shared/data)")
    with np.load(CLIP) as data:
        return unit_rows(data["image"]), unit_rows(data["text"])


@pytest.fixture
def fitted():
    def fit(name, split, test=None, seed=0, **params):
        spec = next(spec for spec in SPECS if spec.name == name)
        module, _, attribute = spec.factory.partition(":")
        aligner = getattr(importlib.import_module(module), attribute)(**spec.options, **params)
        rows = FitRows(split, captioned=split.captions is not None, raw=spec.raw)
        test = None if test is None else FitRows(test, captioned=False, raw=spec.raw)
        return aligner.fit(GuardedFitData(spec, rows, np.random.default_rng(seed), test=test))

    return fit


@pytest.fixture
def captioned():
    def split(images, texts):
        texts = Texts(rows=np.asarray(texts, np.float32), owner=np.arange(len(texts)) % len(images))
        return EmbeddedSplit(images=np.asarray(images, np.float32), fingerprint="f", captions=texts)

    return split


@pytest.fixture
def classified():
    def split(images, labels, texts):
        return EmbeddedSplit(
            images=unit_rows(np.asarray(images, np.float32)),
            fingerprint="f",
            classes=tuple(map(str, range(len(texts)))),
            labels=np.asarray(labels),
            prompts=Texts(rows=np.asarray(texts, np.float32), owner=np.arange(len(texts))),
        )

    return split
