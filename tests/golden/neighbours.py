"""Metrics of neighbourhoods, and the kernel's, from their published formulas in plain float64 NumPy."""

from __future__ import annotations

import numpy as np
from golden.metrics import TIE, Rows, Values, places

K = 10


def near(scores: Rows) -> tuple[Rows, Rows]:
    """Return who is surely, and who may be, among the ten best of each row; minus infinity is no candidate."""
    ordered = -np.sort(-scores, 1)
    return scores > ordered[:, [K]] + TIE, scores >= ordered[:, [K - 1]] - TIE


def _within(rows: Rows) -> Rows:
    return np.where(np.eye(len(rows), dtype=bool), -np.inf, rows @ rows.T)


def shared(one: Rows, other: Rows) -> list[float]:
    """Return the share of ten nearest rows in one space that are so in another one."""
    (sure, maybe), (sure_too, maybe_too) = near(_within(one)), near(_within(other))
    ends = (sure & sure_too).sum(1), np.minimum((maybe & maybe_too).sum(1), K)
    return [float(each.mean() / K) for each in ends]


def hubs(scores: Rows) -> float | None:
    """Return the skewness of how often each candidate is among the ten best, unless scores are too near to say."""
    sure, maybe = near(scores)
    if (sure != maybe).any():
        return None
    moved = sure.sum(0) - sure.sum() / scores.shape[1]
    return float((moved**3).mean() / (moved**2).mean() ** 1.5)


def squares(a: Rows, b: Rows) -> Rows:
    return ((a[:, None] - b[None]) ** 2).sum(2)


def mmd(x: Rows, y: Rows, before: tuple[Rows, Rows]) -> float:
    """Return the unbiased estimate of Gretton et al. 2012, equation 3, with the median distance before alignment."""
    pooled = np.vstack(before)
    width = np.median(np.sqrt(squares(pooled, pooled)[np.triu_indices(len(pooled), 1)]))
    within = [np.exp(-squares(r, r) / (2 * width**2))[~np.eye(len(r), dtype=bool)].mean() for r in (x, y)]
    return float(sum(within) - 2 * np.exp(-squares(x, y) / (2 * width**2)).mean())


def neighbourhoods(now: tuple[Rows, Rows], before: tuple[Rows, Rows], scores: tuple[Rows, Rows]) -> Values:
    """Return all of them for images with a caption each, from unit rows and from the scores that rank."""
    kept = [shared(one, other) for one, other in zip(now, before, strict=True)]
    found: Values = {
        "mutual-knn": shared(*now),
        "neighbour-preservation": [sum(ends) / 2 for ends in zip(*kept, strict=True)],
    }
    for name, each in zip(("i2t", "t2i"), scores, strict=True):
        skewness = hubs(each)
        if skewness is not None:
            found[f"hubness-skew-{name}"] = skewness
    return found


def mixed_search(x: Rows, y: Rows) -> Values:
    """Return how each text finds its own image among all images and all other texts, from unit rows."""
    n = len(y)
    scores = np.hstack([y @ x.T, _within(y)])
    best, worst = places(scores, np.arange(n))
    gains = [np.where(place <= K, 1 / np.log2(place + 1), 0) for place in (worst, best)]
    sure, maybe = near(scores)
    texts, images = slice(n, 2 * n), slice(n)
    least = np.maximum(sure[:, texts].sum(1), K - maybe[:, images].sum(1))
    most = np.minimum(maybe[:, texts].sum(1), K - sure[:, images].sum(1))
    by_chance = (n - 1) / (2 * n - 1)
    return {
        "mixed-ndcg@10": [float(each.mean()) for each in gains],
        "mixed-recall@10": [float(np.mean(place <= K)) for place in (worst, best)],
        "same-modality-share@10": [float(each.mean() / K - by_chance) for each in (least, most)],
    }
