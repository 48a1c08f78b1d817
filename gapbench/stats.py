"""Intervals, paired tests and their power: how much of a difference is more than noise.

Every value has a 95 % interval, every difference a paired test on the same items. `gapbench.joint` has those of several
seeds, `gapbench.verdicts` what a table makes of them.
"""

from __future__ import annotations

import math
import sys
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gapbench.bootstrap import (
    MOST_UNITS,
    RESAMPLES,
    SAME,
    Interval,
    bootstrap_means,
    mean_interval,
    paired_bootstrap,
)
from gapbench.model.units import RANGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Bools, Float64, Int64, Measurement

__all__ = [
    "LEAST_P",
    "MOST_UNITS",
    "RESAMPLES",
    "SAME",
    "Interval",
    "bootstrap_means",
    "interval",
    "jackknife_difference",
    "jackknife_error",
    "jackknife_interval",
    "mcnemar_exact",
    "mcnemar_exact_matrix",
    "mcnemar_exact_rows",
    "mean_interval",
    "median_interval",
    "paired_bootstrap",
    "paired_error",
    "paired_errors",
    "paired_p",
    "paired_ps",
    "share_interval",
    "student",
    "student_p",
    "wilson",
]

#: Of every interval.
LEVEL = 0.95

#: Up to so many tosses of a coin are counted in whole numbers: of more these have over a thousand digits in base 2, and get
#: slow.
FEW_TOSSES = 1000


#: No p value from here on is doubted: no test of a table could call it more than noise.
CLEAR = 0.05

#: No p value is smaller: none is zero, however sure a test is.
LEAST_P = sys.float_info.min


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def student(freedom: float | Int64 | Float64, level: float = 1 - LEVEL) -> float | Float64:
    """Return the quantile of Student's t distribution for a two-sided interval that misses at a level."""
    from scipy.special import stdtrit

    found: float | Float64 = stdtrit(freedom, 1 - level / 2)
    return found


def student_p(difference: float, error: float, freedom: float) -> float:
    """Two-sided p value of a difference with a standard error, after Student."""
    if abs(difference) <= SAME:
        return 1.0
    if error <= 0:
        return LEAST_P
    from scipy.special import stdtr

    return max(LEAST_P, 2 * float(stdtr(freedom, -abs(difference) / error)))


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    r"""Wilson's score interval of a proportion (Wilson 1927, JASA 22, 209); of no items at all, 0..1.

    With the share :math:`\hat p` of n and the normal quantile z, its ends are
    :math:`\left(\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}}\right)
    / \left(1 + \frac{z^2}{n}\right)`.
    """
    return (0.0, 1.0) if n == 0 else _score(successes / n, n, _z(level))


def _score(share: float, n: float, z: float) -> Interval:
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def share_interval(share: float, variance: float, n: int, quantile: float) -> Interval:
    r"""95 % interval of a mean between 0 and 1 that is no plain count: several outcomes an item, several seeds, a gain.

    Wilson's, with the effective number of items that the variance tells (the design effect; Korn and Graubard 1998, Survey
    Methodology 24, 193), :math:`n^* = \hat p (1 - \hat p) / V`, and Student's quantile. Where nothing varies, each item
    counts once.

    Parameters
    ----------
    share, variance
        The share, in 0..1, and the variance of it.
    n
        Number of items.
    quantile
        How many standard errors the interval reaches, but for the edges: Student's quantile of the variance.
    """
    spread = share * (1 - share)
    effective = spread / variance if variance > 0 and spread > 0 else float(n)
    return _score(min(1.0, max(0.0, share)), effective, quantile)


def mcnemar_exact(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    r"""Exact two-sided McNemar test of paired 0/1 outcomes (McNemar 1947, Psychometrika 12, 153).

    Of b items that only the one and c items that only the other gets right, it gives
    :math:`p = \min(1, 2 P(\mathrm{Binomial}(b + c, \tfrac12) \le \min(b, c)))`.

    Parameters
    ----------
    a, b
        ``(n,)`` outcomes of the same items. O(n).
    """
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    return _fair_coin(min(only_a, only_b), only_a + only_b)


def mcnemar_exact_rows(rows: NDArray[np.bool_], base: NDArray[np.bool_]) -> Float64:
    """``(R,)`` p values of `mcnemar_exact` for rows of outcomes ``(R, n)`` against a base ``(n,)``. O(R n)."""
    only_a, only_b = np.count_nonzero(rows & ~base, axis=1), np.count_nonzero(base & ~rows, axis=1)
    return _fair_coins(np.minimum(only_a, only_b), only_a + only_b)


def mcnemar_exact_matrix(outcomes: NDArray[np.bool_]) -> Float64:
    """``(R, R)`` p values of `mcnemar_exact` for all pairs of R rows of outcomes ``(R, n)`` of the same items. O(R^2 n)."""
    rows = outcomes.astype(np.float64)  # sums of 0 and 1 are exact
    both, right = rows @ rows.T, rows.sum(axis=1)
    only_a = (right[:, None] - both).astype(np.int64)
    below = np.tril_indices(len(rows), -1)
    one, other = only_a[below], only_a.T[below]
    p = np.ones(both.shape)
    p[below] = _fair_coins(np.minimum(one, other), one + other)
    return np.minimum(p, p.T)


def _fair_coin(fewer: int, n: int) -> float:
    """Two-sided p value of ``fewer <= n / 2`` heads in n tosses of a fair coin."""
    return float(_few_tosses(n)[fewer] if n <= FEW_TOSSES else _fair_coins(np.array([fewer]), np.array([n]))[0])


def _fair_coins(fewer: Int64, n: Int64) -> Float64:
    """``(N,)`` p values of `_fair_coin`."""
    p = np.ones(len(n))
    few = n <= FEW_TOSSES
    if few.any():
        tosses = np.flatnonzero(np.bincount(n[few]))
        rows = [_few_tosses(count) for count in tosses.tolist()]
        start = np.zeros(FEW_TOSSES + 1, dtype=np.int64)
        start[tosses] = np.cumsum([0, *map(len, rows[:-1])])
        p[few] = np.concatenate(rows)[start[n[few]] + fewer[few]]
    if not few.all():
        from scipy.special import bdtr

        p[~few] = np.clip(2 * bdtr(fewer[~few], n[~few], 0.5), LEAST_P, 1.0)
    return p


@lru_cache(maxsize=FEW_TOSSES + 1)
def _few_tosses(n: int) -> Float64:
    """``(n // 2 + 1,)`` p values of `_fair_coin` for 0 to n / 2 heads, in whole numbers."""
    p = np.ones(n // 2 + 1)
    ways = tail = 1
    for heads in range((n + 1) // 2):
        p[heads] = tail / 2 ** (n - 1)
        ways = ways * (n - heads) // (heads + 1)
        tail += ways
    return p


@lru_cache(maxsize=256)
def _median_rank(n: int) -> int:
    """Largest r with P(Binomial(n, 1/2) < r) <= 2.5 %; 0 where there is none."""
    r = max(0, int(n / 2 - math.sqrt(n)) - 1)  # 1.96 standard deviations are sqrt(n) * 0.98
    while _fair_coin(r, n) <= 1 - LEVEL:
        r += 1
    return r


def median_interval(values: Sequence[float] | Float64 | Int64, trials: int | None = None) -> Interval:
    r"""Exact interval of a median, whatever the distribution (Thompson 1936, Ann. Math. Statist. 7, 122).

    It is :math:`[x_{(r)}, x_{(n+1-r)}]` of the sorted values, with the largest r for which
    :math:`2 P(\mathrm{Binomial}(n, \tfrac12) < r) \le 5 \%`. Fewer than six values bound no median: the interval is
    then the whole line.

    Parameters
    ----------
    values
        ``(N,)`` values.
    trials
        Number of independent trials where it is smaller than N, as with several values an item. The quantiles
        :math:`r / n` and :math:`1 - (r - 1) / n` of the values then take the place of the order statistics.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered) if trials is None else trials
    r = _median_rank(n)
    if not r:
        return -math.inf, math.inf
    low = (r * len(ordered)) // n
    return float(ordered[low - 1]), float(ordered[-low])


def jackknife_error(jackknife: Float64) -> float:
    r"""Give the standard error from leave-one-group-out values (Quenouille 1956; Tukey 1958).

    It is :math:`\sqrt{\frac{G - 1}{G} \sum_g (\theta_{(g)} - \bar\theta)^2}` of G values.
    """
    g = len(jackknife)
    return math.sqrt((g - 1) / g * float(np.sum((jackknife - jackknife.mean()) ** 2)))


def jackknife_interval(value: float, jackknife: Float64) -> Interval:
    """95 % interval around a value from its jackknife error of G groups, with Student's quantile for G - 1 of them."""
    half = float(student(len(jackknife) - 1)) * jackknife_error(jackknife)
    return value - half, value + half


def jackknife_difference(a: float, jack_a: Float64, b: float, jack_b: Float64) -> float:
    """Two-sided p value of a difference, from leave-one-group-out values of the same G groups, after Student."""
    return student_p(a - b, jackknife_error(jack_a - jack_b), len(jack_a) - 1)


def interval(measurement: Measurement, unit: str = "") -> Interval | None:
    """95 % interval of what a metric gave, or none.

    Its own; Wilson for 0/1 outcomes; `share_interval` for other outcomes between 0 and 1; the bootstrap for others; the
    jackknife.
    """
    if measurement.ci95 is not None:
        return measurement.ci95
    outcomes = measurement.outcomes
    if outcomes is not None:
        n = len(outcomes)
        if outcomes.dtype == np.bool_:
            return wilson(int(outcomes.sum()), n)
        values = np.asarray(outcomes, dtype=np.float64)
        if RANGES.get(unit) == (0.0, 1.0) and n > 1:
            return share_interval(float(values.mean()), float(values.var(ddof=1)) / n, n, float(student(n - 1)))
        return mean_interval(values)
    if measurement.jackknife is not None and len(measurement.jackknife) > 1:
        return jackknife_interval(measurement.value, measurement.jackknife)
    return None


def paired_p(a: Measurement, b: Measurement) -> float | None:
    """Return the p value of a difference of two measurements on the same items; None where they cannot be paired.

    Exact McNemar for 0/1 outcomes; for others Student's t test, which knows how few they are, and where that is below
    `CLEAR` the larger p of it and of the paired bootstrap, which knows their shape; Student's t test for
    leave-one-group-out values.
    """
    if a.outcomes is not None and b.outcomes is not None and len(a.outcomes) == len(b.outcomes):
        if a.outcomes.dtype == np.bool_ and b.outcomes.dtype == np.bool_:
            return mcnemar_exact(a.outcomes.astype(np.bool_), b.outcomes.astype(np.bool_))
        mine, theirs = a.outcomes.astype(np.float64), b.outcomes.astype(np.float64)
        if len(mine) < 2:  # noqa: PLR2004 - one item tells nothing
            return 1.0
        error = float(paired_errors(mine[None], theirs)[0])
        few = student_p(float(np.mean(mine - theirs)), error, len(mine) - 1)
        return few if few >= CLEAR else max(few, paired_bootstrap(mine, theirs))
    if a.jackknife is not None and b.jackknife is not None and len(a.jackknife) == len(b.jackknife) > 1:
        return jackknife_difference(a.value, a.jackknife, b.value, b.jackknife)
    return None


def paired_ps(many: Sequence[Measurement], base: Measurement) -> list[float | None]:
    """Give `paired_p` of each of many measurements against one; those of 0/1 outcomes are tested together."""
    theirs = base.outcomes
    if theirs is None or theirs.dtype != np.bool_:
        return [paired_p(one, base) for one in many]
    found: list[float | None] = [None] * len(many)
    hits: dict[int, NDArray[np.bool_]] = {}
    for i, one in enumerate(many):
        if one.outcomes is not None and one.outcomes.dtype == np.bool_ and len(one.outcomes) == len(theirs):
            hits[i] = one.outcomes.astype(np.bool_, copy=False)
        else:
            found[i] = paired_p(one, base)
    if hits:
        p = mcnemar_exact_rows(np.stack(list(hits.values())), theirs.astype(np.bool_, copy=False))
        for i, one_p in zip(hits, p.tolist(), strict=True):
            found[i] = one_p
    return found


def paired_error(a: Measurement, b: Measurement) -> float | None:
    r"""Give the standard error of the difference of two measurements on the same items.

    It is :math:`s_d / \sqrt n` of the n differences of their outcomes, :math:`s_d^2 = \sum (d_i - \bar d)^2 / (n - 1)`,
    or the jackknife error of the differences of their leave-one-group-out values; None where neither can be paired.
    """
    if a.outcomes is not None and b.outcomes is not None and len(a.outcomes) == len(b.outcomes) > 1:
        return float(paired_errors(a.outcomes[None], b.outcomes)[0])
    if a.jackknife is not None and b.jackknife is not None and len(a.jackknife) == len(b.jackknife) > 1:
        return jackknife_error(a.jackknife - b.jackknife)
    return None


def paired_errors(rows: Bools | Float64, base: Bools | Float64) -> Float64:
    """``(R,)`` standard errors as of `paired_error` for rows of outcomes ``(R, n)``, n > 1, against a base ``(n,)``."""
    differences = np.subtract(rows, base, dtype=np.float64)
    return np.asarray(np.std(differences, axis=1, ddof=1) / math.sqrt(len(base)))
