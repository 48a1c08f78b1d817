"""What a worker is told of the cell that it is to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapbench.components import EmbeddedSplit
    from gapbench.model.record import Record
    from gapbench.model.study import Protocol
    from gapbench.specs import FitContext


@dataclass(frozen=True, kw_only=True)
class CellTask:
    """All that a worker needs; components travel by name, since specs and plugins need not be picklable.

    ``run`` names the run: what cells share is shared within one run alone, since the code behind the rows may be another
    one in the next. ``header`` is the record without its results.
    """

    run: str
    header: Record
    test: EmbeddedSplit
    train: EmbeddedSplit | None
    aligner: str
    metrics: tuple[str, ...]
    protocol: Protocol
    seed: int
    captioned: bool
    index: str
    timeout: float | None = None
    strict: bool = False
    in_process: bool = False
    context: FitContext
    memory: int | None = None
