"""What a metric must not depend on, and what must go along with its value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.specs import Need
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.metric_checks import measured, scored, toy

if TYPE_CHECKING:
    from gapbench.components import EmbeddedSplit, Measurement


def _close(one: Measurement, other: Measurement, what: str, slack: float = 1e-5) -> None:
    apart = abs(one.value - other.value)
    assert apart <= slack * max(abs(one.value), abs(other.value), 0.1), (
        f"{what} it gives {other.value}, not {one.value}"
    )


@check("measures anew each time", Kind.METRIC)
def anew(subject: Subject) -> None:
    """What was measured before, by the same instance or by another one, plays no part."""
    one, other = toy(subject), toy(subject, seed=9, noise=0.6)
    first = measured(subject, one)
    second = measured(subject, other)
    kept = subject.build()
    for split, fresh in ((one, first), (other, second), (one, first)):
        found = kept.measure(scored(split))
        assert found.value == fresh.value, "an instance that has measured before gives another value than a new one"
        assert _plain(found.outcomes) == _plain(fresh.outcomes), (
            "an instance that has measured before gives other outcomes"
        )
    assert measured(subject, one).value == first.value, "once others were measured, the same data have another value"


def _plain(array: Any) -> Any:
    return None if array is None else np.asarray(array).tolist()


@check("sees what it measures", Kind.METRIC)
def sees(subject: Subject) -> None:
    """Of four different sets of data, one of them with images that were distorted, not all have one value."""
    distorted = np.random.default_rng(3).standard_normal((8, 8)).astype(np.float32)
    made = ((0, 0.2, None), (1, 1.0, None), (2, 3.0, None), (3, 0.05, distorted))
    try:
        values = {measured(subject, toy(subject, seed=seed, noise=noise), turn).value for seed, noise, turn in made}
    except GapbenchError as error:
        raise DoesNotApplyError(f"it cannot be measured on some of them ({error})") from error
    assert len(values) > 1, f"on four different sets of data it is {values.pop()}"


@check("does not depend on the order of the classes", Kind.METRIC)
def order_of_classes(subject: Subject) -> None:
    """Where classes are numbered otherwise, the value is the same, and so are the outcomes."""
    if Need.LABELS not in subject.spec.needs:
        raise DoesNotApplyError("it needs no classes")
    split = toy(subject, noise=1.5)
    order = np.random.default_rng(2).permutation(len(split.classes))
    one, other = measured(subject, split), measured(subject, _renumbered(split, order))
    _close(one, other, "with classes in another order", slack=1e-4)


def _renumbered(split: EmbeddedSplit, order: Any) -> EmbeddedSplit:
    assert split.prompts is not None
    assert split.labels is not None
    return replace(
        split,
        labels=np.argsort(order)[split.labels],
        classes=tuple(split.classes[c] for c in order),
        prompts=replace(split.prompts, rows=split.prompts.rows[:][order]),
    )


@check("leaves what it reads as it was", Kind.METRIC)
def reads(subject: Subject) -> None:
    """Everything that other metrics read after it is as it was: texts, labels, samples, scores, ranks."""
    data, clean = scored(toy(subject)), scored(toy(subject))
    subject.build().measure(data)
    for name in ("texts", "owner", "order", "text_order", "groups"):
        assert np.array_equal(getattr(data, name), getattr(clean, name)), f"it has changed {name}"
    rows = np.arange(data.n_images)
    assert np.array_equal(data.image_rows(rows), clean.image_rows(rows)), "it has changed the images"
    for name in ("images", "texts", "index", "own"):
        assert np.array_equal(getattr(data.sample, name), getattr(clean.sample, name)), f"it has changed sample.{name}"
    for left, right in (("images", "texts"), ("images", "images")):
        assert np.array_equal(data.sample.similarity(left, right), clean.sample.similarity(left, right)), (
            f"it has changed sample.similarity({left!r}, {right!r})"
        )
    if data.has_labels:
        assert np.array_equal(data.labels, clean.labels), "it has changed the labels"
    if data.captioned:
        assert np.array_equal(data.image_to_text_ranks(), clean.image_to_text_ranks()), "it has changed the ranks"
    elif data.has_labels:
        assert np.array_equal(data.top_classes(1), clean.top_classes(1)), "it has changed the predicted classes"


@check("gives a plain measurement", Kind.METRIC)
def plain(subject: Subject) -> None:
    """``n`` counts no more items or pairs than there are, and errors come from one place."""
    split = toy(subject)
    found = measured(subject, split)
    texts = split.captions or split.prompts
    assert texts is not None
    most = len(split.images) * max(len(split.images), len(texts.rows))
    assert found.n <= most, f"it says that it rests on {found.n} items, of {len(split.images)} images"
    assert found.outcomes is None or found.jackknife is None, "it gives both outcomes and leave-one-group-out values"
