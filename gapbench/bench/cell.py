"""One cell: fit, transform, retrieve, measure. Whatever a plugin does, it costs this cell alone."""

from __future__ import annotations

import contextlib
import os
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.door import fault_of
from gapbench.bench.fitting import fit_cell
from gapbench.bench.isolation import CellTimeout, deadline, no_threads_left, quiet
from gapbench.bench.mapping import CALLS
from gapbench.bench.scored import AlignedSplit
from gapbench.embeddings.fingerprint import derive_rng
from gapbench.errors import GapbenchError, MetricError, NotMeasurable
from gapbench.host.build import build
from gapbench.host.imports import watched
from gapbench.host.provenance import as_run
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import select
from gapbench.host.validate import describe
from gapbench.model.record import MetricValue, Record, Timing, Unmeasured
from gapbench.model.units import within_unit
from gapbench.results import outcomes
from gapbench.specs import MetricSpec
from gapbench.stats import interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.bench.task import CellTask
    from gapbench.components import Measurement
    from gapbench.host.selection import Selected


def run_cell(task: CellTask, registry: Registry) -> tuple[Record, bytes | None]:
    """Run a cell to its record, not sealed yet, and the block of its outcomes (None where it failed).

    Raises
    ------
    Exception
        Only with ``strict``: whatever the plugin raised.
    """
    header = task.header
    try:
        with watched(header.code), deadline(task.timeout), quiet() as printed, _same_folder():
            record, content = _measured(task, registry)
        return msgspec.structs.replace(record, printed=printed.characters, code=as_run(record.code)), content
    except KeyboardInterrupt:
        raise
    except CellTimeout as error:
        return msgspec.structs.replace(header, status="timeout", reason=str(error)), None
    except BaseException as error:
        if task.strict:
            raise
        reason = (
            str(error) if isinstance(error, GapbenchError) else f"Aligner {task.aligner!r} raised {describe(error)}"
        )
        return msgspec.structs.replace(header, status="error", reason=reason), None


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    """Go back to the working folder: a plugin may have changed it, and paths are relative to it."""
    try:
        here = os.getcwd()  # noqa: PTH109 - as a string, whatever it is
    except FileNotFoundError:  # it was removed: there is none to go back to
        here = ""
    try:
        yield
    finally:
        if here:
            os.chdir(here)


def _measured(task: CellTask, registry: Registry) -> tuple[Record, bytes]:
    selected = select(registry, Kind.ALIGNER, [task.aligner])[0]
    start = perf_counter()
    with no_threads_left(f"Aligner {selected.name!r}"):
        fit = fit_cell(task, selected)
        fitted = perf_counter()
        scored = AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)
        measurements, unmeasured = _measure_all(task, registry, scored)
    predicted = None if task.captioned or not scored.has_labels else scored.top_classes(1)[:, 0]
    approximate = task.index != "flat" and predicted is not None
    record = msgspec.structs.replace(
        task.header,
        metrics={name: _value(registry, name, measurement) for name, measurement in measurements.items()},
        unmeasured=unmeasured,
        items=fit.cut.counts,
        pairs=fit.pairs,
        chosen=fit.chosen,
        warnings=fit.warnings,
        index_recall=scored.recall_against_flat() if approximate else None,
        timing=Timing(
            encode_s=task.header.timing.encode_s,
            fit_s=round(fitted - start, 6),
            score_s=round(perf_counter() - fitted, 6),
        ),
        notes=fit.notes,
    )
    return record, outcomes.pack(measurements, predicted, fit.cut.seen)


def _value(registry: Registry, name: str, measurement: Measurement) -> MetricValue:
    component = registry.components(Kind.METRIC)[name]
    assert isinstance(component.spec, MetricSpec)
    return MetricValue(
        value=float(measurement.value),
        ci95=within_unit(interval(measurement, component.spec.unit), component.spec.unit),
        n=int(measurement.n),
        distribution=component.origin.distribution,
    )


def aligned_cell(task: CellTask, registry: Registry, aligner: str) -> tuple[Any, AlignedSplit]:
    """Fit an aligner on a cell's rows and return it with the test split after alignment."""
    fit = fit_cell(task, select(registry, Kind.ALIGNER, [aligner])[0])
    return fit.aligner, AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)


def _measure_all(
    task: CellTask, registry: Registry, scored: AlignedSplit
) -> tuple[dict[str, Measurement], dict[str, Unmeasured]]:
    """Measure every metric; one that fails costs its own value alone."""
    measurements: dict[str, Measurement] = {}
    unmeasured: dict[str, Unmeasured] = {}
    for metric in select(registry, Kind.METRIC, task.metrics) if task.metrics else ():
        scored.rng = derive_rng(purpose="metric", metric=metric.name, items=scored.items.fingerprint, seed=task.seed)
        distribution = metric.component.origin.distribution
        try:
            measurements[metric.name] = _measure(metric, scored)
        except NotMeasurable as error:
            unmeasured[metric.name] = Unmeasured(status="not measurable", reason=str(error), distribution=distribution)
        except CellTimeout:
            raise
        except MetricError as error:
            if task.strict:
                raise
            unmeasured[metric.name] = Unmeasured(status="error", reason=str(error), distribution=distribution)
        except Exception as error:
            if task.strict or _from_aligner(error):
                raise
            unmeasured[metric.name] = Unmeasured(
                status="error", reason=f"it raised {describe(error)}", distribution=distribution
            )
    return measurements, unmeasured


def _measure(metric: Selected, scored: AlignedSplit) -> Measurement:
    """Measure, and look at what came of it at the door.

    Raises
    ------
    NotMeasurable
        The value is not finite here.
    MetricError
        The measurement contradicts itself.
    """
    spec = metric.component.spec
    assert isinstance(spec, MetricSpec)
    measurement: Measurement = build(metric).measure(scored)
    if isinstance(getattr(measurement, "value", None), float | np.floating) and not np.isfinite(measurement.value):
        raise NotMeasurable(f"it is {measurement.value} here")
    if fault := fault_of(measurement, spec.unit, scored.n_images + len(scored.owner)):
        raise MetricError(fault)
    return measurement


def _from_aligner(error: BaseException) -> bool:
    """Whether an error that came up while measuring is the aligner's: its maps are called on demand."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_name in CALLS:
            return True
        frame = frame.tb_next
    return False
