"""No metric depends on how the same items are told: every built-in one, and every one that is added."""

import numpy as np
import pytest
from helpers import BY_NAME, fitted, scored
from metamorphic import worlds

from gapbench.errors import NotMeasurable
from gapbench.host.discovery import built_in
from gapbench.host.registry import Kind
from gapbench.testing.checks import subject_of

METRICS = built_in().components(Kind.METRIC)

#: Metrics that a rotation of the space changes, and why. All others must not change.
OF_AXES = {
    "gap-concentration": "over how many axes the gap is spread is about the axes",
    "linear-separability": "its classifier standardises every axis",
    "flip-rate-noise": "the noise does not turn with the space",
    "flip-rate-int8": "rounding goes axis by axis",
}

#: Metrics that change when every item is there twice, and why. All others are means over items, or functions of means.
OF_PAIRS_OF_ITEMS = {
    "mean over pairs of different items, of which copies are the nearest": {
        "cone-images", "cone-texts", "uniformity-images", "uniformity-texts", "uniformity-pooled", "uniformity-cross", "mmd",
        "cka", "rmg",
    },
    "a copy is among the nearest": {
        "modality-mixing", "hubness-skew-i2t", "hubness-skew-t2i", "mutual-knn", "neighbour-preservation",
    },
    "copies are candidates too, and push others down": {
        "i2t-recall", "t2i-recall", "i2t-recall@1", "i2t-recall@5", "i2t-recall@10", "i2t-map@10", "i2t-all-recall@5", "i2t-all-recall@10", "i2t-median-rank",
        "t2i-recall@1", "t2i-recall@5", "t2i-recall@10", "t2i-map@10", "t2i-median-rank",
        "mixed-ndcg@10", "mixed-recall@10", "same-modality-share@10",
    },
    "what is learnt or found rests on how many items there are": {
        "ece", "linear-separability", "v-measure", "ari", "nmi", "image-to-text-transfer",
    },
    "each copy gets a noise of its own": {"flip-rate-noise"},
}  # fmt: skip
COPIED = {name: why for why, names in OF_PAIRS_OF_ITEMS.items() for name in names}


def applies(name, world):
    return worlds.can_measure(METRICS[name].spec, world)


CASES = [
    pytest.param(name, world, id=f"{name}-{world}")
    for name in METRICS
    for world in worlds.WORLDS
    if applies(name, world)
]

_seen = {}


def measured(name, world, change=None, *, keys=False, how=()):
    """Value of a metric after a mild map, or why there is none; each world is aligned once."""
    key = (world, change, keys, how)
    if key not in _seen:
        split = worlds.WORLDS[world]()
        split = worlds.with_keys(split) if keys else split
        split = change(split) if change else split
        with pytest.MonkeyPatch.context() as patch:
            for one in how:
                one(patch)
            aligner = fitted("mean-center", split, strength=0.5)
            data = scored(aligner, BY_NAME["mean-center"], split, captioned=world == "captions")
            _seen[key] = {}
            for metric, component in METRICS.items():
                if applies(metric, world):
                    try:
                        found = subject_of(component).build().measure(data)
                        _seen[key][metric] = (found.value, found.jackknife)
                    except NotMeasurable as why:
                        _seen[key][metric] = str(why)
    return _seen[key][name]


def same(one, other, tolerance=1e-5):
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    values = [np.concatenate([[value], [] if groups is None else np.sort(groups)]) for value, groups in (one, other)]
    return values[0].shape == values[1].shape and np.allclose(*values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("change", worlds.ORDERS, ids=lambda change: change.__name__)
@pytest.mark.parametrize(("name", "world"), CASES)
def test_order_and_names_do_not_matter(name, world, change):
    how = (worlds.few_items,)
    one, other = measured(name, world, how=how), measured(name, world, change, how=how)
    assert same(one, other), (one, other)


@pytest.mark.parametrize(("name", "world"), CASES)
def test_blocks_and_what_is_kept_in_memory_do_not_matter(name, world):
    one, other = measured(name, world), measured(name, world, how=(worlds.small_blocks,))
    assert same(one, other), (one, other)


@pytest.mark.parametrize(("name", "world"), CASES)
def test_a_rotation_of_the_space_does_not_matter_but_to_what_is_about_its_axes(name, world):
    how = (worlds.few_items,)
    one, other = measured(name, world, keys=True, how=how), measured(name, world, worlds.turned, keys=True, how=how)
    assert same(one, other, 1e-4) or name in OF_AXES, (one, other)


@pytest.mark.parametrize(("name", "world"), CASES)
def test_means_stay_where_every_item_is_there_twice(name, world):
    one, other = (measured(name, world, change) for change in (None, worlds.every_item_twice))
    if isinstance(one, str):
        assert isinstance(other, str)
    else:
        assert np.isclose(one[0], other[0], rtol=1e-5, atol=1e-6) or name in COPIED, (one[0], other[0])


def test_the_exceptions_are_exceptions():
    """A metric of a table above changes in one of the worlds; otherwise it needs no exception."""
    turned = {"keys": True}
    for name in METRICS:
        there = [world for world in worlds.WORLDS if applies(name, world)]
        if name in OF_AXES:
            pairs = [(measured(name, w, **turned), measured(name, w, worlds.turned, **turned)) for w in there]
            assert any(not same(*pair, 1e-4) for pair in pairs), name
        if name in COPIED:
            pairs = [(measured(name, w), measured(name, w, worlds.every_item_twice)) for w in there]
            assert any(one[0] != other[0] for one, other in pairs), name
    assert {*OF_AXES, *COPIED} <= METRICS.keys()
