"""Prompts in files: lines, TOML and JSON, as people and other projects write them."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gapbench.builtin.prompts.strategies import ANYWHERE, DATASET, Templates, check_template, fields_of
from gapbench.builtin.prompts.table import Table
from gapbench.builtin.published import IMAGENET, published
from gapbench.errors import DataError, GapbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.components import PromptSet
    from gapbench.specs import PromptContext

#: What CLIP_benchmark calls sets that gapbench calls otherwise.
_THEIR_NAMES = {
    IMAGENET: "imagenet1k",
    "oxford-iiit-pet": "pets",
    "flowers102": "flowers",
    "stanford-cars": "cars",
    "fgvc-aircraft": "fgvc_aircraft",
}


class FromFile(Protocol):
    """What a file of prompts becomes."""

    def prompts(self, classes: Sequence[str], context: PromptContext = ANYWHERE) -> PromptSet:
        """Write the prompts of all classes."""
        ...


def from_file(path: str, *, names: str = DATASET) -> FromFile:
    """Read templates or written prompts.

    A ``.toml`` file is a table of class -> prompts. A ``.json`` file is a list of templates, such a table, or either by the
    name of the dataset, as CLIP_benchmark has them. Any other file has one template a line; # begins a comment.

    Parameters
    ----------
    path
        The file, in UTF-8 with or without a byte-order mark.
    names
        What templates and tables call the classes: ``dataset`` or ``openai``.

    Raises
    ------
    DataError
        No such file, nothing in it, or not of that form.
    UsageError
        A template without a place for the class name.
    """
    file = Path(path).expanduser()
    text = _text(file)
    match file.suffix.lower():
        case ".toml":
            return Table(_toml(file, text), str(file), names=names)
        case ".json":
            return _of_json(_json(file, text), str(file), names)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    kept = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not kept:
        raise DataError(f"The prompt file {file} has no templates; write one a line, with {{}} for the class name.")
    return Templates(templates=[check_template(line, f"{file}, line {number}") for number, line in kept], names=names)


def cupl(path: str, *, names: str = DATASET) -> FromFile:
    """Read what CuPL writes: JSON, class -> sentences (Pratt et al. 2023, arXiv 2209.03320).

    Class names may differ in case and signs, and the file may have sentences for classes that the dataset has not.

    Raises
    ------
    DataError
        As `from_file`; or it is no such table.
    """
    file = Path(path).expanduser()
    content = _json(file, _text(file))
    if not isinstance(content, dict):
        raise DataError(f"{file} is no JSON object of class -> sentences, as CuPL writes it; 'file:' reads lists.")
    return _of_json(content, str(file), names, loose=True)


class ByDataset:
    """One part of a file for each of several datasets; the one for the dataset at hand is used.

    Parameters
    ----------
    parts
        By CLIP_benchmark's, or gapbench's, names of the datasets.
    where
        The file, for messages.
    """

    def __init__(self, parts: Mapping[str, FromFile], where: str) -> None:
        self._parts = parts
        self._where = where

    def prompts(self, classes: Sequence[str], context: PromptContext = ANYWHERE) -> PromptSet:
        """Write the prompts of all classes.

        Raises
        ------
        DataError
            The file has nothing for this dataset.
        """
        for name in (context.dataset, *self._known_as(classes, context)):
            if name in self._parts:
                return self._parts[name].prompts(classes, context)
        raise DataError(
            f"{self._where} has prompts for datasets, and none for {context.dataset!r}, only for {', '.join(self._parts)}. "
            "Write those that you want into a file of their own."
        )

    @staticmethod
    def _known_as(classes: Sequence[str], context: PromptContext) -> list[str]:
        try:
            name = published(classes, context).set_name
        except DataError:
            return []
        return [name, _THEIR_NAMES.get(name, name)]


def _of_json(content: Any, where: str, names: str, *, loose: bool = False) -> FromFile:
    """Tell by its form what a JSON file holds."""
    if isinstance(content, list):
        return _templates(content, where, names)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{where} must be a list of templates, or an object of class -> prompts, and not empty.")
    if isinstance(content.get("imagenet1k"), list) and not _is_templates(content["imagenet1k"]):
        raise DataError(
            f"{where} has the names of classes, by dataset, as CLIP_benchmark's classnames files have them, and no prompts. "
            "Give its file of templates (..._zeroshot_classification_templates.json)."
        )
    if all(isinstance(part, dict) and "prompt" not in part for part in content.values()):
        tables = {key: Table(part, f"{where}, {key}", names=names, loose=loose) for key, part in content.items()}
        return ByDataset(tables, where)
    if not loose and all(_is_templates(part) for part in content.values()):
        return ByDataset({key: _templates(part, f"{where}, {key}", names) for key, part in content.items()}, where)
    return Table(content, where, names=names, loose=loose)


def _templates(content: list[Any], where: str, names: str) -> Templates:
    if not content or not all(isinstance(one, str) for one in content):
        raise DataError(f"{where} must be a list of templates, strings with {{}} or {{c}}, and not empty.")
    templates = [check_template(one, f"{where}, entry {number}") for number, one in enumerate(content, 1)]
    return Templates(templates=templates, names=names)


def _is_templates(part: Any) -> bool:
    try:
        return isinstance(part, list) and bool(part) and all(fields_of(one) in ([""], ["c"]) for one in part)
    except (TypeError, ValueError):
        return False


def _text(file: Path) -> str:
    if file.exists() and not file.is_file():  # opening a pipe would wait for ever
        raise DataError(f"The prompt file {str(file)!r} is no ordinary file.")
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The prompt file {str(file)!r} cannot be read: {error}.") from error


def _toml(file: Path, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also of a number of thousands of digits
        raise DataError(f"The prompt file {file} is not valid TOML: {error}.") from error


def _json(file: Path, text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
            raise DataError(f"The prompt file {file} has {twice[0]!r} twice. Keep one.")
        return dict(pairs)

    try:
        content = json.loads(text, object_pairs_hook=once)
        json.dumps(content, ensure_ascii=False).encode()  # halves of a character, which no text can have
    except GapbenchError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"The prompt file {file} is not valid JSON: {error}.") from error
    return content
