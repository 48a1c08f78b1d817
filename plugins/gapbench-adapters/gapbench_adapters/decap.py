"""Images in the words of a memory of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench_adapters.rows import blocks, unit_rows

if TYPE_CHECKING:
    from gapbench.components import FitData, Float32


class TextMemory:
    r"""Replace an image by texts that resemble it: :math:`x' = n(\sum_j \mathrm{softmax}_j(x \cdot m_j / \tau)\, m_j)`.

    The memory m holds unpaired texts of the fit split, so the result lies in the cone of the texts and the gap is closed
    by construction; what the memory does not say is lost (Li et al., DeCap: Decoding CLIP Latents for Zero-Shot
    Captioning via Text-Only Training, ICLR 2023). Texts stay as they are. Fit O(memory d), O(memory d) a row.

    Parameters
    ----------
    memory
        Texts kept, drawn without replacement where there are more.
    tau
        Temperature; the paper's is 1/100.
    top
        Texts with a weight, the most similar ones; 0 takes all. Texts as similar as the last of them count as well.
    """

    def __init__(self, *, memory: int = 10_000, tau: float = 0.01, top: int = 0) -> None:
        self.memory = memory
        self.tau = tau
        self.top = top

    def fit(self, data: FitData) -> Self:
        """Draw the memory."""
        texts = data.texts
        if len(texts) > self.memory:
            texts = texts[np.sort(data.rng.choice(len(texts), self.memory, replace=False))]
        self._texts = texts
        return self

    def images(self, x: Float32) -> Float32:
        """Rebuild image rows ``(N, d)`` from texts."""
        out = np.empty_like(x)
        for block in blocks(len(x), len(self._texts)):
            weights = x[block] @ self._texts.T
            if 0 < self.top < len(self._texts):
                least = np.partition(weights, -self.top, axis=1)[:, -self.top, None]
                weights[weights < least] = -np.inf
            weights -= weights.max(axis=1, keepdims=True)
            weights = np.exp(weights / np.float32(self.tau))
            weights /= weights.sum(axis=1, keepdims=True)
            out[block] = unit_rows(weights @ self._texts)
        return out

    def texts(self, t: Float32) -> Float32:
        """Texts stay as they are."""
        return t

    def notes(self) -> dict[str, Any]:
        """Say how many texts there are to speak with."""
        return {"texts_in_memory": len(self._texts)}
