"""Transport plans by POT, each with a word on whether its solver has come to an end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import ot

from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.components import Float64

#: Steps of the network simplex; only a defect would need more.
SIMPLEX_STEPS = 10_000_000

#: Iterations of Sinkhorn's algorithm: about ten seconds for a thousand rows a side.
SINKHORN_STEPS = 5_000

#: Sinkhorn's algorithm stops here. Mass that is in the wrong place, of a total of 1, counts as none up to `CONVERGED`.
STOP, CONVERGED = 1e-9, 1e-6

#: From here on a plan is no approximation of one any more.
BROKEN = 0.1


class Plan(NamedTuple):
    """``(n, m)`` mass that goes from each source to each target, and whether the solver converged."""

    mass: Float64
    converged: bool
    error: float


def exact(a: Float64, b: Float64, cost: Float64) -> tuple[Float64, Float64]:
    r"""Solve :math:`\min_P \langle P, C \rangle` with marginals a, b: the plan, and the potentials ``(m,)`` of b.

    Network simplex (Bonneel et al. 2011), about O((n + m)^3) at worst; 3 arrays of the size of the cost.

    Raises
    ------
    DataError
        The simplex did not reach the optimum.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they would say stands in the log
        mass, log = ot.emd(a, b, cost, numItermax=SIMPLEX_STEPS, log=True)
    if log["warning"] is not None:
        raise DataError(f"POT found no optimal plan for a cost of shape {cost.shape}: {log['warning']}. Fit on less.")
    return mass, log["v"]


def solve(kind: str, a: Float64, b: Float64, cost: Float64, *, reg: float, reg_m: float) -> Plan:
    r"""Solve one of three problems, for masses a ``(n,)`` and b ``(m,)`` of sum 1 and a cost ``(n, m)``.

    ``emd``: :math:`\min \langle P, C \rangle` with marginals a, b. ``sinkhorn``: the same plus
    :math:`\epsilon\, \mathrm{KL}(P \| ab^\top)` (Cuturi 2013). ``unbalanced``: the marginals are free, at the price
    :math:`\lambda\, \mathrm{KL}(P1 \| a) + \lambda\, \mathrm{KL}(P^\top 1 \| b)` (Chizat et al. 2018).

    Raises
    ------
    DataError
        A plan out of the range of floating-point numbers; it says what to change.
    """
    if kind == "emd":
        return Plan(exact(a, b, cost)[0], converged=True, error=0.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # POT warns in words; what is measured below says as much, for every version
        plan = _sinkhorn(a, b, cost, reg) if kind == "sinkhorn" else _unbalanced(a, b, cost, reg, reg_m)
    if not (np.isfinite(plan.mass).all() and plan.mass.any() and plan.error < BROKEN):
        raise DataError(f"The plan {kind!r} leaves the range of numbers with reg={reg:g}. Raise reg, or use plan=emd.")
    return plan


def _sinkhorn(a: Float64, b: Float64, cost: Float64, reg: float) -> Plan:
    # Constants for rows and columns leave the plan as it is; without them no row and no column is all underflow.
    cost = cost - cost.min(axis=1, keepdims=True)
    cost -= cost.min(axis=0)
    mass = ot.sinkhorn(a, b, cost, reg, method="sinkhorn", numItermax=SINKHORN_STEPS, stopThr=STOP)
    error = _misplaced(mass, a, b)
    return Plan(mass, error <= CONVERGED, error)


def _misplaced(mass: Float64, a: Float64, b: Float64) -> float:
    """Mass that a plan takes from the wrong places, or brings there."""
    return float(np.abs(mass.sum(axis=1) - a).sum() + np.abs(mass.sum(axis=0) - b).sum()) / 2


def _unbalanced(a: Float64, b: Float64, cost: Float64, reg: float, reg_m: float) -> Plan:
    mass, log = ot.sinkhorn_unbalanced(
        a,
        b,
        cost,
        reg,
        reg_m,
        method="sinkhorn_translation_invariant",
        reg_type="kl",
        numItermax=SINKHORN_STEPS,
        stopThr=STOP,
        log=True,
    )
    error = float(log["err"][-1]) if log["err"] else np.inf
    return Plan(mass, error < STOP, error)
