"""Toy data and fitting behind the guard, for tests of aligners and metrics."""

import importlib

import numpy as np

from gapbench.bench.fitdata import FitRows
from gapbench.bench.materials import Materials
from gapbench.bench.scored import AlignedSplit
from gapbench.builtin.aligners import SPECS
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import unit_rows
from gapbench.embeddings.store import Store
from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.selection import Selected
from gapbench.specs import Context, DatasetSpec, EncoderSpec, Offer
from gapbench.testing.fits import fit_aligner
from gapbench.testing.toys import ToyDataset, ToyEncoder

BY_NAME = {spec.name: spec for spec in SPECS}


def caption_pairs(n=60, d=8, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, d))
    images = unit_rows((shared + 0.3 * rng.standard_normal((n, d)) + 0.6).astype(np.float32))
    texts = unit_rows((shared + 0.3 * rng.standard_normal((n, d)) - 0.4).astype(np.float32))
    return images, texts


def caption_split(images, texts):
    return EmbeddedSplit(images=images, fingerprint="f", captions=Texts(rows=texts, owner=np.arange(len(texts))))


def class_split(n_classes=3, d=8, n=40, seed=0):
    rng = np.random.default_rng(seed)
    texts = unit_rows(rng.standard_normal((n_classes, d)).astype(np.float32))
    labels = rng.permutation(np.arange(n) % n_classes)
    images = unit_rows((0.5 * texts[labels] + rng.standard_normal((n, d)) * 0.4 + 0.3).astype(np.float32))
    return EmbeddedSplit(
        images=images,
        fingerprint="f",
        classes=tuple("abcdefgh"[:n_classes]),
        labels=labels,
        prompts=Texts(rows=texts, owner=np.arange(n_classes)),
    )


def fitted(name, split, seed=0, **params):
    """Fit a built-in as the runner does: behind the guard, so that an undeclared need is an error."""
    return fit_spec(BY_NAME[name], split, seed=seed, **params)


def fit_spec(spec, split, *, seed=0, **params):
    """Build with all declared parameters and fit; transductive needs are met with the same split."""
    module, _, attribute = spec.factory.partition(":")
    values = {name: param.default for name, param in spec.params.items()} | params
    return fit_aligner(
        getattr(importlib.import_module(module), attribute)(**spec.options, **values), spec, split, seed=seed
    )


def scored(aligner, spec, split, *, captioned):
    """Give a split after alignment, as metrics read it."""
    rows = FitRows(split, captioned=captioned, raw=spec.raw)
    return AlignedSplit(rows, aligner, spec, np.random.default_rng(0))


class ToyMaterials(Materials):
    """Materials of a toy encoder and a toy dataset, whose code has the hash that one says."""

    origin = Origin("toys", "1", "toys", "toys")
    toy_encoder = Selected(
        Component(Kind.ENCODER, EncoderSpec(name="toy", factory="toys:Encoder", summary="Toy."), origin)
    )
    toy_dataset = Selected(
        Component(
            Kind.DATASET,
            DatasetSpec(
                name="toys",
                factory="toys:Data",
                summary="Toys.",
                licence="MIT",
                offers=frozenset({Offer.LABELS, Offer.CAPTIONS}),
                splits=dict(ToyDataset.sizes),
            ),
            origin,
        )
    )

    def __init__(self, root, encoder=None, dataset=None, *, code="c" * 64):
        context = Context(data_root=root, device="cpu", dtype="float32", offline=True, download=False)
        super().__init__(Store(root / "store"), context)
        self.source = root / "source"
        if not self.source.exists():
            self.source.touch()
        self.toys = {"toy": encoder or ToyEncoder(), "toys": dataset or ToyDataset()}
        self.its_code = code
        for toy in self.toys.values():
            toy.files = lambda: [self.source]

    def built(self, selected):
        return self.toys[selected.name]

    def code(self, selected):
        return self.its_code

    def embed(self):
        """Encode what is missing and give all rows and labels, as a run does."""
        self.encode(self.toy_encoder, self.toy_dataset, "test")
        manifest = self.known_manifest(self.toy_dataset, "test")
        self.encode_strings(self.toy_encoder, self.toy_dataset, manifest.caption_strings)
        return self.embedded(self.toy_encoder, self.toy_dataset, None, "test")
