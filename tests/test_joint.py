"""Several rows and several seeds: variances of items and of fits against plain loops, p values against scipy."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from gapbench.components import Measurement
from gapbench.joint import joint, p_against, p_of_all
from gapbench.power import detectable_over_seeds
from gapbench.stats import mcnemar_exact, paired_p


def measurements(outcomes):
    return [[Measurement(value=float(np.mean(one)), n=len(one), outcomes=one) for one in row] for row in outcomes]


def drawn(rows=4, seeds=3, n=60, kind="real", seed=0):
    rng = np.random.default_rng(seed)
    item, fit = rng.normal(size=n), rng.normal(size=(rows, seeds, 1))
    values = item + 0.3 * fit + 0.5 * rng.normal(size=(rows, seeds, n)) + 0.2 * np.arange(rows)[:, None, None]
    return values > 0 if kind == "hits" else values


def reach(items, fits, freedom, seeds, level=0.05):
    """How far an interval of a level reaches, by scipy's quantiles."""
    t = scipy.stats.t.ppf(1 - level / 2, [freedom, seeds - 1])
    return np.sqrt(t[0] ** 2 * items + t[1] ** 2 * fits)


def p_at(difference, items, fits, freedom, seeds):
    """The level at which an interval reaches as far as a difference, by a root finder."""
    short = lambda level: reach(items, fits, freedom, seeds, np.exp(level)) - abs(difference)  # noqa: E731
    return np.exp(scipy.optimize.brentq(short, np.log(1e-110), -1e-12))


@pytest.mark.parametrize("kind", ["real", "hits"])
def test_variances_of_seeds_that_share_items_against_a_plain_loop(kind):
    values = drawn(kind=kind)
    rows, seeds, n = values.shape
    found = joint(measurements(values), shared=True)
    variances, reaches = found.reaches()
    for i in range(rows):
        one = values[i].astype(float)
        items, fits = one.mean(axis=0).var(ddof=1) / n, one.mean(axis=1).var(ddof=1) / seeds
        assert variances[i] == pytest.approx(items + fits, rel=1e-9)
        assert reaches[i] == pytest.approx(reach(items, fits, n - 1, seeds), rel=1e-9)
    np.testing.assert_allclose(found.values, values.mean(axis=(1, 2)))
    p = found.p()
    for i, j in itertools.combinations(range(rows), 2):
        one = values[i].astype(float) - values[j]
        items, fits = one.mean(axis=0).var(ddof=1) / n, one.mean(axis=1).var(ddof=1) / seeds
        assert found.errors()[i, j] == pytest.approx(np.sqrt(items + fits), rel=1e-9)
        grain = 1 / (seeds * n**2) if kind == "hits" else 0.0
        assert p[i, j] == p[j, i] == pytest.approx(p_at(one.mean(), items, fits + grain, n - 1, seeds), rel=1e-3)


def test_seeds_that_score_halves_keep_what_overlapping_halves_leave():
    values = drawn(rows=3, seeds=4)
    variances, _ = joint(measurements(values), shared=False).reaches()
    for i in range(3):
        items = np.mean([values[i, s].var(ddof=1) / values.shape[2] for s in range(4)]) * 5 / 8
        assert variances[i] == pytest.approx(items + values[i].mean(axis=1).var(ddof=1) / 4, rel=1e-9)


def test_rows_of_which_no_item_changes_with_the_seed_have_no_variation_of_fits():
    """Otherwise two seeds of counts that happen to be equal would say that fits do not vary."""
    rng = np.random.default_rng(0)
    base, other = rng.random(400) < 0.8, rng.random(400) < 0.6
    fixed = measurements([[base, base], [other, other]])
    assert p_of_all(fixed, shared=True)[0, 1] == pytest.approx(
        scipy.stats.ttest_rel(base.astype(float), other.astype(float)).pvalue, rel=1e-3
    )
    moved = other.copy()
    moved[[np.flatnonzero(other)[0], np.flatnonzero(~other)[0]]] ^= True  # as many, but not the same
    assert p_of_all(measurements([[base, base], [other, moved]]), shared=True)[0, 1] > 1e-3


def test_halves_of_unlike_sizes_are_taken_together():
    """Identical items stay in one half, so that halves need not be of one size."""
    rng = np.random.default_rng(0)
    sizes = (60, 61, 59)
    rows = [[rng.normal(size=n) + shift for n in sizes] for shift in (0.0, 0.4)]
    found = joint(measurements(rows), shared=False)
    for i, row in enumerate(rows):
        items = np.mean([one.var(ddof=1) / len(one) for one in row]) * 4 / 6
        fits = np.var([one.mean() for one in row], ddof=1) / 3
        assert found.reaches()[0][i] == pytest.approx(items + fits, rel=1e-9)
    assert 0 < found.p()[0, 1] < 1
    assert joint(measurements(rows), shared=True) is None


def test_the_mean_of_two_halves_varies_by_what_is_said():
    """Drawn from one set of items, halved anew for each seed."""
    rng = np.random.default_rng(1)
    n, seeds, means, said = 200, 4, [], []
    for _ in range(1500):
        items = rng.normal(size=n)
        halves = [items[rng.permutation(n)[: n // 2]] for _ in range(seeds)]
        found = joint(measurements([halves]), shared=False)
        means.append(found.values[0])
        said.append(found.reaches()[0][0])
    true = np.var(means)
    assert true <= np.mean(said) <= 1.35 * true


def test_left_out_groups_and_their_seeds():
    rng = np.random.default_rng(2)
    left = rng.normal(size=(3, 2, 20))
    values = rng.normal(size=(3, 2))
    rows = [[Measurement(value=values[i, s], n=100, jackknife=left[i, s]) for s in range(2)] for i in range(3)]
    found = joint(rows, shared=True)
    for i in range(3):
        mean = left[i].mean(axis=0)
        items = 19 / 20 * ((mean - mean.mean()) ** 2).sum()
        fits = values[i].var(ddof=1) / 2
        expected = items + fits, reach(items, fits, 19, 2)
        assert (found.reaches()[0][i], found.reaches()[1][i]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["real", "hits"])
def test_of_one_seed_joint_errors_are_those_of_a_paired_t_test(kind):
    values = drawn(seeds=1, kind=kind)
    found = joint(measurements(values), shared=True)
    for i, j in itertools.combinations(range(len(values)), 2):
        expected = scipy.stats.ttest_rel(values[i, 0].astype(float), values[j, 0].astype(float)).pvalue
        differ = np.count_nonzero(values[i, 0] != values[j, 0])
        assert found.p()[i, j] == pytest.approx(max(expected, 2 * 0.5**differ), rel=1e-3)


@pytest.mark.parametrize("kind", ["real", "hits"])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
def test_all_pairs_at_once_are_each_pair_alone(kind, seeds, shared):
    rows = measurements(drawn(seeds=seeds, kind=kind))
    together = p_of_all(rows, shared=shared)
    for i, j in itertools.combinations(range(len(rows)), 2):
        (alone,) = p_against([rows[i]], rows[j], shared=shared)
        assert together[i, j] == together[j, i] == pytest.approx(alone, rel=1e-9)
    np.testing.assert_allclose(p_against(rows[1:], rows[0], shared=shared), together[0, 1:], rtol=1e-9)


def test_of_one_seed_tests_are_exact():
    hits = drawn(seeds=1, kind="hits")
    rows = measurements(hits)
    assert p_of_all(rows, shared=True)[0, 1] == mcnemar_exact(hits[0, 0], hits[1, 0])
    real = measurements(drawn(seeds=1))
    assert p_of_all(real, shared=True)[2, 1] == paired_p(real[2][0], real[1][0])


def test_few_items_that_differ_are_never_sure():
    """However clear their differences, k items cannot give less than 2 in 2^k."""
    base = np.zeros(200)
    other = base.copy()
    other[:4] = 1.0
    rows = measurements(np.array([[base] * 3, [other] * 3]))
    assert p_of_all(rows, shared=True)[0, 1] == 2 * 0.5**4


def test_no_p_is_zero_or_not_a_number():
    base, other = np.zeros(300), np.ones(300)
    for rows in ([[base, base], [other, other]], [[base, base], [base, base]]):
        for kind in (float, bool):
            found = p_of_all(measurements(np.array(rows, dtype=kind)), shared=True)
            assert (found > 0).all()
            assert (found <= 1).all()
    jack = np.linspace(0, 1, 10)
    rows = [[Measurement(value=v, n=9, jackknife=jack + v)] * 2 for v in (0.1, 0.9)]
    assert 0 < p_of_all(rows, shared=True)[0, 1] < 1e-100


def test_rows_that_cannot_be_paired_cost_the_others_nothing():
    rows = measurements(drawn(rows=3, seeds=2))
    odd = [Measurement(value=0.5, n=7, outcomes=np.ones(7)) for _ in range(2)]
    found = p_against([rows[1], odd, rows[2]], rows[0], shared=True)
    assert found[1] is None
    np.testing.assert_allclose([found[0], found[2]], p_against(rows[1:], rows[0], shared=True))
    matrix = p_of_all([*rows, odd], shared=True)
    assert np.isnan(matrix[3, :3]).all()
    np.testing.assert_allclose(
        matrix[:3, :3][np.triu_indices(3, 1)], p_of_all(rows, shared=True)[np.triu_indices(3, 1)]
    )


def test_the_detectable_difference_has_the_power_that_is_said_over_all_rows():
    values = drawn(rows=5, seeds=4)
    together = joint(measurements(values), shared=True)
    found = detectable_over_seeds([together], 0.05 / 40)
    power = []
    for row in values[1:]:
        difference = row - values[0]
        items = difference.mean(axis=0).var(ddof=1) / 60
        fits = difference.mean(axis=1).var(ddof=1) / 4
        power.append(scipy.stats.norm.cdf((found - reach(items, fits, 59, 4, 0.05 / 40)) / np.sqrt(items + fits)))
    assert np.mean(power) == pytest.approx(0.8, abs=1e-9)
    alone = [joint(measurements(values[[0, row]]), shared=True) for row in range(1, 5)]
    assert detectable_over_seeds(alone, 0.05 / 40) == pytest.approx(found, rel=1e-9)


def test_of_rows_that_never_differ_nothing_is_detectable():
    values = drawn(rows=1, seeds=3)
    assert detectable_over_seeds([joint(measurements(np.concatenate([values, values])), shared=True)], 0.01) is None
    assert detectable_over_seeds([], 0.01) is None
