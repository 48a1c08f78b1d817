"""The conformance suite as pytest tests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gapbench.errors import UsageError
from gapbench.host.registry import Origin
from gapbench.host.validate import components_of, hooks_of
from gapbench.testing.checks import Check, Subject, checks_of, run_check, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def parametrize_with_checks(
    plugin: Any, *, arguments: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run every check on every component of a plugin, each as a test of its own.

    The decorated function takes ``check`` and calls it. A check that does not apply is skipped with its reason, one that
    the spec expects to fail is an expected failure with its reason.

    Parameters
    ----------
    plugin
        The module (or object) with the hooks.
    arguments
        For families, the argument to check with: ``{"folder": "some/path"}``. A family without one is left out.

    Raises
    ------
    UsageError
        There is nothing to check.
    PluginError
        A hook or a spec breaks the contract.
    """
    import pytest

    name = str(getattr(plugin, "__name__", type(plugin).__name__))
    components = components_of(hooks_of(plugin), Origin(name, "", "", name))
    given = arguments or {}
    unknown = given.keys() - {component.spec.name for component in components}
    if unknown:
        raise UsageError(f"{name} has no component {', '.join(sorted(unknown))} to give an argument to.")
    cases = []
    for component in components:
        if component.spec.argument and component.spec.name not in given:
            continue
        subject = subject_of(component, given.get(component.spec.name))
        for one in checks_of(component.kind):
            cases.append(
                pytest.param(partial(_run, one, subject), id=f"{component.kind}-{subject.selected.name}: {one.name}")
            )
    if not cases:
        raise UsageError(
            f"{name} has no component that can be checked, so no test would run. Give families an argument."
        )
    mark: Callable[[Callable[..., Any]], Callable[..., Any]] = pytest.mark.parametrize("check", cases)
    return mark


def _run(one: Check, subject: Subject) -> None:
    import pytest

    outcome = run_check(one, subject)
    if outcome.status == "skipped":
        pytest.skip(outcome.reason)
    if outcome.status == "expected failure":
        pytest.xfail(outcome.reason)
    if outcome.status == "failed":
        pytest.fail(f"{subject.name}: {one.name}: {outcome.reason}\n({one.doc})", pytrace=False)
