"""Embeddings that somebody else computed: ``.npz`` files and folders written by clip-retrieval.

An ``.npz`` file holds plain arrays: ``image (N, d)`` and ``text (M, e)`` in float32 (e is d, unless two encoders of one
modality each made them: then only methods that map between spaces run), and either ``label (N,)`` (class mode:
the row of ``text`` that is the image's class) or ``pair (M,)`` (caption mode: the row of ``image`` that each text
describes); optional ``names (M,)``. A folder holds ``img_emb/*.npy`` and ``text_emb/*.npy``, row by row a pair.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import ShardedRows, check_columns, check_rows, hash_array
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.embeddings.npz import open_npy, open_npz
from gapbench.errors import DataError
from gapbench.specs import Offer, Pooling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.components import Float32, Int64, Rows
    from gapbench.specs import Missing

SCHEMA = "image (N, d), text (M, e), and label (N,) or pair (M,)"


class EmbeddingFile:
    """Implements `gapbench.components.PrecomputedDataset` for a path.

    Parameters
    ----------
    path
        An ``.npz`` file or a clip-retrieval folder. Nothing is read before it is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> Sequence[Path]:
        """Give the file, or the shards of the folder."""
        if not self.path.is_dir():
            return (self.path,)
        return tuple(_shards(self.path / "img_emb") + _shards(self.path / "text_emb"))

    def missing(self) -> Missing | None:
        """Nothing can be fetched: a path that is not there is an error."""
        if not self.path.exists():
            raise DataError(
                f"There is no embedding file or folder {str(self.path)!r}. Check the path after 'embeddings:'."
            )
        return None

    def offers(self) -> frozenset[Offer]:
        """Labels in class mode, captions in caption mode."""
        return frozenset({Offer.LABELS if self._whole.labels is not None else Offer.CAPTIONS})

    def splits(self) -> Mapping[str, int]:
        """One set, called ``test``."""
        return {"test": len(self._whole.images)}

    def dims(self) -> tuple[int, int]:
        """Return the number of dimensions of images and of texts."""
        return self._whole.dims

    def embedded(self, name: str) -> EmbeddedSplit:
        """Give the set."""
        assert name == "test"
        return self._whole

    @cached_property
    def _whole(self) -> EmbeddedSplit:
        return _read_folder(self.path) if self.path.is_dir() else _read_npz(self.path)


def _rows(array: Any, where: str, *, half: bool = False) -> Rows:
    """Check the type of an array of rows, and each row of it."""
    allowed = ("float32", "float16") if half else ("float32",)
    if array.dtype.name not in allowed:
        raise DataError(
            f"{where} is {array.dtype}; it must be {' or '.join(allowed)}. Convert it with .astype(numpy.float32)."
        )
    rows: Rows = (
        array if array.dtype == np.float32 else ShardedRows([array])
    )  # other bytes than NumPy's own are widened
    check_rows(rows, where)
    return rows


def _positions(array: Any, where: str, n: int, limit: int, of: str) -> Int64:
    """Check labels or pairs: whole numbers, one a row, within range."""
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"{where} is {array.dtype} of shape {array.shape}; it must be whole numbers ({n},).")
    if len(array) != n:
        raise DataError(f"{where} has {len(array)} entries, but there are {n} rows to go with.")
    outside = np.flatnonzero((np.asarray(array) < 0) | (np.asarray(array) >= limit))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"{where}, row {row}, is {array[row]}; rows of {of!r} go from 0 to {limit - 1}.")
    return np.asarray(array, dtype=np.int64)


def _read_npz(path: Path) -> EmbeddedSplit:
    arrays = open_npz(path)
    for name in ("image", "text"):
        if name not in arrays:
            have = ", ".join(sorted(arrays)) or "nothing"
            raise DataError(f"{path} has no array {name!r} (it has {have}). An embedding file holds {SCHEMA}.")
    if ("label" in arrays) == ("pair" in arrays):
        which = "both 'label' and 'pair'" if "label" in arrays else "neither 'label' nor 'pair'"
        raise DataError(f"{path} has {which}; it must have one of them: {SCHEMA}.")
    images = _rows(arrays["image"], f"{path}, array 'image'")
    check_columns(images, f"{path}, array 'image'")
    texts = _rows(arrays["text"], f"{path}, array 'text'")
    names = _names(arrays.get("names"), len(texts), path)
    if "pair" in arrays:
        owner = _positions(arrays["pair"], f"{path}, array 'pair'", len(texts), len(images), "image")
        return _captioned(images, Texts(rows=texts, owner=owner, strings=names))
    labels = _positions(arrays["label"], f"{path}, array 'label'", len(images), len(texts), "text")
    _check_classes(np.asarray(texts[:]), path)
    classes = names or tuple(f"text {row}" for row in range(len(texts)))
    content = {"images": hash_array(images), "texts": hash_array(texts), "labels": hash_array(labels, "<i8")}
    return EmbeddedSplit(
        images=images,
        fingerprint=fingerprint({**content, "classes": classes}),
        classes=classes,
        labels=labels,
        prompts=Texts(rows=texts, owner=np.arange(len(texts)), strings=names),
        pooling=Pooling.MEAN,
    )


def _check_classes(texts: Float32, path: Path) -> None:
    """Refuse classes of which no two can be told apart."""
    if len(texts) > 1 and (texts == texts[0]).all():
        raise DataError(
            f"{path}, array 'text': all {len(texts)} rows are equal, so that no two classes can be told apart. Give each "
            "class its own text."
        )


def _names(array: Any, n: int, path: Path) -> tuple[str, ...]:
    if array is None:
        return ()
    if array.dtype.kind != "U" or array.shape != (n,):
        raise DataError(f"{path}, array 'names', is {array.dtype} of shape {array.shape}; it must be {n} strings.")
    return tuple(str(name) for name in array)


def _shards(folder: Path) -> list[Path]:
    """Give the shards of a folder in the order of their numbers (``img_emb_10`` after ``img_emb_9``)."""
    return sorted(folder.glob("*.npy"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.stem)] or [0])


def _read_folder(path: Path) -> EmbeddedSplit:
    sides: dict[str, Rows] = {}
    for side in ("img_emb", "text_emb"):
        shards = _shards(path / side)
        if not shards:
            raise DataError(f"{path} has no {side}/*.npy; a clip-retrieval folder has img_emb/ and text_emb/.")
        sides[side] = ShardedRows([_rows(open_npy(shard), str(shard), half=True) for shard in shards])
        widths = {open_npy(shard).shape[1] for shard in shards}
        if len(widths) > 1:
            raise DataError(f"{path / side}: shards have different numbers of dimensions: {sorted(widths)}.")
    images, texts = sides["img_emb"], sides["text_emb"]
    check_columns(images, str(path / "img_emb"))
    if len(images) != len(texts):
        raise DataError(
            f"{path}: img_emb holds {images.shape} and text_emb {texts.shape}; row by row they must be pairs."
        )
    strings = _captions(path, len(texts))
    return _captioned(images, Texts(rows=texts, owner=np.arange(len(texts)), strings=strings))


def _captioned(images: Rows, captions: Texts) -> EmbeddedSplit:
    """Make a split of pairs; strings of captions are no part of what identifies it, since no number or table shows them."""
    owner = hash_array(np.asarray(captions.owner), "<i8")
    content = {"images": hash_array(images), "texts": hash_array(captions.rows), "owner": owner}
    return EmbeddedSplit(images=images, fingerprint=fingerprint(content), captions=captions)


def _captions(path: Path, n: int) -> tuple[str, ...]:
    """Read the captions from the metadata, where there is any and it can be read."""
    shards = sorted((path / "metadata").glob("*.parquet"))
    try:
        from pyarrow import parquet
    except ImportError:
        return ()  # strings are only shown; the embeddings are all that counts
    tables = [parquet.read_table(shard) for shard in shards]
    if not tables or any("caption" not in table.column_names for table in tables):
        return ()
    strings = tuple(str(text) for table in tables for text in table.column("caption").to_pylist())
    return strings if len(strings) == n else ()
