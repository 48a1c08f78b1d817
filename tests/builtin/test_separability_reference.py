"""Linear separability is the accuracy of what minimises the penalised logistic loss, found here by SciPy alone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from gapbench.builtin.metrics.gaps import LinearSeparability

#: Held-out rows nearer than this to the plane could come out on either side.
NEAR = 0.002

Rows = np.ndarray


def plane(rows: Rows, sides: Rows) -> Rows:
    """Minimise |w|^2 / 2 + sum log(1 + exp(-s (x w + b))), s being 1 or -1; the intercept, last, is not penalised."""
    wide, signs = np.column_stack([rows, np.ones(len(rows))]), 2 * sides - 1
    free = np.append(np.ones(rows.shape[1]), 0)

    def loss(weights: Rows) -> tuple[float, Rows]:
        margins = signs * (wide @ weights)
        value = (free * weights**2).sum() / 2 + np.logaddexp(0, -margins).sum()
        return value, free * weights - wide.T @ (signs / (1 + np.exp(margins)))

    found = scipy.optimize.minimize(loss, np.zeros(wide.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert np.abs(loss(found.x)[1]).max() < 1e-6
    return found.x


@pytest.mark.parametrize(("seed", "gap"), [(1, 0.1), (2, 0.3), (3, 0.6)])
def test_separability_is_that_of_the_penalised_optimum(seed: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.2, 3, size=8)
    images, texts = ((rng.normal(size=(150, 8)) + move) * scales for move in (gap, 0.0))
    images, texts = images.astype(np.float32), texts.astype(np.float32)
    fit, score = np.arange(0, 60), np.arange(60, 150)

    rows, sides = np.concatenate([images[fit], texts[fit]]).astype(np.float64), np.repeat([0, 1], 60)
    mean, spread = rows.mean(0), rows.std(0)
    weights = plane((rows - mean) / spread, sides)
    held = (np.concatenate([images[score], texts[score]]) - mean) / spread @ weights[:-1] + weights[-1]
    hits, near = (held > 0) == np.repeat([False, True], 90), np.abs(held) < NEAR

    found = LinearSeparability._held_out(images, texts, fit, score)
    assert found.n == 180
    assert near.mean() < 0.03
    assert np.mean(hits & ~near) <= found.value <= np.mean(hits | near)
    assert 0.5 < found.value < 1
    sure = ~near
    np.testing.assert_array_equal(np.asarray(found.outcomes)[sure], hits[sure])
