"""The retriever against plain NumPy, ties and batches included."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.embeddings.arrays import unit_rows
from gapbench.exact import exact_pair_scores, exact_scores, rounding_bound
from gapbench.retrieval import PromptIndex, own_ranks, own_ranks_by_scores, pool, top_classes_by_scores
from gapbench.specs import Pooling


def reference_classes(queries, texts, owner, n_classes, k, bias=0.0):
    """Top classes by float64 scores; a stable sort gives equal scores to the lower class."""
    scores = queries.astype(np.float64) @ texts.astype(np.float64).T + np.asarray(bias, dtype=np.float64)
    best = np.full((len(queries), n_classes), -np.inf)
    for row, own in enumerate(owner):
        best[:, own] = np.maximum(best[:, own], scores[:, row])
    return np.argsort(-best, axis=1, kind="stable")[:, :k], scores


def reference_ranks(scores, own):
    """Position of the best own item in a stable descending sort."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return [
        min((int(np.flatnonzero(order[q] == item)[0]) for item in items), default=scores.shape[1])
        for q, items in enumerate(own)
    ]


def grid_rows(rng, n, d):
    """Rows of few small whole numbers: all sums are exact in any order, and ties are everywhere."""
    return rng.integers(-2, 3, size=(n, d)).astype(np.float32)


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(1, 12))
    extra = draw(st.integers(0, 30))
    owner = rng.permutation(np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=extra)]))
    d = draw(st.integers(1, 6))
    texts = grid_rows(rng, len(owner), d)
    if draw(st.booleans()):  # the same prompt in many classes
        texts = texts[rng.integers(min(len(texts), 3), size=len(texts))]
    queries = grid_rows(rng, draw(st.integers(1, 40)), d)
    bias = grid_rows(rng, len(texts), 1)[:, 0] if draw(st.booleans()) else None
    return queries, texts, owner, n_classes, draw(st.integers(1, n_classes)), bias


@given(problem=problems())
@settings(deadline=None, max_examples=150)
def test_flat_index_equals_exact_numpy_with_ties_and_bias(problem):
    queries, texts, owner, n_classes, k, bias = problem
    index = PromptIndex(texts, owner, n_classes, text_bias=bias)
    classes, scores = index.top_classes(queries, k)
    expected, table = reference_classes(queries, texts, owner, n_classes, k, 0.0 if bias is None else bias)
    np.testing.assert_array_equal(classes, expected)
    best = np.array([[table[q, owner == c].max() for c in row] for q, row in enumerate(expected)])
    np.testing.assert_array_equal(scores, best)


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 59), pooling=st.sampled_from([1, 4]))
@settings(deadline=None, max_examples=40)
def test_real_valued_ties_do_not_depend_on_the_batch(seed, cut, pooling):
    rng = np.random.default_rng(seed)
    kinds = unit_rows(rng.standard_normal((7, 48)).astype(np.float32))
    texts = kinds[rng.integers(7, size=20 * pooling)]  # every prompt stands in several classes
    owner = np.repeat(np.arange(20), pooling)
    queries = unit_rows(rng.standard_normal((60, 48)).astype(np.float32))
    index = PromptIndex(texts, owner, 20)
    whole = index.top_classes(queries, 5)[0]
    parts = np.concatenate([index.top_classes(queries[:cut], 5)[0], index.top_classes(queries[cut:], 5)[0]])
    np.testing.assert_array_equal(whole, parts)
    first = {tuple(text): owner[np.flatnonzero((texts == text).all(axis=1))].min() for text in texts}
    nearest = [
        tuple(kinds_row) for kinds_row in texts[np.argmax(queries.astype(float) @ texts.T.astype(float), axis=1)]
    ]
    np.testing.assert_array_equal(whole[:, 0], [first[text] for text in nearest])


def test_near_ties_below_float32_resolution_are_decided_by_exact_scores():
    # Both scores round to 1 + 2**-23 in float32; the second is truly larger by 2**-40.
    query = np.array([[1, 2**-20, 2**-20]], dtype=np.float32)
    texts = np.array([[1, 0.125, 0], [1, 0.125, 2**-20]], dtype=np.float32)
    assert PromptIndex(texts, np.arange(2), 2).top_classes(query, 1)[0].item() == 1
    assert own_ranks(query, texts, [np.array([0])]).item() == 1


def test_a_collapsed_gallery_falls_to_the_lowest_classes_in_order():
    texts = np.tile(unit_rows(np.random.default_rng(0).standard_normal((1, 33)).astype(np.float32)), (50, 1))
    queries = unit_rows(np.random.default_rng(1).standard_normal((30, 33)).astype(np.float32))
    classes = PromptIndex(texts, np.arange(50), 50).top_classes(queries, 5)[0]
    np.testing.assert_array_equal(classes, np.tile(np.arange(5), (30, 1)))


def test_a_class_without_a_prompt_is_never_predicted():
    texts = np.eye(3, dtype=np.float32)
    classes, scores = PromptIndex(texts, np.array([0, 2, 2]), 4).top_classes(texts, 3)
    np.testing.assert_array_equal(classes, [[0, 2, -1], [2, 0, -1], [2, 0, -1]])
    assert np.isneginf(scores[:, 2]).all()


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_agree_with_flat_on_most_queries_and_are_repeatable(kind):
    rng = np.random.default_rng(3)
    texts = unit_rows(rng.standard_normal((400, 16)).astype(np.float32))
    owner = np.repeat(np.arange(100), 4)
    queries = unit_rows((texts[rng.integers(400, size=200)] + 0.1 * rng.standard_normal((200, 16))).astype(np.float32))
    index = PromptIndex(texts, owner, 100, kind=kind)
    assert index.recall_against_flat(queries) > 0.9
    again = PromptIndex(texts, owner, 100, kind=kind)
    np.testing.assert_array_equal(index.top_classes(queries, 5)[0], again.top_classes(queries, 5)[0])
    assert PromptIndex(texts, owner, 100).recall_against_flat(queries) == 1.0


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_indexes_give_ties_to_the_lower_class_and_take_a_bias(kind):
    texts = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)
    index = PromptIndex(texts, np.array([3, 1, 2, 0, 5, 4, 7, 6]), 8, kind=kind, text_bias=np.zeros(8, np.float32))
    np.testing.assert_array_equal(index.top_classes(np.eye(4, dtype=np.float32), 1)[0][:, 0], [1, 0, 4, 6])
    assert index.recall_against_flat(np.eye(4, dtype=np.float32), 1) == 1.0


def test_searching_leaves_the_number_of_faiss_threads_as_it_was():
    import faiss

    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(2)
        PromptIndex(np.eye(3, dtype=np.float32), np.arange(3), 3, threads=1).top_classes(np.eye(3, dtype=np.float32), 1)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)


@given(seed=st.integers(0, 10_000), d=st.integers(1, 40), scale=st.integers(-30, 30))
@settings(deadline=None, max_examples=40)
def test_exact_scores_are_exact_and_the_same_pair_by_pair(seed, d, scale):
    rng = np.random.default_rng(seed)
    queries = (rng.standard_normal((5, d)) * 2.0**scale).astype(np.float32)
    rows = rng.standard_normal((4, d)).astype(np.float32)
    rows[0] = 0
    scores = exact_scores(queries, rows)
    q, r = np.divmod(np.arange(20), 4)
    np.testing.assert_array_equal(scores.ravel(), exact_pair_scores(queries[q], rows[r]))
    for i in range(5):
        for j in range(4):
            true = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(queries[i], rows[j], strict=True))
            size = float(np.linalg.norm(queries[i]) * np.linalg.norm(rows[j]))
            assert abs(Fraction(float(scores[i, j])) - true) <= 1e-15 * size
            assert abs(float(queries[i] @ rows[j]) - float(true)) <= rounding_bound(queries[i : i + 1], rows)[0]


@st.composite
def galleries(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, m, d = draw(st.integers(1, 30)), draw(st.integers(1, 40)), draw(st.integers(1, 5))
    own = [np.sort(rng.choice(m, size=rng.integers(0, min(m, 4) + 1), replace=False)) for _ in range(n)]
    bias = grid_rows(rng, m, 1) if draw(st.booleans()) else None
    return grid_rows(rng, n, d), grid_rows(rng, m, d), own, bias


@given(case=galleries())
@settings(deadline=None, max_examples=150)
def test_own_ranks_equal_a_stable_sort_with_ties_and_bias(case):
    queries, gallery, own, bias = case
    scores = queries @ gallery.T + (0 if bias is None else bias.T)
    expected = reference_ranks(scores, own)
    biased = gallery if bias is None else np.hstack([gallery, bias])
    np.testing.assert_array_equal(own_ranks(queries, biased, own), expected)
    np.testing.assert_array_equal(own_ranks_by_scores([scores[:7], scores[7:]], own), expected)


@pytest.mark.parametrize("block", [1, 50, 100_000])
def test_own_ranks_of_duplicated_real_rows_do_not_depend_on_the_block(monkeypatch, block):
    rng = np.random.default_rng(5)
    gallery = unit_rows(rng.standard_normal((40, 64)).astype(np.float32))[rng.integers(40, size=120)]
    queries = unit_rows(rng.standard_normal((37, 64)).astype(np.float32))
    own = [np.array([i, 2 * i]) for i in range(37)]
    expected = reference_ranks(exact_scores(queries, gallery), own)
    monkeypatch.setattr("gapbench.exact.BLOCK_SCORES", block)
    np.testing.assert_array_equal(own_ranks(queries, gallery, own), expected)
    monkeypatch.setattr("gapbench.exact.MANY", 2.0)  # pair by pair whatever the number of close calls
    np.testing.assert_array_equal(own_ranks(queries, gallery, own), expected)


def test_a_query_that_owns_nothing_comes_last():
    rows = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(
        own_ranks(rows, rows, [np.array([0]), np.array([], dtype=np.int64), np.array([2])]), [0, 3, 0]
    )


@given(problem=problems())
@settings(deadline=None, max_examples=60)
def test_classes_from_scores_equal_classes_from_the_index(problem):
    queries, texts, owner, n_classes, k, _ = problem
    scores = queries @ texts.T
    expected = PromptIndex(texts, owner, n_classes).top_classes(queries, k)[0]
    np.testing.assert_array_equal(
        top_classes_by_scores([scores[:3], scores[3:]][: 1 + (len(scores) > 3)], owner, n_classes, k), expected
    )


def test_mean_pooling_averages_and_normalises_each_class():
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.standard_normal((7, 5)).astype(np.float32))
    owner = np.array([2, 0, 1, 2, 0, 2, 1])
    pooled, classes = pool(rows, owner, Pooling.MEAN, 3)
    np.testing.assert_array_equal(classes, [0, 1, 2])
    for c in range(3):
        mean = rows[owner == c].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(pooled[c], mean / np.linalg.norm(mean), atol=1e-6)
    assert pool(rows, owner, Pooling.NEAREST, 3)[0] is rows
