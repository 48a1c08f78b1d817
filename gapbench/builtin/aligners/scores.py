"""Methods that change scores and leave the embeddings, and so the gap, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gapbench.builtin.aligners.affine import RANK_TOLERANCE, shrunk

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32


class LogitBias:
    r"""Subtract what a candidate scores on average: :math:`s'(x, t) = x \cdot t - w\, \mu_x \cdot t`.

    The mean logit of each class over unlabelled images, and for text queries the mean of each image over texts. It ranks
    texts as `dn` with strength w does. Fit O(N d), one inner product a candidate.

    Parameters
    ----------
    weight
        w; 1 takes the whole mean out.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        self.weight = weight

    def fit(self, data: FitData) -> Self:
        """Take both means."""
        self._image_mean = data.moments.images.mean
        self._text_mean = data.moments.texts.mean
        return self

    def text_bias(self, t: Float32) -> Float32:
        """``(M,)`` what is added to the score of each text."""
        return (-self.weight * (t @ self._image_mean)).astype(np.float32)

    def image_bias(self, x: Float32) -> Float32:
        """``(N,)`` what is added to the score of each image."""
        return (-self.weight * (x @ self._text_mean)).astype(np.float32)


class GaussianDiscriminant:
    r"""Add a Gaussian discriminant of the images to the zero-shot score (GDA-CLIP).

    :math:`s'(x, t_c) = x \cdot t_c + \tfrac{a}{100} (x^\top S^{-1} \mu_c + \log p_c - \tfrac12 \mu_c^\top S^{-1} \mu_c)`
    with the classes' means and shares of the fit images and their pooled within-class covariance S (Wang et al., A
    Hard-to-Beat Baseline for Training-free CLIP-based Adaptation, ICLR 2024). The paper shrinks by the trace with a weight
    that depends on N; here S is :math:`(1 - s) S + s \tfrac{\operatorname{tr} S}{d} I`. A class without fit images keeps
    its zero-shot score plus the least of the other classes' terms. Supervised. Fit O(N d^2 + d^3), O(C d) a row.

    Parameters
    ----------
    alpha
        a, the weight of the discriminant; the paper chooses it on validation data.
    shrinkage
        s, 0..1.
    """

    def __init__(self, *, alpha: float = 0.1, shrinkage: float = 0.1) -> None:
        self.alpha = alpha
        self.shrinkage = shrinkage

    def fit(self, data: FitData) -> Self:
        """Solve for the discriminant of every class."""
        classes = data.moments.classes
        present = classes.counts > 0
        means = classes.sums[present] / classes.counts[present, None]
        spread = shrunk(classes.within / classes.counts.sum(), self.shrinkage)
        weights = means @ np.linalg.pinv(spread, rcond=RANK_TOLERANCE, hermitian=True)
        shares = np.log(classes.counts[present] / classes.counts.sum())
        self._weights, self._present = weights, present
        self._bias = shares - np.einsum("cd,cd->c", weights, means) / 2
        self._class_texts = data.class_texts.astype(np.float64)
        return self

    def scores(self, x: Float32, t: Float32) -> Float32:
        """``(N, M)`` scores; a text row stands for the class whose text it is nearest to."""
        terms = np.empty((len(x), len(self._present)))
        terms[:, self._present] = x @ self._weights.T + self._bias
        terms[:, ~self._present] = terms[:, self._present].min(axis=1, keepdims=True)
        owner = (t @ self._class_texts.T).argmax(axis=1)
        return (x @ t.T + self.alpha / 100 * terms[:, owner]).astype(np.float32)
