"""Metrics from their published formulas, in plain float64 NumPy. Nothing here is taken from gapbench.

Shares over items that rounding could tip are intervals: the lowest and the highest value that they may have.
"""

from __future__ import annotations

import numpy as np
from golden.aligners import covariance, unit

Rows = np.ndarray
Values = dict[str, float | list[float]]

#: Scores this near to each other may come out either way in single precision.
TIE = 2e-6


def places(scores: Rows, own: Rows) -> tuple[Rows, Rows]:
    """Return the best and the worst place, from 1, that the own candidate of each query may have."""
    mine = scores[np.arange(len(scores)), own][:, None]
    return (scores > mine + TIE).sum(1) + 1, (scores >= mine - TIE).sum(1)


def recall(scores: Rows, own: Rows, k: int) -> list[float]:
    """Return the share of queries whose own candidate is among the first k."""
    best, worst = places(scores, own)
    return [float(np.mean(worst <= k)), float(np.mean(best <= k))]


def ranking(side: str, scores: Rows) -> Values:
    """Return what is read from the places of own candidates, one a query: with one, precision is one over its place."""
    own = np.arange(len(scores))
    best, worst = places(scores, own)
    precision = [float(np.mean(np.where(place <= 10, 1 / place, 0))) for place in (worst, best)]
    found: Values = {f"{side}-recall@{k}": recall(scores, own, k) for k in (1, 5, 10)}
    if side == "i2t":  # all own captions is the own caption
        found |= {f"i2t-all-recall@{k}": recall(scores, own, k) for k in (5, 10)}
    found[f"{side}-median-rank"] = [float(np.median(best)), float(np.median(worst))]
    found[f"{side}-map@10"] = precision
    return found


def different(rows: Rows) -> float:
    """Return the mean cosine of different rows, pair by pair."""
    return float((rows @ rows.T)[~np.eye(len(rows), dtype=bool)].mean())


def potential(x: Rows, y: Rows, pairs: Rows) -> float:
    """Return the logarithm of the mean of exp(-2 |u - v|^2) over some pairs of rows (Wang and Isola 2020)."""
    squares = ((x[:, None] - y[None]) ** 2).sum(2)
    return float(np.log(np.exp(-2 * squares[pairs]).mean()))


def effective_rank(rows: Rows) -> float:
    """Return the exponential of the entropy of the singular values of centred rows (Roy and Vetterli 2007)."""
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    shares = singular[singular > 1e-6 * singular[0]] / singular[singular > 1e-6 * singular[0]].sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def frechet(x: Rows, y: Rows) -> float:
    """Return the distance of two Gaussians (Dowson and Landau 1982), with the root of a symmetric product."""
    a, b = covariance(x), covariance(y)
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * cross)


def hsic(k: Rows, m: Rows) -> float:
    """Return the unbiased estimator of Song et al., JMLR 13, 2012, equation 5."""
    n, one = len(k), np.ones(len(k))
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    ends = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    return float((np.trace(k @ m) + ends) / (n * (n - 3)))


def cka(x: Rows, y: Rows) -> float:
    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / float(np.sqrt(hsic(k, k) * hsic(m, m)))


def mixing(x: Rows, y: Rows) -> list[float]:
    """Return the share of the other side among neighbours that weigh ten together, over that by chance.

    Of the rows as near as the last neighbour, any may be taken: that makes the interval.
    """
    rows, is_text = np.vstack([x, y]), np.repeat([False, True], [len(x), len(y)])
    fewer = min(len(x), len(y))
    weights, wanted = fewer / np.where(is_text, len(y), len(x)), min(10, 2 * fewer - 1)
    ends = np.zeros((2, len(rows)))
    for i, cosines in enumerate(rows @ rows.T):
        order = np.argsort(-cosines)
        order = order[order != i]
        edge = cosines[order[np.searchsorted(np.cumsum(weights[order]), wanted - 1e-9)]]
        nearer, level = cosines[order] > edge + TIE, np.abs(cosines[order] - edge) <= TIE
        other, mass = is_text[order] != is_text[i], weights[order]
        room, sure = wanted - mass[nearer].sum(), mass[nearer & other].sum()
        ends[:, i] = sure + max(0, room - mass[level & ~other].sum()), sure + min(room, mass[level & other].sum())
    by_chance = fewer / (2 * fewer - weights)
    ratios = ends / wanted / by_chance
    return [float((each[is_text].mean() + each[~is_text].mean()) / 2) for each in ratios]


def positions(x: Rows, y: Rows, own: Rows) -> Values:
    """Return what even one point has, of unit rows; ``own`` is the text of each image."""
    difference, everything = x - y[own], np.vstack([x, y])
    return {
        "paired-cos": float(np.mean((x * y[own]).sum(1))),
        "paired-l2": float(np.mean(np.linalg.norm(difference, axis=1))),
        "centroid-l2": float(np.linalg.norm(x.mean(0) - y.mean(0))),
        "centroid-cos": float(unit(x.mean(0)[None])[0] @ unit(y.mean(0)[None])[0]),
        "centroid-gap": float((difference.mean(0) ** 2).sum()),
        "distribution-gap": float(difference.var(0).sum()),
        "cone-images": different(x),
        "cone-texts": different(y),
        "uniformity-images": potential(x, x, ~np.eye(len(x), dtype=bool)),
        "uniformity-texts": potential(y, y, ~np.eye(len(y), dtype=bool)),
        "uniformity-pooled": potential(everything, everything, ~np.eye(len(everything), dtype=bool)),
        "uniformity-cross": potential(x, y, np.arange(len(y)) != own[:, None]),
    }


def shapes(x: Rows, y: Rows, own: Rows) -> Values:
    """Return what a spread has beside its positions, of unit rows."""
    gap = x.mean(0) - y.mean(0)
    between = max((1 - float((x * y[own]).sum(1).mean())) / 2, 1e-3)
    within = (2 - different(x) - different(y)) / 4
    return {
        "rmg": between / (between + within),
        "frechet": frechet(x, y),
        "modality-mixing": mixing(x, y),
        "effective-rank-images": effective_rank(x),
        "effective-rank-texts": effective_rank(y),
        "gap-concentration": float((gap**2).sum() ** 2 / (len(gap) * (gap**4).sum())),
    }


def displacement(now: tuple[Rows, Rows], before: tuple[Rows, Rows], own: Rows) -> float:
    """Return how far rows were moved: the mean over images of the means of an image and its text."""
    images, texts = (np.linalg.norm(unit(a) - unit(b), axis=1) for a, b in zip(now, before, strict=True))
    return float(np.mean((images + texts[own]) / 2))


def fisher(x: Rows, labels: Rows) -> float:
    """Return the trace of the spread between classes over that within, of unit rows."""
    means = np.stack([x[labels == c].mean(0) for c in range(labels.max() + 1)])
    between = np.bincount(labels) @ ((means - x.mean(0)) ** 2).sum(1)
    return float(between / ((x - means[labels]) ** 2).sum())


def classification(scores: Rows, labels: Rows) -> Values:
    """Return what is read from class scores."""
    right, ordered = scores.argmax(1) == labels, np.sort(scores, 1)
    others = scores.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    found: Values = {f"top{k}": recall(scores, labels, k) for k in (1, 5)}
    if not (ordered[:, -1] - ordered[:, -2] < TIE).any():
        found["mean-per-class-recall"] = float(np.mean([right[labels == c].mean() for c in range(scores.shape[1])]))
    found["margin"] = float(np.mean(scores[np.arange(len(labels)), labels] - others.max(1)))
    return found
