"""A sample of items of the aligned test split, with similarities and neighbours that metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.arrays import unit_rows
from gapbench.embeddings.items import round_robin
from gapbench.retrieval import top_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.mapping import Maps
    from gapbench.components import Float32, Int64, Keys

#: Items of a sample: a matrix of similarities is then at most 16 MB.
SAMPLE = 2_000


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Which items are in a sample, the same for all aligners of a table.

    Parameters
    ----------
    index, text_index
        ``(n,)`` and ``(m,)`` positions of the images and texts in the split.
    own
        ``(n,)`` row of the texts that belongs to each image.
    labels, text_labels
        Classes, where there are any.
    groups
        ``(n,)`` jackknife group of each image.
    """

    index: Int64
    text_index: Int64
    own: Int64
    labels: Int64 | None
    text_labels: Int64 | None
    groups: Int64


def draw(order: Int64, text_order: Int64, owner: Int64, labels: Int64 | None, keys: Keys, *, captioned: bool) -> Drawn:
    """Draw at most `SAMPLE` items: with captions images that have any, with one caption each; else images and all texts.

    Parameters
    ----------
    order, text_order
        In which images ``(N,)`` and texts ``(M,)`` are drawn.
    owner
        ``(M,)`` image or class of each text.
    labels
        ``(N,)`` class of each image.
    keys
        ``(N,)`` key of each image.
    captioned
        Whether texts are captions.
    """
    first = first_of(owner[text_order], len(order) if captioned else int(owner.max()) + 1)
    index = (order[first[order] >= 0] if captioned else order)[:SAMPLE]
    of_image = None if labels is None else labels[index]
    if captioned:
        text_index, own, of_text = text_order[first[index]], np.arange(len(index)), of_image
    else:
        assert of_image is not None
        text_index, own, of_text = text_order, first[of_image], owner[text_order]
    return Drawn(
        index=index,
        text_index=text_index,
        own=own,
        labels=of_image,
        text_labels=of_text,
        groups=round_robin(keys[index]),
    )


def first_of(owner: Int64, n: int) -> Int64:
    """``(n,)`` first position of each of n owners; -1 where there is none."""
    first = np.full(n, -1, dtype=np.int64)
    present, positions = np.unique(owner, return_index=True)
    first[present] = positions
    return first


class AlignedSample:
    """Implements `gapbench.components.Sample`.

    Parameters
    ----------
    drawn
        Which items.
    images, texts
        Their aligned rows, as the aligner gave them.
    maps
        For the scores as retrieval ranks them.
    """

    def __init__(self, drawn: Drawn, images: Float32, texts: Float32, maps: Maps) -> None:
        self.index = drawn.index
        self.text_index = drawn.text_index
        self.images = unit_rows(images)
        self.texts = unit_rows(texts)
        self.own = drawn.own
        self.labels = drawn.labels
        self.text_labels = drawn.text_labels
        self.groups = drawn.groups
        self._given = (images, texts)
        self._maps = maps
        self._matrices: dict[Sequence[str], Float32] = {}
        self._nearest: dict[tuple[str, str], Int64] = {}

    def similarity(self, left: str, right: str) -> Float32:
        """Cosines ``(n, m)``."""
        if (left, right) not in self._matrices:
            a, b = getattr(self, left), getattr(self, right)
            self._matrices[left, right] = a @ b.T
        return self._matrices[left, right]

    def neighbours(self, left: str, right: str, k: int) -> Int64:
        """``(n, k)`` nearest rows, nearest first; equally near ones by their position."""
        kept = self._nearest.get((left, right))
        if kept is None or kept.shape[1] < k:
            scores = self.similarity(left, right)
            if left == right:
                scores = scores.copy()
                np.fill_diagonal(scores, -np.inf)
                k = min(k, len(scores) - 1)
            kept = top_columns(scores, k)
            self._nearest[left, right] = kept
        return kept[:, :k]

    def ranked(self, queries: str) -> Float32:
        """Scores as retrieval ranks them."""
        if ("ranked", queries) not in self._matrices:
            x, t = self._given
            scores = self._maps.score_texts(x, t) if queries == "images" else self._maps.score_images(t, x)
            self._matrices["ranked", queries] = scores
        return self._matrices["ranked", queries]
