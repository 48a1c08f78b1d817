"""Names of classes whose folders are called by codes or numbers: from a list beside them, or ImageNet's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.builtin.zero_shot import zero_shot_metadata
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Lists that are looked for beside class folders, in this order.
LISTS = (
    "classes.txt",
    "classnames.txt",
    "class_names.txt",
    "words.txt",
    "LOC_synset_mapping.txt",
    "imagenet_class_index.json",
    "wnids.txt",
)

#: The value of ``names`` that takes the folders' own names.
FOLDERS = "folders"

#: Codes of WordNet, as ImageNet's folders have them.
WNID = re.compile(r"n\d{8}")


@cache
def imagenet_codes(which: str = "imagenet_synsets") -> tuple[str, ...]:
    """Return WordNet's codes of ImageNet's classes, or of a set that has some of them, in their order.

    Raises
    ------
    DataError
        The package that has the lists is not installed as expected.
    """
    spec = find_spec("timm")  # open_clip brings it
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    for place in places:
        path = Path(place) / "data" / "_info" / f"{which}.txt"
        if path.is_file():
            return tuple(path.read_text(encoding="ascii").split())
    raise DataError("ImageNet's class codes come with the package timm, which has no list of them. Install it anew.")


@cache
def imagenet_names() -> dict[str, str]:
    """ImageNet's 1,000 classes: WordNet's code -> the name that CLIP's authors give it, in the order of the codes.

    Raises
    ------
    DataError
        The packages that have the lists are not installed as expected.
    """
    return dict(zip(imagenet_codes(), zero_shot_metadata().IMAGENET_CLASSNAMES, strict=True))


@dataclass
class Names:
    """Names of classes by the names of their folders, in the order of the classes, and a sentence on where they are from."""

    names: dict[str, str]
    said: str = ""


class ClassNames(Names):
    """Which classes there are, and how prompts call them.

    Parameters
    ----------
    folders
        Names of the class folders.
    roots
        Folders in which a list may lie.
    given
        A list that was chosen, `FOLDERS` for the folders' own names, or empty.
    """

    def __init__(self, folders: Sequence[str], roots: Sequence[Path], given: str = "") -> None:
        self._folders = sorted(folders)
        super().__init__({name: spaced(name) for name in self._folders})
        if given == FOLDERS:
            return
        path = Path(given).expanduser() if given else self._beside(roots)
        if path is not None:
            self.names = self._from_list(path)
        elif any(map(WNID.fullmatch, self._folders)):
            self.names = self._from_imagenet()

    @staticmethod
    def _beside(roots: Sequence[Path]) -> Path | None:
        places = (root / name for root in roots for name in LISTS)
        return next((place for place in places if place.is_file()), None)

    def _from_imagenet(self) -> dict[str, str]:
        known = imagenet_names()
        missing = [name for name in self._folders if name not in known]
        if missing:
            raise DataError(
                f"The class folders are codes, such as {missing[0]}, which is none of ImageNet's 1,000 classes, and no list "
                f"of names lies beside them ({', '.join(LISTS)}). Give one, [names=FILE], or say that the codes are the "
                f"names, [names={FOLDERS}]."
            )
        self.said = f"Class names are those of CLIP's authors for ImageNet's codes, {self._example(known)}."
        return {code: known[code] for code in self._folders}

    def _from_list(self, path: Path) -> dict[str, str]:
        """Read a list of codes and names, or of names alone in the order of the folders."""
        read = _read_json(path) if path.suffix.lower() == ".json" else _read_lines(path)
        if isinstance(read, dict):
            if missing := [name for name in self._folders if name not in read]:
                raise DataError(f"{path} has no name for the class folder {missing[0]!r} ({len(missing)} are missing).")
            self.said = f"Class names are those of {path}, {self._example(read)}."
            return {name: read[name] for name in self._folders}
        if set(self._folders) <= set(read):
            known = imagenet_names() if all(map(WNID.fullmatch, read)) else {}
            self.said = f"Classes and their order are those of {path}."
            return {name: known.get(name, spaced(name)) for name in read}
        if len(read) != len(self._folders):
            raise DataError(
                f"{path} has {len(read)} names, and there are {len(self._folders)} class folders: it cannot be told which "
                f"belong together. Write a line 'folder<TAB>name' for each, or take the folders' names, [names={FOLDERS}]."
            )
        names = dict(zip(self._folders, read, strict=True))
        self.said = f"Class names are those of {path}, in the order of the folders, {self._example(names)}."
        return names

    def _example(self, names: dict[str, str]) -> str:
        return f"{self._folders[0]!r} is {names[self._folders[0]]!r}"


def spaced(name: str) -> str:
    """Return a folder's name as prompts use it."""
    return name.replace("_", " ")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of class names {path} cannot be read ({error}).") from error


def _read_json(path: Path) -> dict[str, str] | list[str]:
    """Read ``{"0": [code, name]}``, ``{code: name}`` or a list of names."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"The list of class names {path} is no JSON ({error}).") from error
    if isinstance(content, list) and content and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and content:
        pairs = [value if isinstance(value, list) else [key, value] for key, value in content.items()]
        if all(len(pair) == 2 and all(isinstance(part, str) for part in pair) for pair in pairs):  # noqa: PLR2004
            return {code: spaced(name) for code, name in pairs}
    raise DataError(f'{path} must be a list of names, {{"folder": "name"}} or {{"0": ["folder", "name"]}}.')


def _read_lines(path: Path) -> dict[str, str] | list[str]:
    """Read lines ``code<TAB>name``, ``n01440764 name, another name``, or names alone."""
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"The list of class names {path} is empty.")
    if all("\t" in line for line in lines):
        pairs = [line.split("\t")[:2] for line in lines]
    elif all(re.match(r"n\d{8} \S", line) for line in lines):
        pairs = [line.split(" ", 1) for line in lines]
    else:
        return lines
    return {code.strip(): name.split(",")[0].strip() for code, name in pairs}
