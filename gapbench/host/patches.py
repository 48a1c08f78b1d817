"""Functions and constants that a plugin's code replaced, in libraries and in gapbench: found, and put back."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import pkgutil
import sys
from functools import cache, cached_property
from operator import is_
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import gapbench
from gapbench.host.imports import GAPBENCH

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Packages whose functions and classes are put back, with all their modules; of the others the modules named.
WHOLE = frozenset({"numpy", GAPBENCH})
ALONE = (
    "builtins", "json", "math", "os", "hashlib", "zlib", "torch", "torch.nn.functional", "scipy.linalg", "scipy.special",
    "scipy.stats", "msgspec", "faiss",
)  # fmt: skip

#: Packages that compute and show results: of these also methods of classes, and constants with what they hold, are put back.
DEEP = frozenset({GAPBENCH, "rich", "jinja2"})

#: What is imported before a plugin's code runs: what is there can be put back. torch takes seconds and is not among it.
AHEAD = ("scipy.linalg", "scipy.special", "scipy.stats", "faiss")

#: Parts of gapbench that no run uses.
ASIDE = ("gapbench.__main__", "gapbench.scaffold", "gapbench.testing")

#: Where descriptors and wrappers keep the functions that they are made of: their code can be exchanged.
INSIDE: dict[type, tuple[str, ...]] = {
    property: ("fget",),
    classmethod: ("__func__",),
    staticmethod: ("__func__",),
    cached_property: ("func",),
    type(cache(len)): ("__wrapped__",),
}


@cache
def import_ahead() -> None:
    """Import what a run and its report are made of, so that no plugin is the first one to import it, and to change it."""
    for name in AHEAD:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(gapbench.__path__, f"{GAPBENCH}."):
        if not module.name.startswith(ASIDE):
            importlib.import_module(module.name)


class Patches:
    """Remembers what functions, classes and constants are, until `undo`."""

    def __init__(self) -> None:
        self._held: list[tuple[str, Any, dict[str, Any]]] = []
        self._functions: dict[FunctionType, tuple[str, Any, Any, Any]] = {}
        self._tables: list[tuple[str, Any, Any]] = []
        self._names: list[tuple[str, Any, set[str]]] = []
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            if top in DEEP:
                self._hold_deep(name, module)
            elif top in WHOLE or name in ALONE:
                self._hold(name, module, {key: value for key, value in vars(module).items() if callable(value)})

    def _hold(self, name: str, owner: Any, held: dict[str, Any]) -> None:
        self._held.append((name, owner, held))
        for key, value in held.items():
            for function in (value,) if type(value) is FunctionType else _inside(value):
                if function not in self._functions:
                    named = function.__kwdefaults__
                    parts = function.__code__, function.__defaults__, named and dict(named)
                    self._functions[function] = (f"{name}.{key}", *parts)

    def _hold_deep(self, name: str, module: ModuleType) -> None:
        """Remember also constants and what they hold, the modules that it uses and its classes."""
        found = vars(module).items()
        held = {key: value for key, value in found if callable(value) or key.isupper() or isinstance(value, ModuleType)}
        self._hold(name, module, held)
        self._names.append((name, module, set(vars(module))))
        for key, value in held.items():
            if isinstance(value, type) and value.__module__ == name:
                self._names.append((f"{name}.{key}", value, set(vars(value))))
                self._hold(
                    f"{name}.{key}", value, {one: it for one, it in vars(value).items() if hasattr(it, "__get__")}
                )
            elif isinstance(value, dict | list | set) and not key.startswith("_"):  # those with _ are memories
                self._tables.append((f"{name}.{key}", value, value.copy()))

    def undo(self) -> list[str]:
        """Put back what was replaced, changed or taken away, and name it."""
        changed = [*self._replaced(), *self._rewritten(), *self._added(), *self._refilled()]
        return list(dict.fromkeys(changed))

    def _replaced(self) -> Iterator[str]:
        for name, owner, held in self._held:
            now = vars(owner)
            for key, value in held.items():
                if now.get(key) is not value and not _own_wrapper(now.get(key), value):
                    with contextlib.suppress(AttributeError, TypeError):
                        setattr(owner, key, value)
                        yield f"{name}.{key}"

    def _rewritten(self) -> Iterator[str]:
        """Find functions that are the same objects, and made of something else."""
        for function, (name, code, defaults, named) in self._functions.items():
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or not _same(function.__kwdefaults__ or {}, named or {})
            ):
                function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, named
                yield name

    def _added(self) -> Iterator[str]:
        """Find names that hide others: a built-in function's in a module, a base class's method in a class."""
        for name, owner, names in self._names:
            for key in vars(owner).keys() - names:
                if key in vars(builtins) or (isinstance(owner, type) and callable(vars(owner)[key])):
                    delattr(owner, key)
                    yield f"{name}.{key}"

    def _refilled(self) -> Iterator[str]:
        for name, table, before in self._tables:
            if not _same(table, before):
                table.clear()
                (table.extend if isinstance(table, list) else table.update)(before)
                yield name


def _inside(value: Any) -> Iterator[FunctionType]:
    """Find the functions that something is made of."""
    for name in INSIDE.get(type(value), ()):
        found = getattr(value, name)
        if isinstance(found, FunctionType):
            yield found


def _same(now: Any, before: Any) -> bool:
    """Whether a table holds the very same objects."""
    if isinstance(now, set):
        return bool(now == before)
    if isinstance(now, dict):
        return now.keys() == before.keys() and all(now[key] is before[key] for key in before)
    return len(now) == len(before) and all(map(is_, now, before))


def _own_wrapper(found: Any, value: Any) -> bool:
    """Whether a library wrapped its own function, as PyTorch does with some when its optimisers are first imported."""
    code = getattr(found, "__code__", None)
    if code is None or getattr(found, "__wrapped__", None) is not value:
        return False
    library = sys.modules.get((getattr(value, "__module__", None) or "").partition(".")[0])
    return any(Path(code.co_filename).is_relative_to(folder) for folder in getattr(library, "__path__", ()))
