"""Whether a map is row by row: a few rows are mapped again, in another batch and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import AlignerError

if TYPE_CHECKING:
    from gapbench.bench.mapping import Maps
    from gapbench.components import Float32

#: How many rows are mapped again, at most.
FEW = 5

#: How far they may come out from where they were, in shares of the longest of them: other batches round otherwise.
TOLERANCE = 1e-3


def check_row_by_row(maps: Maps, side: str, rows: Float32, mapped: Float32) -> None:
    """Hold a map to its contract on some rows.

    Parameters
    ----------
    rows, mapped
        What was mapped at once, and what came of it.

    Raises
    ------
    AlignerError
        They come out otherwise.
    """
    few = min(FEW, len(rows) // 2)
    if not few:
        return
    places = np.linspace(0, len(rows) - 1, few, dtype=np.int64)[::-1] if few > 1 else np.array([len(rows) - 1])
    again = maps.rows(side, np.ascontiguousarray(rows[places]), mapped.shape[1])
    apart = np.linalg.norm(again.astype(np.float64) - mapped[places], axis=1).max()
    length = np.linalg.norm(mapped[places].astype(np.float64), axis=1).max()
    if apart > TOLERANCE * max(length, float(np.finfo(np.float32).tiny)):
        raise AlignerError(
            f"{maps.name(side)} does not map row by row: {few} of {len(rows)} rows come out otherwise when they are mapped "
            f"without the others (by {100 * apart / max(length, 1e-30):.2g} % of their length). A method that uses the rows "
            "around a row is transductive: declare Need.TEST_IMAGES or Need.TEST_TEXTS, read these rows in fit(), and map "
            "row by row."
        )
