"""Numbers that are measured caption by caption, but vary image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapbench.components import Float64, Int64


def mean_by_item(values: NDArray[np.bool_] | Float64, owner: Int64) -> Measurement:
    r"""Average values ``(M,)`` of captions, with one outcome for each image that has captions.

    Captions of one image are no independent trials: intervals and tests that took them for such would be too sure. With
    :math:`S_i` the sum over the :math:`n_i` captions of image i, of N captions and I images, and v the value, the outcome
    of the image is :math:`v + (S_i - v\, n_i)\, I / N`: their mean is v, and their spread is that of a ratio of two sums,
    so that images with many captions do not widen it by their number alone (Cochran, Sampling Techniques, 1977, eq. 2.46).
    Where no image has two captions, the values are the outcomes.
    """
    images, position, counts = np.unique(owner, return_inverse=True, return_counts=True)
    value = float(np.mean(values))
    if counts.max() == 1:
        return Measurement(value=value, n=len(values), outcomes=values)
    sums: Float64 = np.bincount(position, values, minlength=len(images)).astype(np.float64)
    return Measurement(
        value=value, n=len(values), outcomes=value + (sums - value * counts) * (len(images) / len(values))
    )
