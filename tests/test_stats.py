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
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from gapbench import stats
from gapbench.components import Measurement
from gapbench.specs import Better


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


def test_paired_bootstrap_of_equal_means_is_one_and_of_distant_means_the_smallest_possible():
    values = np.random.default_rng(0).random(100)
    assert stats.paired_bootstrap(values, values) == 1.0
    assert stats.paired_bootstrap(values, values + 5) == 1 / (stats.RESAMPLES + 1)


def leave_out(values, groups):
    return np.array([values[groups != g].mean() for g in np.unique(groups)])


def test_jackknife_of_a_mean_is_the_normal_interval():
    values = np.random.default_rng(0).standard_normal(200)
    jackknife = leave_out(values, np.arange(200))
    half = 1.959963984540054 * values.std(ddof=1) / math.sqrt(200)
    expected = (values.mean() - half, values.mean() + half)
    assert stats.jackknife_interval(values.mean(), jackknife) == pytest.approx(expected, abs=1e-9)


def test_jackknife_difference_is_a_paired_z_test():
    rng = np.random.default_rng(1)
    a = rng.standard_normal(300)
    b = a + 0.1 * rng.standard_normal(300) + 0.01
    groups = np.arange(300)
    z = (a - b).mean() / scipy.stats.sem(a - b)
    p = stats.jackknife_difference(a.mean(), leave_out(a, groups), b.mean(), leave_out(b, groups))
    assert p == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-6)
    assert stats.jackknife_difference(a.mean(), leave_out(a, groups), a.mean(), leave_out(a, groups)) == 1.0


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_holm_equals_statsmodels(p):
    np.testing.assert_allclose(stats.holm(p), multipletests(p, method="holm")[1], atol=1e-12)


def test_holm_of_nothing_is_nothing():
    assert stats.holm([]) == []


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
    assert stats.paired_p(a, c) == stats.paired_bootstrap(hits.astype(float), values)
    groups = np.linspace(0, 1, 10)
    d, e = (Measurement(value=v, n=90, jackknife=groups * v) for v in (0.5, 0.6))
    assert stats.paired_p(d, e) == stats.jackknife_difference(0.5, groups * 0.5, 0.6, groups * 0.6)
    assert stats.paired_p(a, d) is None
    assert stats.paired_p(a, Measurement(value=0.7, n=89, outcomes=hits[:89])) is None


def test_rows_that_cannot_be_told_apart_share_a_rank():
    # A chain: neighbours cannot be told apart, the ends can.
    values = [0.9, 0.8, 0.7, 0.1]
    different = [
        [False, False, True, True],
        [False, False, False, True],
        [True, False, False, True],
        [True] * 3 + [False],
    ]
    assert stats.shared_ranks(values, different) == [1, 1, 2, 4]
    assert stats.shared_ranks(values, different, Better.LOWER) == [3, 2, 2, 1]


def test_ranks_of_equal_rows_are_equal_even_if_called_different():
    assert stats.shared_ranks([0.5, 0.5], [[False, True], [True, False]], Better.HIGHER) == [1, 1]


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
