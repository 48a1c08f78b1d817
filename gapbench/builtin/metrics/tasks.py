"""Task metrics: does the encoder still do its work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gapbench.components import ScoredSplit


def _share(hits: NDArray[np.bool_]) -> Measurement:
    return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


class TopClasses:
    """Share of images whose class is among the k best; ties go to the lower class. O(N C d)."""

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        return _share((data.top_classes(self.k) == data.labels[:, None]).any(axis=1))


class MeanPerClassRecall:
    r"""Mean over the classes present of the share of right images: :math:`\frac1C \sum_c \frac{1}{n_c} \sum_{i \in c} h_i`.

    The outcome of item i is :math:`\frac{N}{C\,n_c} h_i`, so that their mean is the value.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        labels = data.labels
        counts = np.bincount(labels)
        weights = len(labels) / (np.count_nonzero(counts) * counts[labels])
        outcomes = weights * (data.top_classes(1)[:, 0] == labels)
        return Measurement(value=float(outcomes.mean()), n=len(labels), outcomes=outcomes)


class ImageToText:
    """Recall@k: share of images with at least one own caption among the first k texts. O(N M d)."""

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; images without a caption are no queries."""
        return _share(data.image_to_text_ranks()[np.unique(data.owner)] < self.k)


class TextToImage:
    """Recall@k: share of captions whose image is among the first k images. O(N M d)."""

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        return _share(data.text_to_image_ranks() < self.k)
