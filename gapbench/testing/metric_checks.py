"""What every metric must do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitdata import FitRows
from gapbench.bench.scored import UNALIGNED, AlignedSplit
from gapbench.components import EmbeddedSplit, Measurement
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.specs import ActsOn, Better, MetricFamily, Need
from gapbench.stats import interval
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.guards import no_global_changes
from gapbench.testing.toys import reordered, two_cones

if TYPE_CHECKING:
    from gapbench.components import Float32


def toy(subject: Subject, n: int = 120, d: int = 8, **options: Any) -> EmbeddedSplit:
    """Give toy data that the metric has a meaning for: captions, unless it needs classes."""
    cones = two_cones(n, d, angle=0.1, noise=0.2, **{"classes": 8, **options})
    return cones.prompts() if Need.LABELS in subject.spec.needs else cones.captions(labels=True)


def scored(split: EmbeddedSplit, turn: Float32 | None = None) -> AlignedSplit:
    """Give a split as it is, or with its images turned."""
    rows = FitRows(split, captioned=split.captions is not None, raw=False)
    if turn is None:
        return AlignedSplit(rows, None, UNALIGNED, np.random.default_rng(0))
    spec = replace(UNALIGNED, name="turned", acts_on=ActsOn.IMAGES)
    return AlignedSplit(rows, _Turn(turn), spec, np.random.default_rng(0))


class _Turn:
    def __init__(self, turn: Float32) -> None:
        self._turn = turn

    def images(self, x: Float32) -> Float32:
        return x @ self._turn


def measured(subject: Subject, split: EmbeddedSplit | None = None, turn: Float32 | None = None) -> Measurement:
    """Measure toy data."""
    found = subject.build().measure(scored(toy(subject) if split is None else split, turn))
    assert isinstance(found, Measurement), (
        f"measure() gives {type(found).__name__}; it must give a gapbench.Measurement"
    )
    return found


@check("gives a finite number", Kind.METRIC)
def finite(subject: Subject) -> None:
    """The value is a finite number that rests on at least one item; a share lies in 0..1."""
    found = measured(subject)
    assert np.isfinite(found.value), f"the value is {found.value}"
    assert found.n >= 1, f"it rests on n = {found.n} items"
    if subject.spec.unit == "share":
        assert 0 <= found.value <= 1, f"the value is {found.value}; a share lies in 0..1 and is no percentage"


@check("gives what tests and intervals need", Kind.METRIC)
def outcomes(subject: Subject) -> None:
    """Outcomes average to the value, and the 95 % interval holds it."""
    found = measured(subject)
    assert found.outcomes is not None or found.jackknife is not None or found.ci95 is not None, (
        "it gives neither outcomes nor jackknife values nor an interval, so nothing can be tested"
    )
    ends = interval(found)
    if ends is not None:
        slack = 1e-9 + 1e-6 * abs(found.value)
        assert ends[0] - slack <= found.value <= ends[1] + slack, f"its interval {ends} misses its value {found.value}"
    if found.outcomes is not None:
        assert np.isfinite(np.asarray(found.outcomes, dtype=np.float64)).all(), "an outcome is not finite"


@check("measures the same twice", Kind.METRIC)
def repeatable(subject: Subject) -> None:
    """The same data give the same value, bit by bit."""
    split = toy(subject)
    one, other = measured(subject, split), measured(subject, split)
    assert one.value == other.value, f"two measurements of the same data give {one.value} and {other.value}"


@check("does not depend on the order of items", Kind.METRIC)
def order_of_items(subject: Subject) -> None:
    """Items in another order give the same value, but for rounding: what is drawn is drawn by ``data.order``."""
    split = toy(subject, n=600)
    order = np.random.default_rng(5).permutation(len(split.images))
    other = reordered(split, order)
    one, two = measured(subject, split).value, measured(subject, other).value
    slack = 1e-5 * max(abs(one), abs(two), 0.1)
    assert abs(one - two) <= slack, (
        f"items in another order give {two} instead of {one}; draw items by data.order, not by their position"
    )


@check("leaves its input unchanged", Kind.METRIC)
def inputs(subject: Subject) -> None:
    """Embeddings and labels are as before."""
    split = toy(subject)
    texts = split.captions or split.prompts
    assert texts is not None
    before = np.array(split.images[:]), np.array(texts.rows[:])
    measured(subject, split)
    assert np.array_equal(before[0], split.images[:]), "the images have changed"
    assert np.array_equal(before[1], texts.rows[:]), "the texts have changed"


@check("notices a destroyed space", Kind.METRIC)
def notices(subject: Subject) -> None:
    """A task metric says that images turned at random are worse than the encoder's own."""
    if subject.spec.family is not MetricFamily.TASK or subject.spec.better is Better.NEITHER:
        raise DoesNotApplyError("it is no task metric, so it need not")
    split = toy(subject, n=240)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0].astype(np.float32)
    whole, turned = measured(subject, split), measured(subject, split, turn)
    gain = (turned.value - whole.value) * (1 if subject.spec.better is Better.HIGHER else -1)
    assert gain < 0, f"on images turned at random it gives {turned.value:.4g}, on the encoder's own {whole.value:.4g}"


@check("measures small data, or refuses clearly", Kind.METRIC)
def small(subject: Subject) -> None:
    """Two items in two dimensions: a finite number, or an error that says why not."""
    try:
        found = measured(subject, toy(subject, n=2, d=2, classes=2))
    except GapbenchError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert len(refusal) > 15, f"its refusal says too little: {refusal}"  # noqa: PLR2004 - beside the metric's name
        return
    assert np.isfinite(found.value), f"the value is {found.value}"


@check("leaves global state alone", Kind.METRIC)
def global_state(subject: Subject) -> None:
    """Random generators, threads and the environment are as before."""
    split = toy(subject)
    measured(subject, split)  # what the first measurement imports is not watched
    with no_global_changes():
        measured(subject, split)
