"""Cross-modal transfer: a linear head learnt on one modality, scored on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.metrics.grouping import spread_over_classes
from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Bools, Float32, Float64, Int64, ScoredSplit

#: Penalty of the ridge regression.
ALPHA = 1.0

#: Class texts that a head is fitted on, at most.
TEXTS = 5_000


class CrossModalTransfer:
    r"""Share of rows of one modality that a linear head learnt on the other classifies rightly.

    The head is a ridge regression of :math:`\pm 1` class targets on aligned unit rows,
    :math:`W = (X_c^\top X_c + \alpha I)^{-1} X_c^\top Y_c` with both sides centred and :math:`\alpha = 1`; the class is
    :math:`\arg\max_c (z - \bar x) W + \bar y`, the lower one among equals. The rows are those of the cell's sample, at
    most 2,000 images.

    - With captions (and classes): one half of the items (every other one of the sample, equal images together) is fitted
      on by one modality and the other half scored on by the other, then the other way round. No item is on both sides;
      every item has an outcome.
    - With class prompts: fitted on the texts of the classes (at most 5,000, each class as often as any other) and scored
      on the images, or fitted on the images and scored on the texts. These are few outcomes: read the interval.

    After the protocol of Zhang et al., Diagnosing and Rectifying Vision Models using Language, ICLR 2023, arXiv
    2302.04269, with a closed form for their SGD. O(n d min(n, d)).

    Parameters
    ----------
    source
        What the head is learnt on: ``texts`` or ``images``.
    """

    def __init__(self, *, source: str) -> None:
        self.source = source

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        if not data.has_labels:
            raise NotMeasurable("it needs classes, which these images do not have")
        sample = data.sample
        assert sample.labels is not None
        assert sample.text_labels is not None
        sides = {"images": (sample.images, sample.labels), "texts": (sample.texts, sample.text_labels)}
        rows, classes = sides.pop(self.source)
        (others, right), = sides.values()  # fmt: skip
        if len(np.unique(classes)) < 2:  # noqa: PLR2004
            raise NotMeasurable(f"a head needs two classes; the {self.source} have one")
        if data.captioned:
            hits = _both_halves(rows, others, classes, sample.groups % 2)
        else:
            kept = spread_over_classes(classes, TEXTS)
            hits = ridge_classes(rows[kept], classes[kept], others) == right
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


def _both_halves(rows: Float32, others: Float32, classes: Int64, half: Int64) -> Bools:
    """Fit on one half of the items and score the other, both ways; images and texts go row by row."""
    if half.min() == half.max():
        raise NotMeasurable("its images are all the same, so none can be learnt from and others scored")
    hits = np.empty(len(rows), dtype=np.bool_)
    for side in (0, 1):
        fit, score = half != side, half == side
        hits[score] = ridge_classes(rows[fit], classes[fit], others[score]) == classes[score]
    return hits


def ridge_classes(x: Float32, classes: Int64, z: Float32) -> Int64:
    """``(m,)`` classes of rows ``z`` ``(m, d)`` by a ridge regression on rows ``x`` ``(n, d)`` of known classes."""
    from scipy.linalg import solve

    known, position = np.unique(classes, return_inverse=True)
    wide = x.astype(np.float64)
    mean = wide.mean(axis=0)
    wide -= mean
    target: Float64 = np.where(position[:, None] == np.arange(len(known)), 1.0, -1.0)
    centre = target.mean(axis=0)
    target -= centre
    n, d = wide.shape
    if d <= n:
        weights = solve(wide.T @ wide + ALPHA * np.eye(d), wide.T @ target, assume_a="pos")
    else:  # the same weights by the smaller of the two matrices
        weights = wide.T @ solve(wide @ wide.T + ALPHA * np.eye(n), target, assume_a="pos")
    found: Int64 = known[((z - mean) @ weights + centre).argmax(axis=1)]
    return found
