"""Fitting an aligner on toy data just as a run does: behind the guard, rows checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitdata import WHOLE, FitRows, GuardedFitData
from gapbench.bench.fitting import set_apart
from gapbench.bench.scored import AlignedSplit
from gapbench.specs import Need

if TYPE_CHECKING:
    from gapbench.components import EmbeddedSplit, Float32
    from gapbench.specs import AlignerSpec

#: Needs that only data with classes can meet.
OF_CLASSES = frozenset({Need.LABELS, Need.CLASS_TEXTS})


def fit_aligner(
    aligner: Any, spec: AlignerSpec, split: EmbeddedSplit, *, seed: int = 0, rows: FitRows | None = None
) -> Any:
    """Fit on a split; transductive needs are met with the same split.

    Parameters
    ----------
    rows
        Other rows than those of the split, for instance poisoned ones.
    """
    captioned = split.captions is not None
    fit = FitRows(split, captioned=captioned, raw=spec.raw) if rows is None else rows
    test, apart = fit, None
    if Need.VALIDATION in spec.needs:
        fit, apart = (fit, fit) if rows is not None else set_apart(fit, seed)
    fitted = aligner.fit(GuardedFitData(spec, fit, np.random.default_rng(seed), validation=apart, test=test))
    return aligner if fitted is None else fitted


def aligned(aligner: Any, spec: AlignerSpec, split: EmbeddedSplit) -> AlignedSplit:
    """Give a split after alignment, as metrics read it."""
    rows = FitRows(split, captioned=split.captions is not None, raw=spec.raw)
    return AlignedSplit(rows, aligner, spec, np.random.default_rng(0))


def all_scores(aligner: Any, spec: AlignerSpec, split: EmbeddedSplit) -> Float32:
    """``(N, M)`` scores as images rank texts, biases included."""
    return aligned(aligner, spec, split).sample.ranked("images")


class PoisonedRows(FitRows):
    """Rows whose arrays are NaN unless the spec declares them: what is read in secret comes out."""

    def __init__(self, spec: AlignerSpec, split: EmbeddedSplit) -> None:
        super().__init__(split, captioned=split.captions is not None, raw=spec.raw)
        self._needs = spec.needs

    def _poison(self, rows: Float32, *needs: Need) -> Float32:
        return rows if self._needs & set(needs) else np.full_like(rows, np.nan)

    def all_images(self, block: slice = WHOLE) -> Float32:
        """Image rows, or NaN."""
        return self._poison(super().all_images(block), Need.UNPAIRED_IMAGES, Need.TEST_IMAGES)

    def all_texts(self, block: slice = WHOLE) -> Float32:
        """Text rows, or NaN."""
        return self._poison(super().all_texts(block), Need.UNPAIRED_TEXTS, Need.TEST_TEXTS)

    def all_pairs(self, block: slice = WHOLE) -> tuple[Float32, Float32]:
        """Pairs, or NaN."""
        images, texts = super().all_pairs(block)
        return self._poison(images, Need.PAIRS), self._poison(texts, Need.PAIRS)
