"""One cell: fit, transform, retrieve, measure. Whatever a plugin does, it costs this cell alone."""

from __future__ import annotations

import contextlib
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gapbench.bench.copies import Copies
from gapbench.bench.door import fault_of, plain
from gapbench.bench.fitting import fit_cell
from gapbench.bench.isolation import CellTimeout, quiet
from gapbench.bench.scored import AlignedSplit
from gapbench.components import Measurement
from gapbench.embeddings.fingerprint import derive_rng
from gapbench.errors import AlignerError, GapbenchError, MetricError, NotMeasurable
from gapbench.host.build import build
from gapbench.host.imports import GAPBENCH, watched
from gapbench.host.interrupts import by_user
from gapbench.host.provenance import as_run
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import select
from gapbench.host.unchanged import unchanged
from gapbench.host.validate import describe
from gapbench.model.record import MetricValue, Record, Timing, Unmeasured
from gapbench.model.units import within_unit
from gapbench.results import outcomes
from gapbench.specs import MetricSpec
from gapbench.stats import interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.bench.fitting import Fit
    from gapbench.bench.task import CellTask
    from gapbench.host.selection import Selected
    from gapbench.model.record import Code


def run_cell(task: CellTask, registry: Registry) -> tuple[Record, bytes | None]:
    """Run a cell to its record, not sealed yet, and the block of its outcomes (None where it failed).

    Raises
    ------
    Exception
        Only with ``strict``: whatever the plugin raised.
    """
    header = task.header
    try:
        with watched(header.code):
            record, content = _measured(task, registry)
        return msgspec.structs.replace(record, code=as_run(record.code)), content
    except CellTimeout as error:
        reason = f"it took longer than {task.timeout:g} s: {error}"
        return msgspec.structs.replace(header, status="timeout", reason=reason), None
    except BaseException as error:
        if task.strict or by_user(error):
            raise
        reason = str(error) if isinstance(error, GapbenchError) else f"It raised {describe(error)}"
        return msgspec.structs.replace(header, status="error", reason=reason), None


def _measured(task: CellTask, registry: Registry) -> tuple[Record, bytes]:
    start = perf_counter()
    until = None if task.timeout is None else monotonic() + task.timeout
    with fit_cell(task, registry, task.aligner, until) as fit:
        fitted = perf_counter()
        scored = AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)
        measurements, unmeasured = _measure_all(task, registry, scored, until)
        predicted = None if task.captioned or not scored.has_labels else scored.top_classes(1)[:, 0]
        approximate = task.index != "flat" and predicted is not None
        index_recall = scored.recall_against_flat() if approximate else None
    record = msgspec.structs.replace(
        task.header,
        metrics={
            name: _value(registry, name, outcomes.clustered(measurement, fit.cut.clusters))
            for name, measurement in measurements.items()
        },
        unmeasured=unmeasured,
        items=fit.cut.counts,
        pairs=fit.pairs,
        chosen=fit.chosen,
        warnings=fit.warnings,
        index_recall=index_recall,
        timing=Timing(
            encode_s=task.header.timing.encode_s,
            fit_s=round(fitted - start, 6),
            score_s=round(perf_counter() - fitted, 6),
        ),
        notes=fit.aligner.notes,
        printed=fit.aligner.printed + scored.printed,
        code=_as_in_the_room(task, registry, fit),
    )
    return record, outcomes.pack(measurements, predicted, fit.cut.seen, fit.cut.clusters)


def _as_in_the_room(task: CellTask, registry: Registry, fit: Fit) -> dict[str, Code]:
    """Return the code that took part: the aligner's without a hash where its process imported what no hash covers."""
    code = dict(task.header.code)
    name = registry.components(Kind.ALIGNER)[fit.spec.name].origin.distribution
    if not fit.aligner.hashed and name in code:
        code[name] = msgspec.structs.replace(code[name], sha256="")
    return code


def _value(registry: Registry, name: str, measurement: Measurement) -> MetricValue:
    component = registry.named(Kind.METRIC, name)
    assert component is not None
    assert isinstance(component.spec, MetricSpec)
    return MetricValue(
        value=float(measurement.value),
        ci95=within_unit(interval(measurement, component.spec.unit), component.spec.unit),
        n=int(measurement.n),
        distribution=component.origin.distribution,
    )


@contextlib.contextmanager
def aligned_cell(task: CellTask, registry: Registry, aligner: str) -> Iterator[AlignedSplit]:
    """Fit an aligner on a cell's rows and give the test split after alignment, while its room is open."""
    with fit_cell(task, registry, aligner) as fit:
        yield AlignedSplit(fit.test, fit.aligner, fit.spec, np.random.default_rng(0), index=task.index)


def _measure_all(
    task: CellTask, registry: Registry, scored: AlignedSplit, until: float | None
) -> tuple[dict[str, Measurement], dict[str, Unmeasured]]:
    """Measure every metric; one that fails costs its own value alone."""
    measurements: dict[str, Measurement] = {}
    unmeasured: dict[str, Unmeasured] = {}
    for metric in select(registry, Kind.METRIC, task.metrics) if task.metrics else ():
        if until is not None and monotonic() > until:
            raise CellTimeout(f"metric {metric.label!r} was not begun any more")
        scored.rng = derive_rng(purpose="metric", metric=metric.label, items=scored.items.fingerprint, seed=task.seed)
        distribution = metric.component.origin.distribution
        try:
            measurements[metric.label] = _measure(metric, scored)
        except NotMeasurable as error:
            unmeasured[metric.label] = Unmeasured(status="not measurable", reason=str(error), distribution=distribution)
        except (CellTimeout, AlignerError):
            raise
        except MetricError as error:
            if task.strict:
                raise
            unmeasured[metric.label] = Unmeasured(status="error", reason=str(error), distribution=distribution)
        except BaseException as error:
            if task.strict or by_user(error):
                raise
            unmeasured[metric.label] = Unmeasured(
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
    if metric.component.origin.distribution == GAPBENCH:
        measurement: Measurement = build(metric).measure(scored)
    else:
        with unchanged(metric.component), quiet() as printed:
            measurement = build(metric).measure(Copies(scored))
            scored.printed += printed.characters
        if isinstance(measurement, Measurement):
            measurement = plain(measurement)
    if isinstance(getattr(measurement, "value", None), float | np.floating) and not np.isfinite(measurement.value):
        raise NotMeasurable(f"it is {measurement.value} here")
    if fault := fault_of(measurement, spec.unit, scored.n_images + len(scored.owner)):
        raise MetricError(fault)
    return measurement
