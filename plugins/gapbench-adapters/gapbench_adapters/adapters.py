"""Small maps that are trained on pairs; the encoder stays as it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from gapbench.errors import DataError
from gapbench_adapters.contrastive import Pairs, Settings, train
from gapbench_adapters.rows import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import FitData, Float32


class Adapter:
    """A residual map of one side or of both, trained with the symmetric InfoNCE loss and stopped on validation pairs.

    Subclasses say how weights start and what the map is; the map starts as the identity. Training takes at most
    ``epochs`` passes in batches of at most ``batch`` pairs with AdamW, and keeps the weights of the epoch with the
    smallest loss on the validation slice, the start included: where nothing helps, nothing is changed.
    """

    name: ClassVar[str]

    def __init__(self, *, side: str, alpha: float, **training: Any) -> None:
        self.side = side
        self.alpha = alpha
        self.settings = Settings(**training)
        vars(self).update(asdict(self.settings))

    def start(self, dim: int, rng: np.random.Generator) -> list[Float32]:
        """Weights of one side before training."""
        raise NotImplementedError

    def residual(self, rows: Any, weights: Sequence[Any]) -> Any:
        """Map rows, not yet normalised; written so that it works on NumPy arrays and on PyTorch tensors."""
        raise NotImplementedError

    def fit(self, data: FitData) -> Self:
        """Train on the pairs, choose the epoch on the validation slice."""
        fit, validation = self._pairs(data, "to learn from"), self._pairs(data.validation, "in the validation slice")
        sides = ("images", "texts") if self.side == "both" else (self.side,)
        start = [weight for _ in sides for weight in self.start(data.dim, data.rng)]
        each = len(start) // len(sides)

        def of(side: str, weights: Sequence[Any]) -> Sequence[Any] | None:
            return weights[each * sides.index(side) :][:each] if side in sides else None

        def maps(weights: Sequence[Any], images: Any, texts: Any) -> tuple[Any, Any]:
            return self._mapped(images, of("images", weights)), self._mapped(texts, of("texts", weights))

        seed = int(data.rng.integers(2**62))
        weights, self._notes = train(start, maps, fit, validation, self.settings, seed, data.context.torch_device())
        self._images, self._texts = of("images", weights), of("texts", weights)
        self._notes["pairs_fitted"] = len(fit)
        return self

    def _pairs(self, data: FitData, what: str) -> Pairs:
        images, texts = data.pairs
        if len(images) == 0:
            raise DataError(f"{self.name!r} has no pairs {what}. Give it a larger fit split, or leave it out.")
        return Pairs(images, texts)

    def _mapped(self, rows: Any, weights: Sequence[Any] | None) -> Any:
        return rows if weights is None else self.residual(rows, weights)

    def images(self, x: Float32) -> Float32:
        """Map image rows ``(N, d)``; unit rows, or as they came where this side is not mapped."""
        return x if self._images is None else unit_rows(self.residual(x, self._images))

    def texts(self, t: Float32) -> Float32:
        """Map text rows ``(M, d)``; unit rows, or as they came where this side is not mapped."""
        return t if self._texts is None else unit_rows(self.residual(t, self._texts))

    def notes(self) -> dict[str, Any]:
        """Say how long it trained, which epoch was chosen, and the validation loss before and after."""
        return dict(self._notes)


class LinearAdapter(Adapter):
    r"""Residual linear map :math:`v' = n(v + a\, v W)`, trained on pairs; W starts at zero.

    The gradients go through this map alone, as in LABCLIP, which trains one such matrix on the text side (Koishigarina,
    Uselis, Oh, CLIP Behaves like a Bag-of-Words Model Cross-modally but not Uni-modally, 2025, arXiv 2502.03566; with hard
    negatives, which are not made here). Weight decay pulls towards the identity. Fit O(epochs N (d^2 + batch d)), O(d^2)
    a row.

    Parameters
    ----------
    side
        ``images``, ``texts`` or ``both``, which has a matrix each.
    alpha
        a, the weight of the residual.
    training
        The fields of `Settings`.
    """

    name = "linear-adapter"

    def __init__(self, *, side: str = "images", alpha: float = 1.0, **training: Any) -> None:
        super().__init__(side=side, alpha=alpha, **training)

    def start(self, dim: int, rng: np.random.Generator) -> list[Float32]:
        """Give the matrix of zeros."""
        del rng
        return [np.zeros((dim, dim), dtype=np.float32)]

    def residual(self, rows: Any, weights: Sequence[Any]) -> Any:
        """Add the linear map."""
        return rows + self.alpha * (rows @ weights[0])


class MlpAdapter(Adapter):
    r"""Residual bottleneck :math:`v' = n((1 - \alpha) v + \alpha\, \mathrm{ReLU}(v W_1) W_2)`, trained on pairs.

    The shape is CLIP-Adapter's (Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024,
    arXiv 2110.04544). :math:`W_2` starts at zero, so that the map starts as the identity, and for that no ReLU
    follows it; the paper trains on labels with cross entropy, here it is pairs. Fit O(epochs N (d hidden + batch d)),
    O(d hidden) a row.

    Parameters
    ----------
    side
        ``images``, ``texts`` or ``both``, which has weights each.
    alpha
        Share of what is learnt, below 1.
    hidden
        Width of the bottleneck; 0 takes d / 4.
    training
        The fields of `Settings`.
    """

    name = "mlp-adapter"

    def __init__(self, *, side: str = "images", alpha: float = 0.2, hidden: int = 0, **training: Any) -> None:
        super().__init__(side=side, alpha=alpha, **training)
        self.hidden = hidden

    def start(self, dim: int, rng: np.random.Generator) -> list[Float32]:
        """Draw the first layer so that unit rows come out of it with norms around 1; the second is zero."""
        hidden = self.hidden or max(1, dim // 4)
        first = rng.standard_normal((dim, hidden)) * np.sqrt(2 / hidden)
        return [first.astype(np.float32), np.zeros((hidden, dim), dtype=np.float32)]

    def residual(self, rows: Any, weights: Sequence[Any]) -> Any:
        """Mix the rows with what the bottleneck makes of them."""
        return (1 - self.alpha) * rows + self.alpha * ((rows @ weights[0]).clip(min=0) @ weights[1])
