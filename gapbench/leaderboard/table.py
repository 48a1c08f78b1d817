"""The one table model that terminal, Markdown and figures are made from.

A table holds the aligners of one encoder, dataset, prompt strategy and protocol. It is ranked by the study's primary
metric, a task metric, never by the gap: a rank is one more than the number of rows that are better by more than noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from gapbench.verdicts import SIGNIFICANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.model.record import MetricValue, Record
    from gapbench.results.comparisons import Compared

#: Ranked by the first of these that a table has.
PRIMARY = ("top1", "i2t-recall@1")

RowState = Literal["", "reproduced", "conflict", "stale", "reported"]


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One number of a row, the mean over its seeds.

    ``spread`` is the standard deviation of several seeds. ``delta`` is the difference to ``identity``, ``p`` that of its
    paired test, and ``p_holm`` the verdict: corrected for all tests of the table in this metric (None where there is none).
    """

    value: float
    ci95: tuple[float, float] | None = None
    spread: float | None = None
    delta: float | None = None
    p: float | None = None
    p_holm: float | None = None

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
    compared
        One answer a seed, with its comparisons; empty where the row is ``reported``.
    rank, rank_high
        The ranks that the row may have: from one more than the number of rows that are better by more than noise, to the
        number of rows that are not worse by more than noise; None where the row is not ranked.
    unseen
        In-sample, the primary metric on the scored items that were not fitted on; None where there are none.
    untested
        Why a row with a result has no rank.
    coverage
        Number of seeds with a result, and of seeds that the table has.
    state
        ``""`` (one run), ``reproduced``, ``conflict``, ``stale`` or ``reported``.
    remark
        What the state says, in words: by whom reproduced, which values are in conflict, what it is older than, the source.
    superseded
        What other code gave before, one sentence each.
    """

    label: str
    compared: list[Compared] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    rank: int | None = None
    rank_high: int | None = None
    unseen: MetricValue | None = None
    untested: str = ""
    coverage: tuple[int, int] = (1, 1)
    state: RowState = ""
    remark: str = ""
    superseded: tuple[str, ...] = ()

    @property
    def records(self) -> list[Record]:
        """One a seed; empty where the row is ``reported``."""
        return [one.answer.record for one in self.compared]

    @property
    def ok(self) -> bool:
        """Whether every seed has its result."""
        return all(record.status == "ok" for record in self.records)

    @property
    def comparable(self) -> bool:
        """Whether it can be compared with the others: all seeds, of current data and code, and undisputed."""
        return bool(self.compared) and self.ok and self.complete and self.state in ("", "reproduced")

    @property
    def place(self) -> int:
        """Where it stands: among the rows that can be compared, or below the line, by the reason why not."""
        if self.comparable:
            return 0
        return 1 + ["", "reproduced", "conflict", "reported", "stale"].index(self.state)

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
        return bool(self.compared) and self.compared[0].answer.record.aligner.control

    @property
    def family(self) -> str:
        """Family of the aligner; empty for a published number."""
        return self.compared[0].answer.record.aligner.family if self.compared else ""


@dataclass(kw_only=True)
class Table:
    """The rows of one encoder, dataset, prompt strategy and protocol, best first.

    ``mark`` tells it from a table of another file of the same name; ``remarks`` go under it. In-sample,
    ``seen`` of the scored items were fitted on. ``detectable`` is the smallest difference to ``identity`` that the table
    would find with 80 % power, by task metric.
    """

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
    index: str = "flat"
    dtype: str = ""
    mark: str = ""
    seen: int = 0
    detectable: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Name the table."""
        mark = f" ({self.mark})" if self.mark else ""
        return f"{self.encoder} / {self.dataset}{mark} / {self.prompts}"

    @property
    def how(self) -> str:
        """Say what was fitted and scored."""
        if not self.n:
            return f"{self.protocol}: published, not run here yet"
        size = "all items" if self.fit_size is None else f"{self.fit_size:,} items"
        if self.fit_size is not None and 0 < self.fitted_items < self.fit_size:
            size = f"all {self.fitted_items:,} items ({self.fit_size:,} asked for)"
        if self.shots is not None:
            size = f"{self.fitted_items:,} items, up to {self.shots} of each class,"
        extra = "" if self.index == "flat" else f", {self.index} index"
        extra += "" if self.dtype in ("", "float32") else f", encoded in {self.dtype}"
        images = f"{self.n:,} images" + (f" ({self.seen:,} of them fitted on)" if self.seen else "")
        words = f"{images} and their captions" if self.prompts == "captions" else f"{images}, {self.n_texts} texts"
        return f"{self.protocol}: fitted on {size} of {self.fit_split}, scored on {words}{extra}"

    @property
    def stale(self) -> bool:
        """Whether all of it was made of older weights, images or texts."""
        return bool(self.rows) and all(row.state in ("stale", "reported") for row in self.rows) and self.n > 0

    @property
    def fitted_items(self) -> int:
        """Number of images that were fitted on; 0 where there is no record."""
        return max((record.items.fitted for row in self.rows for record in row.records), default=0)

    def row(self, aligner: str) -> Row | None:
        """Give the row of an aligner without parameters."""
        own = (row for row in self.rows if row.label == aligner and row.state not in ("reported", "stale"))
        return next(own, None)


def largest_fits(tables: Sequence[Table]) -> list[Table]:
    """Of tables that differ only in how much was fitted on, keep the one that was fitted on most, in their order."""
    most: dict[tuple[str, ...], Table] = {}
    for table in tables:
        key = (table.title, table.protocol, table.index, table.dtype)
        if table.stale:
            continue
        if key not in most or most[key].fitted_items < table.fitted_items:
            most[key] = table
    return list(most.values())
