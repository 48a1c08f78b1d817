"""Make `golden.json`: what aligners and metrics give, computed by plain float64 NumPy and SciPy, and by nothing of gapbench.

    PYTHONPATH=tests python -m golden.make

Which aligners and which metrics are covered is what the file lists; those that draw at random are not among them. The
embeddings of two worlds are made by code, those of the third are published features of CLIP, which lie beside a checkout or
nowhere. All items are fitted on and scored, so that nothing is drawn. Shares over items that
rounding could tip are kept as the lowest and the highest value that they may have.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from golden.aligners import (
    ALIGNERS,
    BIAS,
    COLLAPSE,
    DISCRIMINANT,
    UNPAIRED,
    aligned,
    discriminant_scores,
    scores_of,
    unit,
)
from golden.metrics import Rows, Values, cka, classification, displacement, fisher, positions, ranking, shapes
from golden.neighbours import mixed_search, mmd, neighbourhoods, shared
from places import CLIP

FILE = Path(__file__).parent / "golden.json"

#: What 500 centred pairs of 512 dimensions do not determine: one direction of the rotation, and of the map, is open.
OPEN = ("procrustes", "ols")


def captions() -> tuple[Rows, Rows]:
    """300 images with a caption each, in two cones with a gap, float32 as a file has them."""
    rng = np.random.default_rng(20)
    images = rng.normal(size=(300, 16)) + 1.2
    turn = np.linalg.qr(rng.normal(size=(16, 16)) + 12 * np.eye(16))[0]
    texts = images @ (turn * np.sign(np.diag(turn))) + 0.7 * rng.normal(size=(300, 16)) - 1.5
    return images.astype(np.float32), texts.astype(np.float32)


def classes() -> tuple[Rows, Rows, Rows]:
    """400 images of eight classes, and a text for each class."""
    rng = np.random.default_rng(21)
    texts = rng.normal(size=(8, 16))
    labels = rng.permutation(np.arange(400) % 8)
    images = texts[labels] + 1.1 * rng.normal(size=(400, 16)) + 0.7 * rng.normal(size=16)
    return images.astype(np.float32), texts.astype(np.float32), labels


def published() -> tuple[Rows, Rows]:
    """The published features, as they are in their file."""
    with np.load(CLIP) as kept:
        return kept["image"], kept["text"]


def of_captions(label: str, images: Rows, texts: Rows) -> Values:
    own = np.arange(len(images))
    x, y = aligned(label, images, texts)
    found = positions(unit(x), unit(y), own) | {"mmd": mmd(unit(x), unit(y), (images, texts))}
    if x.shape == images.shape:
        found["displacement"] = displacement((x, y), (images, texts), own)
    if label != COLLAPSE:
        of_texts, of_images = scores_of(label, x, y)
        found |= neighbourhoods((unit(x), unit(y)), (images, texts), (of_texts, of_images))
        found |= ranking("i2t", of_texts) | ranking("t2i", of_images) | shapes(unit(x), unit(y), own)
        if label != BIAS:  # it has no embeddings to mix
            found |= mixed_search(unit(x), unit(y))
        found["cka"] = cka(unit(x), unit(y))
    return found


def of_classes(label: str, images: Rows, texts: Rows, labels: Rows) -> Values:
    x, t = (images, texts) if label == DISCRIMINANT else aligned(label, images, texts)
    found = positions(unit(x), unit(t), labels) | {"mmd": mmd(unit(x), unit(t), (images, texts))}
    if x.shape == images.shape:
        found["displacement"] = displacement((x, t), (images, texts), labels)
    if label != COLLAPSE:
        scores = discriminant_scores(x, t, labels) if label == DISCRIMINANT else scores_of(label, x, t)[0]
        found |= classification(scores, labels) | shapes(unit(x), unit(t), labels)
        found["neighbour-preservation"] = shared(unit(x), images)
        found["class-fisher"] = fisher(unit(x), labels)
    return found


def of_published() -> dict[str, Values]:
    x, y = (unit(rows.astype(np.float64)) for rows in published())
    return {label: of_captions(label, x, y) for label in ALIGNERS if label not in OPEN}


def golden() -> dict[str, dict[str, Values]]:
    """Compute all that is made by code."""
    x, y = (unit(rows.astype(np.float64)) for rows in captions())
    images, texts, labels = classes()
    a, t = unit(images.astype(np.float64)), unit(texts.astype(np.float64))
    return {
        "captions": {label: of_captions(label, x, y) for label in ALIGNERS},
        "classes": {label: of_classes(label, a, t, labels) for label in (*UNPAIRED, DISCRIMINANT)},
    }


if __name__ == "__main__":
    made = golden() | {"published": of_published()}
    FILE.write_text(json.dumps(made, indent=1) + "\n")
