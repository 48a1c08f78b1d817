"""Training a pair of maps with the symmetric InfoNCE loss; PyTorch is imported when a training begins.

Nothing global of PyTorch is touched: random numbers come from a generator of the call, threads, default types and the
gradient mode stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gapbench.components import Float32, Int64

#: Score of what is no candidate: far below any cosine over a temperature, but finite, so that gradients are too.
NO_CANDIDATE = -1e9


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long and how fast to train.

    Parameters
    ----------
    tau
        Temperature of the loss; CLIP's training ends at 0.01.
    epochs, patience
        Passes over the pairs at most, and passes without a better validation loss that end it earlier.
    lr, weight_decay
        Step length and decay of AdamW.
    batch
        Pairs a batch at most.
    """

    tau: float = 0.01
    epochs: int = 100
    lr: float = 1e-3
    weight_decay: float = 0.01
    batch: int = 256
    patience: int = 10


class Pairs:
    """Pairs of rows, with each distinct row stored once.

    Class prompts repeat, and so do images with several captions. A row that belongs to a pair's other row, in this pair
    or in another one, is no negative of it; of the others each distinct one is a negative once.

    Parameters
    ----------
    images, texts
        ``(P, d)`` unit rows, row by row a pair.
    """

    def __init__(self, images: Float32, texts: Float32) -> None:
        from scipy.sparse import csr_array

        self.images, self.image_of = distinct(images)
        self.texts, self.text_of = distinct(texts)
        shape = (len(self.images), len(self.texts))
        self._own = csr_array((np.ones(len(images), dtype=bool), (self.image_of, self.text_of)), shape=shape)

    def __len__(self) -> int:
        """P."""
        return len(self.image_of)

    def has_negatives(self) -> bool:
        """Whether any image has a text, or any text an image, that is not its own."""
        return int(self._own.count_nonzero()) < len(self.images) * len(self.texts)

    def batch(self, rows: Int64, device: Any = "cpu") -> tuple[Any, ...]:
        """Give distinct images, distinct texts, positions of the pairs' rows in them, and what belongs together."""
        import torch

        images, image_of = np.unique(self.image_of[rows], return_inverse=True)
        texts, text_of = np.unique(self.text_of[rows], return_inverse=True)
        own = self._own[images][:, texts].toarray()
        arrays = (self.images[images], self.texts[texts], image_of, text_of, own)
        return tuple(torch.from_numpy(array).to(device) for array in arrays)

    def batches(self, size: int, generator: Any, device: Any = "cpu") -> Iterator[tuple[Any, ...]]:
        """Shuffle the pairs and cut them into batches of nearly equal size, at most ``size``; they come on ``device``."""
        import torch

        order = torch.randperm(len(self), generator=generator).numpy()
        for rows in np.array_split(order, -(-len(self) // size)):
            yield self.batch(rows, device)


def distinct(rows: Float32) -> tuple[Float32, Int64]:
    """Give the distinct rows and, for each row, its position among them."""
    keys = np.ascontiguousarray(rows).view(f"V{rows.shape[1] * rows.itemsize}").ravel()
    _, first, position = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], position


def info_nce(tau: float, images: Any, texts: Any, image_of: Any, text_of: Any, own: Any) -> Any:
    r"""Mean over pairs p of :math:`-\tfrac12 \log \frac{e^{s_p}}{e^{s_p} + \sum_n e^{s_n}}`, both ways: symmetric InfoNCE.

    ``images`` and ``texts`` are mapped unit rows, s cosines over ``tau``, n the rows of the other side that are not the
    pair's own (Oord, Li, Vinyals 2018, arXiv 1807.03748; both ways as in CLIP, Radford et al. 2021, arXiv 2103.00020).
    """
    from torch.nn.functional import softplus

    scores = images @ texts.T / tau
    positive = scores[image_of, text_of]
    others = scores.masked_fill(own, NO_CANDIDATE)
    by_image, by_text = others.logsumexp(1)[image_of], others.logsumexp(0)[text_of]
    return (softplus(by_image - positive) + softplus(by_text - positive)).mean() / 2


class AdamW:
    """Adam with decoupled weight decay (Loshchilov, Hutter, ICLR 2019, arXiv 1711.05101, algorithm 2).

    ``torch.optim`` has it, but making its first optimizer imports PyTorch's compiler: seconds, for a fit of less.
    """

    def __init__(self, weights: Sequence[Any], lr: float, decay: float) -> None:
        self.weights, self.lr, self.decay = weights, lr, decay
        self.first = [weight.new_zeros(weight.shape) for weight in weights]
        self.second = [weight.new_zeros(weight.shape) for weight in weights]
        self.steps = 0

    def step(self, gradients: Sequence[Any], beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        """Move the weights in place."""
        self.steps += 1
        own1, own2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for weight, gradient, first, second in zip(self.weights, gradients, self.first, self.second, strict=True):
            first.lerp_(gradient, 1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            weight.mul_(1 - self.lr * self.decay)
            weight.addcdiv_(first, (second / own2).sqrt_().add_(eps), value=-self.lr / own1)


def train(
    start: Sequence[Float32],
    maps: Callable[[Sequence[Any], Any, Any], tuple[Any, Any]],
    fit: Pairs,
    validation: Pairs,
    settings: Settings,
    seed: int,
    device: Any = "cpu",
) -> tuple[list[Float32], dict[str, Any]]:
    """Train weights and give those of the epoch that was best on the validation pairs, the start included.

    Parameters
    ----------
    start
        The weights before the first step.
    maps
        ``maps(weights, images, texts)`` maps both sides; rows are normalised here.
    fit, validation
        Pairs to learn from and pairs to choose the epoch on.
    settings, seed
        Stops after ``patience`` epochs without a better validation loss.
    device
        What PyTorch computes on; the weights come back as NumPy arrays.

    Returns
    -------
    weights, notes
        The notes say how far it went; without negatives on both sides there is nothing to learn, or to choose by.
    """
    import torch
    from torch.nn.functional import normalize

    if not (fit.has_negatives() and validation.has_negatives()):
        return list(start), {"epochs": 0, "chosen_epoch": 0, "nothing_to_tell_apart": True}

    def loss_of(weights: Sequence[Any], batch: tuple[Any, ...]) -> Any:
        images, texts = (normalize(rows, dim=1) for rows in maps(weights, *batch[:2]))
        return info_nce(settings.tau, images, texts, *batch[2:])

    def validated() -> float:
        with torch.no_grad():
            sums = [float(loss_of(weights, batch)) * len(batch[2]) for batch in apart]
        return sum(sums) / len(validation)

    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(mode=False), torch.enable_grad():
        weights = [torch.from_numpy(weight.copy()).to(device) for weight in start]
        optimizer = AdamW(weights, settings.lr, settings.weight_decay)
        apart = list(validation.batches(settings.batch, generator, device))
        first = least = validated()
        best, chosen, epoch = [weight.clone() for weight in weights], 0, 0
        while epoch < settings.epochs and epoch - chosen < settings.patience:
            epoch += 1
            for batch in fit.batches(settings.batch, generator, device):
                watched = [weight.detach().requires_grad_() for weight in weights]  # shares the memory of the weights
                optimizer.step(torch.autograd.grad(loss_of(watched, batch), watched))
            loss = validated()
            if loss < least:  # false for NaN: a training that diverges ends at its last good epoch
                least, chosen, best = loss, epoch, [weight.clone() for weight in weights]
    notes = {"epochs": epoch, "chosen_epoch": chosen, "first_validation_loss": first, "least_validation_loss": least}
    return [weight.cpu().numpy() for weight in best], notes
