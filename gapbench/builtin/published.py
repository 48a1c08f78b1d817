"""Class names and templates that OpenAI published for each set; they are data, in the file ``published.toml``."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.builtin.zero_shot import zero_shot_metadata
from gapbench.errors import DataError, first_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.specs import PromptContext

IMAGENET = "imagenet"

#: Of class names that do not fit, so many are named.
MOST_NAMED = 3


def plain(name: str) -> str:
    """Return a class name without what spellings of one name differ in: case, underscores and other signs."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published for one set.

    Parameters
    ----------
    set_name
        gapbench's name of the set.
    templates
        Strings with one ``{}``.
    names
        Class names.
    own
        By published names: what the set, or gapbench, calls this class, where it is another word.
    optional
        Names that a dataset need not have.
    """

    set_name: str
    templates: tuple[str, ...]
    names: tuple[str, ...]
    own: Mapping[str, str]
    optional: frozenset[str] = frozenset()

    @cached_property
    def _known(self) -> dict[str, str]:
        return {plain(word): name for name in self.names for word in (name, self.own.get(name, name))}

    def problem(self, classes: Sequence[str], *, some: bool = False) -> str:
        """Return why these are not the set's classes, or ``some`` of them; empty where they are."""
        found = [self._known.get(plain(name), "") for name in classes]
        if unknown := [name for name, known in zip(classes, found, strict=True) if not known]:
            return f"there is no {_some(unknown)} among them"
        present = {*found, *self.optional}
        if not some and (lacking := [name for name in self.names if name not in present]):
            return f"the dataset lacks {_some(lacking)}"
        if twice := list(Counter(found) - Counter(self.names)):
            return f"the dataset has {_some(twice)} more than once"
        return ""

    def of(self, classes: Sequence[str]) -> list[str]:
        """Return the published names of a dataset's classes, in its order; they must be the set's (`problem`)."""
        return [self._known[plain(name)] for name in classes]


def published(classes: Sequence[str], context: PromptContext) -> Published:
    """Find what was published for a dataset: by its name, or by its classes where it is read from a path.

    Raises
    ------
    DataError
        Nothing was, or the classes are not those of the set.
    """
    known = _all()
    base = IMAGENET if context.dataset.startswith(f"{IMAGENET}-") else context.dataset
    if base in known:
        if problem := known[base].problem(classes, some=base == IMAGENET):  # ImageNet-A and -R have 200 of its classes
            raise DataError(
                f"The classes of {context.dataset!r} are not those for which OpenAI published names and templates: "
                f"{problem}. Take another prompt strategy, such as photo or openai-80."
            )
        return known[base]
    matches = [one for one in known.values() if context.argument and not one.problem(classes)]
    if len(matches) != 1:
        why = " (a dataset that is read from a path is known by its classes)" if context.argument else ""
        raise DataError(
            f"OpenAI published no class names and templates for the dataset {context.dataset!r}{why}, only for "
            f"{', '.join(known)}. Take another prompt strategy for it, such as photo or openai-80."
        )
    return matches[0]


def imagenet_templates() -> tuple[str, ...]:
    """Return the 80 templates for ImageNet (Radford et al. 2021), from open_clip, without importing torch."""
    return tuple(write("{}") for write in zero_shot_metadata().OPENAI_IMAGENET_TEMPLATES)


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@cache
def _all() -> dict[str, Published]:
    sets = {
        name: Published(
            set_name=name,
            templates=tuple(one["templates"]),
            names=tuple(one["names"]),
            own=one.get("own", {}),
            optional=frozenset(one.get("optional", ())),
        )
        for name, one in _content().items()
    }
    names = tuple(zero_shot_metadata().IMAGENET_CLASSNAMES)
    sets[IMAGENET] = Published(set_name=IMAGENET, templates=imagenet_templates(), names=names, own={})
    return sets


def names_of(set_name: str) -> tuple[str, ...]:
    """Return the published names of a set, as they are listed."""
    return tuple(_content()[set_name]["names"])


def _some(names: Sequence[str]) -> str:
    return first_of([repr(name) for name in names], MOST_NAMED)
