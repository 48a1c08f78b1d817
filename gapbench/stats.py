"""Intervals, paired tests and their power: how much of a difference is more than noise.

Every value has a 95 % interval; every difference to ``identity`` a paired test on the same items, corrected after Holm
over the aligners of a table.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist, median
from typing import TYPE_CHECKING

import numpy as np

from gapbench.bootstrap import (
    MOST_UNITS,
    RESAMPLES,
    SAME,
    Interval,
    bootstrap_means,
    joint_means,
    mean_interval,
    paired_bootstrap,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gapbench.components import Bools, Float64, Int64, Measurement
    from gapbench.specs import Better

__all__ = [
    "MOST_UNITS",
    "RESAMPLES",
    "SAME",
    "Interval",
    "bootstrap_means",
    "holm",
    "interval",
    "jackknife_difference",
    "jackknife_error",
    "jackknife_interval",
    "mcnemar_exact",
    "mcnemar_exact_matrix",
    "mcnemar_exact_rows",
    "mean_interval",
    "median_interval",
    "minimum_detectable_effect",
    "paired_bootstrap",
    "paired_error",
    "paired_errors",
    "paired_p",
    "paired_ps",
    "rank_intervals",
    "shared_ranks",
    "wilson",
]

#: Of every interval.
LEVEL = 0.95

#: Up to so many tosses of a coin are counted in whole numbers: of more these have over a thousand digits in base 2, and get
#: slow.
FEW_TOSSES = 1000


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    r"""Wilson's score interval of a proportion (Wilson 1927, JASA 22, 209); of no items at all, 0..1.

    With the share :math:`\hat p` of n and the normal quantile z, its ends are
    :math:`\left(\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4n^2}}\right)
    / \left(1 + \frac{z^2}{n}\right)`.
    """
    if n == 0:
        return 0.0, 1.0
    z = _z(level)
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


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

        p[~few] = np.minimum(1.0, 2 * bdtr(fewer[~few], n[~few], 0.5))
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
    """95 % normal interval around a value from its jackknife error."""
    half = _z(LEVEL) * jackknife_error(jackknife)
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


def minimum_detectable_effect(
    errors: Sequence[float], n: int, m: int, binary: bool, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    r"""Give the smallest true difference to the baseline that a table finds with the given power.

    A normal test at the first and strictest step of Holm's correction finds

    .. math:: \delta = \left(z_{1 - \alpha / 2m} + z_{\text{power}}\right) \cdot \operatorname{median}(\text{errors})

    (Bloom 1995, Evaluation Review 19, 547). The exact McNemar test rejects nothing with fewer
    than k discordant pairs, the smallest k with :math:`2 \cdot 2^{-k} < \alpha / m`. A true difference :math:`\delta`
    of 0/1 outcomes is therefore never below :math:`k / n`, nor below the one that gives k discordant pairs with the
    wanted power where all of them go one way: :math:`P(\mathrm{Binomial}(n, \delta) \ge k) = I_\delta(k, n - k + 1)`.

    Parameters
    ----------
    errors
        Standard errors of the paired differences, one an aligner (`paired_error`). Zeros, of aligners that change
        nothing, tell nothing about noise and are left out.
    n
        Number of items.
    m
        Number of aligners that are compared with the baseline.
    binary
        Whether the outcomes are 0/1, so that the exact McNemar test is made.
    alpha, power
        Family-wise error rate, and the probability of finding the difference.

    Returns
    -------
    float or None
        In the unit of the errors; None where nothing can be said, or too few items to ever find anything.
    """
    if n < 1 or m < 1:
        return None
    fewest = math.floor(math.log2(2 * m / alpha)) + 1
    if fewest > n:
        return None
    known = [error for error in errors if 0 < error < math.inf]
    normal = NormalDist()
    effect = (normal.inv_cdf(1 - alpha / (2 * m)) + normal.inv_cdf(power)) * median(known) if known else None
    if not binary:
        return effect
    from scipy.special import betaincinv

    return max(effect or 0.0, fewest / n, float(betaincinv(fewest, n - fewest + 1, power)))


def holm(p: Sequence[float] | Float64) -> list[float]:
    r"""Adjust p values after Holm (1979, Scand. J. Statist. 6, 65): controls the family-wise error rate.

    The i-th smallest of m becomes :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    steps = np.minimum(1.0, np.arange(len(p), 0, -1) * np.asarray(p, dtype=np.float64)[order])
    adjusted[order] = np.maximum.accumulate(steps)
    found: list[float] = adjusted.tolist()
    return found


def shared_ranks(
    values: Sequence[float], different: Sequence[Sequence[bool]] | NDArray[np.bool_], better: Better | str = "higher"
) -> list[int]:
    """Rank rows, the best one 1, by what can be told apart.

    A row's rank is one more than the number of rows that are better than it by more than noise. Where all pairs were
    tested together after Holm, it is the lower end of a 95 % interval of the row's true rank: with that probability no
    row of the table stands below its true rank (Mogstad, Romano, Shaikh and Wilhelm 2024, Rev. Econ. Stud. 91, 476).
    Not being told apart is no equivalence: two such rows get different ranks where a third is better than only one of
    them by more than noise.

    Parameters
    ----------
    values
        One a row.
    different
        ``different[i][j]`` says whether rows i and j differ by more than noise.
    better
        Which way the values are read.
    """
    if not len(values):
        return []
    signed = np.asarray(values, dtype=np.float64) * (1 if better == "higher" else -1)
    above = (signed[None, :] > signed[:, None]) & np.asarray(different, dtype=bool)
    return [1 + int(count) for count in above.sum(axis=1)]


def rank_intervals(outcomes: Float64, better: Better | str = "higher", seed: int = 0) -> list[tuple[int, int]]:
    """95 % percentile intervals of the ranks by value, from resampled items (paired bootstrap).

    They say how much the order of the table rests on the items that happened to be in the test split. Percentile intervals
    of ranks are too narrow where rows are nearly equal (Xie, Singh and Zhang 2009, JASA 104, 775), so they are shown beside
    the rank of `shared_ranks` and decide nothing.

    Parameters
    ----------
    outcomes
        ``(R, n)`` one an item for each row.
    better
        Which way the values are read.
    seed
        Of the resamples.

    Returns
    -------
    list of (int, int)
        Lowest and highest rank of each row; equal means share the better rank.
    """
    means = joint_means(outcomes, seed) * (1 if better == "higher" else -1)
    rounding = 1e-6 * float(np.ptp(outcomes)) if outcomes.size else 0.0
    rows = np.ascontiguousarray(means.T, dtype=np.float32)
    clearly_above = rows + np.float32(rounding)
    ranks = np.ones(rows.shape, dtype=np.min_scalar_type(len(rows)))
    for other in rows:
        ranks += other > clearly_above
    last = ranks.shape[1] - 1
    ends = [math.floor(0.025 * last), math.ceil(0.975 * last)]
    low, high = np.partition(ranks, ends, axis=1)[:, ends].T
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]
