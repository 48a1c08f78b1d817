"""Toy data, data that other people published, and fitting behind the host's guard."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from gapbench_adapters import gapbench_aligners

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.components import EmbeddedSplit, Texts

SPECS = {spec.name: spec for spec in gapbench_aligners()}
CLIP = Path(__file__).parents[4] / "shared" / "data" / "mind_the_gap_clip.npz"


def unit(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def captions(images, texts, owner=None):
    """Make a split of images with captions."""
    owner = np.arange(len(texts)) if owner is None else owner
    return EmbeddedSplit(images=images, fingerprint="f", captions=Texts(rows=texts, owner=owner))


def classes(images, labels, texts):
    """Make a split of images with classes and one prompt each."""
    names = tuple(f"class {i}" for i in range(len(texts)))
    prompts = Texts(rows=texts, owner=np.arange(len(texts)))
    return EmbeddedSplit(images=images, fingerprint="f", classes=names, labels=labels, prompts=prompts)


def noisy_classes(n=120, n_classes=6, d=16, noise=0.2, seed=0):
    """Give images around their class text, moved away from the texts: a gap."""
    rng = np.random.default_rng(seed)
    texts = unit(rng.standard_normal((n_classes, d)))
    labels = rng.permutation(np.arange(n) % n_classes)
    images = unit(texts[labels] + noise * rng.standard_normal((n, d)) + 0.5)
    return images, labels, texts


def published():
    """Give 500 pairs of real embeddings of COCO images and captions."""
    if not CLIP.is_file():
        pytest.skip(f"{CLIP.name} is not beside this checkout (../shared/data)")
    with np.load(CLIP, allow_pickle=False) as arrays:
        return unit(arrays["image"][arrays["pair"]]), unit(arrays["text"])


def build(name, **params):
    spec = SPECS[name]
    module, _, attribute = spec.factory.partition(":")
    values = {key: param.default for key, param in spec.params.items()} | params
    return getattr(import_module(module), attribute)(**values)


def fitted(name, split, *, validation=None, test=None, seed=0, **params):
    """Fit as the host does: reading what the spec does not declare is an error."""

    def rows(part):
        return None if part is None else FitRows(part, captioned=part.captions is not None, raw=False)

    rng = np.random.default_rng(seed)
    data = GuardedFitData(SPECS[name], rows(split), rng, validation=rows(validation), test=rows(test))
    return build(name, **params).fit(data)
