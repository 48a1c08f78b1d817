"""The built-in aligners against scipy, against their definitions, and against published properties."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import scipy.linalg
from helpers import BY_NAME, caption_pairs, caption_split, class_split, fitted
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.builtin.aligners.controls import Identity, RandomRotation
from gapbench.builtin.aligners.procrustes import nearest_rotation
from gapbench.embeddings.arrays import unit_rows
from gapbench.retrieval import PromptIndex
from gapbench.specs import ActsOn, Need


@pytest.mark.parametrize("name", BY_NAME)
def test_the_factory_takes_every_declared_parameter_with_the_declared_default(name):
    spec = BY_NAME[name]
    module, _, attribute = spec.factory.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    defaults = {key: param.default for key, param in spec.params.items()}
    assert {**spec.options, **defaults}.items() <= vars(factory(**spec.options, **defaults)).items()
    for key, param in spec.params.items():
        for value in (*param.choices, *param.grid, *(v for v in (param.low, param.high) if v is not None)):
            assert vars(factory(**spec.options, **{**defaults, key: value}))[key] == value


@pytest.mark.parametrize("kind", ["captions", "classes"])
@pytest.mark.parametrize("name", BY_NAME)
def test_every_aligner_keeps_the_contract(name, kind):
    spec = BY_NAME[name]
    if kind == "captions" and Need.CLASS_TEXTS in spec.needs:
        pytest.skip("it needs classes, so the plan leaves it out here")
    split = caption_split(*caption_pairs()) if kind == "captions" else class_split()
    x, t = split.images[:20], (split.captions or split.prompts).rows[:3]
    before = x.copy(), t.copy()
    aligner = fitted(name, split)
    widths = set()
    for rows, out_of in methods(spec, aligner, x, t):
        out = out_of(rows)
        assert len(out) == len(rows)
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        np.testing.assert_allclose(np.concatenate([out_of(rows[:1]), out_of(rows[1:])]), out, atol=1e-5)
        if spec.acts_on is not ActsOn.SCORES:
            widths.add(out.shape[1])
    assert len(widths) <= 1
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(t, before[1])
    if spec.acts_on in (ActsOn.NOTHING, ActsOn.IMAGES):
        assert aligner.texts(t) is t
    if spec.acts_on in (ActsOn.NOTHING, ActsOn.TEXTS):
        assert aligner.images(x) is x


def methods(spec, aligner, x, t):
    """What the aligner does to rows, each with the rows that it is given."""
    if spec.acts_on is not ActsOn.SCORES:
        return [(x, aligner.images), (t, aligner.texts)]
    if hasattr(aligner, "scores"):
        return [(x, lambda rows: aligner.scores(rows, t))]
    return [(t, aligner.text_bias), (x, aligner.image_bias)]


def test_identity_changes_nothing():
    images, texts = caption_pairs()
    aligner = Identity()
    assert aligner.images(images) is images
    assert aligner.texts(texts) is texts


def test_random_rotation_is_orthogonal_seeded_and_uniform():
    split = caption_split(*caption_pairs())
    eye = np.eye(8, dtype=np.float32)
    q = fitted("random-rotation", split, seed=1).images(eye)
    np.testing.assert_allclose(q @ q.T, eye, atol=1e-5)
    np.testing.assert_array_equal(q, fitted("random-rotation", split, seed=1).images(eye))
    assert np.abs(q - fitted("random-rotation", split, seed=2).images(eye)).max() > 0.1

    class OnlyNoise:
        dim, rng = 2, np.random.default_rng(0)

    # Haar: the image of a unit vector is uniform on the circle, so its angle is (a plain QR gives half a circle only).
    drawn = np.array([RandomRotation().fit(OnlyNoise).images(np.eye(2, dtype=np.float32)[:1])[0] for _ in range(2000)])
    angles = np.arctan2(drawn[:, 1], drawn[:, 0]) / (2 * np.pi) + 0.5
    assert scipy.stats.kstest(angles, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_mean_center_is_its_definition(strength, renormalise):
    images, texts = caption_pairs()
    aligner = fitted("mean-center", caption_split(images, texts), strength=strength, renormalise=renormalise)
    for rows, out in ((images, aligner.images(images)), (texts, aligner.texts(texts))):
        wide = rows.astype(np.float64)
        expected = wide - strength * wide.mean(axis=0)
        if renormalise:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(out, expected, atol=1e-6)


def test_mean_center_of_class_prompts_uses_the_mean_prompt():
    split = class_split()
    out = fitted("mean-center", split, renormalise=False).texts(split.prompts.rows)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize(("side", "shares"), [("both", (0.5, 0.5)), ("images", (1, 0)), ("texts", (0, 1))])
@pytest.mark.parametrize("renormalise", [True, False])
def test_gap_shift_is_its_definition(side, shares, renormalise):
    images, texts = caption_pairs()
    aligner = fitted("gap-shift", caption_split(images, texts), delta=0.7, side=side, renormalise=renormalise)
    gap = images.astype(np.float64).mean(axis=0) - texts.astype(np.float64).mean(axis=0)
    direction = gap / np.linalg.norm(gap)
    expected_images = images - 0.7 * shares[0] * direction
    expected_texts = texts + 0.7 * shares[1] * direction
    if renormalise:
        expected_images = unit_rows(expected_images.astype(np.float32))
        expected_texts = unit_rows(expected_texts.astype(np.float32))
    np.testing.assert_allclose(aligner.images(images), expected_images, atol=1e-6)
    np.testing.assert_allclose(aligner.texts(texts), expected_texts, atol=1e-6)


def test_gap_shift_without_a_gap_moves_nothing():
    images, _ = caption_pairs()
    aligner = fitted("gap-shift", caption_split(images, images), renormalise=False)
    np.testing.assert_array_equal(aligner.images(images), images)


@given(seed=st.integers(0, 1000), delta=st.floats(-3, 3))
@settings(deadline=None, max_examples=25)
def test_moving_the_texts_alone_never_changes_the_class_unless_renormalised(seed, delta):
    """Identity 2: every class gains the same constant."""
    split = class_split(seed=seed, n_classes=5)
    aligner = fitted("gap-shift", split, delta=delta, side="texts", renormalise=False)
    texts = split.prompts.rows
    before = PromptIndex(texts, np.arange(5), 5).top_classes(split.images, 5)[0]
    after = PromptIndex(aligner.texts(texts), np.arange(5), 5).top_classes(aligner.images(split.images), 5)[0]
    margins = np.sort(split.images.astype(np.float64) @ texts.T.astype(np.float64), axis=1)
    clear = np.diff(margins, axis=1).min(axis=1) > 1e-5
    assert clear.any()
    np.testing.assert_array_equal(before[clear], after[clear])


def test_moving_the_texts_does_change_the_class_when_renormalised():
    changed = 0
    for seed in range(5):
        split = class_split(seed=seed, n_classes=5)
        aligner = fitted("gap-shift", split, delta=2.0, side="texts")
        texts = split.prompts.rows
        changed += np.sum((split.images @ texts.T).argmax(1) != (split.images @ aligner.texts(texts).T).argmax(1))
    assert changed > 0


@pytest.mark.parametrize("side", ["images", "texts"])
def test_procrustes_equals_scipy_where_the_rank_is_full(side):
    images, texts = caption_pairs()
    source, target = (images, texts) if side == "images" else (texts, images)
    expected, _ = scipy.linalg.orthogonal_procrustes(source.astype(np.float64), target.astype(np.float64))
    aligner = fitted("procrustes", caption_split(images, texts), side=side)
    mapped, kept = (aligner.images, aligner.texts) if side == "images" else (aligner.texts, aligner.images)
    np.testing.assert_allclose(mapped(source), source @ expected, atol=1e-5)
    assert kept(target) is target
    notes = aligner.notes()
    assert (notes["rank"], notes["dimensions"], notes["pairs_fitted"]) == (8, 8, 60)


def test_centred_and_scaled_procrustes_is_the_least_squares_fit():
    images, texts = caption_pairs()
    x, y = images.astype(np.float64), texts.astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    rotation, total = scipy.linalg.orthogonal_procrustes(x - x_mean, y - y_mean)
    factor = total / np.sum((x - x_mean) ** 2)
    aligner = fitted("procrustes", caption_split(images, texts), center=True, scale=True)
    np.testing.assert_allclose(aligner.images(images), factor * (x - x_mean) @ rotation, atol=1e-5)
    np.testing.assert_allclose(aligner.texts(texts), y - y_mean, atol=1e-6)
    assert aligner.notes()["factor"] == pytest.approx(factor, rel=1e-6)
    normal = fitted("procrustes", caption_split(images, texts), center=True, renormalise=True).images(images)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-6)


def test_scale_is_the_best_factor_for_a_pulled_rotation_too():
    images, texts = caption_pairs()
    aligner = fitted("procrustes", caption_split(images, texts), scale=True, pull=0.5)
    rotated = fitted("procrustes", caption_split(images, texts), pull=0.5).images(images).astype(np.float64)
    best = np.sum(rotated * texts) / np.sum(rotated**2)
    np.testing.assert_allclose(aligner.images(images), best * rotated, atol=1e-5)


def test_a_strong_pull_is_the_identity_and_the_rank_is_still_that_of_the_pairs():
    split = class_split()
    aligner = fitted("procrustes", split, pull=1e6)
    np.testing.assert_allclose(aligner.images(split.images), split.images, atol=1e-4)
    assert aligner.notes()["rank"] == 3


@given(seed=st.integers(0, 1000), d=st.integers(2, 12), rank=st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_tie_break_is_the_limit_of_a_vanishing_pull(seed, d, rank):
    rng = np.random.default_rng(seed)
    rank = min(rank, d)
    # Singular values of order one, and a map that is not far from the identity: then the limit is reached early.
    left = np.linalg.qr(np.eye(d) + 0.2 * rng.standard_normal((d, d)) / np.sqrt(d))[0][:, :rank]
    right = np.linalg.qr(np.eye(d) + 0.2 * rng.standard_normal((d, d)) / np.sqrt(d))[0][:, :rank]
    cross = left * rng.uniform(1, 2, size=rank) @ right.T
    rotation, found = nearest_rotation(cross, tie_break="identity")
    assert found == rank
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(d), atol=1e-10)
    errors = [np.abs(rotation - polar(cross + size * np.eye(d))).max() for size in (1e-3, 1e-5, 1e-7)]
    assert errors[2] < 1e-5
    assert errors[0] < 1e-1
    assert errors[1] <= max(errors[0], 1e-9)


def polar(matrix):
    u, _, v = np.linalg.svd(matrix)
    return u @ v


def test_tie_break_does_not_depend_on_the_basis_of_the_null_space_and_keeps_what_it_may():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((9, 3)))[0]
    turn = scipy.linalg.block_diag([[0.6, 0.8], [-0.8, 0.6]], [[1.0]])
    cross = basis @ np.diag([3.0, 2.0, 1.0]) @ turn @ basis.T
    rotation, _ = nearest_rotation(cross, tie_break="identity")
    outside = np.linalg.qr(np.hstack([basis, rng.standard_normal((9, 6))]))[0][:, 3:]
    np.testing.assert_allclose(outside.T @ rotation, outside.T, atol=1e-12)  # what no pair speaks of stays in place
    again, _ = nearest_rotation(cross + 1e-13 * rng.standard_normal((9, 9)), tie_break="identity")
    np.testing.assert_allclose(again, rotation, atol=1e-9)


def test_without_any_evidence_procrustes_is_the_identity():
    rotation, rank = nearest_rotation(np.zeros((5, 5)), tie_break="identity")
    np.testing.assert_allclose(rotation, np.eye(5), atol=1e-12)
    assert rank == 0


def test_class_prompts_decide_no_more_dimensions_than_there_are_classes():
    """Identity 7: class scores do not depend on the arbitrary part, other texts do."""
    split = class_split(n_classes=3, d=12)
    decided, arbitrary = (fitted("procrustes", split, tie_break=how) for how in ("identity", "none"))
    assert decided.notes()["rank"] == arbitrary.notes()["rank"] == 3
    x, texts = split.images, split.prompts.rows
    np.testing.assert_allclose(decided.images(x) @ texts.T, arbitrary.images(x) @ texts.T, atol=1e-5)
    other = unit_rows(np.random.default_rng(9).standard_normal((4, 12)).astype(np.float32))
    assert np.abs(decided.images(x) @ other.T - arbitrary.images(x) @ other.T).max() > 1e-2


def test_class_prompt_procrustes_needs_nothing_but_class_sums():
    split = class_split(n_classes=4, d=6)
    sums = np.stack([split.images[split.labels == c].astype(np.float64).sum(axis=0) for c in range(4)])
    expected, _ = nearest_rotation(sums.T @ split.prompts.rows.astype(np.float64), tie_break="identity")
    np.testing.assert_allclose(fitted("procrustes", split).images(split.images), split.images @ expected, atol=1e-5)
