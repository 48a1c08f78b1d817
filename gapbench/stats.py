"""Intervals and paired tests: how much of a difference is more than noise.

Every value has a 95 % interval; every difference to ``identity`` a paired test on the same items, corrected after Holm
over the aligners of a table.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Float32, Float64, Measurement

Interval = tuple[float, float]

RESAMPLES = 10_000

#: Above this many items the bootstrap draws blocks of shuffled items instead of single ones.
MOST_UNITS = 2_000

LEVEL = 0.05


def _z(level: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22, 209)."""
    z = _z(level)
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar_exact(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Exact two-sided McNemar test of paired 0/1 outcomes (McNemar 1947): binomial on the discordant pairs."""
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    return _binomial_half(min(only_a, only_b), only_a + only_b)


def _binomial_half(fewer: int, n: int) -> float:
    """Two-sided p value of ``fewer`` of n tosses of a fair coin."""
    if n == 0:
        return 1.0
    if n > 1000:  # the exact sum by its integral form: log-factorials overflow nothing, but loops get long
        from scipy.special import bdtr

        return min(1.0, 2 * float(bdtr(fewer, n, 0.5)))
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**n)


@lru_cache(maxsize=4)
def _resamples(units: int, seed: int) -> Float32:
    """``(RESAMPLES, units)`` how often each unit is drawn; shared by every statistic on so many units."""
    rng = np.random.default_rng(seed)
    out = np.empty((RESAMPLES, units), dtype=np.float32)
    for start in range(0, RESAMPLES, 500):
        draws = rng.integers(units, size=(500, units)) + units * np.arange(500)[:, None]
        out[start : start + 500] = np.bincount(draws.ravel(), minlength=500 * units).reshape(500, units)
    return out


def _units(values: Float64) -> tuple[Float64, Float64]:
    """Sums and counts of the units that are resampled: items, or equal blocks of shuffled items where there are many."""
    n = len(values)
    if n <= MOST_UNITS:
        return values, np.ones(n)
    unit = np.random.default_rng(0).permutation(n) % MOST_UNITS
    return np.bincount(unit, values), np.bincount(unit).astype(np.float64)


def bootstrap_means(values: Float64, seed: int = 0) -> Float64:
    """``(RESAMPLES,)`` means of resampled items (Efron 1979).

    With more than `MOST_UNITS` items, equal blocks of shuffled items are drawn instead of items: the spread of the mean is
    the same up to a relative error of about 1 / sqrt(2 * MOST_UNITS).
    """
    sums, counts = _units(np.asarray(values, dtype=np.float64))
    drawn = _resamples(len(sums), seed)
    centre = float(np.sum(sums) / np.sum(counts))  # subtracted first: float32 weights then lose nothing that matters
    moved = drawn @ (sums - centre * counts).astype(np.float32)
    return centre + moved.astype(np.float64) / (drawn @ counts.astype(np.float32))


def mean_interval(values: Float64) -> Interval:
    """95 % percentile bootstrap interval of a mean."""
    low, high = np.quantile(bootstrap_means(values), [0.025, 0.975])
    return float(low), float(high)


def paired_bootstrap(a: Float64, b: Float64) -> float:
    """Two-sided p value of a difference of means of paired outcomes, by bootstrap of the differences centred on zero.

    (Davison and Hinkley 1997, section 4.4, with their correction: at least 1 / (RESAMPLES + 1)).
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if not difference.any():
        return 1.0
    observed = abs(float(difference.mean()))
    extreme = np.abs(bootstrap_means(difference) - difference.mean()) >= observed * (1 - 1e-9)
    return float((1 + extreme.sum()) / (1 + RESAMPLES))


def jackknife_error(jackknife: Float64) -> float:
    """Standard error from leave-one-group-out values (Quenouille 1956; Tukey 1958)."""
    g = len(jackknife)
    return math.sqrt((g - 1) / g * float(np.sum((jackknife - jackknife.mean()) ** 2)))


def jackknife_interval(value: float, jackknife: Float64) -> Interval:
    """95 % normal interval around a value from its jackknife error."""
    half = _z(0.95) * jackknife_error(jackknife)
    return value - half, value + half


def jackknife_difference(a: float, jack_a: Float64, b: float, jack_b: Float64) -> float:
    """Two-sided normal p value of a difference, from paired leave-one-group-out values."""
    error = jackknife_error(jack_a - jack_b)
    difference = abs(a - b)
    if difference <= 1e-12:  # noqa: PLR2004 - the same number but for rounding
        return 1.0
    return math.erfc(difference / error / math.sqrt(2)) if error > 0 else 0.0


def interval(measurement: Measurement) -> Interval | None:
    """95 % interval of what a metric gave: Wilson for 0/1 outcomes, bootstrap for others, jackknife, or none."""
    outcomes = measurement.outcomes
    if outcomes is not None:
        if outcomes.dtype == np.bool_:
            return wilson(int(outcomes.sum()), len(outcomes))
        return mean_interval(np.asarray(outcomes, dtype=np.float64))
    if measurement.jackknife is not None:
        return jackknife_interval(measurement.value, measurement.jackknife)
    return None


def paired_p(a: Measurement, b: Measurement) -> float | None:
    """P value of the difference of two measurements of one metric on the same items; None where they cannot be paired."""
    if a.outcomes is not None and b.outcomes is not None and len(a.outcomes) == len(b.outcomes):
        if a.outcomes.dtype == np.bool_ and b.outcomes.dtype == np.bool_:
            return mcnemar_exact(a.outcomes, b.outcomes)
        return paired_bootstrap(a.outcomes.astype(np.float64), b.outcomes.astype(np.float64))
    if a.jackknife is not None and b.jackknife is not None and len(a.jackknife) == len(b.jackknife):
        return jackknife_difference(a.value, a.jackknife, b.value, b.jackknife)
    return None


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values after Holm (1979, Scand. J. Statist. 6, 65): controls the family-wise error rate."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, running = [0.0] * len(p), 0.0
    for position, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - position) * p[i]))
        adjusted[i] = running
    return adjusted


def shared_ranks(values: Sequence[float], different: Sequence[Sequence[bool]]) -> list[int]:
    """Rank rows, best value 1, so that rows which cannot be told apart share a rank.

    A row's rank is one more than the number of rows that are better and significantly different from it.

    Parameters
    ----------
    values
        Higher is better.
    different
        ``different[i][j]`` says whether rows i and j differ by more than noise.
    """
    rows = range(len(values))
    return [1 + sum(values[j] > values[i] and different[i][j] for j in rows) for i in rows]
