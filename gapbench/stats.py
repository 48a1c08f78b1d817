"""Intervals and paired tests: how much of a difference is more than noise.

Every value has a 95 % interval; every difference to ``identity`` a paired test on the same items, corrected after Holm
over the aligners of a table. All of it is cheap: resamples are drawn once for each number of items and shared.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Float32, Float64, Int64, Measurement
    from gapbench.specs import Better

#: Lower and upper end.
Interval = tuple[float, float]

#: Bootstrap resamples behind every interval and test of a mean.
RESAMPLES = 10_000

#: Above this many items the bootstrap draws equal blocks of shuffled items instead of single ones. Shared resamples
#: then take at most 40 MB for each kept number of items.
MOST_UNITS = 1_000

#: Differences of this size are rounding.
SAME = 1e-12


def _z(level: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22, 209); of no items at all, 0..1."""
    if n == 0:
        return 0.0, 1.0
    z = _z(level)
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar_exact(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Exact two-sided McNemar test of paired 0/1 outcomes (McNemar 1947): binomial on the discordant pairs."""
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    return _fair_coin(min(only_a, only_b), only_a + only_b)


@lru_cache(maxsize=4096)
def _fair_coin(fewer: int, n: int) -> float:
    """Two-sided p value of ``fewer`` heads in n tosses of a fair coin."""
    if 2 * fewer >= n:
        return 1.0
    if n > 1000:  # noqa: PLR2004 - whole numbers of more than a thousand digits in base 2 get slow
        from scipy.special import bdtr

        return min(1.0, 2 * float(bdtr(fewer, n, 0.5)))
    ways = tail = 1
    for k in range(fewer):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, float(tail / 2 ** (n - 1)))


@lru_cache(maxsize=3)
def _resamples(units: int, seed: int) -> Float32:
    """``(RESAMPLES, units)`` how often each unit is drawn; shared by every statistic on so many units."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((RESAMPLES, units), dtype=np.float32)
    part = RESAMPLES // 20
    for start in range(0, RESAMPLES, part):
        draws = (
            rng.integers(units, size=(part, units), dtype=np.int32) + units * np.arange(part, dtype=np.int32)[:, None]
        )
        drawn[start : start + part] = np.bincount(draws.ravel(), minlength=part * units).reshape(part, units)
    return drawn


@lru_cache(maxsize=3)
def _blocks(n: int, seed: int) -> tuple[Int64, Float32]:
    """Give each of n items its block, and the number of items in each resample."""
    block = np.random.default_rng(seed).permutation(n) % MOST_UNITS
    return block, _resamples(MOST_UNITS, seed) @ np.bincount(block).astype(np.float32)


def bootstrap_means(values: Float64, seed: int = 0) -> Float64:
    """``(RESAMPLES,)`` means of resampled items (Efron 1979).

    Of more than `MOST_UNITS` items, equal blocks of shuffled items are drawn instead of items: the spread of the mean
    is the same but for a relative error of about 1 / sqrt(2 * `MOST_UNITS`), 2 %. The same seed and number of items
    give the same resamples.
    """
    values = np.asarray(values, dtype=np.float64)
    centre = float(values.mean())  # taken out first, so that float32 has only the spread to carry
    moved = values - centre
    if len(values) <= MOST_UNITS:
        sums = _resamples(len(values), seed) @ moved.astype(np.float32)
        return centre + sums.astype(np.float64) / len(values)
    block, counts = _blocks(len(values), seed)
    sums = _resamples(MOST_UNITS, seed) @ np.bincount(block, moved).astype(np.float32)
    return centre + sums.astype(np.float64) / counts


def mean_interval(values: Float64, seed: int = 0) -> Interval:
    """95 % percentile bootstrap interval of a mean."""
    low, high = np.quantile(bootstrap_means(values, seed), [0.025, 0.975])
    return float(low), float(high)


def paired_bootstrap(a: Float64, b: Float64, seed: int = 0) -> float:
    """Two-sided p value of a difference of means of paired outcomes.

    The differences are resampled and centred on zero; the p value is the share of resamples at least as extreme as
    what was observed, never below 1 / (`RESAMPLES` + 1) (Davison and Hinkley 1997, sections 4.2 and 4.4).
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    observed = float(difference.mean())
    if abs(observed) <= SAME:
        return 1.0
    # The tolerance counts resamples that equal the observed difference but for rounding.
    extreme = np.abs(bootstrap_means(difference, seed) - observed) >= abs(observed) * (1 - 1e-6)
    return float((1 + np.count_nonzero(extreme)) / (1 + RESAMPLES))


def jackknife_error(jackknife: Float64) -> float:
    """Give the standard error from leave-one-group-out values (Quenouille 1956; Tukey 1958)."""
    g = len(jackknife)
    return math.sqrt((g - 1) / g * float(np.sum((jackknife - jackknife.mean()) ** 2)))


def jackknife_interval(value: float, jackknife: Float64) -> Interval:
    """95 % normal interval around a value from its jackknife error."""
    half = _z(0.95) * jackknife_error(jackknife)
    return value - half, value + half


def jackknife_difference(a: float, jack_a: Float64, b: float, jack_b: Float64) -> float:
    """Two-sided normal p value of a difference, from leave-one-group-out values of the same groups."""
    difference = abs(a - b)
    if difference <= SAME:
        return 1.0
    error = jackknife_error(jack_a - jack_b)
    return math.erfc(difference / error / math.sqrt(2)) if error > 0 else 0.0


def interval(measurement: Measurement) -> Interval | None:
    """95 % interval of what a metric gave: its own, Wilson for 0/1 outcomes, bootstrap for others, jackknife, or none."""
    if measurement.ci95 is not None:
        return measurement.ci95
    outcomes = measurement.outcomes
    if outcomes is not None:
        if outcomes.dtype == np.bool_:
            return wilson(int(outcomes.sum()), len(outcomes))
        return mean_interval(np.asarray(outcomes, dtype=np.float64))
    if measurement.jackknife is not None and len(measurement.jackknife) > 1:
        return jackknife_interval(measurement.value, measurement.jackknife)
    return None


def paired_p(a: Measurement, b: Measurement) -> float | None:
    """Give the p value of a difference of two measurements on the same items; None where they cannot be paired."""
    if a.outcomes is not None and b.outcomes is not None and len(a.outcomes) == len(b.outcomes):
        if a.outcomes.dtype == np.bool_ and b.outcomes.dtype == np.bool_:
            return mcnemar_exact(a.outcomes.astype(np.bool_), b.outcomes.astype(np.bool_))
        return paired_bootstrap(a.outcomes.astype(np.float64), b.outcomes.astype(np.float64))
    if a.jackknife is not None and b.jackknife is not None and len(a.jackknife) == len(b.jackknife) > 1:
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


def shared_ranks(
    values: Sequence[float], different: Sequence[Sequence[bool]], better: Better | str = "higher"
) -> list[int]:
    """Rank rows, the best one 1, so that rows which cannot be told apart share a rank.

    A row's rank is one more than the number of rows that are better than it by more than noise.

    Parameters
    ----------
    values
        One a row.
    different
        ``different[i][j]`` says whether rows i and j differ by more than noise.
    better
        Which way the values are read.
    """
    sign = 1 if better == "higher" else -1
    rows = range(len(values))
    return [1 + sum(sign * (values[j] - values[i]) > 0 and different[i][j] for j in rows) for i in rows]
