"""The conformance suite: checks of each kind, how they are run, and what is reported.

A check either passes, fails, or says that it does not apply. A component may fail a check that its author knows about:
its spec names the check in ``expected_failures`` with the reason, and the check must then fail.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gapbench.errors import GapbenchError
from gapbench.host.build import build
from gapbench.host.interrupts import by_user
from gapbench.host.registry import Kind
from gapbench.host.selection import Selected, params_of
from gapbench.host.validate import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gapbench.host.registry import Component
    from gapbench.specs import Context

Status = Literal["passed", "failed", "expected failure", "skipped"]

#: Modules of this package with the checks of each kind, imported when they are wanted.
MODULES = {
    Kind.ALIGNER: ("aligner_checks", "aligner_equivariance", "parameter_checks", "world_checks", "process_checks"),
    Kind.ENCODER: ("encoder_checks", "encoder_identity", "world_checks", "process_checks"),
    Kind.DATASET: ("dataset_checks", "dataset_content", "world_checks", "process_checks"),
    Kind.PROMPTS: ("prompt_checks", "world_checks", "process_checks"),
    Kind.METRIC: ("metric_checks", "metric_equivariance", "world_checks", "process_checks"),
}

_CHECKS: dict[Kind, dict[str, Check]] = {kind: {} for kind in Kind}


class DoesNotApplyError(Exception):
    """Raised by a check that has no meaning for a component; the text says why."""


def offline_context(data_root: Path | None = None) -> Context:
    """Return a context that does not use the network; data lie where they do for a run."""
    from gapbench.model.request import Request

    return Request(data_root=data_root, device="cpu", offline=True).context()


@dataclass(frozen=True)
class Subject:
    """The component that is checked.

    Parameters
    ----------
    selected
        The component with its argument and parameters.
    context
        What encoders and datasets are built with; by default one that downloads nothing.
    """

    selected: Selected
    context: Context = field(default_factory=offline_context)

    @property
    def spec(self) -> Any:
        """The component's spec."""
        return self.selected.component.spec

    @property
    def name(self) -> str:
        """Kind and name, for people."""
        return f"{self.selected.component.kind} {self.selected.name}"

    def build(self, params: Mapping[str, Any] | None = None) -> Any:
        """Build the component as a run does."""
        selected = self.selected.with_params(params or {})
        kind = self.selected.component.kind
        return build(selected, *([self.context] if kind in (Kind.ENCODER, Kind.DATASET) else []))


@dataclass(frozen=True)
class Check:
    """One demand on a component: ``run`` raises `AssertionError` where it is not met."""

    name: str
    run: Callable[[Subject], None]

    @property
    def doc(self) -> str:
        """What is demanded, in one sentence."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class Outcome:
    """What came of one check."""

    check: Check
    status: Status
    reason: str = ""


def check(name: str, *kinds: Kind) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Register a function as a check of some kinds."""

    def register(run: Callable[[Subject], None]) -> Callable[[Subject], None]:
        for kind in kinds:
            _CHECKS[kind][name] = Check(name, run)
        return run

    return register


def checks_of(kind: Kind) -> Sequence[Check]:
    """Give the checks of a kind, in the order in which they are run."""
    for module in MODULES[kind]:
        importlib.import_module(f"gapbench.testing.{module}")
    return list(_CHECKS[kind].values())


def run_check(one: Check, subject: Subject) -> Outcome:
    """Run one check, whatever the component does."""
    expected: str = subject.spec.expected_failures.get(one.name, "")
    try:
        one.run(subject)
    except DoesNotApplyError as error:
        return Outcome(one, "skipped", str(error))
    except BaseException as error:
        if by_user(error):
            raise
        if expected:
            return Outcome(one, "expected failure", expected)
        told = isinstance(error, AssertionError | GapbenchError) and str(error)
        return Outcome(one, "failed", str(error) if told else f"it raises {describe(error)}")
    if expected:
        return Outcome(one, "failed", f"it passes, but its spec expects it to fail ({expected}): take that out.")
    return Outcome(one, "passed")


def check_component(subject: Subject) -> Iterator[Outcome]:
    """Run all checks of a component's kind.

    Raises
    ------
    GapbenchError
        Its spec expects the failure of a check that does not exist.
    """
    checks = checks_of(subject.selected.component.kind)
    unknown = subject.spec.expected_failures.keys() - {one.name for one in checks}
    if unknown:
        raise GapbenchError(
            f"{subject.name}: its spec expects the failure of {', '.join(sorted(unknown))}, but there is no such check. "
            f"The checks are: {', '.join(one.name for one in checks)}."
        )
    built = run_check(Check("can be built", _built), subject)
    yield built
    if built.status == "failed":  # no check could say anything else
        return
    process_checks = importlib.import_module("gapbench.testing.process_checks")
    process_checks.start_ahead(subject)
    try:
        for one in checks:
            yield run_check(one, subject)
    finally:
        process_checks.end_ahead(subject)


def _built(subject: Subject) -> None:
    """Its factory gives something that has the methods of its kind."""
    subject.build()


def subject_of(component: Component, argument: str | None = None) -> Subject:
    """Make a subject with default parameters."""
    params = {name: param.default for name, param in params_of(component).items()}
    return Subject(Selected(component, argument, params))
