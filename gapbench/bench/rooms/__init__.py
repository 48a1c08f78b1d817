"""Rooms: each aligner runs in a process of its own, so that nothing it does reaches anything else.

A room gets the parts of the fit data that the aligner's spec declares, and later the rows to map. It never holds labels of
scored items, rows of other seeds, other aligners' results or records. `docs/isolation.md` says what this guards against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gapbench.bench.rooms.here import Here
from gapbench.bench.rooms.processes import prepare
from gapbench.bench.rooms.room import Room
from gapbench.host.imports import GAPBENCH
from gapbench.host.provenance import Provenance
from gapbench.host.registry import Kind

if TYPE_CHECKING:
    from gapbench.bench.task import CellTask
    from gapbench.host.registry import Registry
    from gapbench.host.selection import Selected

AnyRoom: TypeAlias = Room | Here

__all__ = ["AnyRoom", "Here", "Room", "Rooms", "built_in_modules", "prepare"]


def built_in_modules(registry: Registry) -> list[str]:
    """Name the modules that gapbench's own aligners lie in, for `prepare`."""
    own = (one for one in registry.components(Kind.ALIGNER).values() if one.origin.distribution == GAPBENCH)
    return sorted({one.spec.factory.partition(":")[0] for one in own})


class Rooms:
    """What the rooms of one cell have in common.

    Parameters
    ----------
    task
        The cell.
    registry
        Where the aligners come from.
    until
        When they must be done, on the monotonic clock; None: no limit.
    """

    def __init__(self, task: CellTask, registry: Registry, until: float | None) -> None:
        self._task = task
        self._registry = registry
        self._until = until

    def open(self, selected: Selected) -> AnyRoom:
        """Return a room for an aligner, or with ``in_process`` what stands in for one."""
        if self._task.in_process:
            return Here(selected)
        name = selected.component.origin.distribution
        code = self._task.header.code.get(name)
        return Room(
            selected,
            Provenance(self._registry).origins(name),
            "" if code is None else code.sha256,
            until=self._until,
            memory=self._task.memory,
        )
