"""What changed between two sets of results, and whether it is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gapbench.errors import DataError
from gapbench.leaderboard.markdown import code, escape
from gapbench.leaderboard.text import is_share, number
from gapbench.results.answers import names_key
from gapbench.verdicts import SIGNIFICANT, holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gapbench.components import Measurement
    from gapbench.model.record import Record
    from gapbench.results.answers import Answer
    from gapbench.specs import MetricSpec

#: Values that differ by no more are the same: outcomes are kept in single precision.
SAME = 1e-6

Kind = Literal["changed", "noise", "untested", "same"]

MEANING = {
    "changed": "that changed by more than noise (paired test on the same items, p < 0.05 after Holm)",
    "noise": "that changed, but no more than noise",
    "untested": "that changed, and cannot be tested: other items, or no per-item outcomes",
    "same": "that are the same",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One metric of one cell in both sets of results.

    Parameters
    ----------
    where
        Encoder, dataset, prompts, protocol and seed.
    label, metric
        The aligner and the metric.
    before, after
        Values.
    p
        After Holm over all metrics and cells that changed; None where there is no paired test.
    """

    where: str
    label: str
    metric: str
    before: float
    after: float
    p: float | None = None

    @property
    def kind(self) -> Kind:
        """Whether it is a change, and more than noise."""
        if abs(self.after - self.before) <= SAME * max(1.0, abs(self.before)):
            return "same"
        if self.p is None:
            return "untested"
        return "changed" if self.p < SIGNIFICANT else "noise"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All changes, and the rows that only one side has."""

    changes: list[Change]
    added: list[str]
    removed: list[str]

    def count(self, kind: str) -> int:
        """Give the number of changes of a kind."""
        return sum(change.kind == kind for change in self.changes)


def compare(before: Sequence[Answer], after: Sequence[Answer]) -> Changes:
    """Compare two sets of results cell by cell.

    Cells are matched by names (encoder, dataset, prompts, protocol, aligner, seed). A metric is tested where both sides have
    its per-item outcomes on the same items: the same images, or for embedding files the same embeddings.

    Parameters
    ----------
    before, after
        The answers of each.
    """
    mine, theirs = _by_names(before), _by_names(after)
    found: list[Change] = []
    for key in mine.keys() & theirs.keys():
        found += _changes(mine[key], theirs[key])
    found.sort(key=lambda change: (change.where, change.label, change.metric))
    tested = [i for i, change in enumerate(found) if change.p is not None]
    for i, p in zip(tested, holm([found[i].p or 0.0 for i in tested]), strict=True):
        change = found[i]
        found[i] = Change(
            where=change.where, label=change.label, metric=change.metric, before=change.before, after=change.after, p=p
        )
    return Changes(
        changes=found,
        added=sorted(_name(theirs[key].record) for key in theirs.keys() - mine.keys()),
        removed=sorted(_name(mine[key].record) for key in mine.keys() - theirs.keys()),
    )


def _by_names(answers: Iterable[Answer]) -> dict[tuple[object, ...], Answer]:
    """Keep the newest answer of each name that ended well."""
    ok = sorted((one for one in answers if one.record.status == "ok"), key=lambda one: one.record.created_utc)
    return {(*names_key(one.record), one.record.label, one.record.seed): one for one in ok}


def _where(record: Record) -> str:
    protocol = record.protocol
    size = f" {protocol.shots} shots" if protocol.shots is not None else f" {protocol.fit_size or 'all'}"
    seed = f", seed {record.seed}" if record.seed else ""
    names = f"{record.encoder.name} / {record.dataset.name} / {record.prompts.name}"
    index = "" if record.index == "flat" else f", {record.index}"
    dtype = "" if record.encoder.dtype in ("", "float32") else f", {record.encoder.dtype}"
    return f"{names}, {protocol.name}{size}{index}{dtype}{seed}"


def _name(record: Record) -> str:
    return f"{_where(record)}: {record.label}"


def _changes(before: Answer, after: Answer) -> list[Change]:
    """Compare the metrics that two answers share; only those that differ are loaded and tested."""
    from gapbench.stats import paired_p

    made = []
    outcomes = None
    one, other = before.record, after.record
    for name, value in one.metrics.items():
        if name not in other.metrics:
            continue
        change = Change(
            where=_where(other), label=other.label, metric=name, before=value.value, after=other.metrics[name].value
        )
        if change.kind != "same" and one.dataset.fingerprint == other.dataset.fingerprint:
            outcomes = outcomes or _both(before, after)
            mine, theirs = (side.get(name) for side in outcomes)
            p = None if mine is None or theirs is None else paired_p(theirs, mine)
            change = Change(
                where=change.where, label=change.label, metric=name, before=change.before, after=change.after, p=p
            )
        made.append(change)
    return made


def _both(before: Answer, after: Answer) -> tuple[Mapping[str, Measurement], Mapping[str, Measurement]]:
    try:
        return before.measurements(), after.measurements()
    except DataError:  # then it cannot be tested, and says so
        return {}, {}


def summary(comparison: Changes) -> list[str]:
    """Say in a few lines what came of a comparison."""
    lines = [f"values {words}: {comparison.count(kind):,}" for kind, words in MEANING.items() if comparison.count(kind)]
    lines += [f"new rows: {len(comparison.added)}"] if comparison.added else []
    lines += [f"rows that are gone: {len(comparison.removed)}"] if comparison.removed else []
    return lines or ["nothing to compare: no row has the same names on both sides"]


def shown(comparison: Changes) -> list[Change]:
    """Give the changes worth telling, the surest first."""
    order = {"changed": 0, "untested": 1, "noise": 2}
    found = [change for change in comparison.changes if change.kind != "same"]
    return sorted(found, key=lambda change: (order[change.kind], change.p if change.p is not None else 0.0))


def cells(change: Change, specs: Mapping[str, MetricSpec]) -> tuple[str, str, str, str]:
    """Write before, after, difference and p."""
    share = is_share(change.metric, specs.get(change.metric))
    difference = change.after - change.before
    sign = "+" if difference > 0 else "−"
    p = "–" if change.p is None else f"{change.p:.2g}"
    return (
        number(change.before, share=share),
        number(change.after, share=share),
        f"{sign}{number(abs(difference), share=share)}{'*' if change.kind == 'changed' else ''}",
        p,
    )


#: Lines of one table in a comment; a code host cuts longer ones off.
MOST_LINES = 50


def to_markdown(title: str, comparison: Changes, specs: Mapping[str, MetricSpec]) -> str:
    """Write a comparison so that it can be posted as a comment."""
    lines = [f"### {escape(title)}", "", *(f"- {escape(line)}" for line in summary(comparison)), ""]
    changes = shown(comparison)
    if changes:
        lines += ["| where | aligner | metric | before | after | Δ | p |", "|---|---|---|--:|--:|--:|--:|"]
        for change in changes[:MOST_LINES]:
            numbers = tuple(text.replace("*", "\\*") for text in cells(change, specs))
            what = (escape(change.where), code(change.label), escape(change.metric))
            lines.append("| " + " | ".join([*what, *numbers]) + " |")
        if len(changes) > MOST_LINES:
            lines += ["", f"and {len(changes) - MOST_LINES} more"]
        lines.append("")
    for head, names in (("New", comparison.added), ("Gone", comparison.removed)):
        if names:
            lines += [f"<details><summary>{head}: {len(names)} rows</summary>", ""]
            lines += [f"- {escape(name)}" for name in names[:MOST_LINES]]
            lines += [f"- and {len(names) - MOST_LINES} more"] if len(names) > MOST_LINES else []
            lines += ["", "</details>", ""]
    return "\n".join(lines).rstrip() + "\n"
