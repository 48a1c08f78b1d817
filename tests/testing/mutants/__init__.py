"""Planted faults: components that break one promise each, and the checks of which one must find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gapbench.host.registry import Component, Kind, Origin
from gapbench.testing.checks import Subject, subject_of


@dataclass(frozen=True)
class Planted:
    """One class with one fault; without a fault it is correct and must pass.

    ``says`` is the fault in a sentence, ``found_by`` the checks of which one has to fail. A fault that is an error
    ``raises``; else a check that fails with an unexpected error has not found it.
    """

    kind: Kind
    spec: Any
    module: str
    says: str = ""
    found_by: tuple[str, ...] = ()
    raises: bool = False

    @property
    def name(self) -> str:
        """Name of the component."""
        return self.spec.name

    def subject(self) -> Subject:
        """Return what is checked."""
        return subject_of(Component(self.kind, self.spec, Origin("mutants", "", "", self.module)))


class Plants:
    """The planted components of a module.

    Parameters
    ----------
    kind, module, spec
        ``spec`` makes a spec of a name, a factory and changes.
    """

    def __init__(self, kind: Kind, module: str, spec: Any) -> None:
        self.kind, self.module, self._spec = kind, module, spec
        self.all: list[Planted] = []

    def __call__(self, says: str = "", *found_by: str, raises: bool = False, **changes: Any) -> Any:
        """Register a class."""

        def register(cls: type) -> type:
            name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in cls.__name__).strip("-")
            spec = self._spec(
                name=name, factory=f"{self.module}:{cls.__qualname__}", **{**getattr(cls, "spec", {}), **changes}
            )
            self.all.append(Planted(self.kind, spec, self.module, says, found_by, raises))
            return cls

        return register
