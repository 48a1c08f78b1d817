"""The aligned split as metrics of plugins read it: each array is a copy, so that nothing written to it lasts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gapbench.bench.sample import AlignedSample
from gapbench.bench.scored import AlignedSplit


class Copies:
    """A split or a sample whose public attributes and methods give copies.

    Parameters
    ----------
    original
        What is read.
    """

    def __init__(self, original: AlignedSplit | AlignedSample) -> None:
        self._original = original
        self._once: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Return a copy of what the original has under a name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return _own(getattr(self._original, name))

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Compute something once for the metrics of plugins; what gapbench's own metrics share is not reached."""
        if name not in self._once:
            self._once[name] = compute()
        return self._once[name]


def _own(value: Any) -> Any:
    """Return a copy of arrays, whatever they lie in; what cannot be changed is returned as it is."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    if isinstance(value, AlignedSplit | AlignedSample):
        return Copies(value)
    if isinstance(value, tuple | list | Iterator):
        parts = (_own(part) for part in value)
        return parts if isinstance(value, Iterator) else type(value)(parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{field.name: _own(getattr(value, field.name)) for field in dataclasses.fields(value)}
        )
    if callable(value):
        return lambda *arguments, **named: _own(value(*arguments, **named))
    return value
