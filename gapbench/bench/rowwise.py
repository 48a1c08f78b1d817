"""Whether an aligner works row by row: a few rows are mapped or scored again, in another batch and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import AlignerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.components import Float32

#: How many rows are looked at again, at most.
FEW = 5

#: How far they may come out from where they were, in shares of the largest of them: other batches round otherwise.
TOLERANCE = 1e-3


def check_row_by_row(what: str, call: Callable[[Float32], Float32], rows: Float32, given: Float32) -> None:
    """Hold a method to its contract on some rows.

    Parameters
    ----------
    what
        Names the method for messages.
    call
        Calls it on some of the rows.
    rows, given
        What it was called on at once, and what came of it: a row or a number for each.

    Raises
    ------
    AlignerError
        They come out otherwise.
    """
    few = min(FEW, len(rows) // 2)
    if not few:
        return
    places = np.linspace(0, len(rows) - 1, few, dtype=np.int64)[::-1] if few > 1 else np.array([len(rows) - 1])
    before = given[places].astype(np.float64).reshape(few, -1)
    again = call(np.ascontiguousarray(rows[places])).astype(np.float64).reshape(few, -1)
    apart = np.linalg.norm(again - before, axis=1).max()
    length = np.linalg.norm(before, axis=1).max()
    if apart > TOLERANCE * max(length, float(np.finfo(np.float32).tiny)):
        share = 100 * apart / max(length, 1e-30)
        raise AlignerError(
            f"{what} does not work row by row: {few} of {len(rows)} rows come out otherwise when it is called without the "
            f"others (by {share:.2g} % of their length). A method that uses the rows around a row is transductive: declare "
            "Need.TEST_IMAGES or Need.TEST_TEXTS, read these rows in fit(), and work row by row."
        )
