"""Do images and texts of one class fall into one cluster? k-means on pooled rows against the classes."""

from __future__ import annotations

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
    """Contingency tables of G + 1 sets of rows: all of them, then with one group left out (G is 0 or at least 3).

    Only cells that are not empty are kept: ``cells`` ``(G + 1, L)`` counts rows of one class in one cluster; the sums
    over clusters ``classes`` ``(G + 1, C)``, and over classes ``clusters`` ``(G + 1, K)``.
    """

    cells: Float64
    classes: Float64
    clusters: Float64
    n_items: int

    def measurement(self, values: Float64) -> Measurement:
        """Give the value of all rows, with the others as the jackknife."""
        return Measurement(value=float(values[0]), n=self.n_items, jackknife=values[1:] if len(values) > 1 else None)


def count_tables(classes: Int64, clusters: Int64, group: Int64, n_items: int) -> Tables:
    """Count rows; ``group`` ``(n,)`` is -1 for rows that are never left out."""
    pairs, cell = np.unique(np.stack([classes, clusters]), axis=1, return_inverse=True)
    cell = cell.ravel()
    groups = int(group.max()) + 1
    moved = group >= 0
    parts = np.bincount(group[moved] * pairs.shape[1] + cell[moved], minlength=groups * pairs.shape[1])
    total = np.bincount(cell, minlength=pairs.shape[1]).astype(np.float64)
    cells = total[None] if groups < 3 else np.vstack([total, total - parts.reshape(groups, -1)])  # noqa: PLR2004
    sums = []
    for of_cell in pairs:
        order = np.argsort(of_cell, kind="stable")
        sums.append(np.add.reduceat(cells[:, order], np.unique(of_cell[order], return_index=True)[1], axis=1))
    return Tables(cells=cells, classes=sums[0], clusters=sums[1], n_items=n_items)


def _tables(data: ScoredSplit) -> Tables:
    if not data.has_labels:
        raise NotMeasurable("it needs classes, which these images do not have")
    sample = data.sample
    assert sample.labels is not None
    assert sample.text_labels is not None
    chosen = np.arange(min(len(sample.images), ROWS))
    group = sample.groups[chosen]
    if data.captioned:  # a caption belongs to the item of its image; class texts to none
        texts, group = chosen, np.tile(group, 2)
    else:
        texts = spread_over_classes(sample.text_labels, ROWS)
        group = np.concatenate([group, np.full(len(texts), -1)])
    classes = np.concatenate([sample.labels[chosen], sample.text_labels[texts]])
    k = len(np.unique(classes))
    if not 1 < k < len(classes):
        raise NotMeasurable(f"it needs two classes, and fewer classes than rows; there are {k} and {len(classes)}")
    clusters = k_means(np.concatenate([sample.images[chosen], sample.texts[texts]]), k)
    return count_tables(classes, clusters, group, len(chosen))


def k_means(rows: Float32, k: int) -> Int64:
    """``(n,)`` cluster of each row: Lloyd's algorithm from one k-means++ start with seed 0, at most 100 steps."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: then fewer are found
        found = KMeans(k, init="k-means++", n_init=1, max_iter=100, random_state=SEED).fit_predict(rows)
    return np.asarray(found, dtype=np.int64)


def _plogp(counts: Float64) -> Float64:
    r""":math:`\sum_i \frac{c_i}{n} \log \frac{c_i}{n}` of each row of counts."""
    share = counts / counts.sum(axis=1, keepdims=True)
    total: Float64 = (share * np.log(np.where(share > 0, share, 1))).sum(axis=1)
    return total


def _information(tables: Tables) -> tuple[Float64, Float64, Float64]:
    """Mutual information, entropy of the classes and entropy of the clusters, in nats."""
    classes, clusters = -_plogp(tables.classes), -_plogp(tables.clusters)
    return np.maximum(classes + clusters + _plogp(tables.cells), 0), classes, clusters


class Grouping:
    """Clusters of pooled aligned unit rows, images and texts together, one cluster a class.

    The first 1,000 images of the cell's sample and 1,000 of its texts (with captions, those of these images; of more class
    texts, each class as often as any other). k-means with as many clusters as there are classes
    among the rows. Where a gap parts the modalities, clusters follow the modality before they follow the class. After
    `cluster-agreement` of ModGap (Grassucci et al. 2026, arXiv 2601.18525).

    Intervals leave out one of 100 groups of items from the agreement, given the clusters that were found: k-means is not
    run again, so they hold no doubt about the clusters. O(n k e) a step, at most 100 steps, once a cell.
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
        return tables.measurement(2 * mutual / np.maximum(classes + clusters, np.finfo(np.float64).tiny))


class NormalisedInformation(Grouping):
    r"""Mutual information normalised by the geometric mean, :math:`I(C; K) / \sqrt{H(C) H(K)}`, 0..1.

    After Strehl and Ghosh, Cluster Ensembles, JMLR 3, 583, 2002. (Normalised by the arithmetic mean, as some
    libraries do, it would be the V-measure again.) 0 where all rows fall into one cluster. See `Grouping`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        tables = self.tables(data)
        mutual, classes, clusters = _information(tables)
        return tables.measurement(mutual / np.maximum(np.sqrt(classes * clusters), np.finfo(np.float64).tiny))


class AdjustedRand(Grouping):
    r"""Adjusted Rand index (Hubert and Arabie 1985, equation 5): 1 the classes themselves, 0 as good as chance.

    :math:`\frac{S - E}{(A + B) / 2 - E}` with :math:`S = \sum_{ck} \binom{n_{ck}}{2}`,
    :math:`A = \sum_c \binom{n_c}{2}`, :math:`B = \sum_k \binom{n_k}{2}` and :math:`E = A B / \binom{n}{2}`. See `Grouping`.
    """

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure."""
        tables = self.tables(data)
        same, classes, clusters = (_pairs(part) for part in (tables.cells, tables.classes, tables.clusters))
        n = tables.classes.sum(axis=1)
        expected = classes * clusters / np.maximum(n * (n - 1) / 2, 1)
        room = (classes + clusters) / 2 - expected
        alike = np.isclose(room, 0)  # one class in one cluster, or each row for itself: the two agree
        return tables.measurement(np.where(alike, 1, (same - expected) / np.where(alike, 1, room)))


def _pairs(counts: Float64) -> Float64:
    total: Float64 = (counts * (counts - 1) / 2).sum(axis=1)
    return total
