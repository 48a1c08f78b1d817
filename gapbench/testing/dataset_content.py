"""Whether what a dataset says of its pictures is so: hashes, splits, labels, and the same each time."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import numpy as np

from gapbench.host.registry import Kind
from gapbench.testing.checks import Subject, check
from gapbench.testing.dataset_checks import here, splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

#: Pictures that are decoded, of each split.
DECODED = 400

#: Seconds that building may take once everything is imported.
BUILDING_S = 0.5


def pixels(images: Sequence[Image], most: int = DECODED) -> list[str]:
    """Hash the pixels of the first pictures."""
    found = []
    for number in range(min(most, len(images))):
        picture = images[number]
        found.append(hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest())
    return found


@check("builds without reading the data", Kind.DATASET)
def cheap(subject: Subject) -> None:
    """Building takes next to nothing: plans build datasets, too."""
    here(subject)
    start = time.perf_counter()
    subject.build()
    took = time.perf_counter() - start
    assert took < BUILDING_S, f"building it takes {took:.1f} s; read the data in split()"


@check("hashes what is in the pictures", Kind.DATASET)
def hashes_of_pixels(subject: Subject) -> None:
    """Of the first 400 of each split equal pictures have equal hashes, others different ones, and none is in two splits."""
    home: dict[str, str] = {}
    hash_of: dict[str, str] = {}
    pixels_of: dict[str, str] = {}
    for name, split in splits(subject).items():
        for one, told in zip(pixels(split.images), split.item_hashes, strict=False):
            assert home.setdefault(one, name) == name, f"a picture is in {home[one]!r} and in {name!r}"
            assert hash_of.setdefault(one, told) == told, f"two equal pictures of {name!r} have different hashes"
            assert pixels_of.setdefault(told, one) == one, f"two different pictures have the hash {told}"


@check("has pictures that differ", Kind.DATASET)
def differ(subject: Subject) -> None:
    """Of the first 400 of a split there are at least half as many different pictures, and equal ones have one label."""
    for name, split in splits(subject).items():
        found = pixels(split.images)
        distinct = len(set(found))
        assert 2 * distinct >= len(found), f"of {len(found)} pictures of {name!r} only {distinct} differ"
        labels: dict[str, int] = {}
        for one, label in zip(found, () if split.labels is None else split.labels, strict=False):
            assert labels.setdefault(one, int(label)) == int(label), (
                f"two equal pictures of {name!r} have different labels"
            )


@check("gives all of it the same each time", Kind.DATASET)
def same_each_time(subject: Subject) -> None:
    """Two builds give the same pictures, labels, classes and captions, item by item; so does one build twice."""
    one = splits(subject)
    kept = here(subject)
    for name, split in splits(subject).items():
        first = one[name]
        for again in (split, kept.split(name), kept.split(name)):
            assert list(again.item_hashes) == list(first.item_hashes), f"split {name!r} has other items each time"
            assert pixels(again.images) == pixels(first.images), f"split {name!r} has other pictures each time"
            assert tuple(again.classes) == tuple(first.classes), f"split {name!r} has other classes each time"
            assert _plain(again.labels) == _plain(first.labels), f"split {name!r} has other labels each time"
            captions = [None if each.captions is None else list(map(list, each.captions)) for each in (again, first)]
            assert captions[0] == captions[1], f"split {name!r} has other captions each time"


def _plain(labels: object) -> object:
    return None if labels is None else np.asarray(labels).tolist()


@check("reads its items in any order", Kind.DATASET)
def any_order(subject: Subject) -> None:
    """Pictures that are read backwards are those that were read from the first on."""
    for name, split in splits(subject).items():
        n = min(40, len(split.images))
        forwards = [split.images[number].tobytes() for number in range(n)]
        backwards = [split.images[number].tobytes() for number in reversed(range(n))]
        assert backwards[::-1] == forwards, f"pictures of {name!r} depend on the order in which they are read"
