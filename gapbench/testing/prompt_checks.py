"""What every prompt strategy must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.materials import prompts_of
from gapbench.errors import DataError
from gapbench.host.registry import Kind
from gapbench.model.record import CAPTIONS
from gapbench.specs import Pooling, PromptContext
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.guards import no_global_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import PromptSet

#: Prompts are written for a dataset that strategies which go by its name know.
CONTEXT = PromptContext(dataset="stl10")

CLASSES = ("cat", "tabby cat", "fire engine", "Königspinguin", "A/C unit (indoor)", "{braces}", "50% off")

#: What that dataset really has, for strategies that refuse other classes.
OWN_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def written(subject: Subject, classes: Sequence[str]) -> PromptSet:
    """Write the prompts of some classes, held to what a run holds them to."""
    if subject.spec.name == CAPTIONS:
        raise DoesNotApplyError("it stands for the dataset's own captions and writes none")
    return prompts_of(subject.build(), subject.selected.name, classes, CONTEXT)


def classes_for(subject: Subject) -> tuple[str, ...]:
    """Return class names of every kind, or the dataset's own where the strategy refuses others."""
    try:
        written(subject, CLASSES)
    except DataError:
        return OWN_CLASSES
    return CLASSES


@check("writes a prompt for every class", Kind.PROMPTS)
def every_class(subject: Subject) -> None:
    """Every class owns at least one prompt that is not empty, and owners are positions in the classes."""
    classes = classes_for(subject)
    found = written(subject, classes)
    assert len(found.prompts) == len(found.owner), f"{len(found.prompts)} prompts have {len(found.owner)} owners"
    prompts: list[Any] = list(found.prompts)  # whatever it really holds
    assert all(isinstance(one, str) and one.strip() for one in prompts), "a prompt is empty, or no string"
    whole = all(type(owner) is int or isinstance(owner, np.integer) for owner in found.owner)
    assert whole, "an owner is no whole number"
    assert {int(owner) for owner in found.owner} == set(range(len(classes))), (
        "a class owns no prompt, or an owner is none"
    )
    assert isinstance(found.pooling, Pooling), f"pooling is {found.pooling!r}; it must be a gapbench.Pooling"


@check("tells classes apart", Kind.PROMPTS)
def distinct(subject: Subject) -> None:
    """No prompt belongs to two classes."""
    found = written(subject, classes_for(subject))
    owners: dict[str, int] = {}
    for prompt, owner in zip(found.prompts, found.owner, strict=True):
        assert owners.setdefault(prompt, int(owner)) == int(owner), f"the prompt {prompt!r} belongs to two classes"


@check("writes the same each time", Kind.PROMPTS)
def repeatable(subject: Subject) -> None:
    """The same classes give the same prompts."""
    kept = subject.build()
    classes = classes_for(subject)  # says where there is nothing to write
    found = [written(subject, classes), *(prompts_of(kept, subject.selected.name, classes, CONTEXT) for _ in range(2))]
    assert all(_owned(one) == _owned(found[0]) for one in found), "the prompts differ from call to call"


def _owned(prompts: PromptSet) -> list[tuple[Any, ...]]:
    weights = prompts.weights or [1.0] * len(prompts.prompts)
    return list(zip(prompts.prompts, prompts.owner, weights, strict=True))


@check("writes the same whatever the order of the classes", Kind.PROMPTS)
def order(subject: Subject) -> None:
    """Where classes are listed in another order, each has the prompts that it had."""
    classes = classes_for(subject)
    usual = _by_class(written(subject, classes), classes)
    for others in (classes[::-1], classes[3:] + classes[:3]):
        assert _by_class(written(subject, others), others) == usual, (
            "where classes are listed in another order, some have other prompts"
        )


def _by_class(prompts: PromptSet, classes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in classes}
    for prompt, owner in zip(prompts.prompts, prompts.owner, strict=True):
        found[classes[int(owner)]].append(prompt)
    return {name: sorted(texts) for name, texts in found.items()}


@check("writes prompts of a size that can be read", Kind.PROMPTS)
def size(subject: Subject) -> None:
    """No class has one prompt twice, and none has more than a thousand."""
    classes = classes_for(subject)
    for name, texts in _by_class(written(subject, classes), classes).items():
        assert len(set(texts)) == len(texts), f"class {name!r} has a prompt twice; give it a weight"
        assert len(texts) <= 1_000, f"class {name!r} has {len(texts)} prompts"  # noqa: PLR2004 - see above


@check("writes for one class", Kind.PROMPTS)
def one_class(subject: Subject) -> None:
    """A single class has prompts, and all are its own."""
    if classes_for(subject) == OWN_CLASSES:
        raise DoesNotApplyError("it writes for all classes of a dataset, and refuses others")
    assert set(map(int, written(subject, CLASSES[:1]).owner)) == {0}, "the only class does not own all prompts"


@check("leaves the class names unchanged", Kind.PROMPTS)
def inputs(subject: Subject) -> None:
    """The list of classes is as before."""
    usual = classes_for(subject)
    classes = list(usual)
    written(subject, classes)
    assert classes == list(usual), "the list of class names has changed"


@check("leaves global state alone", Kind.PROMPTS)
def global_state(subject: Subject) -> None:
    """Random generators and the environment are as before."""
    classes = classes_for(subject)
    with no_global_changes():
        written(subject, classes)
