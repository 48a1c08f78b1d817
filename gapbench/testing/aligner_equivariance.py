"""What an aligner must not depend on: order, batches, layout, what was fitted before; and what it must depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.bench.fitting import set_apart
from gapbench.bench.mapping import Maps
from gapbench.bench.protocol import subset
from gapbench.host.registry import Kind
from gapbench.specs import ActsOn, Need
from gapbench.testing.aligner_checks import fitted, same, toy
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.fits import OF_CLASSES, aligned, all_scores, fit_aligner
from gapbench.testing.toys import in_file_order, reordered, two_cones

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.components import EmbeddedSplit, Float32

#: Rows of the large toys: more than any batch that a method may have of its own.
MANY = 5_000

#: What scores may differ by where many rows are summed in another order.
MANY_CLOSE = 2e-3


@check("maps many rows as it maps few", Kind.ALIGNER)
def many_rows(subject: Subject) -> None:
    """Five thousand rows at once, in parts of other sizes, and from other places in memory come out the same."""
    aligner = fitted(subject, toy(subject))
    maps = Maps(aligner, subject.spec)
    cones = two_cones(MANY, 7, 4)
    rows = FitRows(cones.captions(), captioned=True, raw=subject.spec.raw)
    for side, given in (("images", rows.all_images()), ("texts", rows.all_texts())):
        whole = maps.rows(side, given)
        for size in (1, 700, 1_025, 4_097):
            part = maps.rows(side, given[:size])
            same(whole[:size], part, f"the first {size} of {MANY} {side} by themselves")
            same(whole[-size:], maps.rows(side, given[-size:]), f"the last {size} of {MANY} {side} by themselves")
        same(whole, maps.rows(side, np.asfortranarray(given)), f"{side} that lie in memory column by column")
        spread = np.repeat(given, 2, axis=0)[::2]
        same(whole, maps.rows(side, spread), f"{side} that do not lie in memory one after another")


@check("does not depend on the order of many rows", Kind.ALIGNER)
def order_of_many(subject: Subject) -> None:
    """Fitted on five thousand items in another order, it gives the same scores, but for rounding."""
    if subject.spec.stochastic or Need.VALIDATION in subject.spec.needs:
        raise DoesNotApplyError("it draws from the rows, so the order in which it reads them matters")
    n = MANY if not subject.spec.needs & {Need.TEST_IMAGES, Need.TEST_TEXTS} else MANY // 5
    split = in_file_order(_drifting(toy(subject, n=n)))
    order = np.random.default_rng(1).permutation(n)
    probe = subset(split, np.arange(80))  # with the texts that it was fitted on: some methods know no others
    one, other = (fitted(subject, each) for each in (split, in_file_order(reordered(split, order))))
    one, other = (all_scores(each, subject.spec, probe) for each in (one, other))
    same(one, other, f"{n} items in another order", slack=MANY_CLOSE)


def _drifting(split: EmbeddedSplit) -> EmbeddedSplit:
    """Let rows move away as they go on, so that the first ones are not like the last."""
    n = len(split.images)

    def moved(rows: Any) -> Float32:
        found: Float32 = np.array(rows[:], dtype=np.float32)
        found[:, 0] += np.linspace(-1, 1, len(found), dtype=np.float32) if len(found) == n else 0
        return found

    captions = split.captions and replace(split.captions, rows=moved(split.captions.rows))
    return replace(split, images=moved(split.images), captions=captions)


@check("does not depend on the order of the classes", Kind.ALIGNER)
def order_of_classes(subject: Subject) -> None:
    """Where classes are numbered otherwise, scores are the same, class by class."""
    if not subject.spec.needs & OF_CLASSES:
        raise DoesNotApplyError("it reads no classes")
    if subject.spec.stochastic or Need.VALIDATION in subject.spec.needs:
        raise DoesNotApplyError("it draws from the rows")
    split = toy(subject)
    assert split.prompts is not None
    assert split.labels is not None
    order = np.array([2, 0, 3, 1])
    place = np.argsort(order)
    other = replace(
        split,
        labels=place[split.labels],
        classes=tuple(split.classes[c] for c in order),
        prompts=replace(split.prompts, rows=split.prompts.rows[:][order]),
    )
    rows = np.arange(len(split.images))
    one, two = (aligned(fitted(subject, each), subject.spec, each).class_scores(rows) for each in (split, other))
    same(one[:, order], two, "classes in another order", slack=1e-3)


@check("fits anew each time", Kind.ALIGNER)
def anew(subject: Subject) -> None:
    """What was fitted before, by the same instance or by another one, plays no part."""
    one, other = toy(subject), toy(subject, seed=9, angle=1.2)
    first = all_scores(fitted(subject, one), subject.spec, one)
    kept = subject.build()
    for split in (other, one):
        aligner = fit_aligner(kept, subject.spec, split)
        scores = all_scores(aligner, subject.spec, split)
        fresh = all_scores(fitted(subject, split), subject.spec, split)
        assert np.array_equal(scores, fresh), "an instance that was fitted before gives other scores than a new one"
    early = fitted(subject, one)
    fitted(subject, other)
    assert np.array_equal(first, all_scores(early, subject.spec, one)), (
        "once another one was fitted, it gives other scores for the same data"
    )


@check("learns from what it declares", Kind.ALIGNER)
def learns(subject: Subject) -> None:
    """Fitted on other data it gives other scores: what needs are declared is read, and not from an earlier fit."""
    if not subject.spec.needs or subject.spec.acts_on is ActsOn.NOTHING:
        raise DoesNotApplyError("it needs nothing")
    first, second = (
        toy(subject, d=30, n=200, seed=seed, angle=angle, noise=0.3) for seed, angle in ((21, 0.3), (22, 1.2))
    )
    if first.prompts is not None:  # other images of the same classes: some methods know no texts but theirs
        second = replace(second, prompts=first.prompts)
    probe = subset(first, np.arange(80))
    one, other = (all_scores(fitted(subject, split), subject.spec, probe) for split in (first, second))
    assert not np.array_equal(one, other), "on two different sets of data it learns the same"


@check("changes nothing that it was given", Kind.ALIGNER)
def given(subject: Subject) -> None:
    """Rows, moments and labels are after the fit what they were."""
    split = toy(subject)
    rows = FitRows(split, captioned=split.captions is not None, raw=subject.spec.raw)
    fit, apart = set_apart(rows, 0) if Need.VALIDATION in subject.spec.needs else (rows, None)
    data, clean = (_Kept(subject.spec, fit, np.random.default_rng(0), validation=apart, test=rows) for _ in range(2))
    subject.build().fit(data)
    for name in data.handed:
        for mine, theirs in zip(data.handed[name], clean.hand_out(name), strict=True):
            assert np.array_equal(mine, theirs), f"it has changed {name}"
    for path, array in _arrays_of(data.moments, "moments"):
        theirs = clean
        for part in path.split("."):
            theirs = getattr(theirs, part)
        assert np.array_equal(array, theirs), f"it has changed {path}"


def _arrays_of(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the arrays that were made of a part so far, each with the name that it is read by."""
    for name, value in vars(part).items():
        if isinstance(value, np.ndarray):
            yield f"{path}.{name}", value
        elif not name.startswith("_") and hasattr(value, "__dict__") and not callable(value):
            yield from _arrays_of(value, f"{path}.{name}")


class _Kept(GuardedFitData):
    """Fit data that remember what they handed out."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.handed: dict[str, tuple[Any, ...]] = {}

    def hand_out(self, name: str) -> tuple[Any, ...]:
        """Return the arrays of a part as they were."""
        return super()._read(name)

    def _read(self, name: str) -> tuple[Any, ...]:
        if ".blocks." in name:
            return super()._read(name)
        if name not in self.handed:
            self.handed[name] = super()._read(name)
        return self.handed[name]
