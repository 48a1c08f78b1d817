"""The door for measurements: what contradicts itself is told and left out, before it has an interval and a test."""

from __future__ import annotations

import math
from itertools import chain
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import Measurement
from gapbench.model.units import RANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Outcomes in single precision may miss their mean by so much, and a value the range of its unit.
CLOSE, OUTSIDE = 1e-5, 1e-4


def plain(found: Measurement) -> Measurement:
    """Return a measurement with plain numbers and arrays: objects of a plugin's own could compare as they like.

    What is no number stays as it is, for `fault_of` to name.
    """
    value: Any = found.value
    if isinstance(value, float | np.floating):
        value = float(np.float64(value))
    outcomes, jackknife = _plain_array(found.outcomes), _plain_array(found.jackknife)
    return Measurement(value=value, n=found.n, outcomes=outcomes, jackknife=jackknife, ci95=found.ci95)


def _plain_array(array: Any) -> Any:
    numbers = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
    return np.array(array, subok=False) if numbers else array


def fault_of(found: Any, unit: str, most: int) -> str:
    """Return what is wrong with what a metric gave, in words; empty where nothing is.

    Parameters
    ----------
    found
        What ``measure`` returned.
    unit
        Of the metric.
    most
        How many items there are, images and texts together: what rests on more counts some of them twice.
    """
    if not isinstance(found, Measurement):
        return f"it gave {type(found).__name__} where a gapbench.Measurement is meant"
    return next(chain(_value(found, unit, most), _arrays(found, most), _ends(found)), "")


def _value(found: Any, unit: str, most: int) -> Iterator[str]:
    if isinstance(found.value, bool) or not isinstance(found.value, Real | np.number):
        yield f"its value is {type(found.value).__name__}, not a number"
        return
    low, high = RANGES.get(unit, (-math.inf, math.inf))
    if not low - OUTSIDE <= float(found.value) <= high + OUTSIDE:
        yield f"its value is {float(found.value):.6g}, which no {unit} can be"
    if isinstance(found.n, bool) or not isinstance(found.n, int | np.integer) or found.n < 1:
        yield f"it says that it rests on n = {found.n!r} items; n is a whole number from 1"
    elif found.n > most:
        yield f"it says that it rests on {found.n} items, and there are {most}, images and texts together"
    given = [name for name in ("outcomes", "jackknife", "ci95") if getattr(found, name) is not None]
    if len(given) > 1:
        yield f"it has {' and '.join(given)}; an interval comes from one of them"


def _arrays(found: Any, most: int) -> Iterator[str]:
    for name, array in (("outcomes", found.outcomes), ("jackknife", found.jackknife)):
        if array is None:
            continue
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            yield f"its {name} are no NumPy array of numbers"
        elif array.ndim != 1 or not len(array):
            yield f"its {name} have shape {array.shape}; they have one dimension, and at least one number"
        elif not np.isfinite(array).all():
            yield f"its {name} hold NaN or infinity"
        elif name == "outcomes":
            yield from _outcomes(found, array, most)
        elif not 1 < len(array) <= max(found.n, 2):
            yield f"its jackknife has {len(array)} values of {found.n} items; it has one for each of two or more groups"


def _outcomes(found: Any, outcomes: np.ndarray, most: int) -> Iterator[str]:
    mean = float(np.mean(outcomes, dtype=np.float64))
    if not math.isclose(mean, float(found.value), rel_tol=CLOSE, abs_tol=CLOSE):
        yield f"its value is {float(found.value):.6g}, and the mean of its outcomes {mean:.6g}"
    if len(outcomes) > most:
        yield f"it has {len(outcomes)} outcomes of {most} items: some are counted twice"
    if len(outcomes) > found.n or (outcomes.dtype == np.bool_ and len(outcomes) != found.n):
        yield f"it says that it rests on {found.n} items, and has {len(outcomes)} outcomes"


def _ends(found: Any) -> Iterator[str]:
    if found.ci95 is None:
        return
    try:
        low, high = (float(end) for end in found.ci95)
    except (TypeError, ValueError):
        yield f"its interval is {found.ci95!r}; it has two numbers"
        return
    slack = CLOSE * max(1.0, abs(float(found.value)))
    if not low - slack <= float(found.value) <= high + slack:  # so is one with NaN
        yield f"its interval [{low:.6g}, {high:.6g}] misses its value {float(found.value):.6g}"
