"""One cell: fit, transform, retrieve, measure. Whatever a plugin does, it costs this cell alone."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.fitting import fit_cell
from gapbench.bench.isolation import CellTimeout, deadline, no_threads_left, quiet
from gapbench.bench.mapping import CALLS
from gapbench.bench.scored import AlignedSplit
from gapbench.embeddings.fingerprint import derive_rng
from gapbench.errors import GapbenchError, NotMeasurable
from gapbench.host.build import build
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import select
from gapbench.host.validate import describe
from gapbench.results import outcomes
from gapbench.results.record import MetricValue, Record, Timing
from gapbench.stats import interval

if TYPE_CHECKING:
    from gapbench.bench.task import CellTask
    from gapbench.components import Measurement

#: What a number of a unit can be.
RANGES = {
    "share": (0.0, 1.0),
    "ratio": (0.0, 1.0),
    "distance": (0.0, float("inf")),
    "cosine": (-1.0, 1.0),
    "agreement": (-1.0, 1.0),
    "difference": (-1.0, 1.0),
    "rank": (1.0, float("inf")),
}


def run_cell(task: CellTask, registry: Registry) -> Record:
    """Run a cell to its record, with its outcomes on disk.

    Raises
    ------
    Exception
        Only with ``strict``: whatever the plugin raised.
    """
    header = task.header
    try:
        with deadline(task.timeout), quiet() as printed:
            record = _measured(task, registry)
        if printed.characters:
            record = msgspec.structs.replace(record, notes={**record.notes, "printed_characters": printed.characters})
    except KeyboardInterrupt:
        raise
    except CellTimeout as error:
        return msgspec.structs.replace(header, status="timeout", reason=str(error))
    except BaseException as error:
        if task.strict:
            raise
        reason = (
            str(error) if isinstance(error, GapbenchError) else f"Aligner {task.aligner!r} raised {describe(error)}"
        )
        return msgspec.structs.replace(header, status="error", reason=reason)
    return record


def _measured(task: CellTask, registry: Registry) -> Record:
    selected = select(registry, Kind.ALIGNER, [task.aligner])[0]
    start = perf_counter()
    with no_threads_left(f"Aligner {selected.name!r}"):
        fit = fit_cell(task, selected)
        fitted = perf_counter()
        scored = AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)
        measurements, left_out, failures = _measure_all(task, registry, scored)
    predicted = None if task.captioned or not scored.has_labels else scored.top_classes(1)[:, 0]
    notes = {**task.header.notes, **fit.notes}
    notes |= {"left_out": left_out} if left_out else {}
    if task.index != "flat" and predicted is not None:
        notes["index_recall_against_flat"] = scored.recall_against_flat()
    units = {name: getattr(c.spec, "unit", "") for name, c in registry.components(Kind.METRIC).items()}
    values = {
        name: MetricValue(value=m.value, ci95=_within(interval(m), units.get(name, "")), n=m.n)
        for name, m in measurements.items()
    }
    return msgspec.structs.replace(
        task.header,
        status="error" if failures else "ok",
        reason="; ".join(failures),
        metrics=values,
        outcomes=outcomes.save(task.folder, task.header.cell_id, measurements, predicted),
        timing=Timing(
            encode_s=task.header.timing.encode_s,
            fit_s=round(fitted - start, 6),
            score_s=round(perf_counter() - fitted, 6),
        ),
        notes=notes,
    )


def _within(ends: tuple[float, float] | None, unit: str) -> tuple[float, float] | None:
    """Cut an interval to what a number of that unit can be; symmetric approximations can reach beyond it."""
    if ends is None or unit not in RANGES:
        return ends
    low, high = RANGES[unit]
    return max(low, ends[0]), min(high, ends[1])


def aligned_cell(task: CellTask, registry: Registry, aligner: str) -> tuple[Any, AlignedSplit]:
    """Fit an aligner on a cell's rows and give it with the test split after alignment."""
    fit = fit_cell(task, select(registry, Kind.ALIGNER, [aligner])[0])
    return fit.aligner, AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)


def _measure_all(
    task: CellTask, registry: Registry, scored: AlignedSplit
) -> tuple[dict[str, Measurement], dict[str, str], list[str]]:
    """Measure every metric; one that fails costs the cell its status, not the others their values."""
    measurements: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    failures: list[str] = []
    for metric in select(registry, Kind.METRIC, task.metrics) if task.metrics else ():
        scored.rng = derive_rng(purpose="metric", metric=metric.name, items=task.test.fingerprint, seed=task.seed)
        try:
            measurement = build(metric).measure(scored)
            if not np.isfinite(measurement.value):
                raise NotMeasurable(f"it is {measurement.value} here")
            measurements[metric.name] = measurement
        except NotMeasurable as error:
            left_out[metric.name] = str(error)
        except CellTimeout:
            raise
        except Exception as error:
            if task.strict or _from_aligner(error):
                raise
            failures.append(f"metric {metric.name!r} raised {describe(error)}")
    return measurements, left_out, failures


def _from_aligner(error: BaseException) -> bool:
    """Whether an error that came up while measuring is the aligner's: its maps are called on demand."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_name in CALLS:
            return True
        frame = frame.tb_next
    return False
