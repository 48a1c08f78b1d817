"""Parameters: each is taken, each value that is allowed works, and each makes a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import AlignerError, GapbenchError
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import select
from gapbench.testing.aligner_checks import toy
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.fits import all_scores, fit_aligner
from gapbench.testing.toys import two_cones

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gapbench.components import EmbeddedSplit
    from gapbench.host.selection import Value
    from gapbench.specs import Param

#: Counts above this are not tried: they may be epochs.
MOST = 1_000

#: The shortest refusal that says what, why and the way out.
SHORTEST_REFUSAL = 40


def values_of(param: Param) -> list[Value]:
    """Return the values that a spec names: the default, choices, those of the grid, and the ends of the range."""
    ends = [type(param.default)(end) for end in (param.low, param.high) if end is not None]
    booleans = (False, True) if isinstance(param.default, bool) else ()
    return list(dict.fromkeys([param.default, *booleans, *param.choices, *param.grid, *ends]))


def single_changes(subject: Subject) -> Iterator[tuple[str, Value]]:
    """Yield each parameter with each of its values that is not the default, and no count above `MOST`."""
    for name, param in subject.spec.params.items():
        for value in values_of(param):
            if value != param.default and not (type(value) is int and abs(value) > MOST):
                yield name, value


@check("takes its parameters by the command line's syntax", Kind.ALIGNER)
def parameters(subject: Subject) -> None:
    """Every declared parameter is a keyword of the constructor, and ``name[param=value]`` gives the same value back."""
    registry = _Alone(subject)
    for name, param in subject.spec.params.items():
        for value in values_of(param):
            written = str(value).lower() if isinstance(value, bool) else str(value)
            (again,) = select(registry, Kind.ALIGNER, [f"{subject.spec.name}[{name}={written}]"])
            assert again.params[name] == value, f"{name}={written} is read as {again.params[name]!r}"
            subject.build(again.params)


class _Alone(Registry):
    """A registry with one component."""

    def __init__(self, subject: Subject) -> None:
        super().__init__((), ())
        component = subject.selected.component
        self._by_kind[component.kind][component.spec.name] = component


@check("works at every value that it allows", Kind.ALIGNER)
def every_value(subject: Subject) -> None:
    """Values of a grid, choices and ends of a range (counts up to 1,000) give finite scores, or a refusal that says why."""
    if not subject.spec.params:
        raise DoesNotApplyError("it has no parameters")
    split = toy(subject)
    for name, value in single_changes(subject):
        refusal = ""
        try:
            aligner = fit_aligner(subject.build({name: value}), subject.spec, split)
            finite = bool(np.isfinite(all_scores(aligner, subject.spec, split)).all())
        except AlignerError as error:
            raise AssertionError(f"with {name}={value}: {error}") from error
        except GapbenchError as error:
            refusal, finite = str(error), True
        assert finite, f"with {name}={value} its scores are not finite"
        assert not refusal or len(refusal) > SHORTEST_REFUSAL, (
            f"with {name}={value} its refusal says too little: {refusal}"
        )


@check("makes a difference by each parameter", Kind.ALIGNER)
def difference(subject: Subject) -> None:
    """Of each parameter some value makes a difference to rows, scores or notes, whatever the others then have to be."""
    if not subject.spec.params:
        raise DoesNotApplyError("it has no parameters")
    splits = [
        toy(subject),
        toy(subject, n=6, d=40, classes=3),
        toy(subject, n=60, d=5, noise=1.5),
        two_cones(50).prompts(),
    ]
    changes = list(single_changes(subject))
    for name in subject.spec.params:
        mine = [{name: value} for known, value in changes if known == name]
        others = [{}, *({known: value} for known, value in changes if known != name)]
        assert not mine or any(
            _traces(subject, {**other, **params}, split) != _traces(subject, other, split)
            for other in others
            for split in splits
            for params in mine
        ), f"whatever {name} is, it gives the same"


def _traces(subject: Subject, params: Mapping[str, Value], split: EmbeddedSplit) -> list[Any]:
    """Return all that a fit leaves to be seen; a refusal is something to be seen as well."""
    try:
        aligner = fit_aligner(subject.build(params), subject.spec, split)
        rows = [getattr(aligner, side)(_rows(split, side)) for side in ("images", "texts") if hasattr(aligner, side)]
        seen = [np.asarray(each).tobytes() for each in [*rows, all_scores(aligner, subject.spec, split)]]
    except GapbenchError as error:
        return [str(error)]
    return [*seen, repr(aligner.notes()) if hasattr(aligner, "notes") else ""]


def _rows(split: EmbeddedSplit, side: str) -> Any:
    texts = split.captions or split.prompts
    assert texts is not None
    return np.array(split.images[:] if side == "images" else texts.rows[:], dtype=np.float32)
