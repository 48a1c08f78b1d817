"""What every metric must do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.door import fault_of
from gapbench.bench.fitdata import FitRows
from gapbench.bench.protocol import subset
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


#: Random halves behind the check of widths. An error is wrong that is so many times too large, or has this share of what it
#: should have: k-means finds other groups at times, which no interval of items can hold.
HALVES, TOO_WIDE, TOO_NARROW = 12, 4.0, 0.01

#: What is rounding in a value, and in an outcome.
ROUNDING, CLOSE = 1e-6, 1e-3


def toy(subject: Subject, n: int = 120, d: int = 8, **options: Any) -> EmbeddedSplit:
    """Give toy data that the metric has a meaning for: captions, unless it needs classes."""
    cones = two_cones(n, d, **{"angle": 0.1, "noise": 0.2, "classes": 8, **options})
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
    """The value is a finite number in the range of its unit, and agrees with outcomes, count and interval."""
    found = measured(subject)
    assert np.isfinite(found.value), f"the value is {found.value}"
    split = toy(subject)
    texts = split.captions or split.prompts
    assert texts is not None
    fault = fault_of(found, subject.spec.unit, len(split.images) + len(texts.owner))
    assert not fault, fault


@check("gives what tests and intervals need", Kind.METRIC)
def outcomes(subject: Subject) -> None:
    """There are outcomes, leave-one-group-out values or an interval, and the interval holds the value."""
    found = measured(subject)
    assert found.outcomes is not None or found.jackknife is not None or found.ci95 is not None, (
        "it gives neither outcomes nor jackknife values nor an interval, so nothing can be tested"
    )
    ends = interval(found, subject.spec.unit)
    if ends is not None:
        slack = 1e-9 + 1e-6 * abs(found.value)
        assert ends[0] - slack <= found.value <= ends[1] + slack, f"its interval {ends} misses its value {found.value}"


@check("gives outcomes that belong to the items", Kind.METRIC)
def order_of_outcomes(subject: Subject) -> None:
    """Of images in another order outcomes go along, or stand in an order of the images' own: tests go item by item."""
    split = toy(subject)
    order = np.random.default_rng(5).permutation(len(split.images))
    one, two = (measured(subject, each).outcomes for each in (split, reordered(split, order)))
    if one is None or len(one) != len(order):
        raise DoesNotApplyError("it has no outcome for each image")
    assert two is not None
    assert len(two) == len(order), f"of images in another order it gives {len(two)} outcomes"
    one, two = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    moved = min(int(np.count_nonzero(np.abs(each - two) > CLOSE * (1 + np.abs(two)))) for each in (one[order], one))
    assert moved <= len(order) // 20, (
        f"{moved} of {len(order)} outcomes do not belong to the images that they belonged to"
    )
    steps = np.diff(one)
    assert np.ptp(one) == 0 or not (np.all(steps >= 0) or np.all(steps <= 0)), (
        "its outcomes are sorted: then those of two aligners are of different items, one by one"
    )


@check("gives an interval as wide as its value varies", Kind.METRIC)
def width(subject: Subject) -> None:
    """The error behind the interval is near the spread of values on random halves, which vary as much as the whole."""
    split = toy(subject, n=240)
    found = measured(subject, split)
    ends = interval(found, subject.spec.unit)
    if ends is None or not np.isfinite(ends).all():
        raise DoesNotApplyError("it has no interval here")
    rng = np.random.default_rng(11)
    halves = [np.sort(rng.permutation(240)[:120]) for _ in range(HALVES)]
    try:
        values = [measured(subject, subset(split, half)).value for half in halves]
    except GapbenchError as error:
        raise DoesNotApplyError(f"it cannot be measured on halves ({error})") from error
    varies, claimed = float(np.std(values, ddof=1)), (ends[1] - ends[0]) / 4
    assert varies <= ROUNDING * max(1.0, abs(found.value)) or claimed > TOO_NARROW * varies, (
        f"its interval {ends} says {claimed:.2g} of error, and on random halves the value varies by {varies:.2g}"
    )
    assert found.jackknife is None or claimed < TOO_WIDE * max(varies, ROUNDING * max(1.0, abs(found.value))), (
        f"its leave-one-group-out values say {claimed:.2g} of error, and on random halves the value varies by {varies:.2g}: "
        "each must be of all items but one group"
    )


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
