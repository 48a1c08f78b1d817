"""The one table model that terminal, Markdown and figures are made from.

A table holds the aligners of one encoder, dataset, prompt strategy and protocol. It is ranked by the study's primary
metric, a task metric, never by the gap: a rank is one more than the number of rows that are better by more than noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from gapbench.errors import DataError
from gapbench.leaderboard.text import is_share
from gapbench.results.finalise import BASELINE, load_outcomes, newest, table_key
from gapbench.specs import MetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gapbench.bench.study import Reference
    from gapbench.components import Measurement
    from gapbench.results.record import MetricValue, Record
    from gapbench.specs import MetricSpec

#: Ranked by the first of these that a table has.
PRIMARY = ("top1", "i2t-recall@1")

SIGNIFICANT = 0.05

RowState = Literal["", "reproduced", "conflict", "stale", "reported"]

CONTROLS = ("random-rotation", "shuffled-pairs", "collapse-to-mean")


@dataclass(frozen=True, kw_only=True)
class Value:
    """One number of a row, the mean over its seeds."""

    value: float
    ci95: tuple[float, float] | None
    delta: float | None
    p_holm: float | None

    @property
    def significant(self) -> bool:
        """Whether it differs from ``identity`` by more than noise."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT


@dataclass(kw_only=True)
class Row:
    """One aligner with its parameters, or a published number.

    Parameters
    ----------
    label
        The aligner in selection syntax.
    records
        One a seed; empty where the row is ``reported``.
    rank
        One more than the number of rows that are better by more than noise; None where the row is not ranked.
    rank_interval
        Lowest and highest rank by value in 95 % of the resamples of the items (paired bootstrap).
    untested
        Why a row with a result has no rank.
    coverage
        Number of seeds with a result, and of seeds that the table has.
    state
        ``""`` (one run), ``reproduced``, ``conflict``, ``stale`` or ``reported``.
    remark
        What the state says, in words: by whom reproduced, which values are in conflict, what it is older than, the source.
    """

    label: str
    records: list[Record]
    values: dict[str, Value] = field(default_factory=dict)
    rank: int | None = None
    rank_interval: tuple[int, int] | None = None
    untested: str = ""
    coverage: tuple[int, int] = (1, 1)
    state: RowState = ""
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Whether every seed has its result."""
        return all(record.status == "ok" for record in self.records)

    @property
    def complete(self) -> bool:
        """Whether it has all seeds that the table has."""
        return self.coverage[0] == self.coverage[1]

    @property
    def reason(self) -> str:
        """Why there is none."""
        return next((record.reason for record in self.records if record.reason), "")

    @property
    def control(self) -> bool:
        """Whether the row is a control: shown, not ranked."""
        return bool(self.records) and self.records[0].aligner.name in CONTROLS

    @property
    def notes(self) -> dict[str, object]:
        """Notes of the first record."""
        return self.records[0].notes if self.records else {}


@dataclass(kw_only=True)
class Table:
    """The rows of one encoder, dataset, prompt strategy and protocol, best first."""

    encoder: str
    dataset: str
    prompts: str
    protocol: str
    fit_size: int | None
    fit_split: str
    n: int
    n_texts: int
    primary: str
    metrics: list[str]
    rows: list[Row]
    shots: int | None = None
    reported: list[Reference] = field(default_factory=list)
    detectable: float | None = None

    def is_share(self, specs: Mapping[str, MetricSpec]) -> bool:
        """Whether the primary metric is a share, written in per cent."""
        return is_share(self.primary, specs.get(self.primary))

    @property
    def title(self) -> str:
        """Name the table."""
        return f"{self.encoder} / {self.dataset} / {self.prompts}"

    @property
    def how(self) -> str:
        """Say what was fitted and scored."""
        size = "all items" if self.fit_size is None else f"{self.fit_size} items"
        if self.shots is not None:
            size = f"{self.shots} images of each class"
        words = "images and their captions" if self.prompts == "captions" else f"images, {self.n_texts} texts"
        return f"{self.protocol}: fitted on {size} of {self.fit_split}, scored on {self.n:,} {words}"

    @property
    def fitted_items(self) -> int:
        """Number of images that were fitted on; 0 where no record tells."""
        noted = [record.notes.get("fit_items") for row in self.rows for record in row.records]
        return max((int(size) for size in noted if size is not None), default=0)

    def row(self, aligner: str) -> Row | None:
        """Give the row of an aligner without parameters."""
        return next((row for row in self.rows if row.label == aligner), None)


def build_tables(
    records: Iterable[Record], folder: Path, metrics: Mapping[str, MetricSpec], reference: Sequence[Reference] = ()
) -> list[Table]:
    """Make the tables of a records file.

    Parameters
    ----------
    records
        Finalised records.
    folder
        Where the records file is, for the outcomes that pairwise tests need.
    metrics
        Known metrics, in the order of their columns; others follow.
    reference
        Published numbers.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in newest(records):
        groups.setdefault(table_key(record), []).append(record)
    return [_table(group, folder, metrics, reference) for group in groups.values()]


def _table(
    group: Sequence[Record], folder: Path, specs: Mapping[str, MetricSpec], reference: Sequence[Reference]
) -> Table:
    rows: dict[str, Row] = {}
    for record in group:
        label = str(record.notes.get("label", record.aligner.name))
        rows.setdefault(label, Row(label=label, records=[])).records.append(record)
    for row in rows.values():
        names = dict.fromkeys(name for record in row.records for name in record.metrics)
        row.values = {name: _mean([r.metrics[name] for r in row.records if name in r.metrics]) for name in names}
    have = dict.fromkeys(name for row in rows.values() for name in row.values)
    metrics = [name for name in specs if name in have] + [name for name in have if name not in specs]
    primary = _primary(metrics, specs)
    better = "lower" if primary in specs and specs[primary].better == "lower" else "higher"
    sign = -1 if better == "lower" else 1
    ranks = primary in PRIMARY or (primary in specs and specs[primary].family is MetricFamily.TASK)
    first = group[0]
    ranked = sorted(
        rows.values(),
        key=lambda row: (
            not row.ok,
            -sign * row.values[primary].value if ranks and primary in row.values else math.inf,
            row.label != BASELINE,
            row.label,
        ),
    )
    detectable = _rank(ranked, primary, folder, better) if ranks else None
    return Table(
        encoder=first.encoder.name,
        dataset=first.dataset.name,
        prompts=first.prompts.name,
        protocol=first.protocol.name,
        fit_size=first.protocol.fit_size,
        shots=first.protocol.shots,
        fit_split=first.protocol.fit_split,
        n=first.dataset.n if first.protocol.fit_split != "half of test" else first.dataset.n - first.dataset.n // 2,
        n_texts=first.prompts.n_texts,
        primary=primary,
        metrics=metrics,
        rows=ranked,
        detectable=detectable,
        reported=[item for item in reference if item.prompts == first.prompts.name],
    )


def largest_fits(tables: Sequence[Table]) -> list[Table]:
    """Of tables that differ only in how much was fitted on, keep the one that was fitted on most, in their order."""
    most: dict[tuple[str, str], Table] = {}
    for table in tables:
        key = (table.title, table.protocol)
        if key not in most or most[key].fitted_items < table.fitted_items:
            most[key] = table
    return list(most.values())


def _primary(metrics: Sequence[str], specs: Mapping[str, MetricSpec]) -> str:
    """Choose the metric to rank by; without any task metric the first stands first, and nothing is ranked."""
    tasks = [name for name in metrics if name in specs and specs[name].family is MetricFamily.TASK]
    return next((name for name in (*PRIMARY, *tasks, *metrics) if name in metrics), "")


def _mean(values: Sequence[MetricValue]) -> Value:
    """Average over seeds; of the p values the largest counts, so that no lucky seed makes a difference."""
    ends = [value.ci95 for value in values if value.ci95 is not None]
    deltas = [value.delta for value in values if value.delta is not None]
    p = [value.p_holm for value in values if value.p_holm is not None]
    return Value(
        value=fmean(value.value for value in values),
        ci95=(fmean(low for low, _ in ends), fmean(high for _, high in ends)) if ends else None,
        delta=fmean(deltas) if deltas else None,
        p_holm=max(p) if p else None,
    )


def _rank(rows: Sequence[Row], primary: str, folder: Path, better: str) -> float | None:
    """Rank the rows that have a result and are no controls, by pairwise tests with Holm's correction.

    A row whose outcomes are gone cannot be tested, so it has no rank, and its reason says why.

    Returns
    -------
    float or None
        The smallest difference to ``identity`` that this table would find with 80 % power.
    """
    from gapbench.stats import holm, shared_ranks

    ranked: list[Row] = []
    measured: list[dict[int, Measurement]] = []
    for row in rows:
        if not row.ok or row.control or primary not in row.values:
            continue
        try:
            loaded = {record.seed: load_outcomes(record, folder).get(primary) for record in row.records}
        except DataError:  # its words name a folder of this machine, which has no place in a leaderboard
            row.untested = "its per-item outcomes are missing or were changed, so it cannot be tested"
            continue
        ranked.append(row)
        measured.append({seed: outcomes for seed, outcomes in loaded.items() if outcomes is not None})
    pairs = [(i, j) for i in range(len(ranked)) for j in range(i)]
    raw = [_pairwise_p(measured[i], measured[j]) for i, j in pairs]
    different = [[False] * len(ranked) for _ in ranked]
    for (i, j), p in zip(pairs, holm(raw), strict=True):
        different[i][j] = different[j][i] = p < SIGNIFICANT
    values = [row.values[primary].value for row in ranked]
    ranks = shared_ranks(values, different=different, better=better)
    for row, rank in zip(ranked, ranks, strict=True):
        row.rank = rank
    tests = sum(row.ok and row.label != BASELINE and primary in row.values for row in rows)  # as Holm counts them
    return _detectable(ranked, measured, tests)


def _detectable(rows: Sequence[Row], measured: Sequence[Mapping[int, Measurement]], tests: int) -> float | None:
    """Give the smallest difference to ``identity`` that would be found, for the median row and the first seed."""
    from gapbench.stats import minimum_detectable_effect, paired_error

    base = next((found for row, found in zip(rows, measured, strict=True) if row.label == BASELINE), None)
    if not base or tests < 1:
        return None
    seed, theirs = min(base.items())
    others = [found[seed] for row, found in zip(rows, measured, strict=True) if row.label != BASELINE and seed in found]
    errors = [error for mine in others if (error := paired_error(mine, theirs)) is not None]
    n = theirs.n if theirs.outcomes is None else len(theirs.outcomes)
    binary = theirs.outcomes is not None and theirs.outcomes.dtype == bool
    return minimum_detectable_effect(errors, n=n, m=tests, binary=binary)


def _pairwise_p(a: Mapping[int, Measurement], b: Mapping[int, Measurement]) -> float:
    """Test two rows seed by seed on the same items; the largest p counts, as for the difference to ``identity``."""
    from gapbench.stats import paired_p

    found = [paired_p(a[seed], b[seed]) for seed in sorted(a.keys() & b.keys())]
    return max((1.0 if p is None else p for p in found), default=1.0)
