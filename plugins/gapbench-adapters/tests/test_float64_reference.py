"""Both adapters end where plain float64 NumPy ends: gradients of InfoNCE by hand, and AdamW as its paper has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from toy import captions, fitted, unit

if TYPE_CHECKING:
    from collections.abc import Callable

    Rows = np.ndarray
    Weights = list[Rows]

TAU, RATE, DECAY, EPOCHS = 0.1, 0.01, 0.3, 6


def softmax(scores: Rows) -> Rows:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def loss(x: Rows, t: Rows) -> float:
    scores = x @ t.T / TAU
    return -float(np.log(np.diag(softmax(scores)) * np.diag(softmax(scores.T))).mean()) / 2


def slope(mapped: Rows, t: Rows) -> Rows:
    """Return the slope of the loss at rows that are normalised before they are compared with t."""
    norms = np.linalg.norm(mapped, axis=1, keepdims=True)
    x, n = mapped / norms, len(t)
    of_scores = (softmax(x @ t.T / TAU) + softmax(t @ x.T / TAU).T - 2 * np.eye(n)) / (2 * n * TAU)
    of_unit = of_scores @ t
    return (of_unit - (of_unit * x).sum(1, keepdims=True) * x) / norms


def linear(x: Rows, weights: Weights, alpha: float) -> Rows:
    return x + alpha * x @ weights[0]


def linear_slopes(x: Rows, weights: Weights, alpha: float, of_mapped: Rows) -> Weights:
    return [alpha * x.T @ of_mapped]


def bottleneck(x: Rows, weights: Weights, alpha: float) -> Rows:
    return (1 - alpha) * x + alpha * np.maximum(x @ weights[0], 0) @ weights[1]


def bottleneck_slopes(x: Rows, weights: Weights, alpha: float, of_mapped: Rows) -> Weights:
    inner = x @ weights[0]
    of_inner = alpha * of_mapped @ weights[1].T * (inner > 0)
    return [x.T @ of_inner, alpha * np.maximum(inner, 0).T @ of_mapped]


def trained(x: Rows, t: Rows, start: Weights, alpha: float, forward: Callable, backward: Callable) -> list[Weights]:
    """Return the weights of each epoch, the start first: AdamW on all pairs at once (Loshchilov and Hutter 2019)."""
    weights, kept = [w.astype(np.float64) for w in start], []
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    kept.append([w.copy() for w in weights])
    for step in range(1, EPOCHS + 1):
        slopes = backward(x, weights, alpha, slope(forward(x, weights, alpha), t))
        for i, g in enumerate(slopes):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            move = first[i] / (1 - 0.9**step) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
            weights[i] = weights[i] - RATE * (move + DECAY * weights[i])
        kept.append([w.copy() for w in weights])
    return kept


def pairs(n: int, seed: int) -> tuple[Rows, Rows]:
    """Return images that are noisy, turned and moved texts, by one rotation for every seed."""
    turn = np.linalg.qr(np.eye(8) + 0.4 * np.random.default_rng(0).standard_normal((8, 8)))[0]
    rng = np.random.default_rng(seed)
    texts = unit(rng.standard_normal((n, 8)))
    return unit(texts @ turn + 0.2 * rng.standard_normal((n, 8)) + 0.2), texts


@pytest.mark.parametrize("side", ["images", "texts"])
@pytest.mark.parametrize(
    ("name", "alpha", "forward", "backward"),
    [
        ("linear-adapter", 0.7, linear, linear_slopes),
        ("mlp-adapter", 0.6, bottleneck, bottleneck_slopes),
    ],
)
def test_an_adapter_ends_where_plain_float64_code_ends(
    name: str, alpha: float, forward: Callable, backward: Callable, side: str
) -> None:
    parts = [pairs(60, 1), pairs(40, 2)]
    settings = {"tau": TAU, "lr": RATE, "weight_decay": DECAY, "batch": 256, "patience": EPOCHS, "alpha": alpha}
    more = {"hidden": 5} if name == "mlp-adapter" else {}
    aligner = fitted(
        name, captions(*parts[0]), validation=captions(*parts[1]), side=side, epochs=EPOCHS, **settings, **more
    )
    start = [np.zeros((8, 8))]
    if name == "mlp-adapter":  # the first layer is drawn from the generator of the fit, and nothing before it
        first = np.random.default_rng(0).standard_normal((8, 5)) * np.sqrt(2 / 5)
        start = [first.astype(np.float32), np.zeros((5, 8))]
    (x, t), (held_x, held_t) = (pair if side == "images" else pair[::-1] for pair in parts)
    x, t, held_x, held_t = (rows.astype(np.float64) for rows in (x, t, held_x, held_t))
    weights = trained(x, t, start, alpha, forward, backward)

    mapped = [forward(held_x, each, alpha) for each in weights]
    losses = [loss(rows / np.linalg.norm(rows, axis=1, keepdims=True), held_t) for rows in mapped]
    chosen = int(np.argmin(losses))
    assert aligner.notes()["chosen_epoch"] == chosen > 1
    told = [aligner.notes()[f"{which}_validation_loss"] for which in ("first", "least")]
    assert told == pytest.approx([losses[0], losses[chosen]], rel=1e-5)
    expected = mapped[chosen] / np.linalg.norm(mapped[chosen], axis=1, keepdims=True)
    found = (aligner.images if side == "images" else aligner.texts)(held_x.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=2e-5)
