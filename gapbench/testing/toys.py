"""Toy data whose truth is known: two cones of rows, an encoder that is a fixed projection, a tiny dataset with captions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import EmbeddedSplit, Split, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from gapbench.components import Float32, Float64, Int64

COLORS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 60, 210), "yellow": (230, 210, 40)}


@dataclass(frozen=True)
class TwoCones:
    """Pairs of rows in two cones: ``texts = (images @ rotation + translation) + noise``, exactly so where noise is 0.

    ``images`` and ``texts`` are ``(N, d)`` and go row by row, ``labels`` ``(N,)`` is the class of each pair and
    ``class_texts`` ``(C, d)`` the mean text of each class. Rows are raw: not normalised.
    """

    images: Float32
    texts: Float32
    labels: Int64
    class_texts: Float32
    rotation: Float64
    translation: Float64

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(f"class {number}" for number in range(len(self.class_texts)))

    def captions(self, *, labels: bool = False) -> EmbeddedSplit:
        """Give the pairs as images with one caption each, and with their classes where ``labels`` says so."""
        n = len(self.images)
        return EmbeddedSplit(
            images=self.images,
            fingerprint=f"toy-captions-{n}",
            captions=Texts(rows=self.texts, owner=np.arange(n)),
            classes=self.names if labels else (),
            labels=self.labels if labels else None,
        )

    def prompts(self) -> EmbeddedSplit:
        """Give the images with their classes and one prompt a class."""
        return EmbeddedSplit(
            images=self.images,
            fingerprint=f"toy-classes-{len(self.images)}",
            classes=self.names,
            labels=self.labels,
            prompts=Texts(rows=self.class_texts, owner=np.arange(len(self.class_texts))),
        )


def two_cones(
    n: int = 80, d: int = 7, classes: int = 4, *, noise: float = 0.05, angle: float = 0.3, seed: int = 0
) -> TwoCones:
    """Draw pairs in two cones.

    Parameters
    ----------
    n, d, classes
        Number of pairs, dimensions and classes; every class has a pair where ``n >= classes``.
    noise
        Standard deviation of what is added to each text.
    angle
        How far the rotation turns each plane, in radians; 0 leaves the cones parallel.
    """
    rng = np.random.default_rng([seed, 7341])  # a stream of its own: metrics draw with plain small seeds
    labels = rng.permutation(np.arange(n) % classes)
    centres = rng.standard_normal((classes, d))
    images = centres[labels] + 0.4 * rng.standard_normal((n, d)) + 1.5 * _direction(d)
    rotation = _rotation(d, angle, rng)
    translation = -2.5 * _direction(d)
    texts = images @ rotation + translation + noise * rng.standard_normal((n, d))
    class_texts = np.array([texts[labels == c].mean(axis=0) for c in range(classes)])
    return TwoCones(
        images=images.astype(np.float32),
        texts=texts.astype(np.float32),
        labels=labels,
        class_texts=class_texts.astype(np.float32),
        rotation=rotation,
        translation=translation,
    )


def _direction(d: int) -> Float64:
    return np.full(d, 1 / np.sqrt(d))


def _rotation(d: int, angle: float, rng: np.random.Generator) -> Float64:
    """Turn every plane of a random basis by the same angle."""
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
    turn = np.eye(d)
    for i in range(0, d - 1, 2):
        turn[i : i + 2, i : i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.asarray(basis @ turn @ basis.T)


class ToyEncoder:
    """An encoder without weights: a picture's mean colour, and the colours that a text names, through one projection.

    Images and texts of one colour are near to each other; a constant shift between them makes a gap.
    """

    dim = 6

    def __init__(self, _context: Any = None, gap: float = 1.0) -> None:
        self.gap = gap
        self._basis = np.linalg.qr(np.random.default_rng(0).standard_normal((self.dim, self.dim)))[0]

    def identity(self) -> Mapping[str, Any]:
        """Everything that changes the embeddings."""
        return {"architecture": "toy", "gap": self.gap, "dim": self.dim}

    def encode_images(self, batch: Sequence[Image]) -> Float32:
        """Encode pictures: ``(len(batch), 6)``."""
        means = [np.asarray(picture, dtype=np.float64).mean(axis=(0, 1)) / 255 for picture in batch]
        return self._embed(np.reshape(means, (len(batch), 3)), self.gap / 2)

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: ``(len(texts), 6)``; words that name no colour add a little of their own."""
        rows = np.zeros((len(texts), 3))
        for number, text in enumerate(texts):
            for word in text.lower().split():
                rows[number] += np.array(COLORS.get(word, _few(word))) / 255
        return self._embed(rows, -self.gap / 2)

    def _embed(self, colors: Float64, shift: float) -> Float32:
        wide = np.hstack([colors - 0.4, np.full((len(colors), 3), shift)])
        return np.asarray(wide @ self._basis, dtype=np.float32)


def _few(word: str) -> tuple[float, float, float]:
    digest = hashlib.sha256(word.encode()).digest()
    return digest[0] / 16, digest[1] / 16, digest[2] / 16


class ToyDataset:
    """Small pictures of one colour each, with classes and captions; nothing is read from disk."""

    sizes: Mapping[str, int] = {"train": 24, "test": 16}

    def __init__(self, _context: Any = None) -> None:
        """Take the context that a run gives, and need nothing of it."""

    def split(self, name: str) -> Split:
        """Draw one split; every class has the same number of pictures."""
        from PIL import Image

        names = tuple(COLORS)
        n = self.sizes[name]
        labels = np.arange(n) % len(names)
        rng = np.random.default_rng([n, 1])
        pictures, hashes = [], []
        for label in labels:
            pixels = np.clip(np.array(COLORS[names[label]]) + rng.integers(-25, 26, (8, 8, 3)), 0, 255)
            picture = Image.fromarray(pixels.astype(np.uint8), mode=None)
            pictures.append(picture)
            hashes.append(hashlib.sha256(picture.tobytes()).hexdigest())
        captions = [[f"a {names[label]} square", f"something {names[label]}"] for label in labels]
        return Split(images=pictures, item_hashes=hashes, classes=names, labels=labels, captions=captions)


def reordered(split: EmbeddedSplit, order: Int64) -> EmbeddedSplit:
    """Give the same items in another order; each image has one caption, or a class."""
    captions = split.captions
    if captions is not None:
        owner = np.argsort(order)[captions.owner[order]]
        captions = replace(captions, rows=captions.rows[order], owner=owner)
    labels = None if split.labels is None else split.labels[order]
    return replace(split, images=split.images[order], labels=labels, captions=captions)


def in_file_order(split: EmbeddedSplit) -> EmbeddedSplit:
    """Give a split whose items and texts are read and drawn as they stand, as if their hashes ascended."""

    def counted(texts: Texts | None) -> Texts | None:
        return None if texts is None else replace(texts, keys=np.arange(len(texts.rows), dtype=np.uint64))

    keys = np.arange(len(split.images), dtype=np.uint64)
    return replace(split, keys=keys, captions=counted(split.captions), prompts=counted(split.prompts))
