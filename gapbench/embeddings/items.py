"""Who is who among items: a key of what each one is, and the one order that all keys give.

Whatever is drawn from items (samples, halves, groups of the jackknife, rows in the order in which a method reads them) is
drawn in this order. It is as good as random, it is the same for all aligners of a table, and no number depends on where an
item stands in a file.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.arrays import blocks, hash_array, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from numpy.typing import NDArray

    from gapbench.components import EmbeddedSplit, Int64, Keys, Rows, Texts

    Digests: TypeAlias = NDArray[np.bytes_]

#: What items are found by in the store: 128 bits of a hash of their hash.
DIGEST = np.dtype("S16")

#: Number of groups of items for the jackknife.
GROUPS = 100


def key_of(content: bytes) -> int:
    """Hash some bytes to 64 bits."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def string_keys(strings: Iterable[str]) -> Keys:
    """``(N,)`` keys of strings."""
    return np.array([key_of(text.encode(errors="surrogatepass")) for text in strings], dtype=np.uint64)


def item_digests(hashes: Iterable[str]) -> Digests:
    """``(N,)`` digests of items, from their hashes."""
    return np.array([blake2b(one.encode(), digest_size=16).digest() for one in hashes], dtype=DIGEST)


def row_keys(rows: Rows) -> Keys:
    """``(N,)`` keys of the values of rows, block by block; -0.0 and 0.0 are one number. O(N d)."""
    keys = np.empty(len(rows), dtype=np.uint64)
    for block in blocks(len(rows)):
        part = (np.asarray(rows[block], dtype=np.float32) + np.float32(0)).astype("<f4")
        keys[block] = [key_of(row.tobytes()) for row in part]
    return keys


def direction_keys(rows: Rows) -> Keys:
    """``(N,)`` keys of the unit rows of rows, block by block: of what aligners read of them. O(N d)."""
    keys = np.empty(len(rows), dtype=np.uint64)
    for block in blocks(len(rows)):
        keys[block] = row_keys(unit_rows(np.asarray(rows[block], dtype=np.float32)))
    return keys


def sum_keys(keys: Keys, owner: Int64, n: int) -> Keys:
    """``(n,)`` sum of the keys of each owner's texts, modulo 2^64: whatever their order."""
    sums = np.zeros(n, dtype=np.uint64)
    np.add.at(sums, owner, keys)
    return sums


def round_robin(keys: Keys, most: int = GROUPS) -> Int64:
    """``(N,)`` group of each item: different keys go to ``most`` groups in turn, in order of the keys; equal ones together.

    Copies of an item are in one group, since leaving out one of two copies leaves nothing out. Fewer different keys than
    ``most`` make as many groups as there are keys; no group is empty.
    """
    different, rank = np.unique(keys, return_inverse=True)
    return np.asarray(rank.ravel() % min(most, len(different)), dtype=np.int64)


class Items:
    """Keys and order of a split's images, and of the texts that are scored.

    Where the split brings keys, they are used: those of picture files and of strings are the same on every machine and for
    every encoder. Else a row is its own key.

    Parameters
    ----------
    split
        The items.
    captioned
        Whether the scored texts are captions (else class prompts).
    """

    def __init__(self, split: EmbeddedSplit, *, captioned: bool) -> None:
        self._split = split
        self._captioned = captioned

    @cached_property
    def keys(self) -> Keys:
        """``(N,)`` key of each image."""
        return row_keys(self._split.images) if self._split.keys is None else self._split.keys

    @property
    def _texts(self) -> Texts:
        texts = self._split.captions if self._captioned else self._split.prompts
        assert texts is not None
        return texts

    @cached_property
    def text_keys(self) -> Keys:
        """``(M,)`` key of each caption or prompt."""
        return row_keys(self._texts.rows) if self._texts.keys is None else self._texts.keys

    @cached_property
    def class_keys(self) -> Keys:
        """``(C,)`` key of each class: of its prompts together."""
        return sum_keys(self.text_keys, self._texts.owner, len(self._split.classes))

    @cached_property
    def order(self) -> Int64:
        """``(N,)`` positions of the images by key; equal images by their captions or the texts of their classes."""
        split = self._split
        if self._captioned:
            ties = sum_keys(self.text_keys, self._texts.owner, len(self.keys))
        elif split.labels is not None and split.prompts is not None:
            ties = self.class_keys[split.labels]
        else:
            return np.argsort(self.keys, kind="stable")
        return np.lexsort((ties, self.keys))

    @cached_property
    def groups(self) -> Int64:
        """``(N,)`` jackknife group of each image."""
        return round_robin(self.keys)

    @cached_property
    def text_order(self) -> Int64:
        """``(M,)`` positions of the captions or prompts by key; equal captions by their images."""
        if self._captioned:
            return np.lexsort((self.keys[self._texts.owner], self.text_keys))
        return np.argsort(self.text_keys, kind="stable")

    @cached_property
    def class_order(self) -> Int64:
        """``(C,)`` positions of the classes by key."""
        return np.argsort(self.class_keys, kind="stable")

    @cached_property
    def fingerprint(self) -> str:
        """Identify the images whatever their order: what generators are seeded with."""
        return hash_array(np.sort(self.keys), "<u8")
