"""Retrieval beyond recall: median ranks, average precision, and all own captions at once."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.by_item import mean_by_item
from gapbench.components import Measurement
from gapbench.stats import median_interval

if TYPE_CHECKING:
    from gapbench.components import Int64, ScoredSplit


class ImageToTextMedianRank:
    """Median over images of the position, from 1, of the best own caption. O(N M d), all images with a caption.

    The interval is that of the order statistics (`gapbench.stats.median_interval`), one image one trial. A median has no
    outcomes whose mean it is, and no consistent jackknife: differences are not tested.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; images without a caption are no queries."""
        ranks = data.image_to_text_ranks()[np.unique(data.owner)] + 1
        return Measurement(value=float(np.median(ranks)), n=len(ranks), ci95=_bounded(median_interval(ranks)))


class TextToImageMedianRank:
    """Median over captions of the position, from 1, of the own image. O(N M d), all captions.

    Captions of one image succeed and fail together, so the interval counts an image with its captions as one trial:
    as wide as if they all agreed, never too narrow.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        ranks = data.text_to_image_ranks() + 1
        interval = _bounded(median_interval(ranks, len(np.unique(data.owner))))
        return Measurement(value=float(np.median(ranks)), n=len(ranks), ci95=interval)


def _bounded(ends: tuple[float, float]) -> tuple[float, float] | None:
    """Give no interval where too few trials bound none."""
    return ends if isfinite(ends[0]) else None


class ImageToTextPrecision:
    r"""Mean average precision among the first k texts, every own caption being relevant (mAP@k).

    With :math:`r_1 < r_2 < \dots < r_R` the positions, from 1, of an image's R own captions,
    :math:`\mathrm{AP} = \frac{1}{\min(k, R)} \sum_{j : r_j \le k} \frac{j}{r_j}` (Manning et al., Introduction to
    Information Retrieval, 2008, section 8.4). 1 where the own captions come first. O(M M d) for several captions an
    image, O(N M d) for one; all images with a caption.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; images without a caption are no queries."""
        ranks, image, counts = _by_image(data)
        starts = np.cumsum(counts) - counts
        number = np.arange(len(ranks)) - starts[image] + 1
        precision = np.where(ranks < self.k, number / (ranks + 1), 0)
        average = np.bincount(image, precision) / np.minimum(counts, self.k)
        return Measurement(value=float(average.mean()), n=len(average), outcomes=average)


class TextToImagePrecision:
    r"""Mean average precision among the first k images, the own one being relevant: :math:`1/r` where :math:`r \le k`.

    Also called the mean reciprocal rank at k. O(N M d), all captions; an image with its captions is one item.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        ranks = data.text_to_image_ranks()
        return mean_by_item(np.where(ranks < self.k, 1 / (ranks + 1), 0.0), data.owner)


class AllCaptions:
    r"""Share of images with *all* own captions in the first k texts, where plain recall asks for one of them.

    :math:`\frac1N \sum_i [\,|T_i \cap \mathrm{top}_k(i)| = \min(k, |T_i|)\,]` with :math:`T_i` the captions of image i. An
    image with more own captions than k counts where the first k texts are all its own. With one caption an image it is
    plain recall. O(M M d) for several captions an image, O(N M d) for one; all images with a caption.
    """

    def __init__(self, *, k: int) -> None:
        self.k = k

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure; images without a caption are no queries."""
        ranks, image, counts = _by_image(data)
        found = np.bincount(image[ranks < self.k], minlength=len(counts))
        hits = found == np.minimum(counts, self.k)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


def _by_image(data: ScoredSplit) -> tuple[Int64, Int64, Int64]:
    """Ranks of the captions image by image, the best first; for each the number of its image; captions an image."""
    ranks = data.own_caption_ranks()
    order = np.lexsort((ranks, data.owner))
    _, image, counts = np.unique(data.owner[order], return_inverse=True, return_counts=True)
    return ranks[order], image, counts
