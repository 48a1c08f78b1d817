"""One cell: fit, transform, retrieve, measure. Whatever a plugin does, it costs this cell alone."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.bench.isolation import CellTimeout, deadline, no_threads_left, quiet
from gapbench.bench.mapping import CALLS
from gapbench.bench.protocol import fit_and_test, subset
from gapbench.bench.scored import AlignedSplit
from gapbench.embeddings.fingerprint import derive_rng
from gapbench.errors import GapbenchError, NotMeasurable
from gapbench.host.build import build
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import Selected, select
from gapbench.host.validate import describe
from gapbench.results import outcomes
from gapbench.results.record import MetricValue, Record, Timing
from gapbench.specs import AlignerSpec, Need
from gapbench.stats import interval

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.bench.protocol import Protocol
    from gapbench.components import EmbeddedSplit, Measurement

#: Fit rows of the last tables, with their moments: all aligners of a table share them.
_FIT_ROWS: dict[tuple[object, ...], tuple[FitRows, FitRows]] = {}
_FIT_ROWS_KEPT = 4

#: What a number of a unit can be.
RANGES = {"share": (0.0, 1.0), "ratio": (0.0, 1.0), "distance": (0.0, float("inf")), "cosine": (-1.0, 1.0)}

#: Share of the fit split that is set apart where an aligner needs a validation slice.
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class CellTask:
    """All that a worker needs; components travel by name, since specs and plugins need not be picklable.

    ``header`` is the record without its results.
    """

    header: Record
    test: EmbeddedSplit
    train: EmbeddedSplit | None
    aligner: str
    metrics: tuple[str, ...]
    protocol: Protocol
    seed: int
    captioned: bool
    index: str
    folder: Path
    timeout: float | None = None
    strict: bool = False


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
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    start = perf_counter()
    fit, test = _rows(task, raw=spec.raw)
    with no_threads_left(f"Aligner {spec.name!r}"):
        aligner = _fitted(task, selected, fit, test)
        fitted = perf_counter()
        scored = AlignedSplit(test, aligner, spec, np.random.default_rng(0), index=task.index)
        measurements, left_out, failures = _measure_all(task, registry, scored)
    predicted = None if task.captioned or not scored.has_labels else scored.top_classes(1)[:, 0]
    notes = dict(task.header.notes)
    notes["pairs"] = fit.pairs_are if Need.PAIRS in spec.needs else "not used"
    notes |= {"left_out": left_out} if left_out else {}
    notes |= {"aligner": dict(aligner.notes())} if hasattr(aligner, "notes") else {}
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


def _rows(task: CellTask, *, raw: bool) -> tuple[FitRows, FitRows]:
    """Give the rows to fit on and to score; shared by the aligners of a table, moments included."""
    header = task.header
    train = None if task.train is None else task.train.fingerprint
    key: tuple[object, ...] = (
        header.encoder.fingerprint,
        task.test.fingerprint,
        train,
        header.prompts.name,
        header.notes.get("texts"),
    )
    key += (task.protocol, task.seed, task.captioned, raw)
    if key not in _FIT_ROWS:
        while len(_FIT_ROWS) >= _FIT_ROWS_KEPT:
            del _FIT_ROWS[next(iter(_FIT_ROWS))]
        fit, test = fit_and_test(task.protocol, task.seed, task.test, task.train)
        _FIT_ROWS[key] = (
            FitRows(fit, captioned=task.captioned, raw=raw),
            FitRows(test, captioned=task.captioned, raw=raw),
        )
    return _FIT_ROWS[key]


def _fitted(task: CellTask, selected: Selected, fit: FitRows, test: FitRows) -> Any:
    """Build and fit the aligner on what it declares."""
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    rng = derive_rng(purpose="aligner", aligner=selected.label, items=fit.split.fingerprint, seed=task.seed)
    validation = None
    if Need.VALIDATION in spec.needs:
        fit, validation = _set_apart(fit, task.seed)
    data = GuardedFitData(
        spec, fit, rng, validation=validation, test=test if task.protocol.name == "transductive" else None
    )
    aligner = build(selected)
    fitted = aligner.fit(data)
    return aligner if fitted is None else fitted


def _set_apart(fit: FitRows, seed: int) -> tuple[FitRows, FitRows]:
    """Cut a validation slice from the fit split."""
    n = len(fit.split.images)
    order = derive_rng(purpose="validation", items=fit.split.fingerprint, seed=seed).permutation(n)
    cut = max(1, round(n * VALIDATION_SHARE))
    parts = (np.sort(order[cut:]), np.sort(order[:cut]))
    kept, apart = (FitRows(subset(fit.split, part), captioned=fit.captioned, raw=fit.raw) for part in parts)
    return kept, apart


def aligned_cell(task: CellTask, registry: Registry, aligner: str) -> tuple[Any, AlignedSplit]:
    """Fit an aligner on a cell's rows and give it with the test split after alignment."""
    selected = select(registry, Kind.ALIGNER, [aligner])[0]
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    fit, test = _rows(task, raw=spec.raw)
    fitted = _fitted(task, selected, fit, test)
    return fitted, AlignedSplit(test, fitted, spec, np.random.default_rng(0), index=task.index)


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
