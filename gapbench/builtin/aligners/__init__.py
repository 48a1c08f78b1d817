"""Built-in aligners: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.builtin.aligners.paired_specs import PAIRED
from gapbench.builtin.aligners.unpaired_specs import UNPAIRED
from gapbench.specs import ActsOn, AlignerSpec, Need

_CONTROLS = "gapbench.builtin.aligners.controls"

BASELINES = (
    AlignerSpec(
        name="identity",
        factory=f"{_CONTROLS}:Identity",
        summary="changes nothing: what every other aligner is compared with",
        family="baseline",
        needs=frozenset(),
        acts_on=ActsOn.NOTHING,
    ),
    AlignerSpec(
        name="random-rotation",
        factory=f"{_CONTROLS}:RandomRotation",
        summary="control: turns the images at random, so nothing may be left of the task",
        family="control",
        control=True,
        needs=frozenset(),
        acts_on=ActsOn.IMAGES,
        stochastic=True,
        reference=(
            "F. Mezzadri, How to Generate Random Matrices from the Classical Compact Groups, Notices of the AMS 54, "
            "2007, arXiv math-ph/0609050"
        ),
    ),
    AlignerSpec(
        name="shuffled-pairs",
        factory=f"{_CONTROLS}:ShuffledPairs",
        summary="control: procrustes on shuffled pairs, so it has learnt nothing of what belongs together",
        family="control",
        control=True,
        needs=frozenset({Need.PAIRS}),
        acts_on=ActsOn.IMAGES,
        stochastic=True,
        expected_failures={"learns from pairs what shuffled pairs do not tell": "it shuffles its pairs itself"},
    ),
    AlignerSpec(
        name="collapse-to-mean",
        factory=f"{_CONTROLS}:CollapseToMean",
        summary="control: every row becomes one point; the gap is closed and nothing is left",
        family="control",
        control=True,
        needs=frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS}),
        acts_on=ActsOn.BOTH,
    ),
)

SPECS = (*BASELINES, *UNPAIRED, *PAIRED)
