"""Flickr's token files: ``picture.jpg#0``, a tab, and a caption in each line; Flickr8k's splits lie beside in lists."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.captions.reading import Reading, read_text, shown
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

LINE = re.compile(r"(?P<picture>[^\t]+?)\s*#\s*\d+\s*\t(?P<caption>.*)", re.DOTALL)

#: Flickr8k's list of captions names this picture; what is published has no such file.
NEVER_PUBLISHED = "2258277193_586949ec62.jpg.1"

#: Flickr8k's lists of the pictures of each split.
LISTS = {"train": "Flickr_8k.trainImages.txt", "val": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}


def is_tokens(text: str) -> bool:
    """Whether the first line that is not blank is one of a token file."""
    return bool(LINE.match(text.lstrip().partition("\n")[0]))


def read_tokens(path: Path, text: str) -> Reading:
    """Read a token file, and Flickr8k's lists of splits where they lie beside it.

    Raises
    ------
    DataError
        A line of another form: names it.
    """
    reading = Reading(path, "Flickr token file")
    split_of = _splits(reading)
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        found = LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            raise DataError(f"{path}, line {number:,}: it is not of the form 'picture.jpg#0', a tab, a caption.")
        split = split_of.get(found["picture"], "")
        if found["picture"] == NEVER_PUBLISHED:
            reading.skip("captions of a picture that was never published", split)
        elif split_of and not split:
            reading.skip("captions of pictures in none of the lists of splits", "test")
        else:
            reading.add(found["picture"], found["caption"], number, split)
    return reading


def _splits(reading: Reading) -> dict[str, str]:
    """Return the split of each picture, by Flickr8k's lists; empty where they are not all there."""
    paths = {split: reading.path.parent / name for split, name in LISTS.items()}
    if not all(path.is_file() for path in paths.values()) or "8k" not in reading.path.name.lower():
        return {}
    found: dict[str, str] = {}
    for split, path in paths.items():
        for name in map(str.strip, read_text(path).splitlines()):
            if name and found.setdefault(name, split) != split:
                raise DataError(f"{path} lists {shown(name)}, which is in the list of the split {found[name]} as well.")
    reading.also += paths.values()
    reading.form = "Flickr token file with lists of splits"
    return found
