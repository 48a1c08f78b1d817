"""Checks of records against each other: what several rows of the same items say of these items must be one thing.

A row that counts an item as right says that its label is the class that the row predicts; one that counts it as wrong
says that it is another. Rows of one dataset share their labels, whatever encoder, prompts and aligner they have. Where
rows contradict each other the fewer ones are blamed; where they are as many, all of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from gapbench.model.record import HALF
from gapbench.results.checks import OWN, scored

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from gapbench.components import Bools, Int64
    from gapbench.model.record import Record
    from gapbench.results.journal import Stored

#: What a finding is about: the position of its record.
Finding = tuple[int, str]


class Labels:
    """What records say of the labels of items; filled record by record, then asked once."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, list[tuple[int, np.ndarray, Bools]]] = {}

    def add(self, position: int, record: Record, predicted: Int64, hits: Bools) -> None:
        """Take in the predicted classes ``(n,)`` of a record, and whether each is right."""
        small = predicted.astype(np.min_scalar_type(-max(2, int(predicted.max(initial=0)) + 1)))
        self._rows.setdefault(_items(record), []).append((position, small, hits))

    def compared(self) -> dict[int, int]:
        """Return with how many other records each was compared, by position."""
        return {position: len(rows) - 1 for rows in self._rows.values() for position, _, _ in rows}

    def contradictions(self) -> Iterator[Finding]:
        """Yield the records that contradict others."""
        for rows in self._rows.values():
            if len(rows) > 1:
                yield from _contradictions(rows)


def _items(record: Record) -> Hashable:
    """Identify the items that a record was scored on."""
    halves = record.seed if record.protocol.fit_split == HALF else None
    return record.dataset.fingerprint, scored(record), halves


def _contradictions(rows: Sequence[tuple[int, np.ndarray, Bools]]) -> Iterator[Finding]:
    items = _doubtful(rows)
    if not len(items):
        return
    predicted = np.stack([one[items] for _, one, _ in rows])
    hits = np.stack([right[items] for _, _, right in rows])
    blamed: dict[int, list[int]] = {}
    for column, item in enumerate(items.tolist()):
        for row in _blamed(predicted[:, column], hits[:, column]):
            blamed.setdefault(row, []).append(item)
    for row, found in blamed.items():
        words = f"on {len(found)} of them (the first: item {found[0]}), what is right in one is wrong in another"
        yield rows[row][0], f"its outcomes contradict other rows of the same items: {words}"


def _doubtful(rows: Sequence[tuple[int, np.ndarray, Bools]]) -> Int64:
    """Return the items on which rows contradict each other; row by row, for there may be very many."""
    n = len(rows[0][1])
    label, lowest = np.full(n, -1), np.full(n, np.iinfo(np.int64).max)
    for _, predicted, hits in rows:
        np.maximum(label, predicted, out=label, where=hits)
        np.minimum(lowest, predicted, out=lowest, where=hits)
    doubtful = (label >= 0) & (label != lowest)
    for _, predicted, hits in rows:
        doubtful |= (predicted == label) & ~hits & (label >= 0)
    return np.flatnonzero(doubtful)


def _blamed(predicted: np.ndarray, hits: np.ndarray) -> set[int]:
    """Return the rows that are fewer in a contradiction about one item."""
    found: set[int] = set()
    classes = {int(one): np.flatnonzero(hits & (predicted == one)) for one in np.unique(predicted[hits])}
    most = max(len(right) for right in classes.values())
    leading = [one for one, right in classes.items() if len(right) == most]
    for one, right in classes.items():
        if len(classes) > 1 and (len(right) < most or len(leading) > 1):
            found.update(right.tolist())
        wrong = np.flatnonzero(~hits & (predicted == one))
        if len(wrong):
            found.update(() if len(right) > len(wrong) else right.tolist())
            found.update(() if len(wrong) > len(right) else wrong.tolist())
    return found


def disagreements(records: Sequence[Record]) -> Iterator[Finding]:
    """Yield records whose numbers of items are not those of the other rows of their table, or of their fit split."""
    of_metric: dict[tuple[str, Hashable], dict[int, int]] = {}
    of_fit: dict[Hashable, dict[int, int]] = {}
    of_items: dict[Hashable, dict[int, int]] = {}
    for position, record in enumerate(records):
        if record.status != "ok":
            continue
        protocol = record.protocol
        scored_on = (_items(record), record.prompts.name, record.prompts.fingerprint)
        of_items.setdefault(record.dataset.fingerprint, {})[position] = record.dataset.n
        if protocol.fit_split == "train":
            drawn = record.seed if protocol.shots is not None else None
            of_fit.setdefault((protocol.fit_fingerprint, protocol.fit_size, protocol.shots, drawn), {})[position] = (
                record.items.fitted
            )
        for name, value in record.metrics.items():
            if value.distribution == OWN:
                of_metric.setdefault((name, scored_on), {})[position] = value.n
    for (name, _), found in of_metric.items():
        yield from _fewer(found, f"{name} rests on {{}} items, and in the other rows of these items on {{}}")
    for found in of_fit.values():
        yield from _fewer(found, "it was fitted on {} items, and other rows with the same fit split on {}")
    for found in of_items.values():
        yield from _fewer(found, "its dataset has {} items, and in other rows the same dataset has {}")


def _fewer(found: Mapping[int, int], words: str) -> Iterator[Finding]:
    """Blame the records that say what fewer say; where none are fewer, all."""
    counts = Counter(found.values())
    if len(counts) < 2:  # noqa: PLR2004
        return
    (common, most), (_, second) = counts.most_common(2)
    for position, number in found.items():
        if most == second or number != common:
            other = next(one for one, _ in counts.most_common() if one != number)
            yield position, words.format(number, other)


def overlaps(found: Sequence[Stored]) -> Iterator[Finding]:
    """Yield records whose outcomes are, as a whole or in part, also those of another record of their file."""
    by_file: dict[str, list[tuple[int, int, int]]] = {}
    for position, stored in enumerate(found):
        where = stored.record.outcomes
        if where is not None and where.length > 0:
            by_file.setdefault(stored.file, []).append((where.offset, where.offset + where.length, position))
    for blocks in by_file.values():
        blocks.sort()
        end, last = -1, -1
        for begin, stop, position in blocks:
            if begin < end:
                for mine, other in ((position, last), (last, position)):
                    yield mine, f"its outcomes lie where those of line {found[other].line} lie"
            if stop > end:
                end, last = stop, position


def copies(found: Sequence[Stored]) -> Iterator[Finding]:
    """Yield records that look like copies of others of their cell: the same record, or the same seconds."""
    same: dict[Hashable, Stored] = {}
    alike: dict[Hashable, list[Stored]] = {}
    for position, stored in enumerate(found):
        record = stored.record
        earlier = same.setdefault((record.cell_id, record.checksum), stored)
        if earlier is not stored:
            yield position, f"it is a copy of {_place(earlier)}, and counts once"
            continue
        if not (record.timing.fit_s or record.timing.score_s):
            continue
        # The first, and the first of another run: any record is of another run than one of these two, if of any.
        runs = alike.setdefault((record.cell_id, record.timing.fit_s, record.timing.score_s), [])
        other = next((one for one in runs if not _one_run(one.record, record)), None)
        if other is not None:
            words = f"it took the same microseconds as {_place(other)}, as no two runs do"
            yield position, f"{words}: a copy, which reproduces nothing"
        if not runs or (other is not None and len(runs) == 1):
            runs.append(stored)


def _place(stored: Stored) -> str:
    return f"{stored.file}, line {stored.line}"


def _one_run(one: Record, other: Record) -> bool:
    return one.created_utc == other.created_utc and one.environment == other.environment


def unreferenced(found: Iterable[Stored], size: int) -> int:
    """Return how many bytes of a container no record refers to: what a crash leaves."""
    used = sum(stored.record.outcomes.length for stored in found if stored.record.outcomes is not None)
    return max(0, size - used)
