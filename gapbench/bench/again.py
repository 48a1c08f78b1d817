"""Computing records again from embeddings, where these are at hand: gap metrics can be checked in no other way."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gapbench.bench.execute import Runner
from gapbench.bench.materials import PRECOMPUTED
from gapbench.bench.plan import make_plan
from gapbench.bench.workers import Options
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.model.study import Study
from gapbench.results.answers import disagreement, names_key
from gapbench.results.journal import Stored, container_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.materials import Materials
    from gapbench.host.registry import Registry
    from gapbench.model.record import Record

#: What a record says besides values: all of it comes out again, but time, place and code.
FACTS = ("cell_id", "label", "encoder", "dataset", "prompts", "aligner", "protocol", "pairs", "chosen", "warnings")


@dataclass(kw_only=True)
class Recomputed:
    """What came of computing records again.

    Parameters
    ----------
    found
        By the checksum of each record that was computed again: what does not agree; an empty list where all does.
    not_here
        By the checksum of each record that was not: why.
    """

    found: dict[str, list[str]] = field(default_factory=dict)
    not_here: dict[str, str] = field(default_factory=dict)


def recompute(records: Sequence[Stored], registry: Registry, materials: Materials) -> Recomputed:
    """Run the cells of records again, as far as encoder, data and aligner are here, and compare all that they say.

    Parameters
    ----------
    records
        What is checked.
    registry, materials
        Components and embeddings. What would need a download is left out, and so is a cell whose weights, data or code
        are others than those of the record: it has another id.
    """
    done = Recomputed()
    groups: dict[tuple[object, ...], list[Stored]] = {}
    for stored in records:
        record = stored.record
        if record.status != "ok":
            done.not_here[record.checksum] = f"its status is {record.status}"
        elif record.aligner.name not in registry.components(Kind.ALIGNER):
            done.not_here[record.checksum] = f"the aligner {record.aligner.name} is not installed"
        else:
            groups.setdefault(names_key(record), []).append(stored)
    for group in groups.values():
        _run_again(group, registry, materials, done)
    return done


def _run_again(group: Sequence[Stored], registry: Registry, materials: Materials, done: Recomputed) -> None:
    with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
        try:
            plan = make_plan(_study_of(group, registry), registry, materials)
            runner = Runner(plan, "again", materials, registry, Options(folder=Path(scratch)))
            outcome = runner.run()
        except GapbenchError as error:  # not on this machine, which is no fault of the record
            done.not_here |= {stored.record.checksum: str(error) for stored in group}
            return
        container = container_of(runner.path)
        again = {
            answer.record.cell_id: Stored(answer.record, runner.path.name, 0, container)
            for answer in outcome.answers
            if answer.record.status == "ok"
        }
        why = "; ".join(
            dict.fromkeys([*(skip.reason for skip in plan.skips), *(cause for _, cause in outcome.failures)])
        )
        for stored in group:
            record = stored.record
            if record.cell_id in again:
                done.found[record.checksum] = _compared(stored, again[record.cell_id])
            else:
                done.not_here[record.checksum] = why or "encoder, data, texts or parameters are others here"


def _compared(stored: Stored, again: Stored) -> list[str]:
    """Say what two records of one question do not agree on."""
    mine, theirs = stored.record, again.record
    lines = [disagreement(name, stored, again) for name in mine.metrics if name in theirs.metrics]
    lines += [f"{name} is measured by no metric here" for name in mine.metrics if name not in theirs.metrics]
    for name, value in mine.metrics.items():
        if name in theirs.metrics and (value.ci95 is None) != (theirs.metrics[name].ci95 is None):
            lines.append(f"{name} has {'no' if value.ci95 is None else 'an'} interval")
    lines += [
        f"{name} is {msgspec.json.encode(getattr(mine, name)).decode()}, "
        f"here {msgspec.json.encode(getattr(theirs, name)).decode()}"
        for name in FACTS
        if getattr(mine, name) != getattr(theirs, name)
    ]
    return [line for line in lines if line]


def _study_of(group: Sequence[Stored], registry: Registry) -> Study:
    """Select what a table was made of; its records share all names but those of aligners, and their seeds."""
    records: list[Record] = [stored.record for stored in group]
    first, known = records[0], registry.metric_specs()
    protocol = first.protocol
    return Study(
        name="again",
        encoders=() if first.encoder.name == PRECOMPUTED else (first.encoder.name,),
        datasets=(first.dataset.name,),
        prompts=(first.prompts.name,) if first.encoder.name != PRECOMPUTED else (),
        aligners=tuple(dict.fromkeys(record.label for record in records)),
        metrics=tuple(dict.fromkeys(name for record in records for name in record.metrics if name in known)),
        protocol=protocol.name,  # type: ignore[arg-type]  # a record tells it as text; an unknown one is refused below
        fit_size=None if protocol.shots is not None else protocol.fit_size or "all",
        shots=() if protocol.shots is None else (protocol.shots,),
        seeds=tuple(sorted({record.seed for record in records})),
        index=first.index,  # type: ignore[arg-type]  # as the protocol
    )
