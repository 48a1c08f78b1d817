"""Do images and texts of one class fall into one cluster? k-means on pooled rows against the classes."""

from __future__ import annotations

import math
import sys
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement
from gapbench.errors import NotMeasurable

if TYPE_CHECKING:
    from gapbench.components import Float32, Float64, Int64, ScoredSplit

#: Rows of each modality, at most: the first ones of the cell's sample.
ROWS = 1_000

#: Of k-means.
SEED = 0


def spread_over_classes(labels: Int64, most: int) -> Int64:
    """Positions of at most ``most`` rows: the first of each class, then the second of each, and so on."""
    by_class = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    turn = np.empty(len(labels), dtype=np.int64)
    turn[by_class] = np.arange(len(labels)) - np.repeat(starts, counts)
    return np.sort(np.argsort(turn, kind="stable")[:most])


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A contingency table.

    ``cells`` ``(L,)`` counts rows of one class in one cluster, where there are some; ``classes`` ``(C,)`` and ``clusters``
    ``(K,)`` are its sums.
    """

    cells: Float64
    classes: Float64
    clusters: Float64
    n_items: int

    def measurement(self, value: float) -> Measurement:
        """Return the value; what varies most, which clusters are found, no interval would hold."""
        return Measurement(value=float(value), n=self.n_items)


def count_tables(classes: Int64, clusters: Int64, n_items: int) -> Tables:
    """Count rows by class ``(n,)`` and cluster ``(n,)``."""
    _, cells = np.unique(np.stack([classes, clusters]), axis=1, return_counts=True)
    sums = [np.unique(part, return_counts=True)[1].astype(np.float64) for part in (classes, clusters)]
    return Tables(cells=cells.astype(np.float64), classes=sums[0], clusters=sums[1], n_items=n_items)


def _tables(data: ScoredSplit) -> Tables:
    if not data.has_labels:
        raise NotMeasurable("it needs classes, which these images do not have")
    sample = data.sample
    assert sample.labels is not None
    assert sample.text_labels is not None
    chosen = np.arange(min(len(sample.images), ROWS))
    texts = chosen if data.captioned else spread_over_classes(sample.text_labels, ROWS)
    classes = np.concatenate([sample.labels[chosen], sample.text_labels[texts]])
    k = len(np.unique(classes))
    if not 1 < k < len(classes):
        raise NotMeasurable(f"it needs two classes, and fewer classes than rows; there are {k} and {len(classes)}")
    clusters = k_means(np.concatenate([sample.images[chosen], sample.texts[texts]]), k)
    return count_tables(classes, clusters, len(chosen))


def k_means(rows: Float32, k: int) -> Int64:
    """``(n,)`` cluster of each row: Lloyd's algorithm from one k-means++ start with seed 0, at most 100 steps."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: then fewer are found
        found = KMeans(k, init="k-means++", n_init=1, max_iter=100, random_state=SEED).fit_predict(rows)
    return np.asarray(found, dtype=np.int64)


def _plogp(counts: Float64) -> float:
    r""":math:`\sum_i \frac{c_i}{n} \log \frac{c_i}{n}` of counts above zero."""
    share = counts / counts.sum()
    return float((share * np.log(share)).sum())


def _information(tables: Tables) -> tuple[float, float, float]:
    """Mutual information, entropy of the classes and entropy of the clusters, in nats."""
    classes, clusters = -_plogp(tables.classes), -_plogp(tables.clusters)
    return max(classes + clusters + _plogp(tables.cells), 0.0), classes, clusters


class Grouping:
    """Clusters of pooled aligned unit rows, images and texts together, one cluster a class.

    The first 1,000 images of the cell's sample and 1,000 of its texts (with captions, those of these images; of more class
    texts, each class as often as any other). k-means with as many clusters as there are classes
    among the rows. Where a gap parts the modalities, clusters follow the modality before they follow the class. After
    `cluster-agreement` of ModGap (Grassucci et al. 2026, arXiv 2601.18525).

    There is no interval, and no verdict: which clusters k-means finds varies more than anything else, and intervals that
    leave it out held the truth in 40 to 80 % of simulated tables. O(n k e) a step, at most 100 steps, once a cell.
    """

    def tables(self, data: ScoredSplit) -> Tables:
        """Give the tables of a cell."""
        tables: Tables = data.once("grouping.tables", partial(_tables, data))
        return tables


class VMeasure(Grouping):
    r"""Harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), 0..1.

    :math:`V = \frac{2 h c}{h + c}`, :math:`h = I(C; K) / H(C)`, :math:`c = I(C; K) / H(K)`; it equals
    :math:`2 I / (H(C) + H(K))`, the mutual information normalised by the arithmetic mean. See `Grouping`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        tables = self.tables(data)
        mutual, classes, clusters = _information(tables)
        return tables.measurement(2 * mutual / max(classes + clusters, sys.float_info.min))


class NormalisedInformation(Grouping):
    r"""Mutual information normalised by the geometric mean, :math:`I(C; K) / \sqrt{H(C) H(K)}`, 0..1.

    After Strehl and Ghosh, Cluster Ensembles, JMLR 3, 583, 2002. (Normalised by the arithmetic mean, as some
    libraries do, it would be the V-measure again.) 0 where all rows fall into one cluster. See `Grouping`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        tables = self.tables(data)
        mutual, classes, clusters = _information(tables)
        return tables.measurement(mutual / max(math.sqrt(classes * clusters), sys.float_info.min))


class AdjustedRand(Grouping):
    r"""Adjusted Rand index (Hubert and Arabie 1985, equation 5): 1 the classes themselves, 0 as good as chance.

    :math:`\frac{S - E}{(A + B) / 2 - E}` with :math:`S = \sum_{ck} \binom{n_{ck}}{2}`,
    :math:`A = \sum_c \binom{n_c}{2}`, :math:`B = \sum_k \binom{n_k}{2}` and :math:`E = A B / \binom{n}{2}`. See `Grouping`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        tables = self.tables(data)
        same, classes, clusters = (_pairs(part) for part in (tables.cells, tables.classes, tables.clusters))
        n = tables.classes.sum()
        expected = classes * clusters / max(n * (n - 1) / 2, 1)
        room = (classes + clusters) / 2 - expected
        if math.isclose(room, 0, abs_tol=1e-8):  # one class in one cluster, or each row for itself: the two agree
            return tables.measurement(1.0)
        return tables.measurement((same - expected) / room)


def _pairs(counts: Float64) -> float:
    return float((counts * (counts - 1) / 2).sum())
