"""Every item twice is the same distribution: what is fitted from it is the same map, with exceptions that have a reason."""

import dataclasses

import numpy as np
import pytest

from gapbench.components import Texts
from gapbench.host.build import build
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.testing import two_cones
from gapbench.testing.fits import OF_CLASSES, all_scores, fit_aligner

REGISTRY = discover()
NAMES = list(REGISTRY.components(Kind.ALIGNER))

#: What counts items, and how to ask for the same on twice as many.
COUNTS = {
    "ridge": "ridge[alpha=2]",  # its weight is in units of sums over pairs
    "ridge-identity": "ridge-identity[alpha=20]",
}

#: What need not be the same, and why.
EXCEPTIONS = {
    "shuffled-pairs": "it draws from the rows",
    "leace": "it estimates how far to shrink the covariance from the number of rows",
}


def twice(split):
    """Return every image with its text two times."""
    n = len(split.images)
    captions = split.captions
    if captions is not None:
        captions = Texts(
            rows=np.tile(captions.rows, (2, 1)), owner=np.concatenate([captions.owner, captions.owner + n])
        )
    labels = None if split.labels is None else np.tile(split.labels, 2)
    return dataclasses.replace(split, images=np.tile(split.images, (2, 1)), labels=labels, captions=captions)


def apart(name, mode):
    """Return how far scores are apart, in shares of the largest."""
    split = getattr(two_cones(90, 6, 5, noise=0.2), mode)()
    found = []
    for label, fit in ((name, split), (COUNTS.get(name, name), twice(split))):
        (selected,) = select(REGISTRY, Kind.ALIGNER, [label])
        spec = selected.component.spec
        found.append(all_scores(fit_aligner(build(selected), spec, fit), spec, split))
    return float(np.abs(found[0] - found[1]).max() / np.abs(found[0]).max())


def modes(name):
    needs = REGISTRY.components(Kind.ALIGNER)[name].spec.needs
    return ["prompts"] if needs & OF_CLASSES else ["captions", "prompts"]


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name in NAMES if name not in EXCEPTIONS for mode in modes(name)]
)
def test_every_item_twice_gives_the_same_scores(name, mode):
    assert apart(name, mode) < 1e-5


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_what_is_an_exception_is_one(name):
    assert apart(name, "captions") > 1e-5, EXCEPTIONS[name]
