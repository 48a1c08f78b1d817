"""What the records say: values, counts and rank correlations, for the template to put into words."""

from __future__ import annotations

import gzip
import math
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import kendalltau

from gapbench.host.discovery import discover
from gapbench.leaderboard.assemble import build_tables
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare
from gapbench.results.outcomes import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gapbench.leaderboard.table import Row, Table

GAP = "centroid-l2"
GAPS = (GAP, "rmg", "paired-cos", "linear-separability", "frechet", "mmd")

#: What the embedding files hold; the rest of the names are gapbench's own.
NAMES = {
    "embeddings:mind_the_gap_clip.npz": "COCO, CLIP ViT-B/16",
    "embeddings:mind_the_gap_clip_random.npz": "COCO, untrained CLIP",
    "embeddings:mind_the_gap_convirt.npz": "X-rays, ConVIRT",
    "embeddings:mind_the_gap_videoclip.npz": "videos, VideoCLIP",
}

#: Tasks, in the order of the page, with the metric that stands for each.
TASKS = {
    "classification": "top1",
    "retrieval, image to text": "i2t-recall@1",
    "retrieval, text to image": "t2i-recall@1",
    "mixed search": "mixed-ndcg@10",
    "grouping": "v-measure",
    "transfer, text to image": "text-to-image-transfer",
    "robustness to noise": "flip-rate-noise",
}

#: In the names of encoders that have learnt nothing; they are shown apart.
UNTRAINED = "untrained"

#: "Closed": at most this share of the distance that identity has.
CLOSED = 0.5

#: A rank correlation above this is called strong.
STRONG = 0.5

SPECS = discover().metric_specs()

#: What is kept of a study, compressed: records, and their container of outcomes.
KEPT = (".jsonl", SUFFIX)


@dataclass(frozen=True)
class Split:
    """How the aligners of one table that close the gap do at one task."""

    where: str
    task: str
    metric: str
    identity: float
    better: list[str]
    same: list[str]
    worse: list[str]
    best: tuple[str, float]
    least_gap: tuple[str, float]
    tau: float
    aligners: int
    headroom: float
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


def load(place: Path, study: str) -> list[Table]:
    """Read the kept records of one study, and the outcomes of every item, into tables."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in KEPT:
            (Path(folder) / f"{study}{suffix}").write_bytes(
                gzip.decompress((place / f"{study}{suffix}.gz").read_bytes())
            )
        return build_tables(compare(answers(journal.read(Path(folder) / f"{study}.jsonl"))), SPECS)


def place(table: Table) -> str:
    """Name the data of a table for a reader."""
    name = NAMES.get(table.dataset, table.dataset)
    return name if table.prompts == "captions" and table.dataset in NAMES else f"{name}, {table.prompts}"


def lower(metric: str) -> bool:
    """Whether less is better."""
    return SPECS[metric].better == "lower"


def tells(split: Split) -> bool:
    """Whether a table counts: of a trained encoder, and with room above ``identity`` that it could see."""
    return UNTRAINED not in split.where and not saturated(split)


def saturated(split: Split) -> bool:
    """Whether the table could not find an improvement even if there were one: it makes no claim."""
    return split.detectable is None or split.headroom < split.detectable


def distinct(rows: list[Row]) -> list[Row]:
    """Keep one row of those that are one map: their values agree in all metrics, as they are printed."""
    kept: dict[tuple[tuple[str, str], ...], Row] = {}
    for row in sorted(rows, key=lambda row: (row.label != "identity", row.label)):
        kept.setdefault(tuple(sorted((name, f"{value.value:.3g}") for name, value in row.values.items())), row)
    chosen = {id(row) for row in kept.values()}
    return [row for row in rows if id(row) in chosen]


def real(table: Table) -> list[Row]:
    """Give the rows that are no controls and have a result."""
    return [row for row in table.rows if not row.control and row.ok]


def maps(table: Table) -> list[Row]:
    """Give identity and the aligners that change embeddings; those that only change scores have identity's gap."""
    base = table.row("identity")
    assert base is not None
    theirs = [base.values[gap].value for gap in GAPS]
    changed = [row for row in real(table) if row is base or [row.values[gap].value for gap in GAPS] != theirs]
    return distinct(changed)


def split(table: Table, task: str, metric: str) -> Split:
    """Sort the aligners that close the gap into better, worse and not told apart from identity."""
    base = table.row("identity")
    assert base is not None
    sign = -1 if lower(metric) else 1
    rows = [row for row in maps(table) if metric in row.values]
    sorted_rows: dict[int, list[str]] = {1: [], 0: [], -1: []}
    for row in rows:
        value = row.values[metric]
        if row.label != "identity" and row.values[GAP].value <= CLOSED * base.values[GAP].value:
            way = 0 if not value.significant or value.delta is None else int(math.copysign(1, sign * value.delta))
            sorted_rows[way].append(row.label)
    best = max(rows, key=lambda row: (sign * row.values[metric].value, row.label == "identity"))
    least = min(rows, key=lambda row: row.values[GAP].value)
    return Split(
        where=place(table),
        task=task,
        metric=metric,
        identity=base.values[metric].value,
        better=sorted_rows[1],
        same=sorted_rows[0],
        worse=sorted_rows[-1],
        best=(best.label, best.values[metric].value),
        least_gap=(least.label, least.values[metric].value),
        tau=tau(rows, GAP, metric),
        aligners=len(rows),
        headroom=headroom(base.values[metric].value, metric),
        detectable=table.detectable.get(metric),
    )


def headroom(value: float, metric: str) -> float:
    """How much better a value could be: all task metrics here are shares."""
    return value if lower(metric) else 1 - value


def tau(rows: Iterable[Row], gap: str, metric: str) -> float:
    """Kendall's tau-b between "less gap" and "better at the task": 1 where the gap ranks as the task does."""
    both = [(row.values[gap].value, row.values[metric].value) for row in rows if {gap, metric} <= row.values.keys()]
    signs = (-1 if lower(gap) else 1), (-1 if lower(metric) else 1)
    gaps, scores = [signs[0] * round(a, 9) for a, _ in both], [signs[1] * round(b, 9) for _, b in both]
    return float(kendalltau(gaps, scores).statistic)


def taus(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Give for each table and task the rank correlation with every gap metric."""
    found = []
    for table, (task, metric) in product(tables, TASKS.items()):
        rows = [row for row in maps(table) if metric in row.values]
        if rows:
            values = {gap: tau(rows, gap, metric) for gap in GAPS}
            found.append({"where": place(table), "task": task, "values": values, "aligners": len(rows)})
    return found


def blind(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Count for each metric how often a control counts as better than identity, as no worse, or is found out."""
    counts: dict[str, dict[str, int]] = {}
    for table in tables:
        for row in table.rows:
            for metric, value in row.values.items() if row.control else ():
                if SPECS[metric].better == "neither" or value.delta is None:
                    continue
                gain = -value.delta if lower(metric) else value.delta
                key = "same" if not value.significant else "better" if gain > 0 else "worse"
                counts.setdefault(metric, {"better": 0, "same": 0, "worse": 0})[key] += 1
    order = list(SPECS)
    return [{"metric": metric, **counts[metric]} for metric in sorted(counts, key=order.index)]


def curves(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Give value and gap of every Procrustes variant by number of fitted images, for each data set and protocol."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table in tables:
        curve = found.setdefault(
            (place(table), table.protocol),
            {"where": place(table), "protocol": table.protocol, "n": table.n, "metric": table.primary, "lines": {}},
        )
        for row in table.rows:
            point = (table.fitted_items, row.values[table.primary], row.values[GAP].value)
            curve["lines"].setdefault(row.label, []).append(point)
    for curve in found.values():
        for line in curve["lines"].values():
            line.sort(key=lambda point: point[0])
    return list(found.values())


def everything(tables: dict[str, list[Table]]) -> dict[str, Any]:
    """Collect all that the template and the figures need."""
    main = [*tables["classes"], *tables["captions"]]
    splits = [
        split(table, task, metric)
        for task, metric in TASKS.items()
        for table in main
        if any(metric in row.values for row in real(table))
    ]
    return {
        "tables": tables,
        "tasks": TASKS,
        "splits": splits,
        "by_task": {task: [s for s in splits if s.task == task] for task in TASKS},
        "telling": {task: [s for s in splits if s.task == task and tells(s)] for task in TASKS},
        "silent": {
            "trained": [s for s in splits if UNTRAINED not in s.where and saturated(s)],
            "untrained": [s for s in splits if UNTRAINED in s.where],
        },
        "taus": taus(main),
        "gaps": GAPS,
        "blind": blind(main),
        "curves": curves([*tables["procrustes-in-sample"], *tables["procrustes-held-out"]]),
        "coco": next(table for table in tables["captions"] if place(table) == "COCO, CLIP ViT-B/16"),
        "closed": CLOSED,
        "strong": STRONG,
        "cells": sum(len(row.records) for study in tables.values() for table in study for row in table.rows),
        "place": place,
        "specs": SPECS,
    }


def percent(value: float, digits: int = 1) -> str:
    """Write a share in per cent."""
    return f"{100 * value:.{digits}f}"


def points(value: float) -> str:
    """Write a share in points."""
    return f"{100 * value:.1f}"


def signed(value: float | None, digits: int = 1, scale: float = 100) -> str:
    """Write a difference with its sign."""
    return "" if value is None else f"{scale * value:+.{digits}f}".replace("-", "−")


def code(names: Iterable[str] | str) -> str:
    """Write names as code."""
    return ", ".join(f"`{name}`" for name in ([names] if isinstance(names, str) else names))
