"""Protocols: which items an aligner is fitted on and which it is scored on.

``held-out``
    Fit on ``train``; where a source has no such split, on one half of the items, drawn with the seed. Score on the rest.
``in-sample``
    Fit on n items of the test split and score on all of it. Always marked as such.
``transductive``
    As ``held-out``, and the aligner may also read the unlabelled test items. Never ranked with the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import SelectedRows
from gapbench.embeddings.fingerprint import derive_rng, fingerprint
from gapbench.embeddings.items import Items, direction_keys, row_keys
from gapbench.errors import DataError
from gapbench.model.record import ItemCounts

if TYPE_CHECKING:
    from gapbench.components import Bools, Int64, Keys
    from gapbench.model.study import Protocol


def subset(split: EmbeddedSplit, images: Int64) -> EmbeddedSplit:
    """Restrict a split to some images (sorted positions); captions follow their image, class prompts stay."""
    captions = split.captions
    if captions is not None:
        position = np.full(len(split.images), -1, dtype=np.int64)
        position[images] = np.arange(len(images))
        kept = np.flatnonzero(position[captions.owner] >= 0)
        captions = Texts(
            rows=SelectedRows(captions.rows, kept),
            owner=position[captions.owner[kept]],
            strings=[captions.strings[int(i)] for i in kept] if captions.strings else (),
            keys=None if captions.keys is None else captions.keys[kept],
            cut=None if captions.cut is None else captions.cut[kept],
        )
    return replace(
        split,
        images=SelectedRows(split.images, images),
        fingerprint=fingerprint([split.fingerprint, images.tolist()]),
        labels=None if split.labels is None else split.labels[images],
        captions=captions,
        keys=None if split.keys is None else split.keys[images],
    )


def keyed(split: EmbeddedSplit) -> EmbeddedSplit:
    """Return a split whose items have keys; rows that came without are hashed, once. O(N d)."""
    return split if split.keys is not None else replace(split, keys=_keys(split))


def _keys(split: EmbeddedSplit) -> Keys:
    return row_keys(split.images) if split.keys is None else split.keys


def _order(split: EmbeddedSplit, purpose: str, seed: int) -> Int64:
    """``(N,)`` positions of the images in an order that rests on what they are, and on the seed."""
    items = Items(split, captioned=split.captions is not None)
    return items.order[derive_rng(purpose=purpose, items=items.fingerprint, seed=seed).permutation(len(split.images))]


def draw(split: EmbeddedSplit, size: int | None, seed: int) -> EmbeddedSplit:
    """Draw ``size`` images without replacement, the same ones for every aligner; larger sizes hold the smaller ones."""
    if size is None or size >= len(split.images):
        return split
    return subset(split, np.sort(_order(split, "fit subset", seed)[:size]))


def draw_shots(split: EmbeddedSplit, shots: int | None, seed: int) -> EmbeddedSplit:
    """Draw ``shots`` images of each class, all of a class that has no more; nested: more shots hold the fewer ones.

    Raises
    ------
    DataError
        There are no classes.
    """
    if shots is None:
        return split
    if split.labels is None:
        raise DataError("Shots are images of a class, and this dataset has no classes; give a fit size instead.")
    order = _order(split, "shots", seed)
    by_class = [order[split.labels[order] == c][:shots] for c in range(len(split.classes))]
    return subset(split, np.sort(np.concatenate(by_class)))


def copies(split: EmbeddedSplit) -> Int64:
    """``(N,)`` group of each image: those of one picture, or of one unit row bit by bit, are in one group."""
    n = len(split.images)
    by_row = np.unique(direction_keys(split.images), return_inverse=True)[1].ravel()
    if split.keys is None:
        return by_row
    by_key = np.unique(split.keys, return_inverse=True)[1].ravel()
    if by_row.max(initial=-1) == by_key.max(initial=-1) == n - 1:
        return np.arange(n)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.concatenate([n + by_row, n + by_row.max() + 1 + by_key])
    starts, size = np.tile(np.arange(n), 2), int(ends.max()) + 1
    graph = coo_array((np.ones(2 * n, dtype=bool), (starts, ends)), shape=(size, size))
    return np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)[1].ravel()


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What is fitted on and what is scored.

    Parameters
    ----------
    fit, test
        The two splits.
    seen
        ``(N,)`` which scored images are fitted on as well; None where none may be.
    repeated
        Number of images of a halved source that occur more than once: copies are in one half.
    left_out
        Number of images of a fit split that are scored as well, and therefore not fitted on.
    clusters
        ``(N,)`` number of each scored image, the same for copies; None where all are different, and in-sample.
    """

    fit: EmbeddedSplit
    test: EmbeddedSplit
    seen: Bools | None = None
    repeated: int = 0
    left_out: int = 0
    clusters: Int64 | None = None

    @property
    def counts(self) -> ItemCounts:
        """The numbers of items, for the record."""
        empty, alike = _odd_classes(self.test)
        return ItemCounts(
            empty_classes=empty,
            alike_classes=alike,
            cut_texts=_cut_texts(self.test),
            fitted=len(self.fit.images),
            scored=len(self.test.images),
            seen=0 if self.seen is None else int(np.count_nonzero(self.seen)),
            repeated=self.repeated,
            left_out=self.left_out,
            scored_copies=0 if self.clusters is None else len(self.clusters) - int(self.clusters.max()) - 1,
            skipped=self._skipped,
        )

    @property
    def _skipped(self) -> dict[str, int]:
        """What both sources held and was not read; the halves of one source say the same, and count once."""
        said = [self.test.intake, *([] if self.fit.intake is self.test.intake else [self.fit.intake])]
        return dict(sum((Counter(one.skipped) for one in said), Counter()))


def _odd_classes(split: EmbeddedSplit) -> tuple[int, int]:
    """Count the classes without an image, and those that have all their texts in common with another."""
    if split.prompts is None or split.labels is None:
        return 0, 0
    empty = len(split.classes) - len(np.unique(split.labels))
    _, counts = np.unique(Items(split, captioned=False).class_keys, return_counts=True)
    return empty, int(counts[counts > 1].sum())


def _cut_texts(split: EmbeddedSplit) -> int:
    """Count the scored texts of which the encoder did not read the end."""
    texts = split.captions if split.prompts is None else split.prompts
    return 0 if texts is None or texts.cut is None else int(np.count_nonzero(texts.cut))


def first_groups(group: Int64, canonical: Int64, order: Int64, most: int) -> Bools:
    """``(N,)`` images of the first groups in a drawn order, together at most ``most``; without copies the first ``most``.

    A group stands where one of its images is drawn, always the same one: large groups come no earlier than small ones.

    Parameters
    ----------
    group
        ``(N,)`` from 0, without gaps.
    canonical, order
        ``(N,)`` positions of the images, by what they are and as they were drawn.
    """
    _, at = np.unique(group[canonical], return_index=True)
    drawn = np.empty(len(order), dtype=np.int64)
    drawn[order] = np.arange(len(order))
    groups = np.argsort(drawn[canonical[at]])
    taken = groups[np.cumsum(np.bincount(group)[groups]) <= most]
    return np.isin(group, taken)


def halves(split: EmbeddedSplit, seed: int) -> Cut:
    """Cut a split into two halves by image, one to fit on and one to score; copies of an image are in one half.

    Different images are drawn, in an order that rests on what they are and on the seed; the first half is fitted on.

    Raises
    ------
    DataError
        All images are copies of one.
    """
    group, split = copies(split), keyed(split)
    order = _order(split, "halves", seed)
    canonical = Items(split, captioned=split.captions is not None).order
    sizes = np.bincount(group)
    if len(sizes) == 1:
        raise DataError(
            f"All {len(order)} images are copies of one, bit by bit, so they cannot be cut into a half to fit on and a half "
            "to score. Use data with different images, or --protocol in-sample."
        )
    fitted = first_groups(group, canonical, order, len(order) // 2)
    if not fitted.any():  # the first group is more than half of all: the others are fitted on
        fitted = group != np.argmax(sizes)
    return Cut(
        fit=subset(split, np.flatnonzero(fitted)),
        test=subset(split, np.flatnonzero(~fitted)),
        repeated=int(sizes[sizes > 1].sum()),
        clusters=_clusters(group[~fitted]),
    )


def _clusters(group: Int64) -> Int64 | None:
    """``(N,)`` which scored image each one is a copy of, numbered from 0; None where all are different."""
    different, numbers = np.unique(group, return_inverse=True)
    return None if len(different) == len(group) else np.asarray(numbers.ravel(), dtype=np.int64)


def _apart(train: EmbeddedSplit, test: EmbeddedSplit) -> Cut:
    """Leave out of a training split what is scored as well.

    Raises
    ------
    DataError
        Nothing is left.
    """
    shared = np.isin(direction_keys(train.images), direction_keys(test.images))
    if train.keys is not None and test.keys is not None:
        shared |= np.isin(train.keys, test.keys)
    train, test = keyed(train), keyed(test)
    if shared.all():
        raise DataError(
            f"All {len(shared)} images of the training split are scored as well, bit by bit: nothing is left to fit on. Use "
            "splits with different images, or --protocol in-sample."
        )
    kept = train if not shared.any() else subset(train, np.flatnonzero(~shared))
    return Cut(fit=kept, test=test, left_out=int(np.count_nonzero(shared)), clusters=_clusters(copies(test)))


def fit_and_test(protocol: Protocol, seed: int, test: EmbeddedSplit, train: EmbeddedSplit | None) -> Cut:
    """Cut what there is into what is fitted on and what is scored.

    Unless the protocol fits on what it scores, no scored image is fitted on: copies, bit by bit, stay in one half, or leave
    the training split. Two images that differ in one bit are two.

    Parameters
    ----------
    protocol, seed
        The seed decides about halves and subsets only.
    test
        The whole test split.
    train
        The training split where the source has one; not needed for ``in-sample``.

    Raises
    ------
    DataError
        There are too few different images.
    """
    if protocol.fits_on_test:
        test = keyed(test)
        fit = draw_shots(draw(test, protocol.fit_size, seed), protocol.shots, seed)
        return Cut(fit=fit, test=test, seen=np.isin(_keys(test), _keys(fit)))
    cut = _apart(train, test) if train is not None else halves(test, seed)
    return replace(cut, fit=draw_shots(draw(cut.fit, protocol.fit_size, seed), protocol.shots, seed))


def depends_on_seed(protocol: Protocol, n_fit: int | None, *, has_train: bool) -> bool:
    """Whether the fit rows differ from seed to seed: then every aligner is run with every seed.

    Parameters
    ----------
    n_fit
        Number of items that can be fitted on; None where it is not known yet.
    """
    sampled = protocol.shots is not None
    sampled = sampled or (protocol.fit_size is not None and (n_fit is None or protocol.fit_size < n_fit))
    return sampled or not (has_train or protocol.fits_on_test)
