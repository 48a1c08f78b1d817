"""What an aligner notes about its fit, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import AlignerError

if TYPE_CHECKING:
    from gapbench.model.record import ParamValue

#: A longer text is cut: notes stand beside a table.
LONGEST = 1000


def plain_notes(found: Any, name: str) -> dict[str, ParamValue]:
    """Write what an aligner notes as plain values: NumPy's numbers are numbers, and anything else is text.

    Raises
    ------
    AlignerError
        It is no mapping.
    """
    if not isinstance(found, Mapping):
        raise AlignerError(f"Aligner {name!r}: notes() gave {type(found).__name__}; it must give a dictionary.")
    notes: dict[str, ParamValue] = {}
    for key, value in dict(found).items():
        plain = value.item() if isinstance(value, np.generic) else value
        if not isinstance(plain, bool | int | float | str) or (isinstance(plain, float) and not np.isfinite(plain)):
            plain = str(plain)
        elif isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) >= 2**63:
            plain = str(plain)  # JSON's readers end there
        notes[_text(key)] = _text(plain) if isinstance(plain, str) else plain
    return notes


def _text(value: Any) -> str:
    """Return a text that UTF-8 can hold, cut where it is too long."""
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
