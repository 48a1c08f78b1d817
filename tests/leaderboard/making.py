"""Records of a made leaderboard, with real ids and real outcomes."""

import msgspec
import numpy as np
from gapbench.results.finalise import finalise
from gapbench.results.identity import cell_id
from gapbench.results.record import (
    AlignerRef,
    DatasetRef,
    EncoderRef,
    MetricValue,
    PluginRef,
    PromptsRef,
    ProtocolRef,
    Record,
)

from gapbench.components import Measurement
from gapbench.results import journal, outcomes
from gapbench.stats import interval

N = 400
HERE = {"gapbench": "0.1.0", "python": "3.11.2", "platform": "Linux x86_64", "libraries": {"numpy": "2.0"}}
THERE = {"gapbench": "0.1.0", "python": "3.13.0", "platform": "Darwin arm64", "libraries": {"numpy": "2.1"}}


def hits(share, n=N, wrong=()):
    found = np.arange(n) < round(share * n)
    found[list(wrong)] ^= True
    return found


def record(folder, name, right, *, made=HERE, created="2026-01-01T00:00:00Z", seed=0, notes=None, gap=0.5, **changes):
    """Write the outcomes of one cell and give its record."""
    measured = Measurement(value=float(right.mean()), n=len(right), outcomes=right)
    draft = Record(
        schema_version=1,
        cell_id="",
        study="toy",
        encoder=EncoderRef(name="enc", fingerprint="e"),
        dataset=DatasetRef(name="data", fingerprint="d", split="test", n=len(right)),
        prompts=PromptsRef(name="photo", n_texts=2),
        aligner=AlignerRef(name=name, params={}, plugin=PluginRef(distribution="toy", version="0")),
        protocol=ProtocolRef(name="held-out", fit_size=None, fit_split="train"),
        seed=seed,
        status="ok",
        metrics={
            "top1": MetricValue(value=measured.value, ci95=interval(measured), n=measured.n),
            "centroid-l2": MetricValue(value=gap, ci95=None, n=measured.n),
        },
        environment=made,
        created_utc=created,
        notes={"label": name, "texts": "t", "index": "flat", **(notes or {})},
    )
    draft = msgspec.structs.replace(draft, **changes)
    cell = cell_id(draft)
    kept = outcomes.save(folder / "records", cell, {"top1": measured}, None) if draft.status == "ok" else None
    return msgspec.structs.replace(draft, cell_id=cell, outcomes=kept)


def run(folder, records):
    """Write records as a run leaves them, and give their file."""
    path = journal.run_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    journal.rewrite(path, finalise(records, path.parent))
    return path
