"""Identities that hold exactly, whatever the data: each is a property, not an example."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
from helpers import BY_NAME, caption_pairs, caption_split, class_split, fitted, scored
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.builtin.metrics.gaps import RelativeModalityGap
from gapbench.components import GapSums
from gapbench.embeddings.arrays import unit_rows
from gapbench.embeddings.moments import PairSums, RowSums

sizes = {"seed": st.integers(0, 10_000), "n": st.integers(3, 60), "d": st.integers(2, 12)}
few = settings(deadline=None, max_examples=30)


def clear(scores, margin=1e-5):
    """Rows whose order no rounding can change."""
    return np.diff(np.sort(scores, axis=1), axis=1).min(axis=1) > margin


@given(**sizes)
@few
def test_1_mean_cosine_within_a_modality_follows_from_sums(seed, n, d):
    rows, _ = caption_pairs(n, d, seed)
    cosines = rows.astype(np.float64) @ rows.T.astype(np.float64)
    direct = cosines[~np.eye(n, dtype=bool)].mean()
    total = RowSums.of(lambda: iter([rows])).total
    assert (total @ total - n) / (n * (n - 1)) == pytest.approx(direct, abs=1e-6)


@given(**sizes, amount=st.floats(-3, 3))
@few
def test_2_moving_one_side_never_changes_the_order_of_its_own_candidates(seed, n, d, amount):
    x, y = caption_pairs(n, d, seed)
    split = caption_split(x, y)
    plain = x.astype(np.float64) @ y.T.astype(np.float64)
    moved = fitted("shift-to-mean", split, amount=amount).texts(y)
    sure = clear(plain)
    np.testing.assert_array_equal(np.argsort(x @ moved.T, 1)[sure], np.argsort(plain, 1)[sure])
    shifted = fitted("shift-to-mean", split, amount=amount, side="images").images(x)
    sure = clear(plain.T)
    np.testing.assert_array_equal(np.argsort(y @ shifted.T, 1)[sure], np.argsort(plain.T, 1)[sure])


@given(**sizes, strength=st.floats(0, 1))
@few
def test_3_dn_is_a_bias_of_each_candidate(seed, n, d, strength):
    x, y = caption_pairs(n, d, seed)
    split = caption_split(x, y)
    dn = fitted("dn", split, strength=strength)
    scores = dn.images(x).astype(np.float64) @ dn.texts(y).T.astype(np.float64)
    bias = fitted("logit-bias", split, weight=strength)
    biased = x.astype(np.float64) @ y.T + bias.text_bias(y)
    np.testing.assert_allclose(np.ptp(scores - biased, axis=1), 0, atol=1e-6)  # a constant for each query
    back = y.astype(np.float64) @ x.T + bias.image_bias(x)
    np.testing.assert_allclose(np.ptp(scores.T - back, axis=1), 0, atol=1e-6)


@given(**sizes)
@few
def test_4_centring_is_one_transform_under_all_its_names(seed, n, d):
    x, y = caption_pairs(n, d, seed)
    length = np.random.default_rng(seed).uniform(0.5, 3, (n, 1)).astype(np.float32)
    from_raw = unit_rows(length * x).astype(np.float64)
    once = from_raw - from_raw.mean(0)
    expected = once / np.linalg.norm(once, axis=1, keepdims=True)
    split = caption_split((length * x).astype(np.float32), y)
    for name in ("mean-center", "role-center"):
        np.testing.assert_allclose(fitted(name, split).images(unit_rows(length * x)), expected, atol=1e-4)


@given(**sizes)
@few
def test_5_oracle_leace_is_centring_on_the_pooled_mean_and_leace_makes_the_means_equal(seed, n, d):
    x, y = caption_pairs(n, d, seed)
    split = caption_split(x, y)
    pooled = (x.astype(np.float64).mean(0) + y.astype(np.float64).mean(0)) / 2
    centred = fitted("mean-center", split, renormalise=False)
    oracle = fitted("oracle-leace", split, renormalise=False)
    np.testing.assert_allclose(oracle.images(x), centred.images(x) + pooled, atol=1e-5)
    np.testing.assert_allclose(oracle.texts(y), centred.texts(y) + pooled, atol=1e-5)
    leace = fitted("leace", split, renormalise=False)
    np.testing.assert_allclose(leace.images(x).mean(0), leace.texts(y).mean(0), atol=1e-5)
    change = leace.images(x).astype(np.float64) - x
    assert np.linalg.matrix_rank(change, tol=1e-4) <= 1


@given(**sizes)
@few
def test_6_paired_distance_is_centroid_distance_plus_spread(seed, n, d):
    x, y = caption_pairs(n, d, seed)
    sums = PairSums.of(lambda: iter([(x, y)]))
    gap = sums.images.mean - sums.texts.mean
    cross = sums.cross / n - np.outer(sums.images.mean, sums.texts.mean)
    spread = np.trace(sums.images.covariance + sums.texts.covariance - cross - cross.T)
    direct = np.mean(np.sum((x.astype(np.float64) - y) ** 2, axis=1))
    assert gap @ gap + spread == pytest.approx(direct, abs=1e-6)
    assert 2 - 2 * np.mean(np.sum(x.astype(np.float64) * y, axis=1)) == pytest.approx(direct, abs=1e-5)


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5))
@few
def test_7_class_prompts_leave_most_of_a_rotation_open(seed, classes):
    split = class_split(n_classes=classes, d=12, seed=seed)
    x, texts = split.images, split.prompts.rows
    one, other = (fitted("procrustes", split, tie_break=how) for how in ("identity", "none"))
    assert one.notes()["rank"] == classes
    np.testing.assert_allclose(one.images(x) @ texts.T, other.images(x) @ texts.T, atol=1e-5)
    mean = one.images(x).mean(0) - texts.mean(0), other.images(x).mean(0) - texts.mean(0)
    inside = scipy.linalg.orth(texts.T.astype(np.float64))
    np.testing.assert_allclose(mean[0] @ inside, mean[1] @ inside, atol=1e-5)


@pytest.mark.parametrize(
    ("paired", "images", "texts", "expected"), [(0.3228, 0.5414, 0.5756, 0.496), (0.3228, 0.0, 0.0, 0.404)]
)
def test_8_rmg_is_the_authors_not_its_namesake(paired, images, texts, expected):
    n = 1e9
    sums = GapSums(
        image_count=np.array([n]),
        image_sum=np.array([[n * images, 0]]),
        text_count=np.array([n]),
        text_sum=np.array([[0, n * texts]]),
        pair_count=np.array([n]),
        pair_dot=np.array([n * paired]),
    )
    value = RelativeModalityGap().measure(SimpleNamespace(gap_sums=lambda: sums)).value
    assert value == pytest.approx(expected, abs=1e-3)
    if images == texts == 0:  # perfectly centred: (1 - c) / (2 - c)
        assert value == pytest.approx((1 - paired) / (2 - paired), abs=1e-6)


def test_9_equal_means_do_not_make_good_retrieval_where_a_common_mean_is_left():
    lost = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal((120, 10))
        # Along the common mean, images vary by themselves: what is left of the mean after the gap is closed counts this.
        x, y = (shared + 0.5 * rng.standard_normal((120, 10)) for _ in range(2))
        x[:, 0] += 4 + 1.5 * rng.standard_normal(120)
        y[:, 1] += 4
        split = caption_split(*(unit_rows(rows.astype(np.float32)) for rows in (x, y)))

        def recall(name, split=split, **params):
            aligner = fitted(name, split, **params)
            return np.mean(scored(aligner, BY_NAME[name], split, captioned=True).image_to_text_ranks() == 0)

        lost.append((recall("gap-projection"), recall("gap-projection", common=True)))
    kept, restored = np.mean(lost, axis=0)
    assert restored > kept + 0.02


def test_10_renormalising_after_a_shift_changes_the_answer():
    x, y = caption_pairs(n=200, d=6)
    split = caption_split(x, y)
    plain = (x @ y.T).argmax(1)
    assert (plain == (x @ fitted("shift-to-mean", split).texts(y).T).argmax(1)).mean() > 0.99
    assert (plain == (x @ fitted("shift-to-mean", split, renormalise=True).texts(y).T).argmax(1)).mean() < 0.95
