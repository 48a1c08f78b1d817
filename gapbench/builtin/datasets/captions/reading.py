"""What a caption file says: pictures by name, each with its captions, and what of the file is no caption."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

#: Other words for a split.
SAME_SPLIT = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}

#: Signs of a piece of a file that an error shows.
LONGEST_SHOWN = 100

#: What programs write where there is no value.
NULLS = frozenset({"nan", "none", "null", "n/a", "<na>", "#n/a"})


@dataclass
class Named:
    """A picture as a caption file names it, with its captions.

    Parameters
    ----------
    name
        What the file says, without surrounding blanks.
    split
        The split that the file puts it into; empty where the file has none.
    place
        Where it is first named, as ``line 3``.
    captions
        In the order of the file; empty where all are blank.
    """

    name: str
    split: str
    place: str
    captions: list[str] = field(default_factory=list)


@dataclass
class Reading:
    """All that was read of one file.

    Parameters
    ----------
    path
        The file; pictures are named relative to its folder.
    form
        What it was taken for, as ``Karpathy JSON``.
    unit
        What places of the file are called: ``line``, ``annotation``, ``image``.
    pictures
        By split and name, in the order of the file.
    skipped
        By split and kind, how many things are no captions.
    notices
        Whole sentences on the file.
    also
        Other files that were read with it.
    has_columns
        Whether columns, or keys of objects, were chosen by their names.
    alone
        Whether its pictures lie in its own folder or below, and are not looked for elsewhere.
    """

    path: Path
    form: str
    unit: str = "line"
    pictures: dict[tuple[str, str], Named] = field(default_factory=dict)
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    also: list[Path] = field(default_factory=list)
    has_columns: bool = False
    alone: bool = False

    def add(self, name: Any, captions: Any, place: int, split: Any = "") -> None:
        """Add a picture with a caption, several, or none; blank and null ones are counted.

        Parameters
        ----------
        name, captions, split
            As they stand in the file. ``captions`` is a string, a list of strings, or null.
        place
            Number of the line, or of whatever the file consists of.

        Raises
        ------
        DataError
            A name, a caption or a split that is no text.
        """
        where = f"{self.unit} {place:,}"
        known = self._named(self._text(name, "the picture's name", where), self._split(split, where), where)
        for caption in captions if isinstance(captions, list) else [captions]:
            if caption is None or (isinstance(caption, float) and math.isnan(caption)):
                self.skip("null captions", known.split)
                continue
            if not isinstance(caption, str):
                raise DataError(f"{self.path}, {where}: the caption {caption!r:.60} is {_kind(caption)}, not text.")
            text = caption.strip()
            if blank(text) or text.casefold() in NULLS:
                self.skip("blank captions" if blank(text) else "null captions", known.split)
            else:
                known.captions.append(self._text(text, "the caption", where))

    def skip(self, kind: str, split: str, count: int = 1) -> None:
        """Count things that are there and not read; ``kind`` is in the plural."""
        self.skipped.setdefault(split, Counter())[kind] += count

    @property
    def splits(self) -> dict[str, int]:
        """How many pictures each split names."""
        return dict(Counter(split for split, _ in self.pictures))

    def moved(self, split: str) -> Reading:
        """Return the same with all pictures in a split, for a file that names none."""
        pictures = {(split, one.name): replace(one, split=split) for one in self.pictures.values()}
        return replace(self, pictures=pictures, skipped={split: self.skipped.get("", Counter())}, alone=True)

    def check_splits(self) -> None:
        """Refuse a file of which some pictures have a split and others have none.

        Raises
        ------
        DataError
            Names the first picture without a split.
        """
        if "" in self.splits and len(self.splits) > 1:
            first = next(one for (split, _), one in self.pictures.items() if not split)
            raise DataError(f"{self.path}, {first.place}: the split is blank, and other pictures have one. Fill it in.")

    def _named(self, name: str, split: str, where: str) -> Named:
        return self.pictures.setdefault((split, name), Named(name, split, where))

    def _split(self, split: Any, where: str) -> str:
        if split is None or blank(str(split)):
            return ""
        return split_named(self._text(split, "the split", where))

    def _text(self, value: Any, what: str, where: str) -> str:
        if not isinstance(value, str):
            raise DataError(f"{self.path}, {where}: {what} is {_kind(value)}, not text.")
        text = value.strip()
        if blank(text):
            raise DataError(f"{self.path}, {where}: {what} is blank.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            bad = text[error.start]
            raise DataError(f"{self.path}, {where}: {what} has half a character ({bad!r}). Correct it.") from error
        return text


def split_named(text: str) -> str:
    """Write the name of a split as splits are called here: small letters, and one word for each."""
    name = text.strip().casefold()
    return SAME_SPLIT.get(name, name)


def blank(text: str) -> bool:
    """Whether a text shows nothing: empty, blanks of any kind, invisible characters."""
    return not text[:1].isalnum() and not any(sign.isprintable() and not sign.isspace() for sign in text)


def shown(text: str) -> str:
    """Write a piece of a file for an error, in quotes, and cut where it is long."""
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")


def read_text(path: Path) -> str:
    """Read a file of text in UTF-8, with or without a byte-order mark.

    Raises
    ------
    DataError
        It cannot be read, or is in another encoding: names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}, line 1: the encoding is UTF-16. Save it as UTF-8: iconv -f utf-16 -t utf-8 OLD > NEW")
    content = content.removeprefix(b"\xef\xbb\xbf")
    if (nul := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise DataError(f"{path}, line {line:,}: a zero byte, so it is no text file. Save it as CSV or JSON in UTF-8.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line:,}: the byte 0x{content[error.start]:02x} is not UTF-8; the encoding may be Latin-1 "
            "(Windows-1252). Save it as UTF-8: iconv -f windows-1252 -t utf-8 OLD > NEW"
        ) from error
