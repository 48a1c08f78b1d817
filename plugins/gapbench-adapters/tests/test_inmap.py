"""InMaP against its equations and against automatic differentiation, in float64."""

import numpy as np
import pytest
import torch
from gapbench_adapters.inmap import balanced
from torch.nn.functional import cross_entropy
from toy import classes, fitted, noisy_classes, published, unit


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1)[:, None])
    return weights / weights.sum(axis=1)[:, None]


def pseudo_labels(x, t, tau, alpha, balance):
    labels = softmax(x @ t.T / tau)
    if balance:
        n, n_classes = labels.shape
        for _ in range(20):
            for c in range(n_classes):
                labels[:, c] /= labels[:, c].sum() * n_classes
            for i in range(n):
                labels[i] /= labels[i].sum()
    for row in labels:
        if row.max() > alpha:
            row[:] = np.arange(len(row)) == row.argmax()
    return labels


def by_the_equations(x, t, iterations, *, tau_t=0.01, tau_i=0.04, alpha=0.6, lr=10.0, balance=False):
    """Learn the proxies with the gradient from automatic differentiation."""
    x, t = x.astype(np.float64), t.astype(np.float64)
    labels = torch.from_numpy(pseudo_labels(x, t, tau_t, alpha, balance))
    proxies, images, before = torch.from_numpy(t), torch.from_numpy(x), float("inf")
    for _ in range(iterations):
        proxies = proxies.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(images @ proxies.T / tau_i, labels), proxies)
        lr = lr / 2 if gradient.norm() > before else lr
        before = gradient.norm()
        moved = proxies - lr * gradient
        proxies = moved / moved.norm(dim=1, keepdim=True)
    return proxies.detach().numpy()


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("iterations", [0, 1, 2, 60])
@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_proxies_are_the_equations(iterations, balance, alpha):
    images, labels, texts = noisy_classes(noise=0.4)
    split = classes(images, labels, texts)
    aligner = fitted("inmap", split, test=split, iterations=iterations, balance=balance, alpha=alpha)
    expected = by_the_equations(images, texts, iterations, balance=balance, alpha=alpha)
    np.testing.assert_allclose(aligner.texts(texts), expected, atol=1e-6)


def test_proxies_on_real_embeddings_are_the_equations():
    images, texts = published()
    split = classes(images, np.arange(500) % 20, texts[:20])
    aligner = fitted("inmap", split, test=split, iterations=100, lr=3.0)
    np.testing.assert_allclose(aligner.texts(texts[:20]), by_the_equations(images, texts[:20], 100, lr=3.0), atol=1e-5)


def test_ending_early_gives_what_all_iterations_give():
    images, labels, texts = noisy_classes(n_classes=10, noise=0.05)
    split = classes(images, labels, texts)
    aligner = fitted("inmap", split, test=split)
    iterations = 2000
    assert aligner.notes()["steps"] < iterations
    np.testing.assert_allclose(aligner.texts(texts), by_the_equations(images, texts, iterations), atol=1e-6)


def test_balancing_gives_each_class_the_same_share():
    labels = softmax(4 * np.random.default_rng(0).standard_normal((90, 5)) + np.arange(5))
    even = balanced(labels, 500)
    np.testing.assert_allclose(even.sum(axis=0), 18, rtol=1e-9)
    np.testing.assert_allclose(even.sum(axis=1), 1, rtol=1e-9)
    ratio = np.log(even) - np.log(labels)  # Sinkhorn scales rows and columns, nothing else
    np.testing.assert_allclose(ratio - ratio[:1] - ratio[:, :1] + ratio[0, 0], 0, atol=1e-9)


def test_proxies_find_the_classes_that_shifted_texts_miss():
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((8, 32)))
    labels = rng.integers(0, 8, 800)
    images = unit(centres[labels] + 0.12 * rng.standard_normal((800, 32)))
    texts = unit(centres + 0.3 * rng.standard_normal((8, 32)))
    split = classes(images, labels, texts)
    proxies = fitted("inmap", split, test=split, tau_t=0.05, balance=True, iterations=300).texts(texts)
    before, after = ((images @ rows.T).argmax(axis=1) == labels for rows in (texts, proxies))
    assert after.mean() > before.mean() + 0.03


def test_all_prompts_of_a_class_become_its_proxy():
    images, labels, texts = noisy_classes()
    split = classes(images, labels, texts)
    aligner = fitted("inmap", split, test=split, iterations=50)
    prompts = texts[[3, 3, 1]] + np.float32(0.01)
    np.testing.assert_array_equal(aligner.texts(prompts), aligner.texts(texts)[[3, 3, 1]])


def test_one_class_keeps_its_text():
    images, labels, texts = noisy_classes()
    split = classes(images, labels * 0, texts[:1])
    np.testing.assert_allclose(fitted("inmap", split, test=split).texts(texts[:1]), texts[:1], atol=1e-7)
