"""Which form a caption file has: the one place that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.builtin.datasets.captions.columns import Wanted
from gapbench.builtin.datasets.captions.flickr import is_tokens, read_tokens
from gapbench.builtin.datasets.captions.json_files import read_json
from gapbench.builtin.datasets.captions.reading import SAME_SPLIT, read_text
from gapbench.builtin.datasets.captions.tables import read_table
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.builtin.datasets.captions.reading import Reading

#: Hugging Face's names of the table in a folder of pictures.
METADATA = ("metadata.jsonl", "metadata.csv")

#: What a caption file in a folder may end in, for hints.
ENDINGS = {".json", ".jsonl", ".csv", ".tsv", ".txt"}


def read(path: Path, wanted: Wanted) -> list[Reading]:
    """Read a caption file, or the metadata of a folder of pictures, one reading a file.

    Raises
    ------
    DataError
        There is no such file, or it cannot be read: says what was found, the line, and the way out.
    """
    try:
        if path.is_dir():
            return _read_folder(path, wanted)
        if not path.is_file():
            raise DataError(f"There is no caption file {str(path)!r}. Check the path after the colon.")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    return [_checked(read_file(path, wanted))]


def read_file(path: Path, wanted: Wanted) -> Reading:
    """Read one file by what it holds; its name counts for lines of JSON alone."""
    text = read_text(path)
    if text.lstrip()[:1] in ("{", "["):
        reading = read_json(path, text, wanted)
    elif is_tokens(text):
        reading = read_tokens(path, text)
    else:
        reading = read_table(path, text, wanted)
    if wanted != Wanted() and not reading.has_columns:
        raise DataError(
            f"{path} was read as {reading.form}, which has no columns. Leave out [image=...] and [caption=...]."
        )
    return reading


def _checked(reading: Reading) -> Reading:
    if not reading.pictures:
        raise DataError(f"{reading.path} names no pictures.")
    reading.check_splits()
    return reading


def _metadata(folder: Path) -> Path | None:
    found = [folder / name for name in METADATA if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{folder} has {' and '.join(METADATA)}. Name one of them: captions:{found[0]}")
    return found[0] if found else None


def _read_folder(folder: Path, wanted: Wanted) -> list[Reading]:
    """Read the metadata of a folder, or those of its folders train, val (or validation) and test."""
    if own := _metadata(folder):
        return [_checked(read_file(own, wanted))]
    readings = []
    for name in ("train", "val", *SAME_SPLIT, "test"):
        if (folder / name).is_dir() and (path := _metadata(folder / name)):
            reading = _checked(read_file(path, wanted))
            if list(reading.splits) != [""]:
                raise DataError(
                    f"{path} has a column of splits, and lies in the folder of a split. Remove one of them."
                )
            readings.append(reading.moved(SAME_SPLIT.get(name, name)))
    if not readings:
        files = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
        hint = f"Name its caption file: captions:{folder / files[0]}" if files else "Name a caption file."
        raise DataError(f"{folder} is a folder without {' or '.join(METADATA)}. {hint}")
    return readings
