"""Reading tables: ``.parquet`` files, and what Hugging Face ``datasets`` saves with ``save_to_disk`` (Arrow streams).

A row of a table is an image: a list of floating-point numbers in a column with ``image`` or ``img`` in its name, one in a
column with ``text``, ``txt`` or ``caption`` in its name, and, in class mode, a column ``label``; the text is then that of
its class, the same in all rows of it. A column of strings named ``caption`` or ``text`` holds the captions.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.impostors import refuse_impostor
from gapbench.embeddings.readers.found import Found
from gapbench.errors import DataError, MissingAssetError

if TYPE_CHECKING:
    from pathlib import Path

_SIDES = {"image": re.compile("image|img"), "text": re.compile("text|txt|caption")}
_CAPTIONS = ("caption", "text", "captions")
_PARTS = {"train": re.compile(r"train"), "validation": re.compile(r"val|dev"), "test": re.compile(r"test|eval")}


def read_table_file(path: Path) -> Found:
    """Read one ``.parquet`` or ``.arrow`` file."""
    return _found(path, {"test": [path]}, f"{path.suffix} table")


def read_table_folder(path: Path) -> Found:
    """Read a folder of such files, cut into splits by their names or by the folders that ``datasets`` makes.

    Raises
    ------
    DataError
        There are no tables, or their columns are not those of embeddings; names what is there.
    MissingAssetError
        pyarrow is not installed.
    """
    if (path / "dataset_dict.json").is_file():
        parts = {one.name: _tables(one) for one in sorted(path.iterdir()) if one.is_dir()}
        read_as = "folder of 'datasets', with splits"
    else:
        parts = {}
        for file in _tables(path):
            parts.setdefault(_part(file.name), []).append(file)
        read_as = "folder of 'datasets'" if (path / "state.json").is_file() else "folder of tables"
    splits: dict[str, list[Path]] = {}
    for name, files in parts.items():
        splits.setdefault(_part(name), []).extend(files)
    if "test" not in splits:  # the only split of a set is often called train
        splits["test"] = splits.pop("train", []) or splits.pop("validation", [])
    if not splits["test"]:
        raise DataError(f"{path} has no .parquet or .arrow files with rows to score.")
    return _found(path, splits, read_as)


def _tables(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".parquet", ".arrow"))


def _part(name: str) -> str:
    return next((part for part, pattern in _PARTS.items() if pattern.match(name.lower())), "test")


def _found(path: Path, splits: dict[str, list[Path]], read_as: str) -> Found:
    arrays: dict[str, Any] = {}
    places: dict[str, str] = {}
    skipped: dict[str, int] = {}
    notices: list[str] = []
    for split, files in splits.items():
        table = _table(files)
        if split == "validation":
            skipped["rows of a validation split"] = table.num_rows
            continue
        behind = "_train" if split == "train" else ""
        for name, column, array in _columns(table, path):
            arrays[name + behind], places[name + behind] = array, f"{path}, column {column!r}"
    if "label" in arrays:
        notices += _by_class(arrays, path)
    return Found(
        path=path, read_as=read_as, arrays=arrays, places=places, row_pairs="label" not in arrays, skipped=skipped,
        notices=notices,
    )  # fmt: skip


def _table(files: list[Path]) -> Any:
    """Read tables that continue each other; those of ``datasets`` are mapped."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingAssetError(
            f"{files[0]} is a table, and reading it needs pyarrow, which is not installed. Install the extra 'parquet': "
            "pip install 'gapbench[parquet]'."
        ) from error
    tables = []
    for file in files:
        refuse_impostor(file)
        try:
            if file.suffix == ".parquet":
                tables.append(parquet.read_table(file))
            else:
                with pa.memory_map(str(file)) as stream:
                    tables.append(pa.ipc.open_stream(stream).read_all())
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{file} is not a whole table ({error}). Copy or make it again.") from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise DataError(f"{files[0].parent}: the tables have different columns ({error}). Make them alike.") from error


def _columns(table: Any, path: Path) -> list[tuple[str, str, Any]]:
    """Find the columns that are read: name of the array, name of the column, values."""
    import pyarrow as pa

    kinds = {field.name: field.type for field in table.schema}
    vectors = [
        name for name, kind in kinds.items() if _is_list(kind) and pa.types.is_floating(kind.value_type)
    ]  # fmt: skip
    found = []
    for side, pattern in _SIDES.items():
        mine = [name for name in vectors if pattern.search(name.lower())]
        exact = [name for name in mine if name == side] or mine
        if len(exact) != 1:
            have = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise DataError(
                f"{path} has {len(exact) or 'no'} columns of {side} rows: lists of floating-point numbers, one of them with "
                f"{side!r} in its name. It has {have}."
            )
        found.append((side, exact[0], _matrix(table.column(exact[0]), f"{path}, column {exact[0]!r}")))
    if "label" in kinds:
        column = table.column("label")
        if column.null_count:
            raise DataError(f"{path}, column 'label', has {column.null_count} empty values. Remove these rows.")
        found.append(("label", "label", column.to_numpy()))
        if (names := _class_names(table.schema.metadata)) is not None:
            found.append(("names", "label", names))
        return found
    strings = [name for name in _CAPTIONS if name in kinds and pa.types.is_string(kinds[name])]
    if strings:
        values = [text or "" for text in table.column(strings[0]).to_pylist()]
        found.append(("names", strings[0], np.array(values, dtype=np.str_)))
    return found


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _matrix(column: Any, where: str) -> Any:
    """``(N, d)`` values of a column of lists, all of one length."""
    parts = []
    for chunk in column.chunks:
        if chunk.null_count:
            raise DataError(f"{where}, has {chunk.null_count} empty values. Remove these rows.")
        values = chunk.flatten()
        width, rest = divmod(len(values), max(len(chunk), 1))
        lengths = np.asarray(chunk.value_lengths()) if len(chunk) else np.empty(0)
        if rest or (len(chunk) and (lengths != width).any()):
            odd = int(np.argmax(lengths != lengths[0]))
            raise DataError(f"{where}, row {odd}, has {lengths[odd]} numbers, and row 0 has {lengths[0]}.")
        parts.append(values.to_numpy(zero_copy_only=False).reshape(len(chunk), width))
    parts = [part for part in parts if len(part)] or [np.empty((0, 0), np.float32)]
    if len({part.shape[1] for part in parts}) > 1:
        raise DataError(f"{where}: rows have different lengths: {sorted({part.shape[1] for part in parts})}.")
    return np.concatenate(parts)


def _class_names(metadata: Any) -> Any:
    """Return the names that ``datasets`` keeps of a column of class labels."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return np.array(names, dtype=np.str_) if names and all(isinstance(name, str) for name in names) else None


def _by_class(arrays: dict[str, Any], path: Path) -> list[str]:
    """Make one text row a class of the rows of its images, which must agree.

    Raises
    ------
    DataError
        Two images of a class have different texts, or a class has no image and so no text.
    """
    labels, texts = arrays["label"], arrays["text"]
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise DataError(f"{path}, column 'label', is {labels.dtype}; it must be whole numbers of at least 0.")
    classes, first, which = np.unique(labels, return_index=True, return_inverse=True)
    if (odd := np.flatnonzero((texts != texts[first[which]]).any(axis=1))).size:
        row = int(odd[0])
        raise DataError(
            f"{path}: rows {int(first[which[row]])} and {row} are of class {labels[row]} and have different texts. With a "
            "column 'label' the text of a row is that of its class; without one, rows are pairs."
        )
    arrays["text"] = texts[first]
    arrays.pop("text_train", None)
    arrays.pop("names_train", None)
    notices = []
    names = arrays.get("names")
    if names is not None and len(names) > int(classes[-1]):
        arrays["names"] = names[classes]
    elif names is not None:
        arrays.pop("names")
    else:
        arrays["names"] = np.array([f"class {number}" for number in classes], dtype=np.str_)
    if len(classes) != int(classes[-1]) + 1 or (names is not None and len(names) != len(classes)):
        notices.append(f"Classes without an image have no text and are left out: {len(classes):,} classes are there.")
    for name in ("label", "label_train"):
        if name in arrays:
            place = np.searchsorted(classes, arrays[name])
            known = classes[np.minimum(place, len(classes) - 1)] == arrays[name]
            if not known.all():
                row = int(np.argmin(known))
                raise DataError(
                    f"{path}, column 'label', row {row} of the training split: no scored row is of its class."
                )
            arrays[name] = place
    return notices
