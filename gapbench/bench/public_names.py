"""Names in records of what is given by a path: a checkpoint, a folder, a caption file, a file of embeddings or of prompts.

A path is a matter of one machine. What lies below the working folder and is given so keeps its path; of any other path the
last part is shown, and as many parts before it as tell it from the other things of the same request. What a path holds is
identified by its fingerprint, never by its name.
"""

# ruff: noqa: PTH100, PTH110, PTH111, PTH117, PTH206 - pathlib raises at a user who is not there, and makes no path whole without following its links
from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.host.selection import Selected


def public_names(selected: Sequence[Selected]) -> dict[str, Selected]:
    """Name the components of one kind that one request selects.

    Returns
    -------
    dict
        Each component by its name, in their order. One file or folder that is spelt in several ways is one component, with
        the name of its first spelling.
    """
    things: dict[str, _Thing] = {}
    for one in selected:
        thing = _Thing.of(one)
        things.setdefault(thing.what, thing)
    lengths = dict.fromkeys(things, 1)
    while clashing := _clashing(things, lengths):
        for what in clashing:
            lengths[what] += 1
    return {thing.name(lengths[what]): thing.selected for what, thing in things.items()}


@dataclass(frozen=True)
class _Thing:
    """What is selected; ``path`` is empty where it is not given by a path, ``before`` is what the argument has before it."""

    selected: Selected
    before: str = ""
    path: str = ""

    @classmethod
    def of(cls, selected: Selected) -> _Thing:
        argument = selected.argument or ""
        word, colon, behind_colon = argument.partition(":")
        model, slash, behind_slash = argument.partition("/")
        forms = [("", argument), (word + colon, behind_colon), (model + slash, behind_slash)]
        if "/" in selected.component.spec.argument:  # MODEL/FILE comes first where that is what it takes
            forms.reverse()
        for before, text in forms:
            path = os.path.expanduser(text)
            if text and os.path.exists(path):
                return cls(selected, before, path)
        return cls(selected)

    @property
    def what(self) -> str:
        """Tells it from all others, however it is spelt."""
        return self._label(os.path.realpath(self.path)) if self.path else self.selected.label

    @property
    def below(self) -> bool:
        """Whether the path is given as one below the working folder."""
        path = os.path.normpath(self.path)
        return not os.path.isabs(path) and path.split(os.sep)[0] not in (os.curdir, os.pardir)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the whole path."""
        return Path(os.path.abspath(self.path)).parts

    def name(self, length: int) -> str:
        """Name it with so many parts of its path."""
        if not self.path:
            return self.selected.label
        shown = Path(os.path.normpath(self.path)) if self.below else Path(*self.parts[-length:])
        return self._label(shown.as_posix())

    def _label(self, path: str) -> str:
        return replace(self.selected, argument=self.before + path).label


def _clashing(things: Mapping[str, _Thing], lengths: Mapping[str, int]) -> list[str]:
    """Return the things whose name another thing has as well, and that can have a longer one."""
    by_name: dict[str, list[str]] = {}
    for what, thing in things.items():
        by_name.setdefault(thing.name(lengths[what]), []).append(what)
    clashes = (what for same in by_name.values() if len(same) > 1 for what in same)
    return [
        what
        for what in clashes
        if things[what].path and not things[what].below and lengths[what] < len(things[what].parts)
    ]
