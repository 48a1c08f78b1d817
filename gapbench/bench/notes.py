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
        plain = _plain(value)
        notes[_text(key)] = _text(value) if plain is None else _text(plain) if isinstance(plain, str) else plain
    return notes


def kept_as_text(found: Mapping[Any, Any]) -> list[str]:
    """Name the notes that are no text and are kept as text all the same: a record has no other place for them."""
    return [str(key) for key, value in found.items() if _plain(value) is None]


def _plain(value: Any) -> ParamValue | None:
    """Return a truth, a finite number or a text as a plain value, and None for anything else."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool | str):
        return plain
    if isinstance(plain, int):
        return plain if abs(plain) < 2**63 else None  # JSON's readers end there
    return plain if isinstance(plain, float) and np.isfinite(plain) else None


def _text(value: Any) -> str:
    """Return a text that UTF-8 can hold, cut where it is too long."""
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
