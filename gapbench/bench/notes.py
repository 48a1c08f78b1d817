"""What an aligner notes for people, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.model.record import ParamValue


def plain_notes(found: Mapping[Any, Any]) -> dict[str, ParamValue]:
    """Write what an aligner notes as plain values: NumPy's numbers are numbers, and anything else is text."""
    notes: dict[str, ParamValue] = {}
    for key, value in dict(found).items():
        plain = value.item() if isinstance(value, np.generic) else value
        if not isinstance(plain, bool | int | float | str) or (isinstance(plain, float) and not np.isfinite(plain)):
            plain = str(plain)
        elif isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) >= 2**63:
            plain = str(plain)  # JSON's readers end there
        notes[str(key)] = plain
    return notes
