"""Barycentric maps: each row goes to the mean of what a transport plan gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.components import Aligner
from gapbench_transport.plans import solve
from gapbench_transport.rows import finished, squared_distances

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64

#: Rows whose nearest neighbour is looked for at once.
BLOCK = 2048

#: A row that gives less mass than this has no direction to go: its share of each target is rounding.
NO_MASS = 1e-290


class Barycentric(Aligner):
    r"""Move one side onto the other by optimal transport, without pairs.

    :math:`P` is a plan between the sampled rows of both sides for the cost
    :math:`C_{ij} = \lVert s_i - t_j \rVert^2 / \mathrm{med}(C)`, each row with the same mass, and
    :math:`T(s_i) = \sum_j P_{ij} t_j / \sum_j P_{ij}` (Ferradans et al. 2014; Courty et al. 2017; ``ot.da`` in POT). A
    row that is not among the :math:`s_i` takes the step of the nearest one, :math:`v' = v + T(s_i) - s_i`
    (Ferradans et al. 2014, as in ``ot.da``), and so does a row that is: its nearest one is itself.

    What is moved is by default the texts. With class prompts the texts that are scored are the very texts of the plan,
    so the map is exact for them, and each becomes the mean of the images that it is given: a prototype, in which noise
    averages out. Test images are never in the plan; they would inherit the error of a neighbour.

    Rows of one side that are equal are one point with their masses added: without that, equal rows could go to
    different places. A row that is given no mass (``unbalanced``) stays where it is. Both are ours.

    With n, m <= ``sample``: fit O(nm d) and the plan, 32 nm bytes (800 MB at the most); O(n d) a row.

    Parameters
    ----------
    side
        The side that is mapped; the other is the target.
    plan
        ``sinkhorn``, ``emd`` or ``unbalanced``, see `gapbench_transport.plans.solve`. An exact plan gives a row to one
        or two others, right or wrong; with entropy it is shared out, and errors average out. Where texts are class
        prompts, both take for granted that every class has the same share of the images; ``unbalanced`` does not.
    reg, reg_m
        Weights of the entropy and of the marginals, in units of the median cost.
    center
        Subtract each side's mean, before the fit and from what is mapped, on both sides. Without it the gap is part of
        the cost: an exact plan is the same (a shift costs every plan alike), but the median is larger, so ``reg`` and
        ``reg_m`` weigh more; and the rows end around the target's mean, which costs retrieval more than the gap does.
    sample
        Rows of each side that the plan is made of; where there are more, so many are drawn.
    renormalise
        Whether to normalise what was changed.
    """

    def __init__(
        self,
        *,
        side: str = "texts",
        plan: str = "sinkhorn",
        reg: float = 0.1,
        reg_m: float = 1.0,
        center: bool = True,
        sample: int = 1000,
        renormalise: bool = True,
    ) -> None:
        self.side = side
        self.plan = plan
        self.reg = reg
        self.reg_m = reg_m
        self.center = center
        self.sample = sample
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Draw rows, solve for the plan, and keep the step of each source row."""
        names = ("texts", "images") if self.side == "texts" else ("images", "texts")
        means = [getattr(data.moments, name).mean if self.center else np.zeros(data.dim) for name in names]
        self._source_mean, self._target_mean = means
        (self._source, a), (target, b) = (
            points(self._drawn(getattr(data, name), data.rng), mean) for name, mean in zip(names, means, strict=True)
        )
        cost = squared_distances(self._source, target)
        cost /= np.median(cost) or 1.0  # one point a side, in the same place
        mass, converged, error = solve(self.plan, a, b, cost, reg=self.reg, reg_m=self.reg_m)
        given = mass.sum(axis=1)
        kept = given > NO_MASS
        self._step = np.zeros_like(self._source)
        self._step[kept] = mass[kept] @ target / given[kept, None] - self._source[kept]
        self._notes = {
            f"distinct_{names[0]}": len(a),
            f"distinct_{names[1]}": len(b),
            "without_mass": int(np.sum(~kept)),
            "converged": converged,
            "solver_error": error,
        }
        return self

    def _drawn(self, rows: Float32, rng: np.random.Generator) -> Float32:
        if len(rows) <= self.sample:
            return rows
        return rows[np.sort(rng.choice(len(rows), self.sample, replace=False))]

    def notes(self) -> dict[str, Any]:
        """Say how many different rows the plan is between, whether the solver converged, and how far off it stopped."""
        return self._notes

    def _mapped(self, rows: Float32) -> Float32:
        moved = np.empty(rows.shape)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK] - self._source_mean
            nearest = squared_distances(block, self._source).argmin(axis=1)
            moved[start : start + BLOCK] = block + self._step[nearest]
        return finished(moved, renormalise=self.renormalise)

    def _kept(self, rows: Float32) -> Float32:
        return finished(rows - self._target_mean, renormalise=self.renormalise) if self.center else rows

    def images(self, x: Float32) -> Float32:
        """Map image rows; where they are the target, only centre them, if anything."""
        return self._mapped(x) if self.side == "images" else self._kept(x)

    def texts(self, t: Float32) -> Float32:
        """Map text rows; where they are the target, only centre them, if anything."""
        return self._mapped(t) if self.side == "texts" else self._kept(t)


def points(rows: Float32, mean: Float64) -> tuple[Float64, Float64]:
    """Give the different rows, less the mean, and the share of each."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    return distinct - mean, counts / len(rows)
