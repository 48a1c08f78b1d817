"""Protocols: which items an aligner is fitted on and which it is scored on.

``held-out``
    Fit on ``train``; where a source has no such split, on one half of the items, drawn with the seed. Score on the rest.
``in-sample``
    Fit on n items of the test split and score on all of it. Always marked as such.
``transductive``
    As ``held-out``, and the aligner may also read the unlabelled test items. Never ranked with the others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import blocks
from gapbench.embeddings.fingerprint import derive_rng, fingerprint
from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.components import Float32, Int64, Rows
    from gapbench.model.study import Protocol


class SelectedRows:
    """A selection of rows that is read only when asked for."""

    def __init__(self, rows: Rows, index: Int64) -> None:
        self._rows = rows
        self._index = index

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, d)``."""
        return (len(self._index), *self._rows.shape[1:])

    def __len__(self) -> int:
        """N."""
        return len(self._index)

    def __getitem__(self, key: slice | Int64) -> Float32:
        """Read a block or a selection of rows."""
        return self._rows[self._index[key]]


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
        )
    return replace(
        split,
        images=SelectedRows(split.images, images),
        fingerprint=fingerprint([split.fingerprint, images.tolist()]),
        labels=None if split.labels is None else split.labels[images],
        captions=captions,
        keys=None if split.keys is None else split.keys[images],
    )


def draw(split: EmbeddedSplit, size: int | None, seed: int) -> EmbeddedSplit:
    """Draw ``size`` images without replacement, the same ones for every aligner; larger sizes hold the smaller ones."""
    n = len(split.images)
    if size is None or size >= n:
        return split
    rng = derive_rng(purpose="fit subset", items=split.fingerprint, seed=seed)
    return subset(split, np.sort(rng.permutation(n)[:size]))


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
    rng = derive_rng(purpose="shots", items=split.fingerprint, seed=seed)
    order = rng.permutation(len(split.images))
    by_class = [order[split.labels[order] == c][:shots] for c in range(len(split.classes))]
    return subset(split, np.sort(np.concatenate(by_class)))


def halves(split: EmbeddedSplit, seed: int) -> tuple[EmbeddedSplit, EmbeddedSplit]:
    """Cut a split into two halves by image: one to fit on, one to score."""
    fitted, scored = _half_positions(split, seed)
    return subset(split, fitted), subset(split, scored)


def _half_positions(split: EmbeddedSplit, seed: int) -> tuple[Int64, Int64]:
    n = len(split.images)
    order = derive_rng(purpose="halves", items=split.fingerprint, seed=seed).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def fit_items(protocol: Protocol, seed: int, test: EmbeddedSplit, train: EmbeddedSplit | None) -> int:
    """Return how many images `fit_and_test` fits on, without reading any."""
    source, halved = (test, False) if protocol.fits_on_test else (train or test, train is None)
    n = len(source.images) // 2 if halved else len(source.images)
    if protocol.shots is None:
        return n if protocol.fit_size is None else min(n, protocol.fit_size)
    if source.labels is None:
        return 0
    labels = source.labels[_half_positions(source, seed)[0]] if halved else source.labels
    return int(np.minimum(np.bincount(labels), protocol.shots).sum())


def fit_and_test(
    protocol: Protocol, seed: int, test: EmbeddedSplit, train: EmbeddedSplit | None
) -> tuple[EmbeddedSplit, EmbeddedSplit]:
    """Give the split to fit on and the split to score.

    Parameters
    ----------
    protocol, seed
        The seed decides about halves and subsets only.
    test
        The whole test split.
    train
        The training split where the source has one; not needed for ``in-sample``.
    """
    source = test
    if not protocol.fits_on_test:
        source, test = (train, test) if train is not None else halves(test, seed)
    return draw_shots(draw(source, protocol.fit_size, seed), protocol.shots, seed), test


def check_disjoint(fit: EmbeddedSplit, test: EmbeddedSplit) -> None:
    """See to it that no scored item is fitted on.

    Items are the same where their embeddings are, bit by bit: that also finds a file that holds an image once for each of
    its captions. One pass over both, 8 bytes a row in memory.

    Raises
    ------
    DataError
        Names the first such item, and how many there are.
    """
    fitted, scored = _row_keys(fit.images), _row_keys(test.images)
    shared = np.flatnonzero(np.isin(scored, fitted))
    if len(shared):
        one = int(np.flatnonzero(fitted == scored[shared[0]])[0])
        raise DataError(
            f"{len(shared)} of {len(test.images)} scored images are also fitted on (the first: row {shared[0]} of the "
            f"scored rows has the same embedding as row {one} of the fitted ones). Held-out needs disjoint items: keep "
            "each image once, with all its captions ('pair' in an .npz file), and out of one of the splits; or say "
            "--protocol in-sample."
        )


def _row_keys(rows: Rows) -> Int64:
    """``(N,)`` hash of each row; -0.0 and 0.0 are one number."""
    keys = np.empty(len(rows), dtype=np.int64)
    for block in blocks(len(rows)):
        part = np.ascontiguousarray(rows[block], dtype=np.float32) + np.float32(0)
        keys[block] = [hash(row.tobytes()) for row in part]
    return keys


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
