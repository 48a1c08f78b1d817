"""Intervals and paired tests against scipy and statsmodels."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from gapbench import stats
from gapbench.components import Measurement
from gapbench.power import minimum_detectable_effect
from gapbench.verdicts import holm


@given(n=st.integers(1, 100_000), share=st.floats(0, 1))
@settings(deadline=None)
def test_wilson_equals_statsmodels(n, share):
    successes = round(share * n)
    assert stats.wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_wilson_of_nothing_says_nothing():
    assert stats.wilson(0, 0) == (0.0, 1.0)


def discordant(only_a, only_b):
    a = np.repeat([True, False, True, False], [only_a, only_b, 3, 4])
    return a, np.repeat([False, True, True, False], [only_a, only_b, 3, 4])


@given(only_a=st.integers(0, 40), only_b=st.integers(0, 40))
@settings(deadline=None)
def test_mcnemar_equals_the_binomial_test_on_discordant_pairs(only_a, only_b):
    p = stats.mcnemar_exact(*discordant(only_a, only_b))
    expected = mcnemar([[3, only_a], [only_b, 4]], exact=True).pvalue
    assert p == pytest.approx(expected, rel=1e-10)
    if only_a + only_b:
        assert p == pytest.approx(scipy.stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-10)


@pytest.mark.parametrize(("fewer", "more"), [(480, 520), (499, 503), (900, 1100), (0, 1000), (0, 1200)])
def test_mcnemar_of_many_discordant_pairs_stays_exact(fewer, more):
    expected = scipy.stats.binomtest(fewer, fewer + more).pvalue
    assert stats.mcnemar_exact(*discordant(more, fewer)) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_of_equal_outcomes_is_one():
    same = np.array([True, False, True])
    assert stats.mcnemar_exact(same, same) == 1.0


@pytest.mark.parametrize("n", [20, 700, 1000, 1001, 5003])
def test_bootstrap_interval_of_a_mean_equals_scipy(n):
    values = np.random.default_rng(n).gamma(2.0, size=n)
    ours = stats.mean_interval(values)
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=1, batch=500)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.08 * width)


def test_bootstrap_of_a_small_spread_around_a_large_value_is_not_lost_to_rounding():
    values = 1e6 + np.random.default_rng(0).standard_normal(400)
    low, high = stats.mean_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


def test_bootstrap_of_a_constant_has_no_width():
    assert stats.mean_interval(np.full(37, 0.25)) == (0.25, 0.25)


def test_bootstrap_repeats_itself_and_depends_on_the_seed():
    values = np.random.default_rng(0).random(50)
    assert stats.mean_interval(values) == stats.mean_interval(values)
    assert stats.mean_interval(values) != stats.mean_interval(values, seed=1)


@pytest.mark.parametrize("n", [300, 4000])
@pytest.mark.parametrize("shift", [0.0, 1.5, 2.5])
def test_paired_bootstrap_agrees_with_the_paired_t_test(n, shift):
    rng = np.random.default_rng(n)
    a = rng.standard_normal(n)
    b = a + rng.standard_normal(n)
    b += shift / math.sqrt(n) - (b - a).mean()
    expected = scipy.stats.ttest_rel(a, b).pvalue
    assert stats.paired_bootstrap(a, b) == pytest.approx(expected, abs=0.02)


def test_paired_bootstrap_of_equal_means_is_one():
    values = np.random.default_rng(0).random(100)
    assert stats.paired_bootstrap(values, values) == 1.0
    assert stats.paired_bootstrap(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == 1.0


def test_paired_bootstrap_is_never_below_what_exchanging_pairs_can_give():
    values = np.random.default_rng(0).random(100)
    assert stats.paired_bootstrap(values[:6], values[:6] + 5) == 2 * 0.5**6
    assert stats.paired_bootstrap(values[:1], values[:1] + 5) == 1.0
    assert stats.paired_bootstrap(values, values + 5) == pytest.approx(2 * 0.5**100)
    sparse = np.concatenate([np.full(8, 0.1), np.zeros(992)])
    assert stats.paired_bootstrap(sparse, np.zeros(1000)) >= 2 * 0.5**8


def sums_of_draws(points, shares, n):
    """Exact distribution of the sum of n draws of whole numbers, by repeated convolution."""
    step = np.zeros(int(max(points) - min(points)) + 1)
    step[np.asarray(points) - min(points)] = shares
    total = np.ones(1)
    for bit in f"{n:b}":
        total = np.convolve(total, total)
        total = np.convolve(total, step) if bit == "1" else total
    return np.arange(len(total)) + n * min(points), total


@pytest.mark.parametrize(("worse", "equal", "better"), [(3, 90, 7), (30, 350, 20), (100, 7800, 100), (0, 190, 10)])
def test_bootstrap_of_paired_hits_is_the_exact_one(worse, equal, better):
    n = worse + equal + better
    differences = np.repeat([-1.0, 0.0, 1.0], [worse, equal, better])
    sums, chance = sums_of_draws([-1, 0, 1], np.array([worse, equal, better]) / n, n)
    drawn = np.rint(stats.bootstrap_means(differences) * n)
    # Kolmogorov's distance of 10,000 draws from their own distribution is below 0.0195 with probability 0.999.
    shares = np.array([np.mean(drawn <= s) for s in sums])
    assert np.abs(shares - np.cumsum(chance)).max() < 0.0195


@pytest.mark.parametrize(("worse", "better"), [(10, 40), (20, 60), (100, 200), (0, 30), (200, 260)])
def test_a_rare_difference_of_paired_hits_has_the_exact_bootstrap_p_value(worse, better):
    n = 2000
    differences = np.repeat([-1.0, 0.0, 1.0], [worse, n - worse - better, better])
    sums, chance = sums_of_draws([-1, 0, 1], np.array([worse, n - worse - better, better]) / n, n)
    observed = better - worse
    expected = chance[np.abs(sums - observed) >= observed].sum()
    assert expected < 0.01
    # Relative to the step from one sum to the next, which a continuous approximation cannot see.
    inner = chance[np.abs(sums - observed) >= observed + 1].sum()
    assert inner * 0.97 < stats.paired_bootstrap(differences, np.zeros(n)) < expected * 1.03


@pytest.mark.parametrize(("n", "step", "errors"), [(40, 200, 2.9), (40, 200, 3.6), (60, 200, 3.2), (400, 50, 3.5)])
def test_a_rare_difference_of_skewed_outcomes_has_the_exact_bootstrap_p_value(n, step, errors):
    values = np.rint(step * np.random.default_rng(n).standard_exponential(n)).astype(int)
    values += int(errors * scipy.stats.sem(values)) - int(values.mean())
    points, counts = np.unique(values, return_counts=True)
    sums, chance = sums_of_draws(points, counts / n, n)
    distance = np.abs(sums - values.sum())
    expected = chance[distance > values.sum()].sum() + chance[distance == values.sum()].sum() / 2
    assert 1e-4 < expected < 0.01
    assert stats.paired_bootstrap(values, np.zeros(n)) == pytest.approx(expected, rel=0.003)


@given(
    values=st.lists(st.floats(-1, 1), min_size=1, max_size=40),
    copies=st.integers(1, 60),
    unit=st.sampled_from([1e-6, 1.0, 1e6]),
)
@settings(max_examples=150)
def test_any_differences_have_a_p_value(values, copies, unit):
    differences = np.tile(values, copies) * unit
    p = stats.paired_bootstrap(differences, np.zeros(len(differences)))
    assert 0 <= p <= 1
    assert p >= 2 * 0.5 ** np.count_nonzero(differences) or p == 1


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1e8])
@pytest.mark.parametrize("errors", [1.0, 3.0, 8.0])
def test_a_p_value_does_not_depend_on_the_unit(unit, errors):
    values = np.random.default_rng(0).exponential(size=300) - 1
    values += errors * scipy.stats.sem(values) - values.mean()
    p = stats.paired_bootstrap(values, np.zeros(300))
    assert stats.paired_bootstrap(values * unit, np.zeros(300)) == pytest.approx(p, rel=1e-4)


def test_rows_far_apart_stay_apart_after_the_correction_of_a_table_of_forty():
    rng = np.random.default_rng(0)
    a = rng.random(500)
    p = stats.paired_bootstrap(a, a + 0.1 + 0.3 * rng.standard_normal(500))
    assert holm([p] + [1.0] * 779)[0] < 0.01


LONG = {
    "gamma": lambda rng, n: rng.gamma(2, size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=2, size=n),
    "one_outlier": lambda rng, n: np.append(rng.random(n - 1) / n, 1.0),
    "captions": lambda rng, n: (rng.binomial(5, 0.7, n) - rng.binomial(5, 0.7, n)) / 5 + 0.01,
    "two_clusters": lambda rng, n: np.where(rng.random(n) < 0.1, 5.0, 0.0) + 0.01 * rng.random(n),
}


@pytest.mark.parametrize("n", [1001, 2000])
@pytest.mark.parametrize("name", LONG)
def test_bootstrap_by_strata_is_that_of_single_items(name, n):
    rng = np.random.default_rng(n)
    values = LONG[name](rng, n)
    single = np.concatenate([values[rng.integers(n, size=(500, n))].mean(1) for _ in range(40)])
    strata = np.concatenate([stats.bootstrap_means(values, seed) for seed in range(4)])
    assert strata.std() == pytest.approx(values.std() / math.sqrt(n), rel=0.02)
    # A stratum that holds both clusters blurs the steps between their sums, each of which is 0.04 high.
    assert scipy.stats.ks_2samp(strata, single).statistic < (0.04 if name == "two_clusters" else 0.02)
    ends = [0.005, 0.025, 0.975, 0.995]
    np.testing.assert_allclose(np.quantile(strata, ends), np.quantile(single, ends), atol=0.13 * single.std())


def test_bootstrap_by_strata_keeps_the_spread_of_many_outliers():
    rng = np.random.default_rng(0)
    values = np.where(np.arange(100_000) < 200, 1.0, 0.0) + 1e-3 * rng.random(100_000)
    means = np.concatenate([stats.bootstrap_means(values, seed) for seed in range(2)])
    assert means.std() == pytest.approx(values.std() / math.sqrt(100_000), rel=0.02)


def test_bootstrap_does_not_depend_on_the_order_of_the_items():
    for n in (50, 900, 4000):
        values = np.random.default_rng(n).gamma(1, size=n)
        assert stats.mean_interval(values) == pytest.approx(stats.mean_interval(values[::-1]), rel=1e-12)


@pytest.mark.parametrize("n", [30, 900, 5000])
def test_bootstrap_interval_of_hits_equals_scipy(n):
    hits = (np.random.default_rng(n).random(n) < 0.9).astype(float)
    theirs = scipy.stats.bootstrap((hits,), np.mean, method="percentile", n_resamples=4000, rng=1, batch=500)
    low, high = theirs.confidence_interval
    assert stats.mean_interval(hits) == pytest.approx((low, high), abs=0.08 * (high - low) + 1.01 / n)


def leave_out(values, groups):
    return np.array([values[groups != g].mean() for g in np.unique(groups)])


@pytest.mark.parametrize("n", [5, 20, 200])
def test_jackknife_of_a_mean_is_students_interval(n):
    values = np.random.default_rng(0).standard_normal(n)
    jackknife = leave_out(values, np.arange(n))
    expected = scipy.stats.t.interval(0.95, n - 1, loc=values.mean(), scale=scipy.stats.sem(values))
    assert stats.jackknife_interval(values.mean(), jackknife) == pytest.approx(expected, abs=1e-9)


def test_jackknife_difference_is_a_paired_t_test():
    rng = np.random.default_rng(1)
    a = rng.standard_normal(300)
    b = a + 0.1 * rng.standard_normal(300) + 0.01
    groups = np.arange(300)
    p = stats.jackknife_difference(a.mean(), leave_out(a, groups), b.mean(), leave_out(b, groups))
    assert p == pytest.approx(scipy.stats.ttest_rel(a, b).pvalue, rel=1e-6)
    assert stats.jackknife_difference(a.mean(), leave_out(a, groups), a.mean(), leave_out(a, groups)) == 1.0


def test_jackknife_error_of_a_ratio_is_quenouilles():
    rng = np.random.default_rng(2)
    x, y = rng.random(40) + 1, rng.random(40) + 2
    left_out = [np.delete(x, g).sum() / np.delete(y, g).sum() for g in range(40)]
    middle = sum(left_out) / 40
    expected = math.sqrt(39 / 40 * sum((value - middle) ** 2 for value in left_out))
    assert stats.jackknife_error(np.array(left_out)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [6, 7, 9, 20, 101, 1000, 1001, 4000])
def test_interval_of_a_median_equals_scipy(n):
    values = np.random.default_rng(n).standard_cauchy(n)
    theirs = scipy.stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert stats.median_interval(values) == (theirs.low, theirs.high)
    assert stats.median_interval(list(values[::-1])) == (theirs.low, theirs.high)


def test_fewer_than_six_values_bound_no_median():
    for n in range(6):
        assert stats.median_interval(np.arange(n)) == (-math.inf, math.inf)


@given(n=st.integers(6, 3000))
@settings(max_examples=30)
def test_interval_of_a_median_covers_95_percent_and_no_order_statistic_more(n):
    low, high = stats.median_interval(np.arange(1, n + 1))
    assert low + high == n + 1
    assert 2 * scipy.stats.binom.cdf(low - 1, n, 0.5) <= 0.05 < 2 * scipy.stats.binom.cdf(low, n, 0.5)


def test_interval_follows_what_the_metric_gave():
    hits = np.random.default_rng(0).random(90) < 0.7
    assert stats.interval(Measurement(value=hits.mean(), n=90, outcomes=hits)) == stats.wilson(int(hits.sum()), 90)
    values = np.random.default_rng(0).random(90)
    assert stats.interval(Measurement(value=values.mean(), n=90, outcomes=values)) == stats.mean_interval(values)
    groups = np.array([0.1, 0.2, 0.3])
    assert stats.interval(Measurement(value=0.2, n=9, jackknife=groups)) == stats.jackknife_interval(0.2, groups)
    assert stats.interval(Measurement(value=0.2, n=9)) is None
    assert stats.interval(Measurement(value=0.2, n=1, jackknife=np.array([0.2]))) is None


def test_a_paired_test_is_chosen_by_the_outcomes_and_refused_where_items_do_not_match():
    hits = np.random.default_rng(0).random(90) < 0.7
    a, b = Measurement(value=0.7, n=90, outcomes=hits), Measurement(value=0.3, n=90, outcomes=~hits)
    assert stats.paired_p(a, b) == stats.mcnemar_exact(hits, ~hits)
    values = np.random.default_rng(1).random(90)
    c = Measurement(value=values.mean(), n=90, outcomes=values)
    student = scipy.stats.ttest_rel(hits.astype(float), values).pvalue
    assert student < 0.05
    assert stats.paired_p(a, c) == pytest.approx(max(student, stats.paired_bootstrap(hits.astype(float), values)))
    shifted = values + 0.01 * np.sin(np.arange(90))
    near = Measurement(value=shifted.mean(), n=90, outcomes=shifted)
    apart = scipy.stats.ttest_rel(near.outcomes, values).pvalue
    assert apart > 0.05
    assert stats.paired_p(near, c) == pytest.approx(apart)
    groups = np.linspace(0, 1, 10)
    d, e = (Measurement(value=v, n=90, jackknife=groups * v) for v in (0.5, 0.6))
    assert stats.paired_p(d, e) == stats.jackknife_difference(0.5, groups * 0.5, 0.6, groups * 0.6)
    assert stats.paired_p(a, d) is None
    assert stats.paired_p(a, Measurement(value=0.7, n=89, outcomes=hits[:89])) is None


def test_no_p_value_is_zero():
    """However sure a test is: of groups that all differ by the same, of outcomes that never overlap, of a million items."""
    groups = np.linspace(0, 1, 10)
    a, b = (Measurement(value=v, n=90, jackknife=groups + v) for v in (0.1, 0.9))
    one, other = (Measurement(value=v, n=5000, outcomes=np.full(5000, v)) for v in (0.1, 0.9))
    yes, no = (Measurement(value=float(v), n=10**6, outcomes=np.full(10**6, v)) for v in (True, False))
    for pair in ((a, b), (one, other), (yes, no)):
        assert 0 < stats.paired_p(*pair) <= 1e-100
        assert 0 < stats.paired_ps([pair[0]], pair[1])[0] <= 1e-100
    assert (stats.mcnemar_exact_matrix(np.stack([yes.outcomes, no.outcomes])) > 0).all()
    assert 0 < stats.student_p(1.0, 1e-9, 5) < 1e-20


@pytest.mark.parametrize(("share", "n"), [(0.0, 20), (1.0, 50), (0.5, 100), (0.98, 50)])
def test_a_share_of_plain_counts_has_wilsons_interval_with_students_quantile(share, n):
    """With the variance of a count, each item counts once (n against n - 1); nothing at all varies at the ends."""
    t = scipy.stats.t.ppf(0.975, n - 1)
    level = 2 * scipy.stats.norm.cdf(t) - 1
    found = stats.share_interval(share, share * (1 - share) / n, n, t)
    assert found == pytest.approx(stats.wilson(round(share * n), n, level), abs=1e-12)
    assert found[0] < found[1]


def test_captions_that_agree_count_once_an_image_and_captions_on_their_own_each():
    rng = np.random.default_rng(0)
    agree = np.repeat(rng.random(200) < 0.8, 5).reshape(200, 5)
    alone = rng.random((200, 5)) < 0.8
    widths = []
    for hits in (agree, alone):
        means = hits.mean(axis=1)
        low, high = stats.interval(Measurement(value=float(means.mean()), n=1000, outcomes=means), "share")
        widths.append(high - low)
    whole = np.subtract(*stats.wilson(int(agree[:, 0].sum()), 200)[::-1])
    single = np.subtract(*stats.wilson(int(alone.sum()), 1000)[::-1])
    assert widths == pytest.approx([whole, single], rel=0.06)


@pytest.mark.parametrize("freedom", [1, 3.7, 30, 1e9])
def test_students_quantile_and_p_equal_scipy(freedom):
    assert stats.student(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-9)
    assert stats.student_p(0.3, 0.1, freedom) == pytest.approx(2 * scipy.stats.t.sf(3, freedom), rel=1e-9)
    assert stats.student_p(-0.3, 0.1, freedom) == stats.student_p(0.3, 0.1, freedom)
    assert stats.student_p(0.0, 0.0, freedom) == 1.0


def test_error_of_a_paired_difference_is_that_of_the_differences():
    rng = np.random.default_rng(0)
    hits, values = rng.random(90) < 0.7, rng.random(90)
    a, b = Measurement(value=0.7, n=90, outcomes=hits), Measurement(value=0.3, n=90, outcomes=~hits)
    c = Measurement(value=values.mean(), n=90, outcomes=values)
    assert stats.paired_error(a, b) == pytest.approx(scipy.stats.sem(hits.astype(float) - ~hits), rel=1e-12)
    assert stats.paired_error(a, c) == pytest.approx(scipy.stats.sem(hits - values), rel=1e-12)
    groups = rng.random((2, 10))
    d, e = (Measurement(value=0.5, n=90, jackknife=row) for row in groups)
    gap = groups[0] - groups[1]
    assert stats.paired_error(d, e) == pytest.approx(3 * gap.std(), rel=1e-12)
    assert stats.paired_error(a, d) is None
    assert stats.paired_error(a, Measurement(value=0.7, n=89, outcomes=hits[:89])) is None
    one = Measurement(value=1.0, n=1, outcomes=np.array([True]))
    assert stats.paired_error(one, one) is None


def test_errors_of_many_rows_at_once_are_those_of_each():
    hits = np.random.default_rng(0).random((5, 90)) < 0.7
    rows = [Measurement(value=float(row.mean()), n=90, outcomes=row) for row in hits]
    assert stats.paired_errors(hits, hits[0]).tolist() == [stats.paired_error(row, rows[0]) for row in rows]


def test_a_detectable_difference_is_that_of_a_normal_test_at_holms_first_step():
    z = scipy.stats.norm.ppf
    errors = [0.004, 0.0, 0.02, 0.01]
    for m in (1, 4, 40):
        expected = (z(1 - 0.05 / (2 * m)) + z(0.8)) * 0.01
        assert minimum_detectable_effect(errors, 8000, m, binary=False) == pytest.approx(expected, rel=1e-9)
        assert minimum_detectable_effect(errors, 8000, m, binary=True) == pytest.approx(expected, rel=1e-9)
    other = minimum_detectable_effect([0.01], 8000, 1, binary=False, alpha=0.01, power=0.9)
    assert other == pytest.approx((z(0.995) + z(0.9)) * 0.01, rel=1e-9)


@pytest.mark.parametrize("m", [1, 2, 10, 40, 100])
@pytest.mark.parametrize("n", [20, 500, 8000])
def test_no_difference_is_detectable_that_mcnemar_cannot_reject(n, m):
    fewest = next(k for k in range(1, 100) if scipy.stats.binomtest(0, k).pvalue < 0.05 / m)
    found = minimum_detectable_effect([], n, m, binary=True)
    assert found >= fewest / n
    assert scipy.stats.binom.sf(fewest - 1, n, found) == pytest.approx(0.8, abs=1e-6)
    assert minimum_detectable_effect([1e-9], n, m, binary=True) == found


def test_nothing_is_detectable_with_too_few_items_or_no_known_error():
    assert minimum_detectable_effect([0.1], 5, 1, binary=True) is None
    assert minimum_detectable_effect([0.1], 6, 1, binary=True) is not None
    assert minimum_detectable_effect([0.1], 10, 40, binary=False) is None
    assert minimum_detectable_effect([], 100, 3, binary=False) is None
    assert minimum_detectable_effect([0.0, 0.0], 100, 3, binary=False) is None
    assert minimum_detectable_effect([0.1], 100, 0, binary=True) is None
    assert minimum_detectable_effect([0.1], 0, 1, binary=True) is None


def mcnemar_power(n, discordant, difference, level):
    """Exact power: n items, of which a share is discordant, with more of them one way by the difference."""
    power = 0.0
    for k in range(n + 1):
        share = scipy.stats.binom.pmf(k, n, discordant)
        if share > 1e-10:
            ways = np.arange(k + 1)
            p = np.minimum(1, 2 * scipy.stats.binom.cdf(np.minimum(ways, k - ways), k, 0.5))
            power += (
                share * scipy.stats.binom.pmf(ways, k, (discordant + difference) / (2 * discordant))[p < level].sum()
            )
    return power


@pytest.mark.parametrize("m", [1, 10, 40])
@pytest.mark.parametrize(("n", "discordant"), [(500, 0.05), (500, 0.2), (2000, 0.05), (8000, 0.001), (8000, 0.01)])
def test_mcnemar_finds_a_detectable_difference_four_times_in_five(n, discordant, m):
    difference = 0.0
    for _ in range(30):  # the error and the difference fix each other
        error = math.sqrt((max(discordant, difference) - difference**2) / n)
        difference = minimum_detectable_effect([error], n, m, binary=True)
    power = mcnemar_power(n, max(discordant, difference), difference, 0.05 / m)
    # Few discordant pairs make the test coarse; the floor in their number can only make it find more.
    assert 0.75 < power < (0.81 if n * discordant >= 80 else 0.95)


def test_paired_tests_of_real_embeddings_equal_statsmodels_and_scipy(shared_file):
    """Retrieval of captions by images, as published and with both means taken out."""
    with np.load(shared_file("mind_the_gap_clip.npz")) as rows:
        images, texts = (rows[side].astype(np.float64) for side in ("image", "text"))
        assert (rows["pair"] == np.arange(len(images))).all()
    ranks = []
    for x, t in ((images, texts), (images - images.mean(0), texts - texts.mean(0))):
        scores = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (t / np.linalg.norm(t, axis=1, keepdims=True)).T
        ranks.append(1 + (scores > np.diag(scores)[:, None]).sum(1))
    a, b = (rank == 1 for rank in ranks)
    expected = mcnemar([[(a & b).sum(), (a & ~b).sum()], [(b & ~a).sum(), (~a & ~b).sum()]], exact=True).pvalue
    assert stats.mcnemar_exact(a, b) == pytest.approx(expected, rel=1e-9)
    c, d = (1 / rank for rank in ranks)
    low, high = scipy.stats.bootstrap((c - d,), np.mean, method="percentile", rng=0, batch=500).confidence_interval
    assert stats.mean_interval(c - d) == pytest.approx((low, high), abs=0.05 * (high - low))
    p = scipy.stats.ttest_rel(c, d).pvalue
    assert stats.paired_bootstrap(c, d) == pytest.approx(p, rel=0.25, abs=0.01)


def test_the_statistics_of_a_table_cost_less_than_two_seconds():
    rng = np.random.default_rng(0)
    n, start = 8000, time.process_time()
    base_hits, base_values = rng.random(n) < 0.9, rng.random(n)
    for _ in range(55):
        for number in range(9):
            if number < 2:
                mine, theirs = (
                    Measurement(value=0.5, n=n, outcomes=v) for v in (base_values + rng.random(n), base_values)
                )
            elif number < 4:
                mine, theirs = (Measurement(value=v, n=n, jackknife=rng.random(100)) for v in (0.5, 0.6))
            else:
                mine, theirs = (Measurement(value=0.9, n=n, outcomes=v) for v in (rng.random(n) < 0.88, base_hits))
            stats.interval(mine)
            stats.paired_p(mine, theirs)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("n", [1, 300, 2_500])
def test_all_pairs_at_once_equal_mcnemar_one_by_one(n):  # 2,500 items: fewer and more than a thousand that differ
    rng = np.random.default_rng(5)
    rows = rng.random((9, n)) < np.linspace(0.4, 0.9, 9)[:, None]
    rows[3] = rows[2]
    found = stats.mcnemar_exact_matrix(rows)
    expected = [[stats.mcnemar_exact(a, b) for b in rows] for a in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 300, 2_500])
def test_many_tests_against_one_baseline_are_those_made_one_by_one(n):
    rng = np.random.default_rng(5)
    rows = rng.random((9, n)) < np.linspace(0.4, 0.9, 9)[:, None]
    hits = [Measurement(value=float(row.mean()), n=n, outcomes=row) for row in rows]
    real = Measurement(value=0.5, n=n, outcomes=rng.random(n))
    shorter = Measurement(value=1.0, n=3, outcomes=np.ones(3, dtype=bool))
    slices = Measurement(value=0.5, n=n, jackknife=rng.random(20))
    many = [hits[1], real, *hits[2:], shorter, hits[0], slices, Measurement(value=0.2, n=n)]
    for base in (hits[0], real, slices):
        assert stats.paired_ps(many, base) == [stats.paired_p(one, base) for one in many]
