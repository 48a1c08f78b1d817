"""Computing records again from embeddings, where these are at hand: gap metrics can be checked in no other way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.bench.execute import Options, Runner
from gapbench.bench.materials import PRECOMPUTED
from gapbench.bench.plan import make_plan
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.model.study import Study
from gapbench.results.finalise import label_of, names_key
from gapbench.results.merge import disagreements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.materials import Materials
    from gapbench.host.registry import Registry
    from gapbench.results.record import Record


def recompute(
    records: Sequence[Record], folder: Path, registry: Registry, materials: Materials
) -> dict[str, list[str]]:
    """Run the cells of records again, as far as encoder, data and aligner are here, and compare all values.

    Parameters
    ----------
    records, folder
        What is checked, and where the outcomes lie.
    registry, materials
        Components and embeddings. What would need a download is left out, and so is a cell whose weights, data or code
        are others than those of the record: it has another id.

    Returns
    -------
    dict
        For the id of each cell that was computed again, what does not agree; an empty list where all does.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        if record.status == "ok" and record.aligner.name in registry.components(Kind.ALIGNER):
            groups.setdefault(names_key(record), []).append(record)
    found: dict[str, list[str]] = {}
    for group in groups.values():
        with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
            try:
                plan = make_plan(_study_of(group, registry), registry, materials)
                runner = Runner(plan, "again", materials, registry, Options(folder=Path(scratch)))
                again = {record.cell_id: record for record in runner.run().records if record.status == "ok"}
            except GapbenchError:  # not on this machine, which is no fault of the record
                continue
            for record in group:
                if record.cell_id in again:
                    lines = disagreements(record, folder, again[record.cell_id], runner.path.parent)
                    found[record.cell_id] = lines
    return found


def _study_of(group: Sequence[Record], registry: Registry) -> Study:
    """Select what a table was made of; its records share all names but those of aligners, and their seeds."""
    first, known = group[0], registry.metric_specs()
    protocol = first.protocol
    return Study(
        name="again",
        encoders=() if first.encoder.name == PRECOMPUTED else (first.encoder.name,),
        datasets=(first.dataset.name,),
        prompts=(first.prompts.name,) if first.encoder.name != PRECOMPUTED else (),
        aligners=tuple(dict.fromkeys(label_of(record) for record in group)),
        metrics=tuple(dict.fromkeys(name for record in group for name in record.metrics if name in known)),
        protocol=protocol.name,  # type: ignore[arg-type]  # a record tells it as text; an unknown one is refused below
        fit_size=None if protocol.shots is not None else protocol.fit_size or "all",
        shots=() if protocol.shots is None else (protocol.shots,),
        seeds=tuple(sorted({record.seed for record in group})),
        index=first.notes.get("index", "flat"),
    )
