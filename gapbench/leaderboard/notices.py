"""What a table must say besides its numbers: how small a difference it could find, and what its metrics do not notice."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from gapbench.intake import skipped_sentence
from gapbench.leaderboard.text import is_share, number
from gapbench.model.record import IN_SAMPLE
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.leaderboard.table import Row, Table, Value
    from gapbench.specs import MetricSpec

#: Differences of this size are rounding.
SAME = 1e-9

#: Of what other code gave before, so much is told; the records have all.
MOST_LINES = 3


def notices(table: Table, specs: Mapping[str, MetricSpec]) -> list[str]:
    """Give the lines that go under a table, in plain text."""
    lines = []
    if table.n and not any(value.delta is not None for row in table.rows for value in row.values.values()):
        alone = sum(1 for row in table.rows if row.compared) == 1 and table.row(BASELINE) is not None
        missing = (
            "There is no row of identity to compare with: add -a identity, where images and texts are in one space."
        )
        lines += [] if alone else [missing]
    if table.primary in table.detectable:
        lines.append(_detectable(table, share=is_share(table.primary, specs.get(table.primary))))
    lines += _spread(table, specs)
    lines += _unseen(table, specs)
    lines += [*_copies(table), *_classes(table), *_long_texts(table), *_skipped(table)]
    for control, metrics in unnoticed(table, specs).items():
        lines.append(f"Do not notice {control}: {', '.join(metrics)}.")
    warned: dict[str, list[str]] = {}
    for row in table.rows:
        for warning in dict.fromkeys(text for record in row.records for text in record.warnings):
            warned.setdefault(warning, []).append(row.label)
    lines += [f"{', '.join(labels)}: {warning}." for warning, labels in warned.items()]
    lines += [line for row in table.rows if (line := _chosen(row))]
    lines += [f"{row.label}: by other code before: {_few(row.superseded)}." for row in table.rows if row.superseded]
    lines += _failed(table)
    return [*lines, *table.remarks]


def _detectable(table: Table, *, share: bool) -> str:
    """Say how small a difference would be found; of shares, whether any can be."""
    least = table.detectable[table.primary]
    if share and least > 1:
        return f"No difference in {table.primary} would be found with 80 % power: there are too few items or seeds."
    unit = " points" if share else ""
    return f"Smallest difference in {table.primary} that would be found with 80 % power: {number(least, share=share)}{unit}."


def _spread(table: Table, specs: Mapping[str, MetricSpec]) -> list[str]:
    """Say how much the seeds of a row differ in the primary metric."""
    spreads = {
        row.label: spread
        for row in table.rows
        if row.comparable and not row.control and table.primary in row.values
        if (spread := row.values[table.primary].spread) is not None
    }
    if not spreads:
        return []
    share = is_share(table.primary, specs.get(table.primary))
    most = max(spreads, key=spreads.__getitem__)
    seeds = max(row.coverage[1] for row in table.rows)
    middle, end = (number(spread, share=share) for spread in (median(spreads.values()), spreads[most]))
    return [
        f"{table.primary} over {seeds} seeds: standard deviation {middle} in the median row, at most {end} ({most})."
    ]


def _unseen(table: Table, specs: Mapping[str, MetricSpec]) -> list[str]:
    """Say how in-sample rows do on the scored items that were not fitted on."""
    if not table.seen:
        return []
    share = is_share(table.primary, specs.get(table.primary))
    told = [
        f"{row.label} {number(row.unseen.value, share=share)}" for row in table.rows if row.unseen and not row.control
    ]
    if not told:
        return [f"All scored items were fitted on: {table.primary} says nothing of others."]
    left = table.n - table.seen
    return [f"{table.primary} on the {left:,} scored items that were not fitted on: {', '.join(told)}."]


def _copies(table: Table) -> list[str]:
    """Say what became of images that occur more than once."""
    records = [record for row in table.rows for record in row.records]
    repeated = max((record.items.repeated for record in records), default=0)
    scored = max((record.items.scored_copies for record in records), default=0)
    left_out = max((record.items.left_out for record in records), default=0)
    lines = []
    if repeated:
        lines.append(f"{repeated:,} images occur more than once, bit by bit; copies are in one half.")
    if scored:
        are = "image is a copy" if scored == 1 else "images are copies"
        lines.append(f"{scored:,} scored {are} of another: intervals and tests take an image and its copies for one.")
    if left_out:
        lines.append(f"{left_out:,} images of the fit split are scored as well, bit by bit, and were not fitted on.")
    return lines


def _classes(table: Table) -> list[str]:
    """Say which classes can be right by chance alone, or never are."""
    records = [record for row in table.rows for record in row.records]
    empty = max((record.items.empty_classes for record in records), default=0)
    alike = max((record.items.alike_classes for record in records), default=0)
    lines = []
    if empty:
        have = "class has" if empty == 1 else "classes have"
        lines.append(f"{empty:,} {have} no scored image: to answer so is never right.")
    if alike:
        lines.append(
            f"{alike:,} classes share their texts with another: of such, the first one in the list is answered."
        )
    return lines


def _long_texts(table: Table) -> list[str]:
    """Return how many texts were cut, as a sentence."""
    cut = max((record.items.cut_texts for row in table.rows for record in row.records), default=0)
    if not cut:
        return []
    what = (
        "text is longer than the encoder reads; its end was"
        if cut == 1
        else "texts are longer than the encoder reads; their ends were"
    )
    return [f"{cut:,} {what} cut off."]


def _skipped(table: Table) -> list[str]:
    """Say what the sources held and was not read."""
    said = {skipped_sentence(record.items.skipped): None for row in table.rows for record in row.records}
    return [sentence for sentence in said if sentence]


def _few(lines: Sequence[str]) -> str:
    """Join lines; of many, the first ones."""
    more = f"; and {len(lines) - MOST_LINES} more" if len(lines) > MOST_LINES else ""
    return "; ".join(lines[:MOST_LINES]) + more


def _failed(table: Table) -> list[str]:
    """Say which metrics failed, and for which rows."""
    failed: dict[tuple[str, str], dict[str, None]] = {}
    for row in table.rows:
        for record in row.records:
            for name, why in record.unmeasured.items():
                if why.status == "error":
                    failed.setdefault((name, why.reason), {})[row.label] = None
    return [f"{name} failed for {', '.join(labels)}: {reason}." for (name, reason), labels in failed.items()]


def unnoticed(table: Table, specs: Mapping[str, MetricSpec]) -> dict[str, list[str]]:
    """Give for each control the metrics that do not call it worse than ``identity`` by more than noise.

    A metric that only describes must say that it differs. A metric that cannot tell a destroyed space from the encoder's
    own does not measure what is left of it, whatever else it measures.
    """
    base = table.row(BASELINE)
    if base is None or table.protocol == IN_SAMPLE:  # there nothing is tested
        return {}
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if not row.control or not row.ok:
            continue
        blind = [
            name
            for name in table.metrics
            if name in row.values and name in base.values and not _notices(row.values[name], specs.get(name))
        ]
        if blind:
            found[row.label] = blind
    return found


def _notices(value: Value, spec: MetricSpec | None) -> bool:
    """Whether a control's difference to ``identity`` is there, and to the worse."""
    better = "higher" if spec is None else str(spec.better)
    if value.delta is None or abs(value.delta) <= SAME or (value.p_holm is not None and not value.significant):
        return False
    return better == "neither" or (value.delta < 0) == (better == "higher")


def _chosen(row: Row) -> str:
    """Say which parameters were chosen, seed by seed where they differ."""
    picks: dict[str, list[str]] = {}
    for record in row.records:
        if record.chosen is not None:
            words = ", ".join(f"{key} {value}" for key, value in sorted(record.chosen.params.items()))
            picks.setdefault(words, []).append(str(record.seed))
    if not picks:
        return ""
    if len(picks) == 1:
        return f"{row.label} chose {next(iter(picks))} on a slice of the fit split."
    told = "; ".join(f"{words} (seeds {', '.join(seeds)})" for words, seeds in picks.items())
    return f"{row.label} chose on a slice of the fit split: {told}."
