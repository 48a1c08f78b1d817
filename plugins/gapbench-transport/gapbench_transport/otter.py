"""OTTER: the test images are shared out among the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.errors import DataError
from gapbench_transport.plans import exact

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64, Int64

#: Test images times classes: 160 MB an array of scores, and about a gigabyte at work.
MOST_SCORES = 20_000_000

#: Cosine from which on a text is a class text, but for rounding.
SAME = 1 - 1e-4


class Otter:
    r"""Classify test images so that the classes have the shares that a prior says (Shin et al., NeurIPS 2024).

    The method (repository SprocketLab/OTTER, ``ot_predict``) solves

    .. math:: \min_P \sum_{ic} -\log p(c \mid x_i)\, P_{ic}, \quad P1 = 1/N,\ P^\top 1 = \nu

    and predicts :math:`\arg\max_c P_{ic}`. With :math:`p = \mathrm{softmax}_c(\beta s_{ic})` the cost is
    :math:`-\beta s_{ic}` plus a number for each image, whose mass is fixed: neither it nor :math:`\beta` changes the plan,
    so the cost is :math:`-s_{ic}` and there is no temperature to choose. (The authors' code adds 1e-9 to p.)

    **A bias is enough.** The potentials satisfy :math:`u_i + v_c \le -s_{ic}`, with equality where
    :math:`P_{ic} > 0`: so :math:`s_{ic} + v_c` is largest, over c, where the plan has its mass. The potentials of the
    solver lie in a corner, where images tie; they are moved (ours) to a point that keeps every image on the side of
    *its largest* share. With :math:`r = s + v` and :math:`w_{kc}` the least :math:`r_{ik} - r_{ic}` over the images of
    class k, every :math:`v + \delta` with :math:`\delta_c - \delta_k \le w_{kc}` gives the predictions of the plan; the
    lengths of the shortest paths from one class are such a :math:`\delta`, and so is their mean over all classes, which
    ties only where all of these potentials do.

    Transductive: the shares of the test split are taken to be known. Fit: network simplex, C^3 for the paths;
    24 N C bytes. A text costs O(C d).

    Parameters
    ----------
    prior
        ``uniform``, or ``fit``: the labels of the fit split, one more in each class (ours, so that a class without
        images is not given up). The authors use the true shares of the test labels; here nothing may read those.
    """

    def __init__(self, *, prior: str = "uniform") -> None:
        self.prior = prior

    def fit(self, data: FitData) -> Self:
        """Solve for the plan and keep one number a class."""
        self._texts = data.class_texts
        scores = _scores(data.test_images, self._texts)
        n, n_classes = scores.shape
        shares = np.ones(n_classes) if self.prior == "uniform" else data.moments.classes.counts + 1.0
        # Masses are whole numbers: shares of 1/N would not add up, and the crumbs would split images.
        mass, potentials = exact(np.full(n, shares.sum()), shares * n, -scores)
        # Of equal shares the class with the higher score counts, whatever the order of the classes.
        predicted = np.where(mass == mass.max(axis=1, keepdims=True), scores, -np.inf).argmax(axis=1)
        self._bias = potentials + inward(scores + potentials, predicted)
        self._bias -= self._bias.mean()
        self._notes = {
            "prior": self.prior,
            "test_images": n,
            "split_images": int(np.sum(np.count_nonzero(mass, axis=1) > 1)),
            "agrees_with_plan": float(np.mean((scores + self._bias).argmax(axis=1) == predicted)),
        }
        return self

    def notes(self) -> dict[str, Any]:
        """Say how many images the plan divides, and for which share of all images the bias gives its prediction."""
        return self._notes

    def text_bias(self, t: Float32) -> Float32:
        """``(M,)`` bias of each text, which must be one of the class texts.

        Raises
        ------
        DataError
            A text that is not: prompts that are scored one by one have no share of their own.
        """
        cosines = _unit(t) @ _unit(self._texts).T
        nearest = cosines.argmax(axis=1)
        found = cosines.max(axis=1) >= SAME
        if not found.all():
            raise DataError(
                f"otter has one bias a class, and text {int(np.argmin(found))} is no class text (cosine "
                f"{cosines.max(axis=1).min():.3f} to the nearest one). Use a prompt strategy that averages the prompts of a "
                "class."
            )
        return self._bias[nearest].astype(np.float32)


def _unit(rows: Float32) -> Float64:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float64)


def _scores(images: Float32, texts: Float32) -> Float64:
    if len(images) * len(texts) > MOST_SCORES:
        raise DataError(
            f"otter would hold {len(images)} test images times {len(texts)} classes; it stops at {MOST_SCORES:,} scores. "
            "Choose a smaller test set, or leave it out."
        )
    return images.astype(np.float64) @ texts.T.astype(np.float64)


def inward(reduced: Float64, predicted: Int64) -> Float64:
    """Give what to add to the potentials so that no image ties that need not.

    Parameters
    ----------
    reduced
        ``(N, C)`` scores plus potentials; each row is largest at its prediction.
    predicted
        ``(N,)`` class of each image.
    """
    order = np.argsort(predicted, kind="stable")
    winners, starts = np.unique(predicted[order], return_index=True)
    slack = reduced[order, predicted[order]][:, None] - reduced[order]
    paths = np.full((reduced.shape[1],) * 2, np.inf)
    paths[winners] = np.maximum(np.minimum.reduceat(slack, starts, axis=0), 0)
    np.fill_diagonal(paths, 0)
    for through in winners:  # Floyd and Warshall
        np.minimum(paths, paths[:, through, None] + paths[through], out=paths)
    steps = paths[winners].mean(axis=0)
    steps[np.setdiff1d(np.arange(len(steps)), winners)] -= 1  # a class that wins nothing stays clear of all images
    return steps
