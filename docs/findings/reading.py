"""Kept records as tables: names of data, tasks, and the aligners that count."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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


def trained(table: Table) -> bool:
    """Whether the encoder of a table has learnt anything; the others are shown, and never counted."""
    return UNTRAINED not in place(table)


def lower(metric: str) -> bool:
    """Whether less is better."""
    return SPECS[metric].better == "lower"


def alike(rows: list[Row]) -> list[list[Row]]:
    """Group the rows that are one map: their values agree in all metrics, as they are printed."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.label != "identity", row.label)):
        groups.setdefault(tuple(sorted((name, f"{value.value:.3g}") for name, value in row.values.items())), []).append(
            row
        )
    return list(groups.values())


def real(table: Table) -> list[Row]:
    """Return the rows that are no controls and have a result."""
    return [row for row in table.rows if not row.control and row.ok]


def changed(table: Table) -> list[Row]:
    """Return identity and the aligners that change embeddings; those that only change scores have identity's gap."""
    base = table.row("identity")
    assert base is not None
    theirs = [base.values[gap].value for gap in GAPS]
    return [row for row in real(table) if row is base or [row.values[gap].value for gap in GAPS] != theirs]


def maps(table: Table) -> list[Row]:
    """Return the rows of ``changed``, and one of those that are one map."""
    rows = changed(table)
    chosen = {id(group[0]) for group in alike(rows)}
    return [row for row in rows if id(row) in chosen]


def merged(tables: Iterable[Table]) -> dict[tuple[str, ...], list[str]]:
    """Name the aligners that are one map, the one that counts first, and the data on which they are."""
    found: dict[tuple[str, ...], list[str]] = {}
    for table in tables:
        for group in alike(changed(table)):
            if len(group) > 1:
                found.setdefault(tuple(row.label for row in group), []).append(place(table))
    return found


def tau(rows: Iterable[Row], gap: str, metric: str) -> float:
    """Kendall's tau-b between "less gap" and "better at the task": 1 where the gap ranks as the task does."""
    both = [(row.values[gap].value, row.values[metric].value) for row in rows if {gap, metric} <= row.values.keys()]
    signs = (-1 if lower(gap) else 1), (-1 if lower(metric) else 1)
    gaps, scores = [signs[0] * round(a, 9) for a, _ in both], [signs[1] * round(b, 9) for _, b in both]
    return float(kendalltau(gaps, scores).statistic)
