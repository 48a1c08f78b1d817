"""OTTER: a bias that gives the plan's predictions."""

import numpy as np
import ot
import pytest
import scipy.optimize
from gapbench_transport.otter import inward

from gapbench.errors import DataError


def problem(n, n_classes, d=16, seed=0, skew=0.0):
    rng = np.random.default_rng(seed)
    texts = rng.standard_normal((n_classes, d))
    labels = rng.integers(0, n_classes, n)
    images = texts[labels] + rng.standard_normal((n, d)) + skew * texts[0]
    return images, labels, texts / np.linalg.norm(texts, axis=1, keepdims=True)


def predictions(aligner, split):
    """Predict as the runner does, in float32."""
    texts = split.prompts.rows
    return (split.images @ texts.T + aligner.text_bias(texts)).argmax(1)


def papers_plan(split, shares, temperature=100.0):
    """The paper's cost, from a softmax, and POT's plan for it."""
    logits = temperature * split.images.astype(np.float64) @ split.prompts.rows.T
    logits -= logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    n = len(logits)
    return ot.emd(np.full(n, 1 / n), shares / shares.sum(), -log_p, numItermax=1_000_000)


@pytest.mark.parametrize("temperature", [1.0, 100.0])
@pytest.mark.parametrize(("n", "n_classes"), [(500, 10), (503, 10), (997, 60), (2000, 100), (40, 4), (7, 3)])
def test_the_bias_gives_the_predictions_of_the_papers_plan(n, n_classes, temperature, classified, fitted):
    split = classified(*problem(n, n_classes))
    aligner = fitted("otter", split, test=split)
    plan = papers_plan(split, np.ones(n_classes), temperature)
    # An image that POT divides has no one prediction where its shares are equal; there is none more than classes.
    whole = (plan > 1e-12).sum(1) == 1
    assert np.sum(~whole) < n_classes
    agreed = predictions(aligner, split) == plan.argmax(1)
    assert np.mean(agreed[whole]) > 0.999  # scores that differ by less than float32 can say
    assert aligner.notes()["agrees_with_plan"] == 1  # in float64


def test_an_image_that_is_divided_goes_where_most_of_it_goes(classified, fitted):
    split = classified(*problem(503, 10))
    plan = papers_plan(split, np.ones(10))
    divided = np.sort(plan, axis=1)[:, -2] > 1e-12
    assert divided.any()
    agreed = predictions(fitted("otter", split, test=split), split) == plan.argmax(1)
    assert agreed[divided].all()


def test_the_classes_get_equal_shares_and_the_prediction_is_the_best_assignment(classified, fitted):
    split = classified(*problem(60, 4, skew=1.0))
    predicted = predictions(fitted("otter", split, test=split), split)
    np.testing.assert_array_equal(np.bincount(predicted), [15] * 4)
    scores = split.images.astype(np.float64) @ split.prompts.rows.T
    rows, columns = scipy.optimize.linear_sum_assignment(-np.repeat(scores, 15, axis=1))
    np.testing.assert_array_equal(predicted[rows], columns // 15)
    plain = scores.argmax(1)
    assert np.bincount(plain, minlength=4)[0] > 15
    assert np.mean(predicted == split.labels) > np.mean(plain == split.labels)


def test_the_plan_is_the_linear_programs_and_the_bias_its_price(classified, fitted):
    split = classified(*problem(31, 3, skew=0.5))
    n, c = 31, 3
    scores = split.images.astype(np.float64) @ split.prompts.rows.T
    rows, columns = np.kron(np.eye(n), np.ones(c)), np.kron(np.ones(n), np.eye(c))
    marginals = np.concatenate([np.full(n, 1 / n), np.full(c, 1 / c)])
    program = scipy.optimize.linprog(-scores.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=marginals)
    aligner = fitted("otter", split, test=split)
    assert np.mean(predictions(aligner, split) == program.x.reshape(n, c).argmax(1)) == 1
    # Moved off its corner only: no image's best score is further from the dual optimum than the gap between images.
    bias = aligner.text_bias(split.prompts.rows).astype(np.float64)
    dual = np.mean((scores + bias).max(1)) - bias.mean()
    assert -program.fun - 1e-7 <= dual <= -program.fun + 1e-2


def test_the_prior_of_the_fit_split_is_followed(classified, fitted):
    images, labels, texts = problem(300, 4, seed=2)
    kept = np.concatenate([np.flatnonzero(labels == 0)[:60], np.flatnonzero(labels == 1)[:20]])
    fit = classified(images[kept], labels[kept], texts)
    test = classified(images, labels, texts)
    shares = np.array([61.0, 21, 1, 1])
    predicted = predictions(fitted("otter-prior", fit, test=test), test)
    assert np.abs(np.bincount(predicted, minlength=4) - 300 * shares / shares.sum()).max() <= 1
    plan = papers_plan(test, shares)
    np.testing.assert_array_equal(predicted, plan.argmax(1))


def test_real_embeddings_of_unlike_kinds_are_shared_out(clip, classified, fitted):
    images, texts = clip
    split = classified(images, np.arange(500) % 20, texts[:20])
    predicted = predictions(fitted("otter", split, test=split), split)
    np.testing.assert_array_equal(predicted, papers_plan(split, np.ones(20)).argmax(1))
    np.testing.assert_array_equal(np.bincount(predicted), [25] * 20)


@pytest.mark.parametrize(("n", "n_classes"), [(1, 1), (5, 1), (1, 4), (3, 7)])
def test_few_images_and_few_classes_do_no_harm(n, n_classes, classified, fitted):
    split = classified(*problem(n, n_classes))
    aligner = fitted("otter", split, test=split)
    assert np.isfinite(aligner.text_bias(split.prompts.rows)).all()
    assert aligner.notes()["agrees_with_plan"] == 1


def test_classes_of_the_same_text_share_one_bias(classified, fitted):
    images, labels, texts = problem(60, 4)
    texts[3] = texts[2]
    split = classified(images, labels, texts)
    bias = fitted("otter", split, test=split).text_bias(split.prompts.rows)
    assert bias[2] == bias[3]


def test_texts_are_recognised_in_any_order_and_strangers_are_an_error(classified, fitted):
    split = classified(*problem(100, 5))
    aligner = fitted("otter", split, test=split)
    texts = split.prompts.rows
    np.testing.assert_array_equal(aligner.text_bias(texts[::-1]), aligner.text_bias(texts)[::-1])
    assert np.ptp(aligner.text_bias(texts)) > 0
    np.testing.assert_array_equal(aligner.text_bias(texts.astype(np.float16)), aligner.text_bias(texts))
    with pytest.raises(DataError, match="text 1 is no class text"):
        aligner.text_bias(np.stack([texts[0], texts[:2].mean(0)]))


def test_too_many_scores_are_an_error(classified, fitted, monkeypatch):
    monkeypatch.setattr("gapbench_transport.otter.MOST_SCORES", 99)
    split = classified(*problem(20, 5))
    with pytest.raises(DataError, match="20 test images times 5 classes"):
        fitted("otter", split, test=split)


def test_potentials_move_off_ties_that_need_not_be():
    # Prices anywhere in -1..1 give these predictions; a corner would tie one image.
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    corner = scores + np.array([0.0, 1.0])
    moved = corner + inward(corner, np.array([0, 1]))
    margins = moved[[0, 1], [0, 1]] - moved[[0, 1], [1, 0]]
    np.testing.assert_allclose(margins, [1, 1])
