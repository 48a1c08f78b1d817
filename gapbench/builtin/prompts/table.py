"""Prompts written out for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapbench.builtin.prompts.strategies import ANYWHERE, DATASET, names_for
from gapbench.builtin.published import plain
from gapbench.components import PromptSet
from gapbench.errors import DataError, did_you_mean, first_of
from gapbench.specs import Pooling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.specs import PromptContext


class Table:
    """Prompts by class, with an optional ``pooling = "nearest"``.

    Parameters
    ----------
    table
        Class name -> prompt or list of prompts; a prompt is a string, or a table ``{prompt = "...", weight = 2.0}``.
    where
        The file, for messages.
    names
        What the table calls the classes: `DATASET` or `OPENAI`.
    loose
        Class names may differ in case and signs, and there may be prompts for other classes.
    """

    def __init__(self, table: Mapping[str, Any], where: str, *, names: str = DATASET, loose: bool = False) -> None:
        self._where = where
        self._names = names
        self._loose = loose
        content = dict(table)
        pooling = content.pop("pooling", "mean")
        if pooling not in list(Pooling):
            raise DataError(f"{where}: pooling is {pooling!r}; it must be 'mean' or 'nearest'.")
        self._pooling = Pooling(pooling)
        self._prompts = {name: self._read(name, given) for name, given in content.items()}

    def _read(self, name: str, given: Any) -> list[tuple[str, float | None]]:
        prompts = [_weighted(one) for one in (given if isinstance(given, list) else [given])]
        if not prompts or None in prompts:
            raise DataError(
                f"{self._where}: class {name!r} must have a prompt or a list of prompts, not {given!r}. A prompt is a "
                'string, or {prompt = "...", weight = 2.0}.'
            )
        return [one for one in prompts if one is not None]

    def prompts(self, classes: Sequence[str], context: PromptContext = ANYWHERE) -> PromptSet:
        """Return the prompts of the dataset's classes.

        Raises
        ------
        DataError
            A class has none, or (unless the table is loose) there are prompts for other classes.
        """
        names = names_for(classes, context, self._names)
        keys = self._keys(names)
        of_rows = [(row, *prompt) for row, key in enumerate(keys) for prompt in self._prompts[key]]
        weights = [weight for _, _, weight in of_rows]
        return PromptSet(
            prompts=[prompt for _, prompt, _ in of_rows],
            owner=[row for row, _, _ in of_rows],
            pooling=self._pooling,
            weights=None if set(weights) == {None} else [1.0 if weight is None else weight for weight in weights],
        )

    def _keys(self, names: Sequence[str]) -> list[str]:
        """Return the table's name of each class."""
        known = {name: name for name in self._prompts}
        if self._loose:
            known = {}
            for name in self._prompts:
                if (other := known.setdefault(plain(name), name)) != name:
                    raise DataError(f"{self._where}: {other!r} and {name!r} are one class. Keep one of them.")
            keys = [known.get(plain(name)) for name in names]
        else:
            for name in self._prompts:
                if name not in names:
                    raise DataError(f"{self._where}: the dataset has no class {name!r}.{did_you_mean(name, names)}")
            keys = [known.get(name) for name in names]
        if missing := [name for name, key in zip(names, keys, strict=True) if key is None]:
            what = first_of([repr(name) for name in missing])
            raise DataError(f"{self._where} has no prompts for class {what}; add them.")
        return [key for key in keys if key is not None]


def _weighted(given: Any) -> tuple[str, float | None] | None:
    """Read a prompt of a table with its weight; None where it is no prompt."""
    if isinstance(given, str) and given:
        return given, None
    if isinstance(given, dict) and given.keys() == {"prompt", "weight"}:
        prompt, weight = given["prompt"], given["weight"]
        if isinstance(prompt, str) and prompt and type(weight) in (int, float):
            return prompt, float(weight)
    return None
