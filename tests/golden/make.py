"""Make `golden.json`: what aligners and metrics give, computed by plain float64 NumPy and SciPy, and by nothing of gapbench.

    python tests/golden/make.py

The embeddings are made by code, and all items are fitted on and scored, so that nothing is drawn. Shares over items that
rounding could tip are kept as the lowest and the highest value that they may have.
"""

import json
from pathlib import Path

import numpy as np
import scipy.linalg

FILE = Path(__file__).parent / "golden.json"

#: Scores this near to each other may come out either way in single precision.
TIE = 2e-6


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def captions():
    """300 images with a caption each, in two cones with a gap, float32 as a file has them."""
    rng = np.random.default_rng(20)
    images = rng.normal(size=(300, 16)) + 1.2
    turn = np.linalg.qr(rng.normal(size=(16, 16)) + 12 * np.eye(16))[0]
    texts = images @ (turn * np.sign(np.diag(turn))) + 0.7 * rng.normal(size=(300, 16)) - 1.5
    return images.astype(np.float32), texts.astype(np.float32)


def classes():
    """400 images of eight classes, and a text for each class."""
    rng = np.random.default_rng(21)
    texts = rng.normal(size=(8, 16))
    labels = rng.permutation(np.arange(400) % 8)
    images = texts[labels] + 1.1 * rng.normal(size=(400, 16)) + 0.7 * rng.normal(size=16)
    return images.astype(np.float32), texts.astype(np.float32), labels


def covariance(rows):
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def shrunk(matrix, share):
    return (1 - share) * matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**exponent @ vectors.T


def top(matrix, k):
    return np.linalg.eigh(matrix)[1][:, ::-1][:, :k]


def _least_squares(x, y, alpha):
    a, b = x - x.mean(0), y - y.mean(0)
    return a @ np.linalg.solve(a.T @ a + alpha * np.eye(a.shape[1]), a.T @ b), b


def _drop(x, y, k):
    kept = np.sort(np.argsort(-np.abs(x.mean(0) - y.mean(0)), kind="stable")[k:])
    return x[:, kept], y[:, kept]


def _abtt(x, y, k):
    return tuple(
        (r - r.mean(0)) @ (np.eye(r.shape[1]) - top(covariance(r), k) @ top(covariance(r), k).T) for r in (x, y)
    )


def _projection(x, y):
    gap = x.mean(0) - y.mean(0)
    keep = np.eye(len(gap)) - np.outer(gap, gap) / (gap @ gap)
    return x @ keep, y @ keep


def _realign(x, y):
    scale = np.sqrt(np.trace(covariance(x)) / np.trace(covariance(y)) * 1.0)
    moved = unit(x.mean(0) + scale * (y - y.mean(0)))
    return x, moved - moved.mean(0) + x.mean(0)


def _coral(x, y, ridge):
    a, b = (c + ridge * np.trace(c) / len(c) * np.eye(len(c)) for c in (covariance(y), covariance(x)))
    return x - x.mean(0), (y - y.mean(0)) @ power(a, -0.5) @ power(b, 0.5)


def _transport(x, y, share):
    a, b = shrunk(covariance(y), share), shrunk(covariance(x), share)
    root = power(a, 0.5)
    return x - x.mean(0), (y - y.mean(0)) @ power(a, -0.5) @ power(root @ b @ root, 0.5) @ power(a, -0.5)


def _subspaces(x, y, k):
    target, source = top(covariance(x), k), top(covariance(y), k)
    return x - x.mean(0), (y - y.mean(0)) @ source @ (source.T @ target) @ target.T


def _cca(x, y, k, share, weight):
    a, b = shrunk(covariance(x), share), shrunk(covariance(y), share)
    x, y = x - x.mean(0), y - y.mean(0)
    u, rho, v = np.linalg.svd(power(a, -0.5) @ (x.T @ y / len(x)) @ power(b, -0.5))
    weights = rho[:k] ** weight
    return x @ power(a, -0.5) @ u[:, :k] * weights, y @ power(b, -0.5) @ v[:k].T * weights


def _erased(x, y):
    """LEACE of the label "image", in its closed form: a rank-one map towards the middle of both means."""
    middle, gap = (x.mean(0) + y.mean(0)) / 2, x.mean(0) - y.mean(0)
    spread = (covariance(x) + covariance(y)) / 2 + np.outer(gap, gap) / 4
    direction = np.linalg.solve(spread, gap)
    return tuple(r - np.outer((r - middle) @ direction / (direction @ gap), gap) for r in (x, y))


ALIGNERS = {
    "identity": lambda x, y: (x, y),
    "mean-center": lambda x, y: (x - x.mean(0), y - y.mean(0)),
    "shift-to-mean[amount=0.7]": lambda x, y: (x, y + 0.7 * (x.mean(0) - y.mean(0))),
    "gap-projection": _projection,
    "dn[strength=0.3]": lambda x, y: (x - 0.3 * x.mean(0), y - 0.3 * y.mean(0)),
    "drop-gap-dims[k=4]": lambda x, y: _drop(x, y, 4),
    "z-score": lambda x, y: tuple((r - r.mean(0)) / r.std(0) for r in (x, y)),
    "realign": _realign,
    "abtt[directions=3]": lambda x, y: _abtt(x, y, 3),
    "whiten-zca[scope=modality,shrinkage=0.3]": lambda x, y: tuple(
        (r - r.mean(0)) @ power(shrunk(covariance(r), 0.3), -0.5) for r in (x, y)
    ),
    "coral[ridge=0.7,recenter=zero]": lambda x, y: _coral(x, y, 0.7),
    "gaussian-ot[shrinkage=0.3,recenter=zero]": lambda x, y: _transport(x, y, 0.3),
    "subspace-alignment[k=5,recenter=zero]": lambda x, y: _subspaces(x, y, 5),
    "procrustes": lambda x, y: (x @ scipy.linalg.orthogonal_procrustes(x, y)[0], y),
    "ols": lambda x, y: _least_squares(x, y, 0.0),
    "ridge[alpha=0.3]": lambda x, y: _least_squares(x, y, 0.3),
    "cca[k=5,shrinkage=0.4,weight=0.5]": lambda x, y: _cca(x, y, 5, 0.4, 0.5),
    "oracle-leace": lambda x, y: tuple(r - r.mean(0) + (x.mean(0) + y.mean(0)) / 2 for r in (x, y)),
    "leace[shrinkage=fixed,share=0.0]": _erased,
}

#: Those whose rows are scored as they are; of the others, normalised.
PLAIN = ("shift-to-mean[amount=0.7]", "dn[strength=0.3]")

#: Those that need no pairs, with class prompts.
UNPAIRED = (
    "identity", "mean-center", "shift-to-mean[amount=0.7]", "gap-projection", "dn[strength=0.3]", "drop-gap-dims[k=4]",
)  # fmt: skip


def between(hits, near):
    """Return the lowest and the highest share of hits, where some are near to be the other way round."""
    return [float(np.mean(hits & ~near)), float(np.mean(hits | near))]


def recall(scores, own, k):
    """Return the share of queries whose own candidate is among the first k, as an interval."""
    mine = scores[np.arange(len(scores)), own][:, None]
    surely_before, maybe_before = (scores > mine + TIE).sum(1), (scores >= mine - TIE).sum(1) - 1
    return [float(np.mean(maybe_before < k)), float(np.mean(surely_before < k))]


def of_captions(x, y):
    scores, own = x @ y.T, np.arange(len(x))
    x, y = unit(x), unit(y)
    return {
        "i2t-recall@1": recall(scores, own, 1),
        "i2t-recall@5": recall(scores, own, 5),
        "t2i-recall@1": recall(scores.T, own, 1),
        "paired-cos": float(np.mean((x * y).sum(1))),
        "paired-l2": float(np.mean(np.linalg.norm(x - y, axis=1))),
        "centroid-l2": float(np.linalg.norm(x.mean(0) - y.mean(0))),
        "centroid-cos": float(unit(x.mean(0)[None])[0] @ unit(y.mean(0)[None])[0]),
    }


def of_classes(x, t, labels):
    scores = x @ t.T
    x, t = unit(x), unit(t)
    top1 = recall(scores, labels, 1)
    mine = scores[np.arange(len(x)), labels]
    right = scores.argmax(1) == labels
    near = (np.sort(scores, 1)[:, -1] - np.sort(scores, 1)[:, -2]) < TIE
    found = {"top1": top1, "top5": recall(scores, labels, 5)}
    if not near.any():
        found["mean-per-class-recall"] = float(np.mean([right[labels == c].mean() for c in range(len(t))]))
    others = scores.copy()
    others[np.arange(len(x)), labels] = -np.inf
    return {
        **found,
        "margin": float(np.mean(mine - others.max(1))),
        "paired-cos": float(np.mean((x * t[labels]).sum(1))),
    }


def aligned(label, x, y):
    rows = ALIGNERS[label](x, y)
    return rows if label in PLAIN else tuple(map(unit, rows))


def golden():
    """Compute everything."""
    x, y = (unit(rows.astype(np.float64)) for rows in captions())
    images, texts, labels = classes()
    a, t = unit(images.astype(np.float64)), unit(texts.astype(np.float64))
    return {
        "captions": {label: of_captions(*aligned(label, x, y)) for label in ALIGNERS},
        "classes": {label: of_classes(*aligned(label, a, t), labels) for label in UNPAIRED},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
