"""Each hook, from a module to a component that can be used."""

import sys
import types

import numpy as np
import pytest

import gapbench
from gapbench.components import Measurement, PromptSet
from gapbench.host.build import build
from gapbench.host.discovery import discover
from gapbench.host.registry import HOOKS, Kind
from gapbench.host.selection import select
from gapbench.testing import ToyDataset, ToyEncoder


class Plugin:
    """All five hooks, on one object."""

    @gapbench.hookimpl
    def gapbench_encoders(self):
        return [gapbench.EncoderSpec(name="toy-encoder", factory="hooked:ToyEncoder", summary="toy")]

    @gapbench.hookimpl
    def gapbench_datasets(self):
        sizes = {"train": 24, "test": 16}
        offers = frozenset({gapbench.Offer.LABELS, gapbench.Offer.CAPTIONS})
        return [
            gapbench.DatasetSpec(
                name="toy-dataset",
                factory="hooked:ToyDataset",
                summary="toy",
                offers=offers,
                splits=sizes,
                licence="none",
            )
        ]

    @gapbench.hookimpl
    def gapbench_prompts(self):
        return [gapbench.PromptSpec(name="toy-prompts", factory="hooked:Prompts", summary="toy")]

    @gapbench.hookimpl
    def gapbench_aligners(self):
        return [
            gapbench.AlignerSpec(
                name="toy-aligner",
                factory="hooked:Aligner",
                summary="toy",
                family="mean",
                needs=frozenset({gapbench.Need.UNPAIRED_IMAGES}),
                acts_on=gapbench.ActsOn.IMAGES,
            )
        ]

    @gapbench.hookimpl
    def gapbench_metrics(self):
        return [
            gapbench.MetricSpec(
                name="toy-metric",
                factory="hooked:Metric",
                summary="toy",
                unit="share",
                better=gapbench.Better.HIGHER,
                family=gapbench.MetricFamily.TASK,
                needs=frozenset({gapbench.Need.LABELS}),
            )
        ]


class Prompts:
    def prompts(self, classes):
        return PromptSet(prompts=[f"a {name} square" for name in classes], owner=range(len(classes)))


class Aligner:
    def fit(self, data):
        self.mean = data.moments.images.mean
        return self

    def images(self, x):
        return (x - self.mean).astype(np.float32)


class Metric:
    def measure(self, data):
        hits = data.top_classes(1)[:, 0] == data.labels
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


@pytest.fixture
def hooked(monkeypatch):
    module = types.ModuleType("hooked")
    vars(module).update(
        ToyEncoder=ToyEncoder, ToyDataset=ToyDataset, Prompts=Prompts, Aligner=Aligner, Metric=Metric, plugin=Plugin()
    )
    monkeypatch.setitem(sys.modules, "hooked", module)
    return module


@pytest.mark.parametrize("kind", Kind)
def test_what_a_hook_returns_is_registered_and_can_be_built(hooked, kind):
    registry = discover(objects=[hooked.plugin])
    assert not registry.broken
    assert HOOKS[kind] in registry.plugins[-1].hooks
    (selected,) = select(registry, kind, [f"toy-{kind}"])
    assert build(selected, *([None] if kind in (Kind.ENCODER, Kind.DATASET) else [])) is not None


def test_a_run_of_nothing_but_plugins(hooked):
    found = gapbench.run(
        encoders=["toy-encoder"],
        datasets=["toy-dataset"],
        prompts=["toy-prompts"],
        aligners=["identity", "toy-aligner"],
        metrics=["toy-metric"],
        plugins=[hooked.plugin],
    )
    assert not found.failed
    assert not found.failures
    values = {row.label: row.values["toy-metric"].value for row in found.tables[0].rows}
    assert values.keys() == {"identity", "toy-aligner"}
    assert values["toy-aligner"] > 0.5


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (99, "upgrade gapbench"),
        (1, "speaks version 1 of the contract, and gapbench 0.1.0 speaks 2"),
        (0, "install a newer"),
        ("1", "whole number"),
    ],
)
def test_a_contract_of_another_version_is_refused_in_so_many_words(version, words):
    module = types.ModuleType("another")
    module.GAPBENCH_CONTRACT = version
    module.gapbench_prompts = Plugin().gapbench_prompts
    (broken,) = discover(objects=[module]).broken
    assert words in broken.cause
