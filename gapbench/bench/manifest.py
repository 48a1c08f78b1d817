"""Manifests: all of a dataset's split that is not pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gapbench.components import Intake
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.embeddings.items import DIGEST, item_digests, string_keys
from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.components import Keys, Split
    from gapbench.embeddings.items import Digests

#: A hash of content; a row's number, say, would be taken for the same item in other data.
_HASH = re.compile(r"[0-9a-f]{32,}").fullmatch


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A split without its pictures: ``items`` is one hash over the hashes of the pictures, in order.

    ``keys`` holds 64 bits of each of these hashes, by which items are drawn: 16 hex digits a picture, in one string;
    ``digests`` 128 other bits, by which their embeddings are found.
    """

    items: str
    keys: str
    digests: str
    n: int
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None
    captions: tuple[tuple[str, ...], ...] | None = None
    intake: Intake = Intake()

    @property
    def fingerprint(self) -> str:
        """Identify all that the split holds: pictures, labels, class names and captions."""
        return fingerprint([self.items, self.n, self.labels, self.classes, self.captions])

    @property
    def item_keys(self) -> Keys:
        """``(N,)`` key of each picture."""
        return np.frombuffer(bytes.fromhex(self.keys), dtype=">u8").astype(np.uint64)

    @property
    def item_digests(self) -> Digests:
        """``(N,)`` digest of each picture."""
        return np.frombuffer(bytes.fromhex(self.digests), dtype=DIGEST)

    @property
    def caption_strings(self) -> list[str]:
        """All captions, in the order of their images."""
        return [caption for own in self.captions or () for caption in own]

    @property
    def caption_owner(self) -> list[int]:
        """For each caption the row of its image."""
        return [row for row, own in enumerate(self.captions or ()) for _ in own]


def manifest_of(split: Split, name: str) -> Manifest:
    """Check a split and describe it.

    Raises
    ------
    DataError
        Empty, sizes that do not match, item hashes that are none, a label outside the classes.
    """
    n = len(split.images)
    if n == 0:
        raise DataError(f"{name} has no images.")
    if len(split.item_hashes) != n:
        raise DataError(f"{name} has {n} images but {len(split.item_hashes)} item hashes.")
    for row, one in enumerate(split.item_hashes):
        if not _HASH(str(one)):
            raise DataError(f"{name}: the hash of item {row} is {one!r}; it must be 32 hexadecimal digits or more.")
    labels = None
    if split.labels is not None:
        array = np.asarray(split.labels)
        if array.shape != (n,) or array.dtype.kind not in "iu":
            raise DataError(f"{name}: labels must be {n} integers, not {array.dtype} of shape {array.shape}.")
        outside = np.flatnonzero((array < 0) | (array >= len(split.classes)))
        if len(outside):
            row = int(outside[0])
            raise DataError(f"{name}: label {array[row]} of item {row} is outside 0..{len(split.classes) - 1}.")
        labels = tuple(array.tolist())
    captions = None if split.captions is None else tuple(tuple(own) for own in split.captions)
    if captions is not None and len(captions) != n:
        raise DataError(f"{name} has {n} images but captions for {len(captions)}.")
    return Manifest(
        items=fingerprint(list(split.item_hashes)),
        keys=string_keys(split.item_hashes).astype(">u8").tobytes().hex(),
        digests=item_digests(split.item_hashes).tobytes().hex(),
        n=n,
        classes=tuple(split.classes),
        labels=labels,
        captions=captions,
        intake=plain_intake(split.intake, name),
    )


def plain_intake(intake: Intake, name: str) -> Intake:
    """Hold what a source says of its reading to plain values.

    Raises
    ------
    DataError
        Something else than strings and numbers of things.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(intake), Intake)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise DataError(f"{name}: its intake is not of strings and counts ({error}).") from error
