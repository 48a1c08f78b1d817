"""Records of made results: real ids, checksums and outcomes, written as a run writes them."""

import msgspec
import numpy as np

from gapbench.components import Measurement
from gapbench.model.identity import sealed
from gapbench.model.record import (
    SCHEMA_VERSION,
    AlignerRef,
    Code,
    DatasetRef,
    EncoderRef,
    ItemCounts,
    MetricValue,
    PromptsRef,
    ProtocolRef,
    Record,
)
from gapbench.results import journal
from gapbench.results.outcomes import pack
from gapbench.stats import interval

N = 400
HERE = {"gapbench": "0.1.0", "python": "3.11.2", "platform": "Linux x86_64", "libraries": {"numpy": "2.0"}}
THERE = {"gapbench": "0.1.0", "python": "3.13.0", "platform": "Darwin arm64", "libraries": {"numpy": "2.1"}}

#: Code that took part; with `other_code` that of one distribution is another.
CODE = {"gapbench": Code(version="0.1.0", sha256="a" * 64), "toy": Code(version="1", sha256="b" * 64)}


def other_code(distribution="toy", sha256="c" * 64):
    return {**CODE, distribution: Code(version="1", sha256=sha256)}


def hits(share, n=N, wrong=()):
    found = np.arange(n) < round(share * n)
    found[list(wrong)] ^= True
    return found


def predicted(right):
    """Return the class of each item where the labels go 0, 1, 0, 1 ..."""
    labels = np.arange(len(right)) % 2
    return np.where(right, labels, 1 - labels)


def value(measured, distribution="gapbench"):
    return MetricValue(
        value=float(measured.value), ci95=interval(measured), n=int(measured.n), distribution=distribution
    )


def binary(right):
    return Measurement(value=float(np.mean(right)), n=len(right), outcomes=np.asarray(right, dtype=bool))


def record(
    name="identity",
    right=None,
    *,
    made=HERE,
    created="2026-01-01T00:00:00.000+00:00",
    gap=0.5,
    control=False,
    **changes,
):
    """Return an answer that is not stored yet: its record, not sealed, and the block of its outcomes."""
    measured = {} if right is None else {"top1": binary(right)}
    metrics = {metric: value(measurement) for metric, measurement in measured.items()}
    if right is not None and gap is not None:
        metrics["centroid-l2"] = MetricValue(value=gap, ci95=None, n=len(right), distribution="gapbench")
    draft = Record(
        schema_version=SCHEMA_VERSION,
        cell_id="",
        study="toy",
        label=changes.get("label", name),
        encoder=EncoderRef(component="enc", name="enc", fingerprint="e" * 64, dtype="float32", distribution="gapbench"),
        dataset=DatasetRef(
            component="data", name="data", fingerprint="d" * 64, split="test", n=N, distribution="gapbench"
        ),
        prompts=PromptsRef(name="photo", n_texts=2, fingerprint="7" * 64, distribution="gapbench"),
        aligner=AlignerRef(
            name=name,
            params={},
            distribution="gapbench" if name == "identity" else "toy",
            family="toy",
            control=control,
        ),
        protocol=ProtocolRef(name="held-out", fit_size=None, shots=None, fit_split="train", fit_fingerprint="f" * 64),
        seed=0,
        items=ItemCounts(fitted=100, scored=N),
        index="flat",
        status="ok",
        metrics=metrics,
        environment=made,
        created_utc=created,
        code=CODE,
    )
    draft = msgspec.structs.replace(draft, **changes)
    content = pack(measured, predicted(right)) if measured and draft.status == "ok" else None
    return draft if draft.status == "ok" else msgspec.structs.replace(draft, metrics={}), content


def failed(name, reason="no memory", status="error", **changes):
    return record(name, None, status=status, reason=reason, **changes)


def run(folder, answers, file=journal.RUN):
    """Append answers to a records file of a folder of results; return the file."""
    path = folder / journal.FOLDER / file
    for draft, content in answers:
        journal.append(path, draft, content)
    return path


def stored(folder, answers, file=journal.RUN):
    """Append answers, and read all of the folder back."""
    run(folder, answers, file)
    return journal.read_folder(folder)


def forge(path, change):
    """Write a records file anew, each record changed and sealed again, as somebody does who means to deceive."""
    found = [msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()]
    path.write_bytes(b"".join(journal.line_of(sealed(change(one))) for one in found))
    return path
