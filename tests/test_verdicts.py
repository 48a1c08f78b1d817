"""One verdict for each pair of rows: what it may never say, over random tables, and against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from gapbench.verdicts import SIGNIFICANT, family, holm, judge

P = st.one_of(st.floats(1e-12, 1), st.sampled_from([1e-9, 0.004, 0.02, 0.049, 0.05, 1.0]))


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_holm_equals_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(family(p), np.minimum(1, 2 * multipletests(p, method="holm")[1]), atol=1e-12)


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []
    assert family([]).tolist() == []


@st.composite
def tables(draw, controls=True):
    """Values, a symmetric matrix of p values, which rows are ranked, and the row of identity."""
    rows = draw(st.integers(2, 7))
    gains = np.array(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)), dtype=float)
    p = np.full((rows, rows), np.nan)
    for i in range(rows):
        for j in range(i):
            p[i, j] = p[j, i] = draw(P) if gains[i] != gains[j] else 1.0
    ranked = np.ones(rows, dtype=bool)
    base = draw(st.integers(0, rows - 1))
    for i in range(rows):
        ranked[i] = i == base or not controls or draw(st.booleans())
    return gains, p, ranked, base


@given(table=tables())
@settings(max_examples=300)
def test_what_verdicts_may_never_say(table):
    gains, p, ranked, base = table
    found = judge(gains, p, ranked, base)
    sure = found.better < SIGNIFICANT
    assert not (sure & sure.T).any(), "each is better than the other"
    assert not sure[gains[:, None] <= gains[None, :]].any(), "the better one has the lower value"
    assert not (((sure.astype(int) @ sure.astype(int)) > 0) & ~sure).any(), "a chain is not closed"
    ranks = found.ranks(ranked)
    assert [place is None for place in ranks] == (~ranked).tolist()
    for i in np.flatnonzero(ranked):
        low, high = ranks[i]
        assert 1 <= low <= high <= ranked.sum()
        if found.p(i, base) < SIGNIFICANT:
            ahead = gains[i] > gains[base]
            assert (low < ranks[base][0]) == ahead, "it is marked, and shares the rank of identity"
            assert (high < ranks[base][1]) == ahead
            assert low != ranks[base][0]


@given(table=tables(controls=False))
@settings(max_examples=200)
def test_ranks_count_the_rows_that_are_better_and_worse(table):
    gains, p, ranked, base = table
    found = judge(gains, p, ranked, base)
    for i, (low, high) in enumerate(found.ranks(ranked)):
        others = [j for j in range(len(gains)) if j != i]
        assert low == 1 + sum(found.better[j, i] < SIGNIFICANT for j in others)
        assert high == len(gains) - sum(found.better[i, j] < SIGNIFICANT for j in others)


@given(table=tables(), gain=st.integers(-3, 12), chance=P)
@settings(max_examples=200)
def test_a_control_more_turns_no_verdict_round(table, gain, chance):
    gains, p, ranked, base = table
    before = judge(gains, p, ranked, base).better < SIGNIFICANT
    rows = len(gains)
    more = np.full((rows + 1, rows + 1), np.nan)
    more[:rows, :rows] = p
    more[rows, base] = more[base, rows] = chance if gain != gains[base] else 1.0
    after = judge(np.append(gains, gain), more, np.append(ranked, False), base).better[:rows, :rows] < SIGNIFICANT
    assert not (before & after.T).any()


@given(table=tables(), seed=st.integers(0, 99))
@settings(max_examples=100)
def test_the_order_of_the_rows_plays_no_part(table, seed):
    gains, p, ranked, base = table
    order = np.random.default_rng(seed).permutation(len(gains))
    one = judge(gains, p, ranked, base)
    two = judge(gains[order], p[np.ix_(order, order)], ranked[order], int(np.flatnonzero(order == base)[0]))
    np.testing.assert_allclose(two.better, one.better[np.ix_(order, order)])


@given(table=tables())
@settings(max_examples=200)
def test_no_correction_makes_a_tested_pair_surer_unless_others_imply_it(table):
    gains, p, ranked, base = table
    found = judge(gains, p, ranked, base).better
    least = np.where(gains[:, None] > gains[None, :], np.nan_to_num(p, nan=1.0), 1.0)
    for k in range(len(gains)):  # the surest chain of raw p values
        least = np.minimum(least, np.maximum(least[:, [k]], least[[k]]))
    assert (found >= least - 1e-15).all()


def test_both_families_at_half_the_level_by_hand():
    """Four rows and a control, of two metrics' worth of p values that go through Holm by hand."""
    gains = np.array([0.5, 0.6, 0.7, 0.4, 0.1])
    ranked = np.array([True, True, True, True, False])
    p = np.full((5, 5), np.nan)
    for (i, j), one in {
        (0, 1): 0.004, (0, 2): 0.001, (0, 3): 0.2, (0, 4): 1e-9, (1, 2): 0.3, (1, 3): 0.003, (2, 3): 0.0005,
    }.items():  # fmt: skip
        p[i, j] = p[j, i] = one
    found = judge(gains, p, ranked, 0)
    # against identity: 1e-9 x 4, 0.001 x 3, 0.004 x 2, 0.2; all pairs: 0.0005 x 6, 0.001 x 5, 0.003 x 4, 0.004 x 3, ...
    assert found.p(0, 4) == pytest.approx(2 * 4e-9)
    assert found.p(0, 2) == pytest.approx(2 * 0.003)
    assert found.p(0, 1) == pytest.approx(2 * 0.008)
    assert found.p(2, 3) == pytest.approx(2 * 0.003)
    assert found.p(1, 3) == pytest.approx(2 * 0.012)
    assert found.p(0, 3) == pytest.approx(2 * 0.2)
    assert found.better[2, 4] == pytest.approx(2 * 0.003), "better than identity, which is better than the control"
    assert found.ranks(ranked) == [(3, 4), (1, 2), (1, 2), (3, 4), None]


def test_without_identity_all_pairs_are_tested():
    p = np.array([[np.nan, 1e-6], [1e-6, np.nan]])
    found = judge(np.array([1.0, 2.0]), p, np.ones(2, dtype=bool), None)
    assert found.p(0, 1) == pytest.approx(2e-6)
    assert found.ranks(np.ones(2, dtype=bool)) == [(2, 2), (1, 1)]
