"""No aligner depends on how the same items are told: every built-in one, those below plugins/, and every one that is added."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from metamorphic import worlds

from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.testing.checks import subject_of
from gapbench.testing.fits import OF_CLASSES, aligned, fit_aligner

PLUGINS = Path(__file__).parents[2] / "plugins"

#: Aligners that a rotation of the space changes, and why. The scores of all others must not change.
OF_AXES = {
    "drop-gap-dims": "it leaves out axes",
    "z-score": "it scales axis by axis",
    "random-rotation": "its rotation is drawn, and does not turn with the space",
    "linear-adapter": "its weights start on axes",
    "mlp-adapter": "its weights start on axes",
}


def components():
    """Aligners of gapbench, and of its own plugins that are packages."""
    packages = sorted(PLUGINS.glob("*/gapbench_*/__init__.py"))
    with pytest.MonkeyPatch.context() as patch:
        for path in packages:
            patch.syspath_prepend(path.parents[1])
        modules = [importlib.import_module(path.parent.name) for path in packages]
    return discover(objects=modules).components(Kind.ALIGNER)


ALIGNERS = components()


def applies(name, world):
    needs = ALIGNERS[name].spec.needs
    return world == "classes" or not needs & OF_CLASSES


CASES = [
    pytest.param(name, world, id=f"{name}-{world}")
    for name in ALIGNERS
    for world in worlds.WORLDS
    if applies(name, world)
]


def scores(name, world, change=None, *, keys=False, how=()):
    """Scores of images and texts, and back, of a second world by an aligner that was fitted on a first one."""
    fit, score = worlds.WORLDS[world](), worlds.WORLDS[world](n=50, seed=1)
    if score.prompts is not None:
        score = replace(score, prompts=fit.prompts)
    splits = [worlds.with_keys(split) if keys else split for split in (fit, score)]
    fit, score = (change(split) if change else split for split in splits)
    subject = subject_of(ALIGNERS[name])
    with pytest.MonkeyPatch.context() as patch:
        for one in how:
            one(patch)
        data = aligned(fit_aligner(subject.build(), subject.spec, fit), subject.spec, score)
        return data.sample.ranked("images"), data.sample.ranked("texts").T


def same(one, other, tolerance=1e-4):
    """Scores differ by less than a share of their spread, or by rounding. A sample has an order of its own, so rows agree."""
    for a, b in zip(one, other, strict=True):
        slack = tolerance * np.ptp(a) + 1e-6 * np.abs(a).max()
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=slack):
            return False
    return True


@pytest.mark.parametrize("change", worlds.ORDERS, ids=lambda change: change.__name__)
@pytest.mark.parametrize(("name", "world"), CASES)
def test_order_and_names_do_not_matter(name, world, change):
    assert same(scores(name, world), scores(name, world, change))


@pytest.mark.parametrize(("name", "world"), CASES)
def test_blocks_do_not_matter(name, world):
    assert same(scores(name, world), scores(name, world, how=(worlds.small_blocks,)))


@pytest.mark.parametrize(("name", "world"), CASES)
def test_a_rotation_of_the_space_does_not_matter_but_to_what_is_about_its_axes(name, world):
    one, other = scores(name, world, keys=True), scores(name, world, worlds.turned, keys=True)
    assert same(one, other, 1e-3) != (name in OF_AXES)
