"""Pictures that cannot be read: all of them, found by decoding in several threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from rich.progress import Progress

    from gapbench.components import Split

#: Of what cannot be read, so many are named in one message.
MOST_NAMED = 20

#: Pictures that a thread takes at once.
BLOCK = 64


def unreadable(images: Sequence[Image], start: int = 0, progress: Progress | None = None) -> dict[int, str]:
    """Decode pictures from ``start`` on; return the reason of each one that cannot be read, by its row.

    Pillow decodes outside Python's lock, so that threads use all cores.
    """

    def faults(rows: range) -> dict[int, str]:
        found = {}
        for row in rows:
            try:
                images[row]
            except DataError as error:
                found[row] = str(error)
        return found

    task = None if progress is None else progress.add_task("looking at pictures", total=len(images) - start)
    found: dict[int, str] = {}
    blocks = [range(first, min(first + BLOCK, len(images))) for first in range(start, len(images), BLOCK)]
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="gapbench-decode") as pool:
        for block, some in zip(blocks, pool.map(faults, blocks), strict=True):
            found |= some
            if progress is not None and task is not None:
                progress.advance(task, len(block))
    return found


def refusal(faults: Sequence[str]) -> DataError:
    """Make one error of all pictures that cannot be read."""
    if len(faults) == 1:
        return DataError(f"{faults[0]} Or leave it out: --skip-unreadable.")
    named = "\n".join(f"  {fault}" for fault in faults[:MOST_NAMED])
    more = f"\n  and {len(faults) - MOST_NAMED:,} more" if len(faults) > MOST_NAMED else ""
    return DataError(f"{len(faults):,} pictures cannot be read; leave them out with --skip-unreadable:\n{named}{more}")


@dataclass(frozen=True)
class Picked:
    """Some of the pictures of a split."""

    images: Sequence[Image]
    rows: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> Image:
        return self.images[self.rows[item]]


def without_unreadable(split: Split) -> Split:
    """Leave out the pictures that cannot be read, with all that belongs to them, and count them as skipped."""
    faults = unreadable(split.images)
    if not faults:
        return split
    rows = [row for row in range(len(split.images)) if row not in faults]
    intake = split.intake
    named = list(faults.values())[:MOST_NAMED]
    return replace(
        split,
        images=Picked(split.images, rows),  # type: ignore[arg-type]
        item_hashes=[split.item_hashes[row] for row in rows],
        labels=None if split.labels is None else np.asarray(split.labels)[rows],
        captions=None if split.captions is None else [split.captions[row] for row in rows],
        intake=replace(
            intake,
            skipped={**intake.skipped, "pictures that cannot be read": len(faults)},
            notices=[*intake.notices, *(f"Left out: {fault}" for fault in named)],
        ),
    )
