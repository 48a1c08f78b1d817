"""In place of a room: the same, in the host's own process, for debuggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.bench.fitview import FitView
from gapbench.bench.notes import plain_notes
from gapbench.errors import AlignerError, GapbenchError
from gapbench.host.blame import fault_of
from gapbench.host.build import build
from gapbench.host.interrupts import by_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.bench.fitdata import FitParts
    from gapbench.host.selection import Selected
    from gapbench.model.record import ParamValue


class Here:
    """An aligner in this process; nothing but copies keeps it from the others.

    Parameters
    ----------
    selected
        The aligner.
    """

    printed = 0
    hashed = True

    def __init__(self, selected: Selected) -> None:
        self.name = selected.name
        self.notes: dict[str, ParamValue] = {}
        self._selected = selected
        self._aligner: Any = None

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Forget the aligner."""
        self._aligner = None

    def fit(self, parts: FitParts, rng: np.random.Generator) -> Here:
        """Build and fit the aligner."""
        aligner = build(self._selected)
        fitted = self._guarded(aligner.fit, FitView(parts.about, rng, parts.copied))
        self._aligner = aligner if fitted is None else fitted
        if hasattr(self._aligner, "notes"):
            self.notes = plain_notes(self._guarded(self._aligner.notes), self.name)
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the fitted aligner, which gets copies."""
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._aligner, name)

        def call(*arguments: Any) -> Any:
            return self._guarded(method, *map(_copied, arguments))

        return call

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call what is the aligner's, and name it where that raises."""
        try:
            return call(*arguments)
        except GapbenchError:
            raise
        except BaseException as error:
            if by_user(error):
                raise
            fault = fault_of(error, self._selected.component.spec.factory.partition(":")[0])
            raise AlignerError(f"Aligner {self.name!r} raised {fault}") from error


def _copied(argument: Any) -> Any:
    if not isinstance(argument, np.ndarray):
        return argument
    copy = np.array(argument)
    copy.flags.writeable = False
    return copy.view()
