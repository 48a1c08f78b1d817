"""The schema of embedding files: arrays by name become splits, and each array is held to what its name promises.

=================  ========  =============================================================================================
array              shape     meaning
=================  ========  =============================================================================================
``image``          (N, d)    image rows
``text``           (M, e)    text rows; e is d, unless two encoders of one modality each made them
``label``          (N,)      class mode: the class of each image
``owner``          (M,)      class mode, with several prompts a class: the class of each text row; without it text row i is
                             class i
``weight``         (M,)      class mode: how much each prompt counts in the mean of its class
``pair``           (M,)      caption mode: the row of ``image`` that each text describes
``names``          (C,)      class mode: names of the classes; caption mode ``(M,)``: the captions
``class``          (N,)      caption mode: the class of each image, with ``class_names`` (C,)
``image_key``      (N,)      what identifies each picture, and ``text_key`` (M,) each text: uint64, by which items are drawn
``text_cut``       (M,)      whether the encoder did not read the end of a text
=================  ========  =============================================================================================

A training split has the same names with ``_train`` behind them: ``image_train`` and ``label_train`` in class mode, where the
texts are those of the test split; ``image_train``, ``text_train`` and ``pair_train`` in caption mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import SelectedRows, hash_array
from gapbench.embeddings.checked import CheckedArrays
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.embeddings.items import row_keys
from gapbench.errors import DataError
from gapbench.specs import Pooling

if TYPE_CHECKING:
    from gapbench.components import Float64, Int64, Keys, Rows
    from gapbench.embeddings.readers.found import Found

SCHEMA = "image (N, d), text (M, e), and label (N,) or pair (M,)"
TRAIN = "_train"

_BOTH_MODES = ("image", "text", "names", "image_key", "text_key", "text_cut")
_BY_CLASS = ("label", "owner", "weight")
_CAPTIONED = ("pair", "class", "class_names")
_TRAIN_BY_CLASS = ("image_train", "label_train", "image_key_train")
_TRAIN_CAPTIONED = (
    *("image_train", "text_train", "pair_train", "names_train"),
    *("class_train", "image_key_train", "text_key_train", "text_cut_train"),
)


def splits_of(found: Found) -> dict[str, EmbeddedSplit]:
    """Make the splits: ``test``, and ``train`` where there is one.

    Raises
    ------
    DataError
        An array is missing, or is not what its name promises; names the file, the array and the row.
    """
    source = CheckedArrays(found)
    for name in ("image", "text"):
        if not source.has(name):
            have = ", ".join(sorted(found.arrays)) or "nothing"
            raise DataError(f"{found.path} has no array {name!r} (it has {have}). An embedding file holds {SCHEMA}.")
    captioned = source.has("pair") or (found.row_pairs and not source.has("label"))
    if captioned == source.has("label"):
        which = "both 'label' and 'pair'" if captioned else "neither 'label' nor 'pair'"
        have = ", ".join(sorted(found.arrays))
        raise DataError(f"{found.path} has {which}; it must have one of them: {SCHEMA}. It has {have}.")
    made = _captioned(source) if captioned else _by_class(source)
    if len(made) > 1 and made["train"].dims != made["test"].dims:
        raise DataError(
            f"{found.path}: the rows of the training split have {made['train'].dims} dimensions (image, text), those of the "
            f"test split {made['test'].dims}. Write rows of one encoder."
        )
    return made


def _by_class(source: CheckedArrays) -> dict[str, EmbeddedSplit]:
    """Make the splits of class mode; the class texts are those of both."""
    train = source.has("image" + TRAIN)
    texts = source.rows("text")
    images = {"test": source.rows("image")} | ({"train": source.rows("image_train")} if train else {})
    if train and not source.has("label_train"):
        raise DataError(f"{source.found.path} has 'image_train', but not 'label_train', the class of each of its rows.")
    owner, names = _owners(source, len(texts))
    n_classes = len(names)
    pooling = _pooling(source)
    weights = _weights(source, owner, n_classes, pooling)
    _check_classes(texts, source.found.where("text"))
    keys = source.keys("text_key", len(texts))
    strings = names if not source.has("owner") and source.has("names") else ()
    prompts = Texts(
        rows=texts, owner=owner, strings=strings, keys=keys, cut=source.flags("text_cut", len(texts)), weights=weights
    )
    if len(texts) > n_classes and pooling is Pooling.MEAN:
        source.notices.append(f"The {len(texts):,} prompts of {n_classes:,} classes count with the mean of each class.")
    text_content = {"texts": hash_array(texts), "classes": names}
    if source.has("owner"):
        text_content |= {"owner": hash_array(owner, "<i8"), "pooling": str(pooling)}
    if weights is not None:
        text_content["weights"] = hash_array(weights, "<f8")
    of_labels = "classes" if source.has("owner") else "rows of 'text'"
    made = {}
    for split, rows in images.items():
        behind = TRAIN if split == "train" else ""
        labels = source.positions("label" + behind, len(rows), n_classes, of_labels)
        item_keys = source.keys("image_key" + behind, len(rows))
        content = {
            "images": hash_array(rows),
            "labels": hash_array(labels, "<i8"),
            **text_content,
            **_hashed(item_keys, keys),
        }
        made[split] = (rows, labels, item_keys, fingerprint(content))
    intake = source.intake((*_BOTH_MODES, *_BY_CLASS, *(_TRAIN_BY_CLASS if train else ())))
    return {
        split: EmbeddedSplit(
            images=rows, fingerprint=content, classes=names, labels=labels, prompts=prompts, pooling=pooling,
            keys=item_keys, intake=intake,
        )
        for split, (rows, labels, item_keys, content) in made.items()
    }  # fmt: skip


def _owners(source: CheckedArrays, n: int) -> tuple[Int64, tuple[str, ...]]:
    """Return the class of each text row, and the names of the classes."""
    if not source.has("owner"):
        names = source.strings("names", n)
        return np.arange(n), names or tuple(f"text {row}" for row in range(n))
    where = source.found.where("owner")
    owner = source.positions("owner", n, n, "classes")
    classes = int(owner.max()) + 1
    named = source.found.arrays.get("names")
    if named is not None and named.ndim == 1:
        classes = max(classes, len(named))
    bare = np.flatnonzero(np.bincount(owner, minlength=classes) == 0)
    if len(bare):
        raise DataError(f"{where}: class {int(bare[0])} has no text; each of the {classes} classes must own one.")
    return owner, source.strings("names", classes) or tuple(f"class {number}" for number in range(classes))


def _pooling(source: CheckedArrays) -> Pooling:
    told = source.found.words.get("pooling", Pooling.MEAN)
    if told not in set(Pooling):
        raise DataError(f"{source.found.path} says pooling {told!r}; it is {' or '.join(Pooling)}.")
    return Pooling(told)


def _weights(source: CheckedArrays, owner: Int64, n_classes: int, pooling: Pooling) -> Float64 | None:
    """Hold the weights of prompts to their meaning: shares of the mean of a class."""
    if not source.has("weight"):
        return None
    array, where = source.found.arrays["weight"], source.found.where("weight")
    if array.dtype.kind != "f" or array.shape != owner.shape:
        raise DataError(f"{where} is {array.dtype} of shape {array.shape}; it must be {len(owner)} numbers.")
    weights = np.asarray(array, dtype=np.float64)
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise DataError(f"{where}: weights must be numbers of at least 0.")
    if pooling is not Pooling.MEAN:
        raise DataError(f"{where}: only pooling 'mean' has a use for weights.")
    whole = np.bincount(owner, weights, minlength=n_classes)
    if not whole.all():
        raise DataError(f"{where}: all prompts of class {int(np.argmin(whole))} weigh 0.")
    return weights


def _check_classes(texts: Rows, where: str) -> None:
    """Refuse classes of which no two can be told apart."""
    rows = np.asarray(texts[:])
    if len(rows) > 1 and (rows == rows[0]).all():
        raise DataError(
            f"{where}: all {len(rows)} rows are equal, so that no two classes can be told apart. Give each class "
            "its own text."
        )


def _captioned(source: CheckedArrays) -> dict[str, EmbeddedSplit]:
    """Make the splits of caption mode."""
    train = source.has("image" + TRAIN)
    if train:
        for name in ("text_train", *(() if source.found.row_pairs else ("pair_train",))):
            if not source.has(name):
                raise DataError(f"{source.found.path} has 'image_train', but not {name!r}, which goes with it.")
    parts = {split: _captioned_part(source, behind) for split, behind in (("test", ""), ("train", TRAIN))[: 1 + train]}
    intake = source.intake((*_BOTH_MODES, *_CAPTIONED, *(_TRAIN_CAPTIONED if train else ())))
    return {split: EmbeddedSplit(intake=intake, **part) for split, part in parts.items()}


def _captioned_part(source: CheckedArrays, behind: str) -> dict[str, Any]:
    images, texts = source.rows("image" + behind), source.rows("text" + behind)
    if source.found.row_pairs:
        images, owner = _merged(source, images, "image" + behind)
    else:
        owner = source.positions("pair" + behind, len(texts), len(images), f"rows of {'image' + behind!r}")
    keys = source.keys("image_key" + behind, len(images))
    text_keys = source.keys("text_key" + behind, len(texts))
    # Strings of captions are no part of what identifies it, since no number or table shows them.
    content: dict[str, Any] = {
        "images": hash_array(images), "texts": hash_array(texts), "owner": hash_array(owner, "<i8"),
        **_hashed(keys, text_keys),
    }  # fmt: skip
    classes: tuple[str, ...] = ()
    labels = None
    if source.has("class" + behind):
        count = source.found.arrays["class_names"].shape[:1] if source.has("class_names") else ()
        if not count:
            raise DataError(f"{source.found.path} has 'class', but not 'class_names', the names of the classes.")
        classes = source.strings("class_names", count[0])
        labels = source.positions("class" + behind, len(images), len(classes), "classes")
        content |= {"labels": hash_array(labels, "<i8"), "classes": classes}
    captions = Texts(
        rows=texts,
        owner=owner,
        strings=source.strings("names" + behind, len(texts)),
        keys=text_keys,
        cut=source.flags("text_cut" + behind, len(texts)),
    )
    return {
        "images": images, "fingerprint": fingerprint(content), "classes": classes, "labels": labels, "captions": captions,
        "keys": keys,
    }  # fmt: skip


def _merged(source: CheckedArrays, images: Rows, name: str) -> tuple[Rows, Int64]:
    """Merge rows that are the same bit by bit into one image with several captions; in order of their first row. O(N d)."""
    _, first, which = np.unique(row_keys(images), return_index=True, return_inverse=True)
    if len(first) == len(images):
        return images, np.arange(len(images))
    order = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int64)
    rank[order] = np.arange(len(first))
    source.notices.append(
        f"{len(images):,} rows of {name!r} are {len(first):,} different images: rows that are equal, bit by bit, are one "
        "image with several captions."
    )
    return SelectedRows(images, first[order]), rank[which.ravel()]


def _hashed(keys: Keys | None, text_keys: Keys | None) -> dict[str, str]:
    """Identify keys, where a file brings them: items are drawn by them."""
    both = {"keys": keys, "text_keys": text_keys}
    return {name: hash_array(array, "<u8") for name, array in both.items() if array is not None}
