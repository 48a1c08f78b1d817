"""For plugin authors: the conformance suite, toy components whose truth is known, and guards.

In a plugin's tests::

    import gapbench_mymethod
    from gapbench.testing import parametrize_with_checks

    @parametrize_with_checks(gapbench_mymethod)
    def test_it_keeps_the_contract(check):
        check()

The fixtures are in `gapbench.testing.fixtures`, which pytest loads by itself where gapbench is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapbench.embeddings.arrays import unit_rows
    from gapbench.testing.checks import (
        Check,
        DoesNotApplyError,
        Outcome,
        Subject,
        check_component,
        checks_of,
        run_check,
    )
    from gapbench.testing.fits import fit_aligner
    from gapbench.testing.guards import no_global_changes
    from gapbench.testing.parametrize import parametrize_with_checks
    from gapbench.testing.toys import ToyDataset, ToyEncoder, TwoCones, two_cones

__all__ = [
    "Check",
    "DoesNotApplyError",
    "Outcome",
    "Subject",
    "ToyDataset",
    "ToyEncoder",
    "TwoCones",
    "check_component",
    "checks_of",
    "fit_aligner",
    "no_global_changes",
    "parametrize_with_checks",
    "run_check",
    "two_cones",
    "unit_rows",
]

_HOMES = {
    "gapbench.embeddings.arrays": ("unit_rows",),
    "gapbench.testing.fits": ("fit_aligner",),
    "gapbench.testing.guards": ("no_global_changes",),
    "gapbench.testing.parametrize": ("parametrize_with_checks",),
    "gapbench.testing.toys": ("ToyDataset", "ToyEncoder", "TwoCones", "two_cones"),
}


def __getattr__(name: str) -> Any:
    """Import public names on first use: the checks look at what start-up imports, so this must import nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'gapbench.testing' has no attribute {name!r}")
    import importlib

    home = next((module for module, names in _HOMES.items() if name in names), "gapbench.testing.checks")
    return getattr(importlib.import_module(home), name)
