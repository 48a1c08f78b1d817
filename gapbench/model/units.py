"""Units: what a number of a unit can be."""

from __future__ import annotations

import math

#: Lowest and highest number; a unit that is not here has no bounds.
RANGES = {
    "share": (0.0, 1.0),
    "ratio": (0.0, 1.0),
    "distance": (0.0, math.inf),
    "cosine": (-1.0, 1.0),
    "agreement": (-1.0, 1.0),
    "difference": (-1.0, 1.0),
    "rank": (1.0, math.inf),
}


def within_unit(ends: tuple[float, float] | None, unit: str) -> tuple[float, float] | None:
    """Cut an interval to what a number of that unit can be; symmetric approximations can reach beyond it.

    An interval that is still without end says nothing, so there is none.
    """
    if ends is None:
        return None
    low, high = RANGES.get(unit, (-math.inf, math.inf))
    cut = max(low, float(ends[0])), min(high, float(ends[1]))
    return cut if all(map(math.isfinite, cut)) else None
