"""What all methods do with rows: normalise, cut into blocks, look up a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


def unit_rows(rows: Any) -> Any:
    """Normalise rows ``(N, d)`` to float32, norms in float64. A zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    norms[norms == 0] = 1
    return (rows / norms[:, None]).astype(np.float32)


def blocks(n: int, width: int, cells: int = 2**22) -> Iterator[slice]:
    """Cut n rows so that a block of rows of ``width`` numbers has about ``cells`` of them: memory stays bounded."""
    step = max(1, cells // max(1, width))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def nearest(t: Any, class_texts: Any) -> Any:
    """``(M,)`` the class of a text row: that of the class text with the largest cosine, the first of equal ones."""
    return (t @ class_texts.T).argmax(axis=1)
