"""Gromov-Wasserstein: classes are matched without looking across the gap."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import ot
from scipy.optimize import linear_sum_assignment

from gapbench.components import Aligner
from gapbench.errors import DataError
from gapbench_transport.rows import finished, squared_distances

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64, Int64

#: With two classes both matchings are equally good; beyond a hundred the problem is out of reach.
FEWEST, MOST = 3, 100

#: Steps of the conditional gradient.
STEPS = 1_000

#: Weight of a pull towards the identity, of the largest singular value: it decides what the classes leave open.
PULL = 1e-8


class GromovWasserstein(Aligner):
    r"""Match class means of images with class texts by distances within each side, then rotate the images.

    With :math:`D^x, D^t` the ``(C, C)`` distances between the class means of the images and between the class texts,

    .. math:: \min_P \sum_{ijkl} (D^x_{ik} - D^t_{jl})^2 P_{ij} P_{kl}, \quad P1 = P^\top 1 = 1/C

    (Peyre et al. 2016, solved by ``ot.gromov.gromov_wasserstein``). It is the question of the blind match
    (Schnaus et al. 2025): do vision and language agree so far that no pair is needed? Nothing compares an image with a
    text, and the labels say which images are together, not which text is theirs.

    Ours: each side is centred and normalised before distances are taken, and they are divided by their mean, so that a
    narrower cone is no difference. The conditional gradient ends in a local minimum, so it starts twice, from all
    matchings alike and from the assignment of sorted distances (Memoli's third lower bound); the plan is rounded to a
    matching by linear assignment, which is improved by exchanges of two classes until none helps, and the matching of
    least distortion :math:`\frac{1}{C^2} \sum_{ik} (D^x_{ik} - D^t_{\sigma(i)\sigma(k)})^2` is taken. No step is random.

    Then :math:`x' = (x - \mu_x) R,\ y' = y - \mu_y`, where R is the orthogonal matrix (Procrustes) that brings the
    centred class means nearest to their matches; what they leave open is the identity, as near as can be. Classes
    without images to fit on take no part. Fit O(C^3) a step and O(d C^2), C <= 100; O(d^2) a row.

    Parameters
    ----------
    exchange
        Whether to improve the matching by exchanges; without it, it is what POT gives, rounded.
    renormalise
        Whether to normalise the result.
    """

    def __init__(self, *, exchange: bool = True, renormalise: bool = True) -> None:
        self.exchange = exchange
        self.renormalise = renormalise

    def fit(self, data: FitData) -> Self:
        """Match the classes and turn one side to the other."""
        classes = data.moments.classes
        seen = classes.counts > 0
        n = int(seen.sum())
        if not FEWEST <= n <= MOST:
            raise DataError(
                f"gromov-wasserstein matches {FEWEST} to {MOST} classes, and {n} have images to fit on. Choose a dataset "
                f"with {'fewer' if n > MOST else 'more'} classes, or leave this aligner out."
            )
        means = classes.sums[seen] / classes.counts[seen, None]
        texts = data.class_texts[seen].astype(np.float64)
        self._image_mean, self._text_mean = means.mean(axis=0), texts.mean(axis=0)
        means, texts = means - self._image_mean, texts - self._text_mean
        of_images, of_texts = _distances(means, "images"), _distances(texts, "texts")
        matchings = [self._matched(of_images, of_texts, start) for start in _starts(of_images, of_texts)]
        self._match, converged = min(matchings, key=lambda found: distortion(of_images, of_texts, found[0]))
        self._rotation = rotation(means, texts[self._match])
        self._notes = {
            "classes": n,
            "matched_rightly": int(np.sum(self._match == np.arange(n))),
            "distortion": distortion(of_images, of_texts, self._match),
            "distortion_if_right": distortion(of_images, of_texts, np.arange(n)),
            "converged": converged,
        }
        return self

    def _matched(self, of_images: Float64, of_texts: Float64, start: Float64) -> tuple[Int64, bool]:
        """Give for each class of images the place of its text, and whether POT's solver converged."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the inner linear programs; a later step makes up for them
            plan, log = ot.gromov.gromov_wasserstein(
                of_images, of_texts, loss_fun="square_loss", symmetric=True, G0=start, max_iter=STEPS, log=True
            )
        match = linear_sum_assignment(plan, maximize=True)[1]
        return exchanged(of_images, of_texts, match) if self.exchange else match, len(log["loss"]) <= STEPS

    def notes(self) -> dict[str, Any]:
        """Say how many classes were matched rightly, and whether the right matching would have distorted less.

        Where it would, the search has failed; where not, the two sides do not agree.
        """
        return self._notes

    def images(self, x: Float32) -> Float32:
        """Centre and turn image rows."""
        return finished((x - self._image_mean) @ self._rotation, renormalise=self.renormalise)

    def texts(self, t: Float32) -> Float32:
        """Centre text rows."""
        return finished(t - self._text_mean, renormalise=self.renormalise)


def _distances(centred: Float64, side: str) -> Float64:
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(norms > 0, norms, 1)
    distances = np.sqrt(squared_distances(unit, unit))
    np.fill_diagonal(distances, 0)
    if not distances.any():
        raise DataError(f"All classes have the same {side}: nothing tells which is which. Leave this aligner out.")
    return distances / distances.mean()


def _starts(of_images: Float64, of_texts: Float64) -> list[Float64]:
    """Give the plans that the solver starts from: the one that prefers nothing, and one of sorted distances."""
    n = len(of_images)
    profile = linear_sum_assignment(squared_distances(np.sort(of_images, axis=1), np.sort(of_texts, axis=1)))[1]
    return [np.full((n, n), 1 / n**2), np.eye(n)[profile] / n]


def distortion(of_images: Float64, of_texts: Float64, match: Int64) -> float:
    """Mean squared difference between the distances of classes and those of their matches."""
    return float(np.mean((of_images - of_texts[np.ix_(match, match)]) ** 2))


def exchanged(of_images: Float64, of_texts: Float64, match: Int64) -> Int64:
    """Exchange the texts of the two classes that gain most, until none gain: O(C^3) a step."""
    match = match.copy()
    while True:
        placed = of_texts[np.ix_(match, match)]
        products = of_images @ placed
        kept = np.diag(products)
        # What sum(D^x * D^t) gains, halved; both matrices are symmetric with a diagonal of zeros.
        gain = products + products.T - kept[:, None] - kept + 2 * of_images * placed
        i, k = np.unravel_index(gain.argmax(), gain.shape)
        if gain[i, k] <= 1e-9 * abs(kept.sum()):  # rounding must not exchange for ever
            return match
        match[[i, k]] = match[[k, i]]


def rotation(source: Float64, target: Float64) -> Float64:
    r"""``(d, d)`` orthogonal matrix that brings centred rows nearest to others, and else is near to the identity.

    The polar factor of :math:`S^\top T + \rho I`, with a vanishing :math:`\rho`: where neither side has anything, it is
    the identity, so the singular value decomposition is one of at most 2C dimensions.
    """
    basis = np.linalg.qr(np.concatenate([source, target]).T)[0]
    cross = (source @ basis).T @ (target @ basis)
    left, _, right = np.linalg.svd(cross + PULL * np.linalg.norm(cross, 2) * np.eye(len(cross)))
    return np.eye(len(basis)) + basis @ (left @ right - np.eye(len(cross))) @ basis.T
