"""One record for each cell out of many records files: what agrees counts as reproduced, what does not is a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gapbench.errors import DataError
from gapbench.results import journal
from gapbench.results.finalise import finalise, load_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gapbench.results.record import Record

#: Values of one cell from two machines agree up to this share of the larger one (or this much, where both are below 1):
#: other processors and libraries round differently.
TOLERANCE = 1e-3

#: Where items are counted, so many per mille of them, and at least one, may come out differently.
ITEMS = 2e-3


@dataclass(frozen=True)
class Repeat:
    """What several runs gave for one cell.

    Parameters
    ----------
    runs
        The different runs, oldest first: copies of one run count once.
    conflicts
        What they do not agree on, one sentence a metric; empty where they agree.
    """

    runs: tuple[Record, ...]
    conflicts: tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """One finished record for each cell, and what is known of those that ran more than once, by cell id."""

    records: list[Record]
    repeats: Mapping[str, Repeat]


def merge(folder: Path) -> Merged:
    """Merge all records files of a folder of results.

    Of several runs of one cell the oldest is shown (of those with the most metrics), never simply the last. A cell that
    failed in one run and ended well in another is the latter.

    Parameters
    ----------
    folder
        Of the results; see `gapbench.results.journal`.

    Raises
    ------
    DataError
        A line is damaged; names file and line.
    """
    cells: dict[str, list[Record]] = {}
    for path in journal.files(folder):
        for record in journal.read(path):
            cells.setdefault(record.cell_id, []).append(record)
    below = folder / journal.FOLDER
    repeats = {cell: repeat_of(runs, below) for cell, runs in cells.items() if len(runs) > 1}
    chosen = [_chosen(repeats[cell].runs or runs) if cell in repeats else runs[0] for cell, runs in cells.items()]
    return Merged(
        records=finalise(chosen, below), repeats={cell: found for cell, found in repeats.items() if len(found.runs) > 1}
    )


def _chosen(runs: Sequence[Record]) -> Record:
    """Choose the run that is shown; ``runs`` are ordered by time."""
    whole = [record for record in runs if record.status == "ok"]
    return max(whole, key=lambda record: len(record.metrics)) if whole else runs[-1]


def repeat_of(records: Sequence[Record], folder: Path) -> Repeat:
    """Tell the different runs of one cell apart and compare them; ``folder`` is where their outcomes lie."""
    different: dict[bytes, Record] = {}
    for record in sorted(records, key=lambda record: record.created_utc):
        if record.status == "ok":
            different.setdefault(_run_of(record), record)
    runs = tuple(different.values())
    conflicts = [line for later in runs[1:] for line in disagreements(runs[0], folder, later, folder)]
    return Repeat(runs, tuple(dict.fromkeys(conflicts)))


def _run_of(record: Record) -> bytes:
    """Tell one run from another: when, on what, and with which values."""
    values = {name: (value.value, value.n) for name, value in record.metrics.items()}
    return msgspec.json.encode([record.created_utc, record.environment, values], order="deterministic")


def same_run(one: Record, other: Record) -> bool:
    """Whether two records are copies of one result."""
    return one.cell_id == other.cell_id and _run_of(one) == _run_of(other)


def disagreements(one: Record, folder: Path, other: Record, place: Path) -> list[str]:
    """Say for each metric of both records where they differ by more than rounding.

    Each record comes with the folder that its outcomes lie below. Two values agree within `TOLERANCE`; values that are
    shares of counted items also where at most `ITEMS` of the items (at least one item) came out differently.
    """
    lines = []
    for name, value in one.metrics.items():
        theirs = other.metrics.get(name)
        if theirs is None:
            continue
        close = abs(value.value - theirs.value) <= TOLERANCE * max(1.0, abs(value.value), abs(theirs.value))
        if value.n == theirs.n and (close or _few_items(name, (one, folder), (other, place))):
            continue
        lines.append(f"{name} {value.value:.6g} ({made_on(one)}) against {theirs.value:.6g} ({made_on(other)})")
    return lines


def _few_items(name: str, one: tuple[Record, Path], other: tuple[Record, Path]) -> bool:
    """Whether two 0/1 outcomes differ in few items."""
    try:
        mine, theirs = (load_outcomes(record, place).get(name) for record, place in (one, other))
    except DataError:
        return False
    if mine is None or theirs is None or mine.outcomes is None or theirs.outcomes is None:
        return False
    a, b = mine.outcomes, theirs.outcomes
    if not (a.dtype == b.dtype == np.bool_ and len(a) == len(b)):
        return False
    return int(np.count_nonzero(a != b)) <= max(1.0, ITEMS * len(a))


def made_on(record: Record) -> str:
    """Name the environment and the day of a run in a few words."""
    made = record.environment
    words = [
        f"gapbench {made.get('gapbench', '?')}",
        str(made.get("platform", "?")),
        f"Python {made.get('python', '?')}",
    ]
    return ", ".join([*words, record.created_utc[:10] or "no date"])


def environments(runs: Iterable[Record]) -> str:
    """Name where runs were made."""
    return "; ".join(dict.fromkeys(made_on(record) for record in runs))
