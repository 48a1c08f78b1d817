"""Columns: which of a table, or of objects, has the pictures, which the captions, which the split."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gapbench.builtin.datasets.captions.reading import shown
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Names of columns, as `_key` writes them.
PICTURES = (
    "image", "imagename", "imagepath", "imagefile", "imagefilename", "img", "imgname", "imgpath", "imgfile",
    "file", "filename", "filepath", "path", "picture", "photo",
)  # fmt: skip
ADDRESSES = ("url", "imageurl", "imgurl")
CAPTIONS = (
    "caption", "captions", "text", "texts", "title", "comment", "comments", "sentence", "sentences",
    "description", "descriptions", "raw",
)  # fmt: skip
NUMBERED = re.compile(rf"({'|'.join(CAPTIONS)})\d+")

#: What a column that is neither is not taken for captions by.
NO_CAPTION = re.compile(r"labels?|class(es)?|category|categories|target|score|.*id|.*number|index|width|height")


@dataclass(frozen=True)
class Wanted:
    """The columns that the user names; empty where the usual names are looked for."""

    image: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Columns:
    """Positions of columns.

    Parameters
    ----------
    names
        All columns, as they are written.
    image
        The one with the pictures.
    captions
        Those with captions: one, or several that are numbered.
    split
        The one with the split, if there is one.
    """

    names: Sequence[str]
    image: int
    captions: Sequence[int]
    split: int | None

    @property
    def said(self) -> str:
        """The columns that are read, in words."""
        captions = [shown(self.names[position].strip()) for position in self.captions]
        some = captions if len(captions) < 3 else [captions[0], "...", captions[-1]]  # noqa: PLR2004 - the middle is left out
        return f"columns {shown(self.names[self.image].strip())} and {', '.join(some)}"


def find_columns(names: Sequence[str], wanted: Wanted, where: str) -> Columns | None:
    """Find the columns of pictures and of captions; None where one of them is not there.

    Raises
    ------
    DataError
        Several columns may be meant, or one that the user names is not there.
    """
    keys = [_key(name) for name in names]
    images = _positions(keys, wanted.image, PICTURES) or _positions(keys, wanted.image, ADDRESSES)
    captions = _positions(keys, wanted.caption, CAPTIONS)
    if not wanted.caption:
        captions = sorted({*captions, *(position for position, key in enumerate(keys) if NUMBERED.fullmatch(key))})
    splits = [position for position, key in enumerate(keys) if key == "split"]
    if images and not captions and not wanted.caption:
        others = [position for position in range(len(keys)) if position not in {*images, *splits} and keys[position]]
        captions = others if len(others) == 1 and not NO_CAPTION.fullmatch(keys[others[0]]) else []
    if not images or not captions:
        return None
    _check_one(names, images, "image", where)
    if images[0] in captions:
        raise DataError(f"{where}: the column {shown(names[images[0]].strip())} cannot hold pictures and captions.")
    if len({keys[position].rstrip("0123456789") for position in captions}) > 1:
        _check_one(names, captions, "caption", where)
    _check_one(names, splits, "", where)
    return Columns(names, images[0], captions, splits[0] if splits else None)


def no_columns(names: Sequence[str], wanted: Wanted, where: str) -> DataError:
    """Return which columns there are, and what is wanted."""
    listed = ", ".join(shown(name.strip()) for name in names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
    asked = [name for name in (wanted.image, wanted.caption) if name and _key(name) not in map(_key, names)]
    if asked:
        return DataError(f"{where}: there is no column {shown(asked[0])}. The columns are {listed}.")
    lacks = "of pictures (image, filename, file_name, path, ...)"
    if _positions([_key(name) for name in names], wanted.image, (*PICTURES, *ADDRESSES)):
        lacks = "of captions (caption, text, title, sentence, ...)"
    return DataError(
        f"{where}: no column {lacks} is among the columns, which are {listed}. Write a usual name, or say which it "
        "is: captions:PATH[image=NAME,caption=NAME]."
    )


def _check_one(names: Sequence[str], found: Sequence[int], parameter: str, where: str) -> None:
    if len(found) < 2:  # noqa: PLR2004 - several
        return
    both = " and ".join(shown(names[position].strip()) for position in found)
    way_out = f"Say which: captions:PATH[{parameter}={names[found[0]].strip()}]." if parameter else "Remove one."
    raise DataError(f"{where}: the columns {both} may both be meant. {way_out}")


def _positions(keys: Sequence[str], wanted: str, usual: Sequence[str]) -> list[int]:
    accepted = [_key(wanted)] if wanted else usual
    return [position for position, key in enumerate(keys) if key in accepted]


def _key(name: str) -> str:
    """Write a name as it is compared: small letters and digits alone."""
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def several(cell: Any) -> Any:
    """Return the captions of a cell: a list that was written as text (JSON, or Python's own way) is a list again."""
    if not isinstance(cell, str) or not (cell.strip().startswith("[") and cell.strip().endswith("]")):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and found and all(isinstance(one, str) for one in found):
            return found
    return cell
