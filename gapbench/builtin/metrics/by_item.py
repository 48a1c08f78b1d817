"""Numbers that are measured caption by caption, but vary image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapbench.components import Float64, Int64


def mean_by_item(values: NDArray[np.bool_] | Float64, owner: Int64) -> Measurement:
    """Average values ``(M,)`` of captions, with one outcome for each image that has captions.

    Captions of one image are no independent trials: intervals and tests that took them for such would be too sure. The
    outcome of an image is the sum over its captions times images / captions, so that the mean of the outcomes is the
    mean over captions. Where no image has two captions, the values are the outcomes.
    """
    images, position, counts = np.unique(owner, return_inverse=True, return_counts=True)
    value = float(np.mean(values))
    if counts.max() == 1:
        return Measurement(value=value, n=len(values), outcomes=values)
    sums: Float64 = np.bincount(position, values, minlength=len(images)).astype(np.float64)
    return Measurement(value=value, n=len(values), outcomes=sums * (len(images) / len(values)))
