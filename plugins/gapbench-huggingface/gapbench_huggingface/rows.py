"""Rows of a table of the library `datasets` as a split: labels, captions, hashes of the encoded bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import Intake, Split
from gapbench.errors import DataError
from gapbench_huggingface.pictures import Pictures, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gapbench_huggingface.columns import Columns


def content(value: Any, name: str) -> bytes:
    """Return a picture's encoded bytes: those in the table, else those of the file that it names.

    Raises
    ------
    DataError
        There is nothing, or the file cannot be read.
    """
    if value and value.get("bytes"):
        return bytes(value["bytes"])
    path = (value or {}).get("path")
    if not path:
        raise DataError(f"{name} has no picture.")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{name}: {path} cannot be read ({error.strerror}).") from error


def distinct(tables: Iterable[Any], label: str) -> list[Any]:
    """Return the labels that a column of strings or whole numbers holds, in a fixed order."""
    return sorted({value for table in tables for value in table.unique(label) if value is not None})


def spoken(names: Sequence[str]) -> list[str]:
    """Return class names with spaces for underscores, unless two would become one."""
    words = [name.replace("_", " ") for name in names]
    return words if len(set(words)) == len(set(names)) else list(names)


class _Reading:
    """What has been read of a table; a picture that repeats in a table of captions is one item with all of them."""

    def __init__(self, columns: Columns, positions: Mapping[Any, int]) -> None:
        self.columns, self.positions = columns, positions
        self.rows: list[int] = []
        self.hashes: list[str] = []
        self.labels: list[int] = []
        self.captions: list[list[str]] = []
        self.skipped: Counter[str] = Counter()
        self.repeated = 0
        self._items: dict[tuple[str, int], int] = {}

    def take(self, number: int, row: Mapping[str, Any], name: str) -> None:
        """Read one row, or count why it is not read."""
        columns = self.columns
        label = self.positions.get(row[columns.label], -1) if columns.label else -1
        captions = self._captions(row)
        if row[columns.image] is None:
            self.skipped["rows without a picture"] += 1
        elif columns.label and label < 0:
            self.skipped["pictures without a label"] += 1
        elif columns.captions and not captions:
            self.skipped["pictures without a caption"] += 1
        else:
            self._keep(number, digest(content(row[columns.image], name)), label, captions)

    def _keep(self, number: int, hashed: str, label: int, captions: list[str]) -> None:
        known = self._items.setdefault((hashed, label), len(self.rows))
        if self.columns.captions and known < len(self.rows):
            self.captions[known] += captions
            self.repeated += 1
            return
        self.rows.append(number)
        self.hashes.append(hashed)
        self.labels.append(label)
        self.captions.append(captions)

    def _captions(self, row: Mapping[str, Any]) -> list[str]:
        found = [row[name] for name in self.columns.captions]
        texts = [text for value in found for text in (value if isinstance(value, list) else [value])]
        kept = [text.strip() for text in texts if text and text.strip()]
        self.skipped["blank captions"] += len(texts) - len(kept)
        return kept


def read_split(table: Any, columns: Columns, classes: Sequence[str], where: str, notices: Sequence[str]) -> Split:
    """Read a table.

    Parameters
    ----------
    table
        Rows of the library, pictures not decoded.
    columns
        The columns to read.
    classes
        Names of the classes, as the column of labels has them.
    where
        The split, for messages.
    notices
        What is to be told besides.

    Raises
    ------
    DataError
        A picture that is not there.
    """
    named = hasattr(table.features.get(columns.label), "names")
    positions = {(row if named else name): row for row, name in enumerate(classes)}
    wanted = [columns.image, *columns.captions, *([columns.label] if columns.label else [])]
    table = table.select_columns(wanted)
    reading = _Reading(columns, positions)
    for number, row in enumerate(table):
        reading.take(number, row, f"{where}, row {number}")
    names = spoken([str(name) for name in classes])
    return Split(
        images=Pictures(  # type: ignore[arg-type]
            [f"{where}, row {number}" for number in reading.rows],
            lambda item: content(table[reading.rows[item]][columns.image], where),
            upright=True,
        ),
        item_hashes=reading.hashes,
        classes=names,
        labels=np.asarray(reading.labels, dtype=np.int64) if columns.label else None,
        captions=reading.captions if columns.captions else None,
        intake=Intake(
            read_as=f"a table of {_listed(columns)}",
            skipped=dict(+reading.skipped),
            notices=[*notices, *_remarks(reading, columns, names, list(classes))],
        ),
    )


def _listed(columns: Columns) -> str:
    parts = [f"pictures ({columns.image})"]
    parts += [f"labels ({columns.label})"] if columns.label else []
    parts += [f"captions ({', '.join(columns.captions)})"] if columns.captions else []
    return " and ".join([", ".join(parts[:-1]), parts[-1]])


def _remarks(reading: _Reading, columns: Columns, names: Sequence[str], classes: Sequence[Any]) -> list[str]:
    found = []
    if columns.skipped:
        found.append(f"Columns that are not read: {', '.join(columns.skipped)}.")
    if reading.repeated:
        found.append(
            f"{reading.repeated:,} rows repeat the picture of another row; their captions belong to that picture."
        )
    if list(names) != [str(name) for name in classes]:
        found.append("Underscores in class names are read as spaces.")
    if names and all(name.lstrip("-").isdigit() for name in names):
        found.append("The classes have no names but numbers, so that prompts say nothing about them.")
    return found
