"""The loss, its gradient, the optimizer and the batches, each against an independent reference."""

import math

import numpy as np
import pytest
import torch
from gapbench_adapters.adapters import LinearAdapter, MlpAdapter
from gapbench_adapters.contrastive import AdamW, Pairs, info_nce
from torch.nn.functional import cross_entropy, normalize
from toy import noisy_classes, unit


def rows(n, d=6, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((n, d)))


def plain_loss(x, t, tau):
    """Symmetric InfoNCE over pairs, with loops: a row that belongs to the pair's other row is no negative."""
    x, t = x.astype(np.float64), t.astype(np.float64)
    names = [(a.tobytes(), b.tobytes()) for a, b in zip(x, t, strict=True)]
    together = set(names)
    images, texts = {a: x[i] for i, (a, _) in enumerate(names)}, {b: t[i] for i, (_, b) in enumerate(names)}
    total = 0.0
    for a, b in names:
        own = math.exp(images[a] @ texts[b] / tau)
        other_texts = sum(math.exp(images[a] @ row / tau) for name, row in texts.items() if (a, name) not in together)
        other_images = sum(math.exp(row @ texts[b] / tau) for name, row in images.items() if (name, b) not in together)
        total -= (math.log(own / (own + other_texts)) + math.log(own / (own + other_images))) / 2
    return total / len(names)


def loss_of(pairs, tau):
    images, texts, *rest = pairs.batch(np.arange(len(pairs)))
    return float(info_nce(tau, images.double(), texts.double(), *rest))


@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_the_loss_of_distinct_pairs_is_clips(tau):
    x, t = rows(20), rows(20, seed=1)
    logits = torch.from_numpy(x.astype(np.float64) @ t.T.astype(np.float64)) / tau
    own = torch.arange(20)
    expected = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    assert loss_of(Pairs(x, t), tau) == pytest.approx(float(expected), rel=1e-9)
    assert plain_loss(x, t, tau) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("tau", [0.05, 1.0])
@pytest.mark.parametrize("repeated", ["class prompts", "captions", "both"])
def test_a_row_that_belongs_is_no_negative(repeated, tau):
    x, t = rows(24), rows(24, seed=1)
    x = x[np.arange(24) // 3] if repeated != "class prompts" else x
    t = t[np.arange(24) % 5] if repeated != "captions" else t
    assert loss_of(Pairs(x, t), tau) == pytest.approx(plain_loss(x, t, tau), rel=1e-9)


def test_what_belongs_together_is_known_beyond_the_batch():
    x, t = rows(2), rows(2, seed=1)
    pairs = Pairs(x[[0, 1, 0]], t[[0, 1, 1]])  # the third pair makes text 1 a text of image 0
    images, texts, *_, own = pairs.batch(np.array([0, 1]))
    for i, image in enumerate(images.numpy()):
        for j, text in enumerate(texts.numpy()):
            assert own[i, j] == (not ((image == x[1]).all() and (text == t[0]).all()))


@pytest.mark.parametrize("adapter", [LinearAdapter(alpha=0.7), MlpAdapter(hidden=4, alpha=0.4)])
def test_gradients_are_those_of_the_plain_loss(adapter):
    images, labels, texts = noisy_classes(n=14, n_classes=4, d=5)
    rng = np.random.default_rng(0)
    weights = [0.3 * rng.standard_normal(w.shape) for w in adapter.start(5, rng)]

    def plain(*values):
        mapped = adapter.residual(images.astype(np.float64), values)
        return plain_loss(mapped / np.linalg.norm(mapped, axis=1)[:, None], texts[labels], 0.3)

    x, t, *rest = Pairs(images, texts[labels]).batch(np.arange(14))
    watched = [torch.from_numpy(w).requires_grad_() for w in weights]
    mapped = normalize(adapter.residual(x.double(), watched), dim=1)
    gradients = torch.autograd.grad(info_nce(0.3, mapped, t.double(), *rest), watched)
    step = 1e-6
    for k, gradient in enumerate(gradients):
        for at in np.ndindex(gradient.shape):
            up, down = ([w.copy() for w in weights] for _ in range(2))
            up[k][at] += step
            down[k][at] -= step
            expected = (plain(*up) - plain(*down)) / (2 * step)
            assert float(gradient[at]) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_gradients_are_finite_without_negatives():
    pairs = Pairs(rows(5), np.tile(rows(1), (5, 1)))
    assert not pairs.has_negatives()
    images, texts, *rest = pairs.batch(np.arange(5))
    images.requires_grad_()
    loss = info_nce(0.01, images, texts, *rest)
    assert float(loss.detach()) == 0
    assert torch.autograd.grad(loss, images)[0].abs().max() == 0


def test_the_optimizer_is_adamw():
    start = [rows(4), rows(3, d=2)]
    own = [torch.from_numpy(w.copy()) for w in start]
    reference = [torch.from_numpy(w.copy()).requires_grad_() for w in start]
    ours, theirs = AdamW(own, 0.03, 0.2), torch.optim.AdamW(reference, lr=0.03, weight_decay=0.2)
    for seed in range(12):
        gradients = [torch.from_numpy(rows(*w.shape, seed=seed)) for w in start]
        ours.step(gradients)
        for weight, gradient in zip(reference, gradients, strict=True):
            weight.grad = gradient.clone()
        theirs.step()
    for mine, weight in zip(own, reference, strict=True):
        torch.testing.assert_close(mine, weight.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 7, 50])
def test_batches_hold_each_pair_once_and_are_no_larger_than_asked(size):
    pairs = Pairs(rows(23), rows(23, seed=1))
    seen = []
    for images, texts, image_of, text_of, _ in pairs.batches(size, torch.Generator().manual_seed(0)):
        assert len(image_of) <= size
        seen += [
            (images[i].numpy().tobytes(), texts[j].numpy().tobytes()) for i, j in zip(image_of, text_of, strict=True)
        ]
    wanted = [(x.tobytes(), t.tobytes()) for x, t in zip(rows(23), rows(23, seed=1), strict=True)]
    assert sorted(seen) == sorted(wanted)
    assert size > len(pairs) or seen != wanted  # shuffled
