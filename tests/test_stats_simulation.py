"""What the intervals and tests promise, held against 10,000 simulated tables each, and against 1,000 where time is short.

Rates are compared with their promise plus three and a half times the Monte Carlo error of so many tables. Where the
promise is asymptotic, the cases say from how many items on it holds, and the bounds say by how much it fails before.
`pytest -m slow -n 0 -s tests/test_stats_simulation.py` prints every rate.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats

from gapbench import stats
from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.components import Measurement
from gapbench.joint import joint
from gapbench.power import detectable_over_seeds, minimum_detectable_effect
from gapbench.verdicts import SIGNIFICANT, holm, judge

TABLES = 10_000


@pytest.fixture(autouse=True, params=[1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def _tables(request, monkeypatch):
    monkeypatch.setitem(globals(), "TABLES", request.param)


def error(rate):
    return 3.5 * math.sqrt(rate * (1 - rate) / TABLES)


def covers(intervals, truth):
    low, high = np.array(intervals).T
    rate = float(np.mean((low <= truth) & (truth <= high)))
    print(f"\ncoverage {rate:.4f}")
    return rate


@pytest.mark.parametrize("n", [20, 100, 500, 8000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97, 0.995])
def test_wilson_intervals_cover_the_share(share, n):
    """Wilson's interval covers 95 % on average over shares; for single shares near 1 and few items it swings."""
    hits = np.random.default_rng(n).binomial(n, share, TABLES)
    ends = {int(k): stats.wilson(int(k), n) for k in np.unique(hits)}
    rate = covers([ends[int(k)] for k in hits], share)
    least = 0.945 if n * share * (1 - share) >= 15 else 0.93 if n * share * (1 - share) >= 1.5 else 0.90
    assert least - error(least) <= rate <= (0.965 if least == 0.945 else 0.99)


def test_wilson_intervals_cover_95_percent_on_average_over_all_shares():
    rng = np.random.default_rng(0)
    share = rng.random(TABLES)
    hits = rng.binomial(200, share)
    low, high = np.array([stats.wilson(int(k), 200) for k in hits]).T
    assert np.mean((low <= share) & (share <= high)) == pytest.approx(0.95, abs=0.003 + error(0.95))


SKEWED = {
    "u_shaped": (lambda rng, n: rng.beta(0.3, 0.1, n), 0.75),
    "exponential": (lambda rng, n: rng.exponential(size=n), 1.0),
    "lognormal": (lambda rng, n: rng.lognormal(size=n), math.exp(0.5)),
}


@pytest.mark.parametrize(
    ("name", "n", "least"),
    [
        ("u_shaped", 20, 0.91),
        ("u_shaped", 200, 0.94),
        ("exponential", 20, 0.88),
        ("exponential", 200, 0.935),
        ("exponential", 1500, 0.945),
        ("lognormal", 50, 0.88),
        ("lognormal", 200, 0.92),
        ("lognormal", 1500, 0.94),
    ],
)
def test_bootstrap_intervals_cover_the_mean_of_skewed_outcomes(name, n, least):
    draw, mean = SKEWED[name]
    rng = np.random.default_rng(n)
    rate = covers([stats.mean_interval(draw(rng, n)) for _ in range(TABLES)], mean)
    assert least - error(least) <= rate <= 0.95 + error(0.95)


@pytest.mark.parametrize(("images", "uneven"), [(100, False), (400, False), (400, True)])
def test_intervals_of_captions_cover_only_if_captions_of_one_image_stay_together(images, uneven):
    """Five captions an image, correlated by 0.5; of 1 to 7 captions the interval may be too wide, never too narrow."""
    rng = np.random.default_rng(images)
    counts = rng.integers(1, 8, images) if uneven else np.full(images, 5)
    owner = np.repeat(np.arange(images), counts)
    clustered, single = [], []
    for _ in range(TABLES):
        hits = rng.random(len(owner)) < rng.beta(0.8, 0.2, images)[owner]
        clustered.append(stats.interval(mean_by_item(hits, owner)))
        single.append(stats.wilson(int(hits.sum()), len(hits)))
    rate = covers(clustered, 0.8)
    assert rate >= 0.94 - error(0.94)
    assert uneven or rate <= 0.95 + error(0.95)
    assert covers(single, 0.8) < 0.80


@pytest.mark.parametrize("n", [6, 15, 40, 300])
def test_median_intervals_cover_the_median(n):
    values = np.random.default_rng(n).lognormal(sigma=2, size=(TABLES, n))
    rate = covers([stats.median_interval(row) for row in values], 1.0)
    low, _ = stats.median_interval(np.arange(1, n + 1))
    exact = 1 - 2 * scipy.stats.binom.cdf(low - 1, n, 0.5)
    assert exact >= 0.95
    assert rate == pytest.approx(exact, abs=error(exact))


def test_jackknife_intervals_cover_a_ratio_of_means():
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(TABLES, 100)) + 1
    y = x + rng.random((TABLES, 100))
    value = x.mean(1) / y.mean(1)
    left = (x.sum(1, keepdims=True) - x) / (y.sum(1, keepdims=True) - y)
    rate = covers([stats.jackknife_interval(v, row) for v, row in zip(value, left, strict=True)], 2 / 2.5)
    assert 0.94 - error(0.94) <= rate <= 0.95 + error(0.95)


def tables(rng, rows, n, correlation):
    """Latent normal values (rows, n), correlated between rows, of one table after the other."""
    own, shared = math.sqrt(1 - correlation), math.sqrt(correlation)
    for _ in range(TABLES):
        yield shared * rng.standard_normal(n, np.float32) + own * rng.standard_normal((rows, n), np.float32)


@pytest.mark.parametrize(
    ("n", "rows", "correlation", "accuracy"),
    [(100, 10, 0.9, 0.8), (1000, 10, 0.9, 0.8), (1000, 10, 0.5, 0.5), (500, 40, 0.97, 0.9)],
)
def test_mcnemar_with_holm_finds_a_false_difference_in_at_most_one_table_of_twenty(n, rows, correlation, accuracy):
    cut = NormalDist().inv_cdf(1 - accuracy)
    found = 0
    for latent in tables(np.random.default_rng(n + rows), rows + 1, n, correlation):
        base, *others = latent > cut
        found += min(holm([stats.mcnemar_exact(hits, base) for hits in others])) < 0.05
    print(f"\nfalse differences in {found / TABLES:.4f} of the tables")
    assert found / TABLES <= 0.05 + error(0.05)


def false_differences(rng, n, rows, outcomes):
    """Share of tables without a true difference in which the paired bootstrap with Holm's correction finds one.

    Differences of less than two standard errors are given p = 1 without a test: none of eight rows can be below
    0.05 / 8 there, whatever the rest, so that Holm's first step rejects none of them.
    """
    found = 0
    for latent in tables(rng, rows + 1, n, 0.8):
        values = outcomes(latent.astype(np.float64), rng)
        differences = values[1:] - values[0]
        spread = np.maximum(scipy.stats.sem(differences, axis=1), 1e-12)
        worth = np.abs(differences.mean(1)) > 2 * spread
        p = [
            stats.paired_bootstrap(row, values[0]) if test else 1.0 for row, test in zip(values[1:], worth, strict=True)
        ]
        found += min(holm(p)) < 0.05
    print(f"\nfalse differences in {found / TABLES:.4f} of the tables")
    return found / TABLES


OUTCOMES = {
    "normal": lambda latent, _: latent,
    "lognormal": lambda latent, _: np.exp(latent),
    "captions": lambda latent, _: np.clip(np.floor(latent + 2.5), 0, 5) / 5,
    # Every difference is an exponential variable less its mean: as skewed as the worst that metrics of a few items give.
    "skewed_differences": lambda latent, rng: np.vstack(
        [latent[:1], latent[:1] + 0.3 * (rng.standard_exponential((len(latent) - 1, latent.shape[1])) - 1)]
    ),
}


@pytest.mark.parametrize("n", [100, 300, 1500])
@pytest.mark.parametrize("outcomes", ["normal", "lognormal", "captions"])
def test_the_paired_bootstrap_with_holm_keeps_its_promise_from_100_items_on(outcomes, n):
    assert false_differences(np.random.default_rng(n), n, 8, OUTCOMES[outcomes]) <= 0.05 + error(0.05)


@pytest.mark.parametrize(("n", "most"), [(20, 0.12), (50, 0.07)])
def test_of_fewer_items_the_paired_bootstrap_is_too_sure(n, most):
    rate = false_differences(np.random.default_rng(n), n, 8, OUTCOMES["normal"])
    assert 0.05 < rate <= most


@pytest.mark.parametrize(("n", "least", "most"), [(100, 0.07, 0.12), (300, 0.05, 0.08), (3000, 0.0, 0.055)])
def test_of_skewed_differences_the_paired_bootstrap_needs_thousands_of_items(n, least, most):
    rate = false_differences(np.random.default_rng(n), n, 8, OUTCOMES["skewed_differences"])
    assert least - error(least) <= rate <= most + error(0.05)


@pytest.mark.parametrize(
    ("n", "discordant", "rows"), [(500, 0.2, 1), (500, 0.2, 10), (2000, 0.05, 10), (8000, 0.02, 40)]
)
def test_mcnemar_finds_the_detectable_difference_in_four_tables_of_five(n, discordant, rows):
    effect = 0.0
    for _ in range(20):  # the error and the difference fix each other
        effect = minimum_detectable_effect([math.sqrt((discordant - effect**2) / n)], n, rows, binary=True)
    rng = np.random.default_rng(n)
    better, worse = (discordant + effect) / 2, (discordant - effect) / 2
    counts = rng.multinomial(n, [better, worse, 1 - discordant], size=TABLES)
    pairs, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    found = 0
    for (up, down), often in zip(pairs, times, strict=True):
        a = np.arange(n) < up
        b = (np.arange(n) >= up) & (np.arange(n) < up + down)
        found += often * (stats.mcnemar_exact(a, b) < 0.05 / rows)
    print(f"\nfound in {found / TABLES:.4f} of the tables")
    assert 0.75 <= found / TABLES <= 0.80 + error(0.80)


@pytest.mark.parametrize(("n", "rows"), [(300, 1), (300, 10), (1500, 40)])
def test_the_paired_bootstrap_finds_the_detectable_difference_in_four_tables_of_five(n, rows):
    rng = np.random.default_rng(n)
    effect = minimum_detectable_effect([1 / math.sqrt(n)], n, rows, binary=False)
    zero = np.zeros(n)
    found = 0
    for _ in range(TABLES // 5):
        found += stats.paired_bootstrap(effect + rng.standard_normal(n), zero) < 0.05 / rows
    rate = found / (TABLES // 5)
    print(f"\nfound in {rate:.4f} of the tables")
    assert rate == pytest.approx(0.80, abs=0.01 + math.sqrt(5) * error(0.80))


@pytest.mark.parametrize("spread", [0.0, 0.05])
@pytest.mark.parametrize("seeds", [2, 4, 10])
def test_of_few_seeds_the_detectable_difference_is_found_about_four_times_in_five(seeds, spread):
    """Each table tells its own difference, and another one is drawn in which the rows differ by that."""
    rng = np.random.default_rng(seeds)

    def table(difference):
        fits = spread * rng.standard_normal((12, seeds, 1))
        values = rng.standard_normal(200) + 0.5 * rng.standard_normal((12, seeds, 200)) + fits
        values[1:] += difference
        rows = [[Measurement(value=float(one.mean()), n=200, outcomes=one) for one in row] for row in values]
        return joint(rows, shared=True)

    found = [
        np.mean(table(detectable_over_seeds([table(0.0)], 0.0025)).p()[0, 1:] < 0.0025) for _ in range(TABLES // 10)
    ]
    print(f"\nfound in {np.mean(found):.4f} of the rows")
    assert 0.62 <= np.mean(found) <= 0.86


def judged(hits):
    """Verdicts of rows of hits, the first of which is `identity`, as a leaderboard makes them."""
    return judge(hits.mean(1), stats.mcnemar_exact_matrix(hits), np.ones(len(hits), dtype=bool), 0)


@pytest.mark.parametrize(
    ("accuracies", "apart"),
    [
        ([0.8] * 6, 0.02),  # all equal
        ([0.8, 0.8, 0.5, 0.5, 0.95, 0.95], 0.03),  # three equal pairs, far from each other
        ([0.8, 0.8, 0.82], 0.30),  # a third row that is found to be better than one of the two, but not than both
    ],
)
def test_equal_rows_are_not_told_apart_and_no_row_ranks_below_its_true_rank(accuracies, apart):
    cuts = np.array([[NormalDist().inv_cdf(1 - accuracy)] for accuracy in accuracies])
    true = [1 + sum(other > mine for other in accuracies) for mine in accuracies]
    told_apart = too_low = other_rank = 0
    for latent in tables(np.random.default_rng(0), len(accuracies), 1000, 0.9):
        verdicts = judged(latent > cuts)
        ranks = [low for low, _ in verdicts.ranks(np.ones(len(accuracies), dtype=bool))]
        told_apart += verdicts.p(0, 1) < SIGNIFICANT
        too_low += any(rank > bound for rank, bound in zip(ranks, true, strict=True))
        other_rank += ranks[0] != ranks[1]
    print(f"\ntold apart {told_apart / TABLES:.4f}, too low {too_low / TABLES:.4f}, unequal {other_rank / TABLES:.4f}")
    assert told_apart / TABLES <= 0.05 + error(0.05)
    assert too_low / TABLES <= 0.05 + error(0.05)
    assert other_rank / TABLES <= apart
