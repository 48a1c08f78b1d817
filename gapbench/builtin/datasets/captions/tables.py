"""Tables with a header: comma, semicolon, tab or bar between the columns, with quotes or without."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.captions.columns import find_columns, no_columns, several
from gapbench.builtin.datasets.captions.reading import Reading, shown
from gapbench.builtin.datasets.pictures import SUFFIXES
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gapbench.builtin.datasets.captions.columns import Columns, Wanted

DELIMITERS = {"\t": "TSV", ",": "CSV", ";": "CSV with semicolons", "|": "table with bars"}

#: A row of Flickr30k's results.csv in which the second bar is missing: the caption stands behind its number.
NO_SECOND_BAR = re.compile(r"\s*(?P<number>\d+)\s+(?P<caption>\S.*)", re.DOTALL)

PICTURE_FIRST = re.compile(rf"[^\n]*({'|'.join(map(re.escape, sorted(SUFFIXES)))})\"?\s*[,;|\t]", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row: the lines that it takes (from 1, both included), its fields, and whether quotes go around fields."""

    first: int
    last: int
    fields: list[str]
    quoted: bool


def read_table(path: Path, text: str, wanted: Wanted) -> Reading:
    """Read a table.

    Raises
    ------
    DataError
        No such columns, a row that cannot be read without doubt: names the line.
    """
    lines = list(io.StringIO(text, newline=""))
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None:
        raise DataError(f"{path} is empty.")
    delimiter, columns = _header(path, lines[start], start + 1, wanted)
    reading = Reading(path, f"{DELIMITERS[delimiter]} ({columns.said})", has_columns=True)
    flickr = columns.names[-1].strip() == "comment" and delimiter == "|"  # published without quotes
    whole: list[int] = []
    bare = False
    for row in _rows(path, lines, start + 1, delimiter, quoted=not flickr):
        fields = row.fields
        bare = bare or not (row.quoted or flickr)
        if any(field.strip() for field in fields[len(columns.names) :]):  # else a row that ends in empty fields
            fields = _with_delimiters(path, lines, row, delimiter, columns)
            whole.append(row.first)
        if len(fields) <= max(columns.image, *columns.captions):
            fields = _mended(path, row, columns, reading)
        captions = [several(fields[position]) for position in columns.captions]
        flat = [one for caption in captions for one in (caption if isinstance(caption, list) else [caption])]
        split = "" if columns.split is None else fields[columns.split] if columns.split < len(fields) else ""
        reading.add(fields[columns.image], flat, row.first, split)
    if bare:
        reading.notices.append("Its quotes do not go around whole fields, so they were read as signs of the captions.")
    if whole:
        reading.notices.append(
            f"{len(whole):,} captions without quotes hold the sign between the columns ({delimiter!r}), the first in line "
            f"{whole[0]:,}; they were read whole."
        )
    return reading


def _header(path: Path, line: str, number: int, wanted: Wanted) -> tuple[str, Columns]:
    """Find the sign between the columns by the header that makes sense."""
    where = f"{path}, line {number:,}"
    best: list[str] = []
    for delimiter in DELIMITERS:
        try:
            names = next(csv.reader([line.strip("\r\n")], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:
            continue
        if columns := find_columns(names, wanted, where):
            return delimiter, columns
        best = max(best, names, key=len)
    data = [name for name in best if name.strip().lower().endswith(tuple(SUFFIXES))]
    if data:
        raise DataError(
            f"{where}: there is no header, the line names the picture {shown(data[0].strip())}. Write one above it, such as "
            "image,caption"
        )
    raise no_columns(best or [line.strip()], wanted, where)


def _rows(path: Path, lines: Sequence[str], skip: int, delimiter: str, *, quoted: bool) -> Iterator[Row]:
    """Read the rows below the header; a table whose quotes are no quotes is read without them."""
    if quoted:
        try:
            rows = list(_parsed(path, lines, skip, delimiter, quoted=True))
        except csv.Error as error:
            line = int(error.args[1])
            rows = list(_parsed(path, lines, skip, delimiter, quoted=False))
            if any(_in_quotes(field) for row in rows for field in row.fields):
                raise DataError(
                    f"{path}, line {line:,}: {error.args[0]}. Quotes go around a whole field, and a quote within them is "
                    'written twice ("").'
                ) from error
    else:
        rows = list(_parsed(path, lines, skip, delimiter, quoted=False))
    yield from (row for row in rows if any(field.strip() for field in row.fields))


def _parsed(path: Path, lines: Sequence[str], skip: int, delimiter: str, *, quoted: bool) -> Iterator[Row]:
    """Parse rows; what Python says of bad quotes is raised with the number of the line."""
    reader = csv.reader(
        lines[skip:],
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    last = skip
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "limit" in str(error):  # a field longer than Python takes, with quotes or without
                raise DataError(f"{path}, line {last + 1:,}: {error}; the file is no table of captions.") from error
            raise csv.Error(str(error), last + 1) from error
        row = Row(last + 1, skip + reader.line_num, fields, quoted)
        last = row.last
        if row.last > row.first and any(PICTURE_FIRST.match(line) for line in lines[row.first : row.last]):
            raise DataError(
                f"{path}, line {row.first:,}: a quote opens here and closes in line {row.last:,}, and the lines between "
                'them look like rows. Put the caption into quotes, and write a quote within them twice ("").'
            )
        yield row


def _in_quotes(field: str) -> bool:
    text = field.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _with_delimiters(path: Path, lines: Sequence[str], row: Row, delimiter: str, columns: Columns) -> list[str]:
    """Return the fields of a row whose last one, a caption without quotes, holds the sign between the columns."""
    n = len(columns.names)
    fields = lines[row.first - 1].rstrip("\r\n").split(delimiter, n - 1)
    plain = not row.quoted or (row.first == row.last and not any(one.lstrip().startswith('"') for one in fields))
    if plain and list(columns.captions) == [n - 1]:
        return fields
    raise DataError(
        f"{path}, line {row.first:,}: the row has {len(row.fields)} fields, and the header {n} "
        f"({', '.join(shown(name.strip()) for name in columns.names[:12])}). A caption with {delimiter!r} in it needs "
        "quotes."
    )


def _mended(path: Path, row: Row, columns: Columns, reading: Reading) -> list[str]:
    """Return the fields of a row that lacks the sign before the caption, where it is sure what was meant."""
    *before, last = row.fields
    broken = NO_SECOND_BAR.fullmatch(last)
    number, caption = len(columns.names) - 2, len(columns.names) - 1
    if broken and list(columns.captions) == [caption] and columns.names[number].strip().endswith("number"):
        reading.notices.append(
            f"Line {row.first:,} lacks the sign between number and caption; it was read as caption {broken['number']} of "
            f"{before[columns.image].strip()}."
        )
        return [*before, broken["number"], broken["caption"]]
    raise DataError(
        f"{path}, line {row.first:,}: the row has {len(row.fields)} field{'s' * (len(row.fields) != 1)}, and the header "
        f"{len(columns.names)} ({', '.join(shown(name.strip()) for name in columns.names[:12])}). Complete it."
    )
