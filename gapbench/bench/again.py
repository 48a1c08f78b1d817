"""Computing records again from embeddings, where these are at hand: gap metrics can be checked in no other way."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.bench.execute import Runner
from gapbench.bench.plan import make_plan
from gapbench.bench.workers import Options
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.model.record import PRECOMPUTED
from gapbench.model.study import Study
from gapbench.results.answers import TOLERANCE, disagreement, names_key
from gapbench.results.journal import Stored, container_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.materials import Materials
    from gapbench.host.registry import Registry
    from gapbench.model.record import Record

#: What a record says besides values: all of it comes out again, but time, place and code.
FACTS = ("label", "encoder", "dataset", "prompts", "aligner", "protocol", "pairs", "chosen", "warnings", "index_recall")


@dataclass(frozen=True, kw_only=True)
class Again:
    """A record that was computed again.

    Parameters
    ----------
    lines
        What does not agree.
    same_code
        Whether the code was the recorded one.
    absent
        Metrics that are not installed, so that their values were not computed again.
    """

    lines: tuple[str, ...]
    same_code: bool
    absent: tuple[str, ...]


@dataclass(kw_only=True)
class Recomputed:
    """What came of computing records again.

    Parameters
    ----------
    found
        By the checksum of each record that was computed again.
    not_here
        By the checksum of each record that was not: why.
    """

    found: dict[str, Again] = field(default_factory=dict)
    not_here: dict[str, str] = field(default_factory=dict)


def recompute(records: Sequence[Stored], registry: Registry, materials: Materials) -> Recomputed:
    """Run the cells of records again, as far as encoder, data and aligner are here, and compare all that they say.

    Parameters
    ----------
    records
        What is checked.
    registry, materials
        Components and embeddings. What would need a download is left out, and so is a cell whose weights or data are
        others than those of the record: it has another id.
    """
    done = Recomputed()
    groups: dict[tuple[object, ...], list[Stored]] = {}
    for stored in records:
        record = stored.record
        if why := _cannot_run(record, registry):
            done.not_here[record.checksum] = why
        else:
            groups.setdefault(names_key(record), []).append(stored)
    for group in groups.values():
        _run_again(group, registry, materials, done)
    return done


def _cannot_run(record: Record, registry: Registry) -> str:
    """Say why a record cannot be computed again, whatever data is here."""
    if record.status != "ok":
        return f"its status is {record.status}"
    try:
        labels = [one.label for one in select(registry, Kind.ALIGNER, [record.label])]
    except GapbenchError as error:
        return str(error)
    if labels != [record.label]:
        return f"{record.label} selects {', '.join(labels)} here"
    if not any(registry.named(Kind.METRIC, name) for name in record.metrics):
        return "none of its metrics is installed"
    return ""


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
        reasons = [*(skip.reason for skip in plan.skips), *(cause for _, cause in outcome.failures)]
        here = [answer.record for answer in outcome.answers]
        for stored in group:
            record = stored.record
            if record.cell_id in again:
                done.found[record.checksum] = _compared(stored, again[record.cell_id], registry)
            else:
                done.not_here[record.checksum] = _others(record, here) or "; ".join(dict.fromkeys(reasons))


def _others(record: Record, here: Sequence[Record]) -> str:
    """Say what is another thing here than in a record of the same names."""
    same = next((one for one in here if (one.label, one.seed) == (record.label, record.seed)), None)
    if same is None:
        return ""
    if same.status != "ok":
        return f"here it ends in {same.status}: {same.reason}"
    parts = {
        "weights": (record.encoder, same.encoder),
        "data": (record.dataset, same.dataset),
        "texts": (record.prompts, same.prompts),
        "parameters": (record.aligner, same.aligner),
        "protocol": (record.protocol, same.protocol),
    }
    others = [what for what, (mine, theirs) in parts.items() if mine != theirs]
    return f"other {', '.join(others)} under the same names here" if others else "it has another id here"


def _compared(stored: Stored, again: Stored, registry: Registry) -> Again:
    """Say what two records of one question do not agree on."""
    mine, theirs = stored.record, again.record
    lines = [disagreement(name, stored, again) for name in mine.metrics if name in theirs.metrics]
    lines += [line for name in mine.metrics if (line := _interval(name, mine, theirs))]
    for name in mine.metrics:
        if name not in theirs.metrics and registry.named(Kind.METRIC, name):
            why = theirs.unmeasured.get(name)
            lines.append(f"{name} has no value here ({why.reason if why is not None else 'it is not measured'})")
    lines += [
        f"{name} has no value ({mine.unmeasured[name].reason}), and one here"
        for name in mine.unmeasured
        if name in theirs.metrics
    ]
    lines += [
        f"{name} is {_json(getattr(mine, name))}, here {_json(getattr(theirs, name))}"
        for name in FACTS
        if not _alike(msgspec.to_builtins(getattr(mine, name)), msgspec.to_builtins(getattr(theirs, name)))
    ]
    lines += [
        f"the note {name} is {_json(mine.notes.get(name))}, here {_json(theirs.notes.get(name))}"
        for name in sorted({*mine.notes, *theirs.notes})
        if not _alike(mine.notes.get(name), theirs.notes.get(name))
    ]
    same = all(code.sha256 and theirs.code.get(name) == code for name, code in mine.code.items())
    absent = tuple(name for name in mine.metrics if not registry.named(Kind.METRIC, name))
    return Again(lines=tuple(line for line in lines if line), same_code=same, absent=absent)


def _interval(name: str, mine: Record, theirs: Record) -> str:
    """Say where an interval is another one, beyond what the values allow."""
    if name not in theirs.metrics:
        return ""
    one, other = mine.metrics[name].ci95, theirs.metrics[name].ci95
    if one is None or other is None:
        return "" if one == other else f"{name} has {'no' if one is None else 'an'} interval"
    # An item that rounds differently moves an end by more than the value.
    near = all(abs(a - b) <= 5 * TOLERANCE * max(1.0, abs(a), abs(b)) for a, b in zip(one, other, strict=True))
    return "" if near else f"{name} has the interval {list(one)}, here {list(other)}"


def _alike(mine: Any, theirs: Any) -> bool:
    """Whether two plain values are the same, numbers up to rounding."""
    if isinstance(mine, bool) or isinstance(theirs, bool):
        return mine is theirs
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return math.isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(_alike(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
        return len(mine) == len(theirs) and all(map(_alike, mine, theirs))
    return bool(mine == theirs)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


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
        metrics=tuple(
            dict.fromkeys(name for one in records for name in (*one.metrics, *one.unmeasured) if name in known)
        ),
        protocol=protocol.name,  # type: ignore[arg-type]  # a record tells it as text; an unknown one is refused below
        fit_size=None if protocol.shots is not None else protocol.fit_size or "all",
        shots=() if protocol.shots is None else (protocol.shots,),
        seeds=tuple(sorted({record.seed for record in records})),
        index=first.index,  # type: ignore[arg-type]  # as the protocol
    )
