"""Class texts replaced by proxies that are learnt among the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench_adapters.rows import blocks, nearest

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32, Float64

#: Once a step is shorter than this, the remaining ones together move no proxy by what float32 can show.
STILL = 1e-13


class VisionProxies:
    r"""Learn one proxy a class among the unlabelled test images, from labels that the texts give them.

    Pseudo labels :math:`y_i = \mathrm{softmax}(x_i T^\top / \tau_t)`, optionally balanced over the classes by Sinkhorn;
    where the largest entry is above :math:`\alpha` it becomes 1 and the others 0. The proxies W start at the texts T and
    follow the gradient of the mean cross entropy,
    :math:`G = \tfrac{1}{N \tau_i} (\mathrm{softmax}(X W^\top / \tau_i) - Y)^\top X`, :math:`W \leftarrow n(W - \eta G)`,
    with :math:`\eta` halved whenever :math:`\|G\|` has grown (Qian, Xu, Hu, Intra-Modal Proxy Learning for Zero-Shot
    Visual Categorization with CLIP, NeurIPS 2023, arXiv 2310.19752). A text row becomes the proxy of the class whose text
    it is nearest to, so all prompts of a class become one. Transductive. Fit O(iterations N C d), all in float64.

    Parameters
    ----------
    tau_t, tau_i
        Temperatures of the texts' labels and of the proxies.
    alpha
        Threshold above which a label is hardened.
    balance
        Whether the labels are balanced: each class then has the same share of the images.
    rounds
        Rounds of balancing.
    lr
        First step length :math:`\eta`.
    iterations
        Number of steps.
    """

    def __init__(
        self,
        *,
        tau_t: float = 0.01,
        tau_i: float = 0.04,
        alpha: float = 0.6,
        balance: bool = False,
        rounds: int = 20,
        lr: float = 10.0,
        iterations: int = 2000,
    ) -> None:
        self.tau_t = tau_t
        self.tau_i = tau_i
        self.alpha = alpha
        self.balance = balance
        self.rounds = rounds
        self.lr = lr
        self.iterations = iterations

    def fit(self, data: FitData) -> Self:
        """Label the images by their texts, then learn the proxies."""
        self._class_texts = data.class_texts
        images, texts = data.test_images.astype(np.float64), self._class_texts.astype(np.float64)
        labels = softmax(images @ texts.T / self.tau_t)
        if self.balance:
            labels = balanced(labels, self.rounds)
        sure = labels.max(axis=1) > self.alpha
        best = labels[sure].argmax(axis=1)
        labels[sure] = 0
        labels[sure, best] = 1
        self._sure = float(sure.mean())
        self._proxies = self._learn(images, texts, labels.T @ images).astype(np.float32)
        return self

    def _learn(self, images: Float64, proxies: Float64, wanted: Float64) -> Float64:
        """Descend; ``wanted`` is the sum of the images of each class by their labels."""
        lr, before = self.lr, np.inf
        self._steps = 0
        while self._steps < self.iterations:
            found = np.zeros_like(wanted)
            for block in blocks(len(images), len(proxies), 2**15):
                found += softmax(images[block] @ (proxies.T / self.tau_i)).T @ images[block]
            gradient = (found - wanted) / (len(images) * self.tau_i)
            length = float(np.linalg.norm(gradient))
            if length > before:
                lr /= 2
            before = length
            if lr * length < STILL:
                break
            proxies = proxies - lr * gradient
            proxies /= np.maximum(np.linalg.norm(proxies, axis=1, keepdims=True), np.finfo(np.float64).tiny)
            self._steps += 1
        return proxies

    def images(self, x: Float32) -> Float32:
        """Images stay as they are."""
        return x

    def texts(self, t: Float32) -> Float32:
        """Give each text row ``(M, d)`` the proxy of its class."""
        proxies: Float32 = self._proxies[nearest(t, self._class_texts)]
        return proxies

    def notes(self) -> dict[str, Any]:
        """Say what was learnt from."""
        return {"share_of_hard_labels": self._sure, "steps": self._steps}


def softmax(logits: Float64) -> Float64:
    """Softmax of each row, in place: this is where the time goes."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def balanced(labels: Float64, rounds: int) -> Float64:
    """Scale columns to equal sums and rows to 1, in turns: Sinkhorn towards uniform classes."""
    labels = labels.copy()
    for _ in range(rounds):
        labels /= np.maximum(labels.sum(axis=0), np.finfo(np.float64).tiny)
        labels /= labels.sum(axis=1, keepdims=True)
    return labels
