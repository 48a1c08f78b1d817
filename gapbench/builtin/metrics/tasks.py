"""Task metrics: does the encoder still do its work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.components import Measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapbench.components import Int64, ScoredSplit


#: Outcomes that differ from their mean by less are the mean.
ROUNDING = 1e-12


def _share(hits: NDArray[np.bool_]) -> Measurement:
    return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


class TopClasses:
    r"""Share of images whose class is among the k best, :math:`\frac1N \sum_i [\mathrm{rank}_i(y_i) \le k]`. O(N C d).

    Ranks count from 1, and ties go to the lower class.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        return _share((data.top_classes(self.k) == data.labels[:, None]).any(axis=1))


class MeanPerClassRecall:
    r"""Mean over the classes present of the share of right images: :math:`\frac1C \sum_c \frac{1}{n_c} \sum_{i \in c} h_i`.

    Where all classes are of one size this is top1, with its outcomes. Else the outcome of item i is
    :math:`v + \sqrt{\frac{n_c}{n_c - 1}} \frac{N}{C\,n_c} (h_i - r_c)` with :math:`v` the value and :math:`r_c` the recall
    of its class: their mean is the value, and their spread is the unbiased one within classes (Cochran, Sampling Techniques,
    1977, eq. 5.10), whose sizes the test split fixes. Classes of one image tell nothing of their spread: they are one
    stratum, a single such class is one with the smallest other, which errs on the safe side (section 5A.12). (Resampling
    :math:`\frac{N}{C\,n_c} h_i` gives intervals half as wide again, some beyond 1.)
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        labels = data.labels
        hits = data.top_classes(1)[:, 0] == labels
        counts = np.bincount(labels)
        present = counts[counts > 0]
        if present.min() == present.max():
            return _share(hits)
        recall = np.bincount(labels, hits) / np.maximum(counts, 1)
        value = float(recall[counts > 0].mean())
        strata = _strata(labels, counts)
        parts = hits * (len(labels) / (len(present) * counts[labels]))
        sizes = np.bincount(strata)
        means = np.bincount(strata, parts) / np.maximum(sizes, 1)
        unbiased = np.sqrt(sizes / np.maximum(sizes - 1, 1))
        apart = unbiased[strata] * (parts - means[strata])
        apart[np.abs(apart) < ROUNDING] = 0
        return Measurement(value=value, n=len(labels), outcomes=value + apart)


def _strata(labels: Int64, counts: Int64) -> Int64:
    """``(N,)`` stratum of each image: its class; classes of one image together, and never alone."""
    alone = counts[labels] == 1
    if not alone.any():
        return labels
    others = np.flatnonzero(counts > 1)
    joined = others[np.argmin(counts[others])] if alone.sum() == 1 else len(counts)
    return np.where(alone, joined, labels)


class ImageToText:
    r"""Recall@k: share of images with at least one own caption among the first k texts. O(N M d).

    :math:`\frac1N \sum_i [\min_{j \in T_i} \mathrm{rank}_i(t_j) \le k]` over the images with captions, with :math:`T_i`
    the captions of image i and ranks from 1.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; images without a caption are no queries."""
        return _share(data.image_to_text_ranks()[np.unique(data.owner)] < self.k)


class TextToImage:
    r"""Recall@k: share of captions whose image is among the first k images. O(N M d).

    :math:`\frac1M \sum_j [\mathrm{rank}_j(x_{i(j)}) \le k]` over the captions, with :math:`i(j)` the image of caption j and
    ranks from 1. Captions of one image succeed and fail together, so an image with its captions is one item.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        return mean_by_item(data.text_to_image_ranks() < self.k, data.owner)
