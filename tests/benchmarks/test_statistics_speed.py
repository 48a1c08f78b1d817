"""Speed of intervals and paired tests, each with its baseline in the same run; `pytest -m benchmark -n 0 -s` prints them."""

import time
import tracemalloc

import numpy as np
import pytest
import scipy.stats

from gapbench import bootstrap, stats
from gapbench.components import Measurement
from gapbench.verdicts import holm

N = 8000


def best(call, runs=5):
    """Least processor time of a few calls, in ms: other work on the machine does not count."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def loop(values, resamples):
    """Bootstrap means as they are often written."""
    rng = np.random.default_rng(0)
    return np.array([rng.choice(values, len(values)).mean() for _ in range(resamples)])


def baselines(values):
    """ms for 10,000 resamples by a NumPy loop and by scipy, both measured on fewer."""
    by_loop = best(lambda: loop(values, 200), runs=3) * stats.RESAMPLES / 200
    by_scipy = best(
        lambda: scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=200, rng=0), runs=3
    )
    return by_loop, by_scipy * stats.RESAMPLES / 200


def show(name, mine, values):
    by_loop, by_scipy = baselines(values)
    print(f"\n{name}: {mine:.2f} ms; NumPy loop {by_loop:.0f} ms ({by_loop / mine:.0f} x), ", end="")
    print(f"scipy.stats.bootstrap {by_scipy:.0f} ms ({by_scipy / mine:.0f} x)")
    return min(by_loop, by_scipy) / mine


@pytest.mark.benchmark
@pytest.mark.parametrize("kind", ["hits", "differences"])
def test_bootstrap_of_8000_hits_takes_less_than_50_ms(kind):
    rng = np.random.default_rng(0)
    hits = (rng.random(N) < 0.97).astype(float)
    values = hits if kind == "hits" else hits - (rng.random(N) < 0.97)
    mine = best(lambda: stats.mean_interval(values))
    assert show(f"interval of {N} {kind}", mine, values) > 20
    assert mine < 50


@pytest.mark.benchmark
def test_bootstrap_of_8000_real_outcomes_takes_less_than_two_seconds_at_first_and_milliseconds_then():
    values = np.random.default_rng(0).gamma(2, size=N)
    bootstrap._strata.cache_clear()
    first = best(lambda: stats.mean_interval(values), runs=1)
    again = best(lambda: stats.mean_interval(values))
    assert show(f"interval of {N} real outcomes", again, values) > 20
    print(f"the first one: {first:.0f} ms")
    assert first < 2000
    assert again < 50


@pytest.mark.parametrize(("n", "most"), [(1000, 45), (N, 16), (200_000, 24)])
def test_shared_resamples_stay_within_their_stated_memory(n, most):
    """40 MB for up to 1,000 items, 12 MB for more (and a few copies of the values)."""
    values = np.random.default_rng(0).random(n)
    bootstrap._strata.cache_clear()
    bootstrap._resamples.cache_clear()
    stats.mean_interval(values)
    bootstrap._strata.cache_clear()
    bootstrap._resamples.cache_clear()
    tracemalloc.start()
    stats.mean_interval(values)
    kept, peak = (size / 1e6 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    print(f"\n{n} items: {kept:.0f} MB kept, {peak:.0f} MB at most")
    assert kept < most
    assert peak < most + 60


@pytest.mark.benchmark
def test_all_pairs_of_forty_rows():
    rng = np.random.default_rng(0)
    base = rng.standard_normal(N)
    latent = [0.9 * base + 0.4 * rng.standard_normal(N) for _ in range(40)]
    pairs = [(i, j) for i in range(40) for j in range(i)]

    def compare(outcomes):
        rows = [Measurement(value=float(row.mean()), n=N, outcomes=row) for row in outcomes]
        return holm([stats.paired_p(rows[i], rows[j]) for i, j in pairs])

    start = time.process_time()
    compare([row > -1.9 for row in latent])
    hits = time.process_time() - start
    compare([np.clip(np.floor(row + 3.5), 0, 5) / 5 for row in latent])
    captions = time.process_time() - start - hits
    rows = [row > -1.9 for row in latent]
    tables = best(
        lambda: [scipy.stats.binomtest(int((a & ~rows[0]).sum()), int((a ^ rows[0]).sum())) for a in rows[1:]]
    )
    print(f"\n{len(pairs)} pairs of {N} items: hits {1000 * hits:.0f} ms ", end="")
    print(f"(scipy.stats.binomtest {tables * len(pairs) / 39:.0f} ms), recalls of five captions {captions:.1f} s")
    assert hits < 0.5
    assert captions < 8


@pytest.mark.benchmark
def test_the_statistics_of_a_table_of_forty_rows_and_fifteen_metrics():
    """Nine metrics of hits, four of real outcomes, two with a jackknife: an interval and a test for each row."""
    rng = np.random.default_rng(0)
    draws = [lambda: rng.random(N) < 0.9] * 9 + [lambda: rng.random(N)] * 4
    kinds = [("outcomes", draw) for draw in draws] + [("jackknife", lambda: rng.random(100))] * 2
    table = [[Measurement(value=0.5 + i / 100, n=N, **{field: draw()}) for i in range(41)] for field, draw in kinds]
    start = time.process_time()
    for base, *others in table:
        for row in others:
            stats.interval(row)
        holm([stats.paired_p(row, base) for row in others])
    took = time.process_time() - start
    print(f"\n40 rows x 15 metrics of {N} items: {took:.2f} s")
    assert took < 4
