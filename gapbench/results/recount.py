"""Checks of one record against the outcomes of every item: values, intervals, numbers of items, predicted classes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gapbench.model.units import RANGES, within_unit
from gapbench.results.checks import OWN, scored
from gapbench.stats import interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.components import Bools, Int64, Measurement
    from gapbench.host.installed import Installed
    from gapbench.model.record import MetricValue, Record
    from gapbench.results.outcomes import Block

#: Real outcomes are kept in single precision, so a mean of them is known to about seven digits.
CLOSE = 1e-6

#: Numbers that are computed in single precision leave the range of their unit by up to this.
ROUNDING = 1e-4

#: Metrics of gapbench whose outcomes are 0/1.
OF_HITS = re.compile(r"top[15]|flip-rate-(noise|int8)|i2t-(all-)?recall@\d+|(text|image)-to-(image|text)-transfer")

#: Metrics of gapbench that rest on all scored images.
OF_ALL_IMAGES = frozenset({"top1", "top5", "mean-per-class-recall"})

#: Task metrics of gapbench that are no means over items: of some the jackknife is kept, of ranks nothing.
NO_MEANS = frozenset({"ari", "nmi", "ece", "v-measure", "i2t-median-rank", "t2i-median-rank", "same-modality-share@10"})

#: What is right among the first is right among more.
NESTED = (
    ("top1", "top5"),
    *((f"{way}-recall@{few}", f"{way}-recall@{more}") for way in ("i2t", "t2i") for few, more in ((1, 5), (5, 10))),
    ("i2t-all-recall@5", "i2t-all-recall@10"),
    *((f"i2t-all-recall@{k}", f"i2t-recall@{k}") for k in (5, 10)),
)


@dataclass(kw_only=True)
class Checked:
    """What came of checking a record: what is wrong, and what of it was computed again from outcomes.

    Parameters
    ----------
    reasons
        What is wrong.
    values, intervals
        Metrics whose value, and whose interval, is what the outcomes give.
    as_told
        Metrics whose value is no mean over items, so that it is taken as the record tells it.
    """

    reasons: list[str] = field(default_factory=list)
    values: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()
    as_told: tuple[str, ...] = ()


def check_outcomes(record: Record, block: Block, installed: Installed | None) -> Checked:
    """Compute values and intervals again from outcomes, and hold outcomes against each other and against the items."""
    found = Checked()
    values, intervals, told = [], [], []
    for name, value in record.metrics.items():
        measured = block.measurement(name, value)
        spec = None if installed is None else installed.metric(record, name, value.distribution)
        unit = "" if spec is None else spec.unit
        found.reasons += _value(name, value, unit)
        found.reasons += _kept(record, name, value, block)
        if measured is not None and measured.outcomes is not None:
            found.reasons += _mean(name, value, measured.outcomes)
            values.append(name)
        else:
            told.append(name)
        wrong = _ends(name, value, measured, unit)
        # A plugin's metric may bring an interval of its own, which its outcomes need not give.
        if wrong and value.distribution == OWN:
            found.reasons.append(wrong)
        elif not wrong and measured is not None and value.ci95 is not None:
            intervals.append(name)
    found.reasons += _nested(record, block)
    found.reasons += _predicted(record, block)
    found.reasons += _seen(record, block)
    found.reasons += _copies(record, block)
    found.values, found.intervals, found.as_told = tuple(values), tuple(intervals), tuple(told)
    return found


def _value(name: str, value: MetricValue, unit: str) -> Iterator[str]:
    """Hold a value against its unit and its interval."""
    if not math.isfinite(value.value):
        yield f"{name} is {value.value}"
        return
    low, high = RANGES.get(unit, (-math.inf, math.inf))
    if not low - ROUNDING <= value.value <= high + ROUNDING:
        yield f"{name} is {value.value:.6g}, which no {unit} can be"
    if value.ci95 is not None:
        low, high = value.ci95
        slack = ROUNDING * max(1.0, abs(value.value))
        if not low - slack <= value.value <= high + slack:
            yield f"{name} is {value.value:.6g}, outside of its own interval {list(value.ci95)}"


def _kept(record: Record, name: str, value: MetricValue, block: Block) -> Iterator[str]:
    """Hold what is kept of a metric against the number of items."""
    kind, n = block.kind(name), value.n
    if n < 1:
        yield f"{name} rests on {n} items"
    if kind == "bits" and not block.fits(name, n):
        yield f"{name} rests on {n} items, and its outcomes are those of another number"
    if kind == "values" and block.length(name) > n:
        yield f"{name} rests on {n} items, and has {block.length(name)} outcomes"
    if value.distribution == OWN:
        yield from _kept_of_own(name, kind)
        images, texts = scored(record), record.prompts.n_texts
        if (n != images) if name in OF_ALL_IMAGES else n > images + texts:
            yield f"{name} rests on {n} items, and {images} images with {texts} texts were scored"


def _kept_of_own(name: str, kind: str) -> Iterator[str]:
    """Hold what is kept of a metric of gapbench against what such a metric gives."""
    if OF_HITS.fullmatch(name):
        if kind != "bits":
            yield f"{name} is a share of items, and its 0/1 outcomes are not kept"
    elif name in _own_tasks() and name not in NO_MEANS and kind not in ("bits", "values"):
        yield f"{name} is a mean over items, and its outcomes are not kept"


def _mean(name: str, value: MetricValue, outcomes: np.ndarray) -> Iterator[str]:
    mean = float(outcomes.mean()) if len(outcomes) else math.nan
    if not math.isclose(mean, value.value, rel_tol=CLOSE, abs_tol=CLOSE):
        yield f"{name} is {value.value:.6g}, but its outcomes give {mean:.6g}"


def _ends(name: str, value: MetricValue, measured: Measurement | None, unit: str) -> str:
    """Say where an interval is not what is kept gives."""
    if measured is None:
        return ""
    if not unit and value.ci95 is not None and not _ends(name, value, measured, "share"):
        return ""  # of an unknown unit, it may be a share
    ends = interval(measured, unit)
    ends = None if ends is None or not all(map(math.isfinite, ends)) else within_unit(ends, unit)
    if ends is None and value.ci95 is None:
        return ""
    if ends is None or value.ci95 is None:
        return (
            f"{name} has {'no' if value.ci95 is None else 'an'} interval, but its outcomes give {ends and list(ends)}"
        )
    allowed = zip(value.ci95, ends, strict=True)
    if unit:
        same = all(math.isclose(mine, theirs, rel_tol=CLOSE, abs_tol=CLOSE) for mine, theirs in allowed)
    else:  # of an unknown unit: it may have been cut to 0..1, to -1..1, or to what is not negative
        cuts = (ends[0], max(ends[0], 0.0), max(ends[0], -1.0)), (ends[1], min(ends[1], 1.0))
        same = all(
            any(math.isclose(mine, end, rel_tol=CLOSE, abs_tol=CLOSE) for end in theirs)
            for mine, theirs in zip(value.ci95, cuts, strict=True)
        )
    return "" if same else f"{name} has the interval {list(value.ci95)}, but its outcomes give {list(ends)}"


def _nested(record: Record, block: Block) -> Iterator[str]:
    for few, more in NESTED:
        one, other = record.metrics.get(few), record.metrics.get(more)
        if one is None or other is None or {one.distribution, other.distribution} != {OWN}:
            continue
        if one.value > other.value + CLOSE:
            yield f"{few} is {one.value:.6g} and {more} is {other.value:.6g}, which is less"
        elif block.kind(few) == block.kind(more) == "bits" and one.n == other.n:
            hits, wider = block.bits(few, one.n), block.bits(more, other.n)
            if np.any(hits & ~wider):
                yield f"item {int(np.flatnonzero(hits & ~wider)[0])} counts as right in {few} and as wrong in {more}"


def _seen(record: Record, block: Block) -> Iterator[str]:
    """Hold which scored images were fitted on against how many are said to be."""
    seen = block.seen(record.items.scored) if record.items.scored > 0 else None
    counted = 0 if seen is None else int(np.count_nonzero(seen))
    if counted != record.items.seen:
        yield f"{record.items.seen} of its scored images were fitted on, it says, and its outcomes mark {counted}"


def _copies(record: Record, block: Block) -> Iterator[str]:
    """Hold which scored images are copies of others against how many are said to be."""
    clusters = block.clusters
    copies = 0 if clusters is None else len(clusters) - len(np.unique(clusters))
    if copies != record.items.scored_copies:
        yield f"{record.items.scored_copies} of its scored images are copies, it says, and its outcomes mark {copies}"
    if clusters is not None and len(clusters) != record.items.scored:
        yield f"its outcomes say of {len(clusters)} images which are copies, and {record.items.scored} were scored"


def _predicted(record: Record, block: Block) -> Iterator[str]:
    """Hold the predicted classes against the items and the classes."""
    top1 = record.metrics.get("top1")
    predicted = block.predicted
    if predicted is None:
        if top1 is not None and top1.distribution == OWN:
            yield "it has top1, and no predicted classes"
        return
    if len(predicted) != scored(record):
        yield f"it has {len(predicted)} predicted classes, and {scored(record)} images were scored"
    least = 0 if record.index == "flat" else -1
    if len(predicted) and not least <= int(predicted.min()) <= int(predicted.max()) < record.prompts.n_texts:
        yield f"it predicts classes that are not among its {record.prompts.n_texts} texts"


def hits_of(record: Record, block: Block) -> tuple[Int64, Bools] | None:
    """Return predicted classes and whether each is right, ``(n,)`` both; None where the record does not tell."""
    top1 = record.metrics.get("top1")
    if top1 is None or top1.distribution != OWN or block.predicted is None or block.kind("top1") != "bits":
        return None
    hits = block.bits("top1", top1.n)
    return (block.predicted, hits) if len(hits) == len(block.predicted) == scored(record) else None


@cache
def _own_tasks() -> frozenset[str]:
    """Name the task metrics of gapbench itself."""
    from gapbench.host.discovery import built_in
    from gapbench.specs import MetricFamily

    specs = built_in().metric_specs()
    return frozenset(name for name, spec in specs.items() if spec.family is MetricFamily.TASK)
