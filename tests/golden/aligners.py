"""Aligners from their published formulas, in plain float64 NumPy and SciPy. Nothing here is taken from gapbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

if TYPE_CHECKING:
    from collections.abc import Callable

    Rows = np.ndarray
    Both = tuple[Rows, Rows]


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def covariance(rows: Rows) -> Rows:
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def shrunk(matrix: Rows, share: float) -> Rows:
    return (1 - share) * matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))


def power(matrix: Rows, exponent: float) -> Rows:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**exponent @ vectors.T


def top(matrix: Rows, k: int) -> Rows:
    return np.linalg.eigh(matrix)[1][:, ::-1][:, :k]


def _collapsed(x: Rows, y: Rows) -> Both:
    point = (x.mean(0) + y.mean(0)) / 2
    return np.tile(point, (len(x), 1)), np.tile(point, (len(y), 1))


def _shift(x: Rows, y: Rows, delta: float) -> Both:
    gap = x.mean(0) - y.mean(0)
    step = delta / 2 * gap / np.linalg.norm(gap)
    return x - step, y + step


def _least_squares(x: Rows, y: Rows, alpha: float, toward: float = 0.0) -> Both:
    """Minimise |XW - Y|^2 + alpha |W - toward I|^2, as one stacked least-squares problem."""
    a, b = x - x.mean(0), y - y.mean(0)
    pull = np.sqrt(alpha) * np.eye(a.shape[1])
    return a @ np.linalg.lstsq(np.vstack([a, pull]), np.vstack([b, toward * pull]), rcond=None)[0], b


def _drop(x: Rows, y: Rows, k: int) -> Both:
    kept = np.sort(np.argsort(-np.abs(x.mean(0) - y.mean(0)), kind="stable")[k:])
    return x[:, kept], y[:, kept]


def _without_top(rows: Rows, k: int) -> Rows:
    leading = top(covariance(rows), k)
    return (rows - rows.mean(0)) @ (np.eye(rows.shape[1]) - leading @ leading.T)


def _projection(x: Rows, y: Rows) -> Both:
    gap = x.mean(0) - y.mean(0)
    keep = np.eye(len(gap)) - np.outer(gap, gap) / (gap @ gap)
    return x @ keep, y @ keep


def _realign(x: Rows, y: Rows) -> Both:
    scale = np.sqrt(np.trace(covariance(x)) / np.trace(covariance(y)))
    moved = unit(x.mean(0) + scale * (y - y.mean(0)))
    return x, moved - moved.mean(0) + x.mean(0)


def _coral(x: Rows, y: Rows, ridge: float) -> Both:
    a, b = (c + ridge * np.trace(c) / len(c) * np.eye(len(c)) for c in (covariance(y), covariance(x)))
    return x - x.mean(0), (y - y.mean(0)) @ power(a, -0.5) @ power(b, 0.5)


def _transport(x: Rows, y: Rows, share: float) -> Both:
    a, b = shrunk(covariance(y), share), shrunk(covariance(x), share)
    root = power(a, 0.5)
    return x - x.mean(0), (y - y.mean(0)) @ power(a, -0.5) @ power(root @ b @ root, 0.5) @ power(a, -0.5)


def _subspaces(x: Rows, y: Rows, k: int) -> Both:
    target, source = top(covariance(x), k), top(covariance(y), k)
    return x - x.mean(0), (y - y.mean(0)) @ source @ (source.T @ target) @ target.T


def _cca(x: Rows, y: Rows, k: int, share: float, weight: float) -> Both:
    a, b = shrunk(covariance(x), share), shrunk(covariance(y), share)
    x, y = x - x.mean(0), y - y.mean(0)
    u, rho, v = np.linalg.svd(power(a, -0.5) @ (x.T @ y / len(x)) @ power(b, -0.5))
    weights = rho[:k] ** weight
    return x @ power(a, -0.5) @ u[:, :k] * weights, y @ power(b, -0.5) @ v[:k].T * weights


def _csa(x: Rows, y: Rows, k: int, share: float) -> Both:
    """Canonical directions from the generalised eigenproblem; each term of the product weighs its correlation."""
    a, b = shrunk(covariance(x), share), shrunk(covariance(y), share)
    x, y = x - x.mean(0), y - y.mean(0)
    cross = x.T @ y / len(x)
    squares, left = scipy.linalg.eigh(cross @ np.linalg.solve(b, cross.T), a)
    rho, left = np.sqrt(squares[::-1][:k]), left[:, ::-1][:, :k]
    right = np.linalg.solve(b, cross.T @ left) / rho
    return x @ left * np.sqrt(rho), y @ right * np.sqrt(rho)


def _pls(x: Rows, y: Rows, k: int) -> Both:
    x, y = x - x.mean(0), y - y.mean(0)
    u, _, v = np.linalg.svd(x.T @ y / len(x))
    return x @ u[:, :k], y @ v[:k].T


def _whitened(x: Rows, y: Rows, k: int, share: float) -> Both:
    """PCA whitening in the one basis of the mean of both covariances: an own basis for each would tell nothing."""
    values, vectors = np.linalg.eigh(shrunk((covariance(x) + covariance(y)) / 2, share))
    turn = (vectors / np.sqrt(values))[:, ::-1][:, :k]
    return (x - x.mean(0)) @ turn, (y - y.mean(0)) @ turn


def _erased(x: Rows, y: Rows) -> Both:
    """LEACE of the label "image", in its closed form: a rank-one map towards the middle of both means."""
    middle, gap = (x.mean(0) + y.mean(0)) / 2, x.mean(0) - y.mean(0)
    spread = (covariance(x) + covariance(y)) / 2 + np.outer(gap, gap) / 4
    direction = np.linalg.solve(spread, gap)
    x, y = (r - np.outer((r - middle) @ direction / (direction @ gap), gap) for r in (x, y))
    return x, y


def _each(x: Rows, y: Rows, change: Callable[[Rows], Rows]) -> Both:
    return change(x), change(y)


#: Label of a collapse onto one point, of which little can be measured.
COLLAPSE = "collapse-to-mean"

#: Label of what changes scores alone.
BIAS = "logit-bias[weight=0.7]"

ALIGNERS: dict[str, Callable[[Rows, Rows], Both]] = {
    "identity": lambda x, y: (x, y),
    COLLAPSE: _collapsed,
    "mean-center": lambda x, y: (x - x.mean(0), y - y.mean(0)),
    "role-center[strength=0.6]": lambda x, y: (x - 0.6 * x.mean(0), y - 0.6 * y.mean(0)),
    "gap-shift[delta=0.6]": lambda x, y: _shift(x, y, 0.6),
    "shift-to-mean[amount=0.7]": lambda x, y: (x, y + 0.7 * (x.mean(0) - y.mean(0))),
    "gap-projection": _projection,
    "dn[strength=0.3]": lambda x, y: (x - 0.3 * x.mean(0), y - 0.3 * y.mean(0)),
    "drop-gap-dims[k=4]": lambda x, y: _drop(x, y, 4),
    "z-score": lambda x, y: _each(x, y, lambda r: (r - r.mean(0)) / r.std(0)),
    "realign": _realign,
    "abtt[directions=3]": lambda x, y: _each(x, y, lambda r: _without_top(r, 3)),
    "whiten-pca[components=6,shrinkage=0.3]": lambda x, y: _whitened(x, y, 6, 0.3),
    "whiten-zca[scope=modality,shrinkage=0.3]": lambda x, y: _each(
        x, y, lambda r: (r - r.mean(0)) @ power(shrunk(covariance(r), 0.3), -0.5)
    ),
    "coral[ridge=0.7,recenter=zero]": lambda x, y: _coral(x, y, 0.7),
    "gaussian-ot[shrinkage=0.3,recenter=zero]": lambda x, y: _transport(x, y, 0.3),
    "subspace-alignment[k=5,recenter=zero]": lambda x, y: _subspaces(x, y, 5),
    "procrustes": lambda x, y: (x @ scipy.linalg.orthogonal_procrustes(x, y)[0], y),
    "ols": lambda x, y: _least_squares(x, y, 0.0),
    "ridge[alpha=0.3]": lambda x, y: _least_squares(x, y, 0.3),
    "ridge-identity[alpha=3.0]": lambda x, y: _least_squares(x, y, 3.0, toward=1.0),
    "cca[k=5,shrinkage=0.4,weight=0.5]": lambda x, y: _cca(x, y, 5, 0.4, 0.5),
    "csa[k=6,shrinkage=0.2]": lambda x, y: _csa(x, y, 6, 0.2),
    "pls-svd[k=5]": lambda x, y: _pls(x, y, 5),
    "oracle-leace": lambda x, y: _each(x, y, lambda r: r - r.mean(0) + (x.mean(0) + y.mean(0)) / 2),
    "leace[shrinkage=fixed,share=0.0]": _erased,
    BIAS: lambda x, y: (x, y),
}

#: Those whose rows are scored as they are; of the others, normalised.
PLAIN = ("shift-to-mean[amount=0.7]", "dn[strength=0.3]")

#: Those that need no pairs, with class prompts.
UNPAIRED = (
    "identity", COLLAPSE, "mean-center", "role-center[strength=0.6]", "gap-shift[delta=0.6]", "shift-to-mean[amount=0.7]",
    "gap-projection", "dn[strength=0.3]", "drop-gap-dims[k=4]", BIAS,
)  # fmt: skip

DISCRIMINANT = "gda-clip[alpha=0.4,shrinkage=0.2]"


def aligned(label: str, x: Rows, y: Rows) -> Both:
    """Return the rows that are scored."""
    rows = ALIGNERS[label](x, y)
    return rows if label in PLAIN else (unit(rows[0]), unit(rows[1]))


def scores_of(label: str, x: Rows, y: Rows) -> Both:
    """Return the scores of texts for each image, and of images for each text; the rows are aligned ones."""
    if label == BIAS:
        return x @ y.T - 0.7 * y @ x.mean(0), y @ x.T - 0.7 * x @ y.mean(0)
    return x @ y.T, y @ x.T


def discriminant_scores(x: Rows, t: Rows, labels: Rows, alpha: float = 0.4, share: float = 0.2) -> Rows:
    """GDA-CLIP: 100 x.t + alpha (x.S^-1 m + log p - m.S^-1 m / 2), over 100, S being what is spread within classes."""
    means = np.stack([x[labels == c].mean(0) for c in range(len(t))])
    within = sum((labels == c).mean() * covariance(x[labels == c]) for c in range(len(t)))
    weights = np.linalg.solve(shrunk(within, share), means.T)
    odds = np.log(np.bincount(labels) / len(labels)) - np.diag(means @ weights) / 2
    return (100 * x @ t.T + alpha * (x @ weights + odds)) / 100
