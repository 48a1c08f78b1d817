"""Moments: equal to NumPy, mergeable, and each pass made once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.embeddings.arrays import ShardedRows, blocks, unit_rows
from gapbench.embeddings.moments import ClassSums, LazyMoments, PairSums, RowSums, add_grouped


def rows(seed, n, d=5):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@given(n=st.integers(2, 60), size=st.integers(1, 70), seed=st.integers(0, 99))
@settings(deadline=None)
def test_sums_equal_numpy_whatever_the_blocks(n, size, seed):
    x, y = rows(seed, n), rows(seed + 1, n)
    sums = RowSums.of(lambda: (x[b] for b in blocks(n, size)))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(sums.mean, wide.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(sums.covariance, np.cov(wide.T, bias=True), atol=1e-12)
    pairs = PairSums.of(lambda: ((x[b], y[b]) for b in blocks(n, size)))
    np.testing.assert_allclose(pairs.cross, wide.T @ y.astype(np.float64), atol=1e-11)
    np.testing.assert_allclose(pairs.texts.second, y.astype(np.float64).T @ y, atol=1e-11)


def test_two_halves_add_up_to_the_whole():
    x, y = rows(0, 30), rows(1, 30)
    whole = PairSums.of(lambda: iter([(x, y)]))
    parts = PairSums.of(lambda: iter([(x[:11], y[:11])])) + PairSums.of(lambda: iter([(x[11:], y[11:])]))
    assert parts.n == whole.n
    np.testing.assert_allclose(parts.cross, whole.cross, rtol=1e-12)
    np.testing.assert_allclose(parts.images.covariance, whole.images.covariance, rtol=1e-9, atol=1e-12)


def test_class_sums():
    x, labels = rows(0, 40), np.random.default_rng(0).integers(0, 3, 40)
    sums = ClassSums.of(lambda: ((x[b], labels[b]) for b in blocks(40, 7)), 4)
    assert sums.counts.tolist() == np.bincount(labels, minlength=4).tolist()
    for label in range(4):
        np.testing.assert_allclose(sums.sums[label], x[labels == label].sum(axis=0, dtype=np.float64), atol=1e-12)


def test_grouped_addition_equals_add_at():
    x, groups = rows(0, 50), np.random.default_rng(1).integers(0, 9, 50)
    fast, slow = np.zeros((9, 5)), np.zeros((9, 5))
    add_grouped(fast, groups, x)
    np.add.at(slow, groups, x.astype(np.float64))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_first_moments_need_no_second_pass():
    passes = []

    def images():
        passes.append(1)
        yield rows(0, 10)

    moments = LazyMoments(
        image_blocks=images,
        text_blocks=images,
        pair_blocks=lambda: iter(()),
        label_blocks=lambda: iter(()),
        n_classes=0,
    )
    for _ in range(3):
        assert moments.images.mean.shape == (5,)
    assert len(passes) == 1
    assert moments.images.covariance.shape == (5, 5)
    assert moments.images.second is moments.images.second
    assert len(passes) == 2


def test_unit_rows_keep_zero_rows_and_normalise_tiny_ones():
    x = np.array([[0, 0], [3e-30, 4e-30], [1e20, 0]], dtype=np.float32)
    np.testing.assert_allclose(unit_rows(x), [[0, 0], [0.6, 0.8], [1, 0]], rtol=1e-6)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_shards_read_as_one_array(sizes, data):
    parts = [rows(i, size) for i, size in enumerate(sizes)]
    whole, sharded = (
        np.concatenate(parts),
        ShardedRows([p.astype(np.float16) if i % 2 else p for i, p in enumerate(parts)]),
    )
    assert sharded.shape == whole.shape
    index = np.array(data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=9)))
    np.testing.assert_allclose(sharded[index], whole[index], atol=2e-3)
    start = data.draw(st.integers(0, len(whole)))
    np.testing.assert_allclose(sharded[start:], whole[start:], atol=2e-3)
