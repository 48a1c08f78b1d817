"""How the aligners that close the gap do at one task of one table, and whether that depends on the task or the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from reading import CLOSED, GAP, lower, maps, place, tau, trained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gapbench.leaderboard.table import Table

#: Metrics whose value is known where the encoder knows nothing: one of the classes, or one of the images, is right.
OF_CLASSES = ("top1", "text-to-image-transfer")
OF_IMAGES = ("i2t-recall@1", "t2i-recall@1")


@dataclass(frozen=True)
class Split:
    """How the aligners of one table that close the gap do at one task.

    ``deltas`` are the differences to ``identity`` of the aligners that close the gap; ``best`` and ``least_gap`` are an
    aligner, its value, and whether it is told apart from ``identity``. ``floor`` is the value at chance, or the worst
    end of the scale where that is not known; ``ceiling`` is the best value that can be reached.
    """

    where: str
    dataset: str
    task: str
    metric: str
    trained: bool
    identity: float
    better: list[str]
    same: list[str]
    worse: list[str]
    deltas: dict[str, float]
    best: tuple[str, float, bool]
    least_gap: tuple[str, float, bool]
    tau: float
    floor: float
    ceiling: float
    detectable: float | None

    @property
    def n_better(self) -> int:
        """Number of aligners that close the gap and are better."""
        return len(self.better)

    @property
    def n_worse(self) -> int:
        """Number of aligners that close the gap and are worse."""
        return len(self.worse)

    @property
    def closed(self) -> int:
        """Number of aligners that close the gap."""
        return len(self.better) + len(self.same) + len(self.worse)

    @property
    def can_rise(self) -> bool:
        """Whether the table counts for "better": a trained encoder, with room to improve that the table could see."""
        return self._sees(self.ceiling)

    @property
    def can_fall(self) -> bool:
        """Whether the table counts for "worse": a trained encoder, as far from chance as the table could see."""
        return self._sees(self.floor)

    def _sees(self, end: float) -> bool:
        return self.trained and self.detectable is not None and abs(end - self.identity) >= self.detectable


def split(table: Table, task: str, metric: str) -> Split:
    """Sort the aligners that close the gap into better, worse and not told apart from identity."""
    base = table.row("identity")
    assert base is not None
    sign = -1 if lower(metric) else 1
    rows = [row for row in maps(table) if metric in row.values]
    sorted_rows: dict[int, list[str]] = {1: [], 0: [], -1: []}
    deltas = {}
    for row in rows:
        value = row.values[metric]
        if row.label != "identity" and row.values[GAP].value <= CLOSED * base.values[GAP].value:
            way = 0 if not value.significant or value.delta is None else int(math.copysign(1, sign * value.delta))
            sorted_rows[way].append(row.label)
            deltas[row.label] = value.value - base.values[metric].value if value.delta is None else value.delta
    best = max(rows, key=lambda row: (sign * row.values[metric].value, row.label == "identity"))
    least = min(rows, key=lambda row: row.values[GAP].value)
    return Split(
        where=place(table),
        dataset=table.dataset,
        task=task,
        metric=metric,
        trained=trained(table),
        identity=base.values[metric].value,
        better=sorted_rows[1],
        same=sorted_rows[0],
        worse=sorted_rows[-1],
        deltas=deltas,
        best=(best.label, best.values[metric].value, best.values[metric].significant),
        least_gap=(least.label, least.values[metric].value, least.values[metric].significant),
        tau=tau(rows, GAP, metric),
        floor=floor(table, metric),
        ceiling=ceiling(table, metric),
        detectable=table.detectable.get(metric),
    )


def floor(table: Table, metric: str) -> float:
    """Return the value at chance; where it is not known, the worst end of the scale: all task metrics here are shares."""
    if metric in OF_CLASSES:
        return 1 / table.n_texts
    if metric in OF_IMAGES:
        return 1 / table.n
    return 1.0 if lower(metric) else 0.0


def ceiling(table: Table, metric: str) -> float:
    """Return the best value that can be reached: of images that share all their captions, one alone can be the first."""
    if metric in OF_IMAGES and table.dataset == "color-digits":
        return distinct_captions()
    return 0.0 if lower(metric) else 1.0


@cache
def distinct_captions() -> float:
    """Share of different sets of captions among the test images of color-digits."""
    from gapbench.builtin.datasets.digits import ColorDigits

    captions = ColorDigits(None).split("test").captions
    return len({tuple(sorted(own)) for own in captions}) / len(captions)


def verdict(splits: Iterable[Split]) -> dict[str, Any]:
    """Return what closing the gap depends on, and the clearest example of one aligner with opposite verdicts.

    ``data`` is an aligner that is better on one data set and worse on another at the same task, and where; ``task`` one
    that is better at one task and worse at another; None where there is none. ``ups`` and ``downs`` count what was seen.
    """
    splits = list(splits)
    ups = [(name, part) for part in splits if part.can_rise for name in part.better]
    downs = [(name, part) for part in splits if part.can_fall for name in part.worse]
    return {
        "data": _opposite(ups, downs, lambda up, down: up.task == down.task and up.dataset != down.dataset),
        "task": _opposite(ups, downs, lambda up, down: up.task != down.task),
        "ups": len(ups),
        "downs": len(downs),
    }


def _opposite(
    ups: list[tuple[str, Split]], downs: list[tuple[str, Split]], fits: Callable[[Split, Split], bool]
) -> tuple[str, Split, Split] | None:
    """Return the pair whose smaller difference is largest; ties go to the first."""
    pairs = [(name, up, down) for (name, up), (other, down) in product(ups, downs) if name == other and fits(up, down)]
    return max(pairs, key=lambda pair: min(abs(part.deltas[pair[0]]) for part in pair[1:]), default=None)
