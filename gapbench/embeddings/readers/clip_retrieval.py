"""Reading folders of clip-retrieval: ``img_emb/*.npy`` and ``text_emb/*.npy``, row by row a pair."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.arrays import ShardedRows, check_rows
from gapbench.embeddings.impostors import refuse_impostor
from gapbench.embeddings.npz import open_npy
from gapbench.embeddings.readers.found import Found
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.components import Rows

SIDES = {"img_emb": "image", "text_emb": "text"}


def shards(folder: Path) -> list[Path]:
    """List the shards of a folder in the order of their numbers (``img_emb_10`` after ``img_emb_9``)."""
    return sorted(folder.glob("*.npy"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.stem)] or [0])


def read_clip_retrieval(path: Path) -> Found:
    """Read such a folder; captions are taken from ``metadata/*.parquet`` where pyarrow is installed.

    Raises
    ------
    DataError
        A side is missing, shards do not fit together, or the sides do not.
    """
    arrays: dict[str, Any] = {}
    notices: list[str] = []
    for side, name in SIDES.items():
        files = shards(path / side)
        if not files:
            raise DataError(f"{path} has no {side}/*.npy; a clip-retrieval folder has img_emb/ and text_emb/.")
        found = [_shard(file) for file in files]
        if len(widths := {one.shape[1] for one, _ in found}) > 1:
            raise DataError(f"{path / side}: shards have different numbers of dimensions: {sorted(widths)}.")
        arrays[name] = ShardedRows([rows for rows, _ in found])
        if kinds := sorted({kind for _, kind in found} - {"float32"}):
            notices.append(f"{side} is {' and '.join(kinds)} and was converted to float32.")
    images, texts = arrays["image"], arrays["text"]
    if len(images) != len(texts):
        raise DataError(
            f"{path}: img_emb holds {images.shape} and text_emb {texts.shape}; row by row they must be pairs."
        )
    captions, why = _captions(path, len(texts))
    if captions is not None:
        arrays["names"] = captions
    return Found(
        path=path,
        read_as="clip-retrieval folder",
        arrays=arrays,
        places={
            "image": str(path / "img_emb"),
            "text": str(path / "text_emb"),
            "names": f"{path / 'metadata'}, captions",
        },
        row_pairs=True,
        notices=[*notices, *why],
    )


def _shard(file: Path) -> tuple[Rows, str]:
    """Open one shard, and hold it to the contract."""
    refuse_impostor(file)
    array = open_npy(file)
    kind = array.dtype.name
    if kind not in ("float32", "float16", "float64"):
        raise DataError(
            f"{file} is {kind}; it must be float32, float16 or float64. Convert it with .astype('float32')."
        )
    if len(array.shape) != 2:  # noqa: PLR2004
        check_rows(array, str(file))
    rows: Rows = array if array.dtype == np.float32 else ShardedRows([array])
    check_rows(rows, str(file))
    return rows, kind


def _captions(path: Path, n: int) -> tuple[Any, list[str]]:
    """Read the captions from the metadata, and say why not; they are shown, and no number rests on them."""
    files = sorted((path / "metadata").glob("*.parquet"))
    if not files:
        return None, []
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return None, ["Captions in metadata/ were not read: install the extra 'parquet'."]
    try:
        tables = [parquet.read_table(file) for file in files]
    except (ArrowException, OSError, ValueError) as error:
        return None, [f"Captions in metadata/ were not read: {error}."]
    if any("caption" not in table.column_names for table in tables):
        return None, ["Captions in metadata/ were not read: there is no column 'caption'."]
    strings = [str(text) for table in tables for text in table.column("caption").to_pylist()]
    if len(strings) != n:
        return None, [f"Captions in metadata/ were not read: there are {len(strings):,}, and {n:,} rows."]
    return np.array(strings, dtype=np.str_), []
