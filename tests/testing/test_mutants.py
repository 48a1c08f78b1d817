"""The conformance suite has a score: how many planted faults it finds, and it refuses nothing that is correct."""

import contextlib
import importlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gapbench.host.registry import Kind
from gapbench.testing.checks import checks_of, run_check

MODULES = {
    Kind.ALIGNER: "aligners",
    Kind.ENCODER: "encoders",
    Kind.DATASET: "datasets",
    Kind.PROMPTS: "prompts",
    Kind.METRIC: "metrics",
}

#: Where nothing may be left behind: this checkout, its tests, and where they are started.
WATCHED = (Path(__file__).parents[2], Path(__file__).parents[1], Path(__file__).parent, Path.cwd())

#: At least so many are planted, and this share of them is found.
PLANTED, SHARE = 120, 0.95


def planted(kind):
    return importlib.import_module(f"testing.mutants.{MODULES[kind]}").plant.all


CORRECT = [(kind, one) for kind in Kind for one in planted(kind) if not one.says]


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Put back what faults change for all."""
    monkeypatch.setenv("A_SWITCH_OF_MINE", "unset")
    with np.errstate():
        yield


@pytest.fixture(scope="module", autouse=True)
def _checkout_as_it_was():
    """Some faults write files: none may get into this checkout, nor into the folder that the tests are started in."""
    before = [listing(folder) for folder in WATCHED]
    yield
    assert [listing(folder) for folder in WATCHED] == before


def listing(folder):
    return {path.name for path in folder.iterdir() if "cache" not in path.name}


def outcomes_of(one, checks):
    """Run checks on what is planted, in a folder of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.chdir(folder):
        return [run_check(check, one.subject()) for check in checks]


@pytest.mark.parametrize(("kind", "one"), CORRECT, ids=[f"{kind}-{one.name}" for kind, one in CORRECT])
def test_what_is_correct_passes(kind, one):
    outcomes = outcomes_of(one, [check for check in checks_of(kind) if "process" not in check.run.__module__])
    assert not {outcome.check.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 8


def missed(kind):
    """Return the faults that none of the checks which should find them finds.

    A check that stumbles over a fault, with an error of its own or of the component's, has not found it; but for faults
    that are an error.
    """
    checks = {check.name: check for check in checks_of(kind)}
    found = []
    for one in (one for one in planted(kind) if one.says):
        unknown = set(one.found_by) - checks.keys()
        assert not unknown, f"{one.name}: there is no check {unknown}"
        outcomes = outcomes_of(one, [checks[name] for name in one.found_by])
        reasons = [outcome.reason for outcome in outcomes if outcome.status == "failed"]
        if not any(one.raises or not reason.startswith("it raises ") for reason in reasons):
            found.append(one)
    return found


@pytest.mark.parametrize("kind", Kind)
def test_planted_faults_are_found(kind):
    faults = [one for one in planted(kind) if one.says]
    lost = missed(kind)
    print(f"\n{kind}: caught {len(faults) - len(lost)} of {len(faults)}")
    for one in lost:
        print(f"  missed {one.name}: {one.says}")
    assert len(lost) <= (1 - SHARE) * len(faults), [f"{one.name}: {one.says}" for one in lost]


def test_there_are_many_of_all_kinds():
    counts = {kind: sum(bool(one.says) for one in planted(kind)) for kind in Kind}
    assert sum(counts.values()) >= PLANTED, counts
    assert min(counts.values()) >= 12, counts
