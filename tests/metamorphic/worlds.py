"""Small worlds of images and texts, the same ones told in another way, and what must then stay as it is."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

import numpy as np

import gapbench.builtin.metrics
from gapbench.bench import sample
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings import arrays
from gapbench.specs import Need

#: Constants that limit how many items or texts a number rests on.
LIMITS = {"SAMPLE", "DECOMPOSED", "IMAGES", "ITEMS", "ROWS", "SEPARABILITY_ROWS", "BANDWIDTH_ROWS", "TEXTS"}


def captions(n=70, d=7, seed=0):
    """Images of four classes with one to three captions each, three of them with none; two cones, a gap between them."""
    rng = np.random.default_rng([seed, 11])
    labels = rng.integers(0, 4, n)
    core = rng.normal(size=(4, d))[labels] + 0.8 * rng.normal(size=(n, d))
    owner = rng.permutation(np.repeat(np.arange(n), rng.integers(1, 4, n) * (np.arange(n) % 25 != 7)))
    return EmbeddedSplit(
        images=uneven(core + 0.5 * rng.normal(size=(n, d)) + 0.6),
        fingerprint="captions",
        classes=tuple("abcd"),
        labels=labels,
        captions=Texts(rows=uneven(core[owner] + 0.5 * rng.normal(size=(len(owner), d)) - 0.4), owner=owner),
    )


def classes(n=70, d=7, seed=0):
    """Images of twenty-two classes of uneven sizes, two prompts a class."""
    rng = np.random.default_rng([seed, 12])
    labels = rng.permutation(np.concatenate([np.arange(22), rng.integers(0, 9, n - 22)]))
    owner, centres = rng.permutation(np.repeat(np.arange(22), 2)), rng.normal(size=(22, d))
    return EmbeddedSplit(
        images=uneven(centres[labels] + 0.7 * rng.normal(size=(n, d)) + 0.6),
        fingerprint="classes",
        classes=tuple(f"c{number}" for number in range(22)),
        labels=labels,
        prompts=Texts(rows=uneven(centres[owner] + 0.3 * rng.normal(size=(44, d)) - 0.4), owner=owner),
    )


WORLDS = {"captions": captions, "classes": classes}


def can_measure(spec, world):
    """Whether a metric has what it needs in a world."""
    lacking = Need.LABELS if world == "captions" else Need.CAPTIONS
    return lacking not in spec.needs


def rows(values):
    return values.astype(np.float32)


def uneven(values):
    """Rows whose axes are not alike, so that what works axis by axis differs from what does not."""
    return rows(values * np.linspace(0.3, 1.7, values.shape[1]))


def of_texts(split, change):
    """Change captions and prompts alike."""
    return replace(
        split,
        captions=split.captions and change(split.captions),
        prompts=split.prompts and change(split.prompts),
    )


def with_keys(split):
    """Items that are known by something else than their rows, as pictures and strings are."""
    of_content = {"dtype": np.uint64, "endpoint": True}
    keys = np.random.default_rng(1).integers(0, 2**64 - 1, len(split.images), **of_content)
    known = of_texts(
        split, lambda t: replace(t, keys=np.random.default_rng(2).integers(0, 2**64 - 1, len(t.rows), **of_content))
    )
    return replace(known, keys=keys)


# -- the same, told in another way ------------------------------------------------------------------------------


def items_in_another_order(split):
    order = np.random.default_rng(3).permutation(len(split.images))
    captions = split.captions and replace(split.captions, owner=np.argsort(order)[split.captions.owner])
    return replace(split, images=split.images[order], labels=split.labels[order], captions=captions)


def sorted_by_class(split):
    order = np.argsort(split.labels, kind="stable")
    captions = split.captions and replace(split.captions, owner=np.argsort(order)[split.captions.owner])
    return replace(split, images=split.images[order], labels=split.labels[order], captions=captions)


def texts_in_another_order(split):
    def shuffled(texts):
        order = np.random.default_rng(4).permutation(len(texts.rows))
        return replace(texts, rows=texts.rows[order], owner=texts.owner[order])

    return of_texts(split, shuffled)


def classes_renamed_and_in_another_order(split):
    order = np.random.default_rng(5).permutation(len(split.classes))
    place = np.argsort(order)
    prompts = split.prompts and replace(split.prompts, owner=place[split.prompts.owner])
    return replace(split, classes=tuple(f"class {i}" for i in order), labels=place[split.labels], prompts=prompts)


def turned(split):
    d = split.images.shape[1]
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(d, d)))[0]
    split = of_texts(split, lambda t: replace(t, rows=rows(t.rows @ turn)))
    return replace(split, images=rows(split.images @ turn))


def every_item_twice(split):
    n = len(split.images)
    captions = split.captions and Texts(
        rows=np.tile(split.captions.rows, (2, 1)),
        owner=np.concatenate([split.captions.owner, split.captions.owner + n]),
    )
    return replace(split, images=np.tile(split.images, (2, 1)), labels=np.tile(split.labels, 2), captions=captions)


ORDERS = (items_in_another_order, sorted_by_class, texts_in_another_order, classes_renamed_and_in_another_order)


# -- how it is computed -----------------------------------------------------------------------------------------


def few_items(patch, most=40):
    """Let samples hold a part of the items, so that which ones are drawn plays a role."""
    found = [
        importlib.import_module(f"gapbench.builtin.metrics.{m.name}")
        for m in pkgutil.iter_modules(gapbench.builtin.metrics.__path__)
    ]
    for module in (sample, *found):
        for name in LIMITS & vars(module).keys():
            patch.setattr(module, name, most)


def small_blocks(patch, size=6):
    """Let blocks hold a few rows, and keep no aligned rows in memory."""
    from gapbench.bench import scored

    patch.setattr(arrays.blocks, "__defaults__", (size,))
    patch.setattr(scored, "CACHE_BYTES", 0)
