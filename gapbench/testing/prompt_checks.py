"""What every prompt strategy must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapbench.components import PromptSet
from gapbench.host.registry import Kind
from gapbench.model.record import CAPTIONS
from gapbench.specs import Pooling
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.guards import no_global_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES = ("cat", "tabby cat", "fire engine", "Königspinguin", "A/C unit (indoor)", "{braces}", "50% off")


def written(subject: Subject, classes: Sequence[str]) -> PromptSet:
    """Write the prompts of some classes."""
    if subject.spec.name == CAPTIONS:
        raise DoesNotApplyError("it stands for the dataset's own captions and writes none")
    found = subject.build().prompts(classes)
    assert isinstance(found, PromptSet), f"prompts() gives {type(found).__name__}; it must give a gapbench.PromptSet"
    return found


@check("writes a prompt for every class", Kind.PROMPTS)
def every_class(subject: Subject) -> None:
    """Every class owns at least one prompt that is not empty, and owners are positions in the classes."""
    found = written(subject, CLASSES)
    assert len(found.prompts) == len(found.owner), f"{len(found.prompts)} prompts have {len(found.owner)} owners"
    prompts: list[Any] = list(found.prompts)  # whatever it really holds
    assert all(isinstance(one, str) and one.strip() for one in prompts), "a prompt is empty, or no string"
    assert {int(owner) for owner in found.owner} == set(range(len(CLASSES))), (
        "a class owns no prompt, or an owner is none"
    )
    assert isinstance(found.pooling, Pooling), f"pooling is {found.pooling!r}; it must be a gapbench.Pooling"


@check("tells classes apart", Kind.PROMPTS)
def distinct(subject: Subject) -> None:
    """No prompt belongs to two classes."""
    found = written(subject, CLASSES)
    owners: dict[str, int] = {}
    for prompt, owner in zip(found.prompts, found.owner, strict=True):
        assert owners.setdefault(prompt, int(owner)) == int(owner), f"the prompt {prompt!r} belongs to two classes"


@check("writes the same each time", Kind.PROMPTS)
def repeatable(subject: Subject) -> None:
    """The same classes give the same prompts."""
    one, other = written(subject, CLASSES), written(subject, CLASSES)
    assert list(one.prompts) == list(other.prompts), "the prompts differ from call to call"


@check("writes for one class", Kind.PROMPTS)
def one_class(subject: Subject) -> None:
    """A single class has prompts, and all are its own."""
    assert set(map(int, written(subject, CLASSES[:1]).owner)) == {0}, "the only class does not own all prompts"


@check("leaves the class names unchanged", Kind.PROMPTS)
def inputs(subject: Subject) -> None:
    """The list of classes is as before."""
    classes = list(CLASSES)
    written(subject, classes)
    assert classes == list(CLASSES), "the list of class names has changed"


@check("leaves global state alone", Kind.PROMPTS)
def global_state(subject: Subject) -> None:
    """Random generators and the environment are as before."""
    written(subject, CLASSES)
    with no_global_changes():
        written(subject, CLASSES)
