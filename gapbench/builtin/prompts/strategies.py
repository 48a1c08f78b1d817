"""Prompt strategies: templates, files, and open_clip's own list."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.builtin.zero_shot import zero_shot_metadata
from gapbench.components import PromptSet
from gapbench.errors import DataError, UsageError, did_you_mean
from gapbench.specs import Pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def check_template(template: str, where: str) -> str:
    """Hold a template to its form: exactly one empty field ``{}``.

    Raises
    ------
    UsageError
        No field, or another one.
    """
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise UsageError(
            f"{where}: {template!r} is no template ({error}); write {{}} where the class name goes."
        ) from error
    if fields != [""]:
        found = f"the field {{{next(f for f in fields if f)}}}" if any(fields) else f"{len(fields)} fields"
        raise UsageError(f"{where}: {template!r} has {found}; write {{}} once, where the class name goes.")
    return template


class Templates:
    """Every class in every template, averaged.

    Parameters
    ----------
    templates
        Strings with one ``{}``.
    """

    def __init__(self, *, templates: Sequence[str]) -> None:
        self._write: list[Callable[[str], str]] = [check_template(t, "prompts").format for t in templates]

    def prompts(self, classes: Sequence[str]) -> PromptSet:
        """Write all prompts, class by class."""
        return PromptSet(
            prompts=[write(name) for name in classes for write in self._write],
            owner=[row for row in range(len(classes)) for _ in self._write],
        )


class _Written(Templates):
    """Templates that are functions already."""

    def __init__(self, functions: Sequence[Callable[[str], str]]) -> None:
        self._write = list(functions)


def openai_80() -> _Written:
    """Read the 80 ImageNet templates (Radford et al. 2021) from open_clip, without importing torch."""
    return _Written(zero_shot_metadata().OPENAI_IMAGENET_TEMPLATES)


def template(text: str) -> Templates:
    """Use one template from the command line."""
    check_template(text, "template")
    return Templates(templates=[text])


def from_file(path: str) -> Templates | Table:
    """Read templates (one a line, # begins a comment) or, from a ``.toml`` file, a table of class -> prompts.

    Raises
    ------
    DataError
        No such file, nothing in it, or not of that form.
    """
    file = Path(path).expanduser()
    if file.exists() and not file.is_file():  # opening a pipe would wait for ever
        raise DataError(f"The prompt file {str(file)!r} is no ordinary file.")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The prompt file {str(file)!r} cannot be read: {error}.") from error
    if file.suffix == ".toml":
        return Table(_table(file, text), str(file))
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    kept = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not kept:
        raise DataError(f"The prompt file {file} has no templates; write one a line, with {{}} for the class name.")
    return Templates(templates=[check_template(line, f"{file}, line {number}") for number, line in kept])


def _table(file: Path, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also of a number of thousands of digits
        raise DataError(f"The prompt file {file} is not valid TOML: {error}.") from error


class Table:
    """Prompts written out for each class, with an optional ``pooling = "nearest"``.

    Parameters
    ----------
    table
        Class name -> prompt or list of prompts; a prompt is a string, or a table ``{prompt = "...", weight = 2.0}``.
    where
        The file, for messages.
    """

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._where = where
        content = dict(table)
        pooling = content.pop("pooling", "mean")
        if pooling not in list(Pooling):
            raise DataError(f"{where}: pooling is {pooling!r}; it must be 'mean' or 'nearest'.")
        self._pooling = Pooling(pooling)
        self._prompts: dict[str, list[tuple[str, float | None]]] = {}
        for name, given in content.items():
            prompts = [_weighted(one) for one in (given if isinstance(given, list) else [given])]
            if not prompts or None in prompts:
                raise DataError(
                    f"{where}: class {name!r} must have a prompt or a list of prompts, not {given!r}. A prompt is a "
                    'string, or {prompt = "...", weight = 2.0}.'
                )
            self._prompts[name] = [one for one in prompts if one is not None]

    def prompts(self, classes: Sequence[str]) -> PromptSet:
        """Give the prompts of the dataset's classes; the table must have exactly these."""
        for name in self._prompts:
            if name not in classes:
                raise DataError(f"{self._where}: the dataset has no class {name!r}.{did_you_mean(name, classes)}")
        for name in classes:
            if name not in self._prompts:
                raise DataError(f"{self._where} has no prompts for class {name!r}; add a line {name!r} = [...].")
        of_rows = [(row, *prompt) for row, name in enumerate(classes) for prompt in self._prompts[name]]
        weights = [weight for _, _, weight in of_rows]
        return PromptSet(
            prompts=[prompt for _, prompt, _ in of_rows],
            owner=[row for row, _, _ in of_rows],
            pooling=self._pooling,
            weights=None if set(weights) == {None} else [1.0 if weight is None else weight for weight in weights],
        )


def _weighted(given: Any) -> tuple[str, float | None] | None:
    """Read a prompt of a table with its weight; None where it is no prompt."""
    if isinstance(given, str) and given:
        return given, None
    if isinstance(given, dict) and given.keys() == {"prompt", "weight"}:
        prompt, weight = given["prompt"], given["weight"]
        if isinstance(prompt, str) and prompt and type(weight) in (int, float):
            return prompt, float(weight)
    return None


class OwnCaptions:
    """Stands for the dataset's own captions; the runner takes them from the dataset."""

    def prompts(self, classes: Sequence[str]) -> PromptSet:
        """There are none to write."""
        raise UsageError(f"'captions' are the dataset's own texts; they cannot be written for {len(classes)} classes.")
