"""Built-in aligners: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import ActsOn, AlignerSpec, Need, Param

_RENORMALISE = Param(default=True, doc="normalise the result")
_LIANG = (
    "W. Liang, Y. Zhang, Y. Kwon, S. Yeung, J. Zou, Mind the Gap: Understanding the Modality Gap in Multi-modal "
    "Contrastive Representation Learning, NeurIPS 2022, arXiv 2203.02053"
)

SPECS = (
    AlignerSpec(
        name="identity",
        factory="gapbench.builtin.aligners.controls:Identity",
        summary="changes nothing: what every other aligner is compared with",
        family="baseline",
        needs=frozenset(),
        acts_on=ActsOn.NOTHING,
    ),
    AlignerSpec(
        name="random-rotation",
        factory="gapbench.builtin.aligners.controls:RandomRotation",
        summary="control: turns the images at random, so nothing may be left of the task",
        family="control",
        needs=frozenset(),
        acts_on=ActsOn.IMAGES,
        stochastic=True,
        reference=(
            "F. Mezzadri, How to Generate Random Matrices from the Classical Compact Groups, Notices of the AMS 54, "
            "2007, arXiv math-ph/0609050"
        ),
    ),
    AlignerSpec(
        name="mean-center",
        factory="gapbench.builtin.aligners.means:MeanCenter",
        summary="subtracts each modality's mean",
        family="mean",
        needs=frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS}),
        acts_on=ActsOn.BOTH,
        params={
            "strength": Param(default=1.0, low=0.0, high=1.0, doc="share of the mean that is subtracted"),
            "renormalise": _RENORMALISE,
        },
        reference=(
            "Y. Zhang, E. Sui, S. Yeung-Levy, Connect, Collapse, Corrupt: Learning Cross-Modal Tasks with Uni-Modal "
            "Data, ICLR 2024, arXiv 2401.08567"
        ),
    ),
    AlignerSpec(
        name="gap-shift",
        factory="gapbench.builtin.aligners.means:GapShift",
        summary="moves the modalities towards each other along the gap's direction",
        family="mean",
        needs=frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS}),
        acts_on=ActsOn.BOTH,
        params={
            "delta": Param(default=0.5, low=-5.0, high=5.0, doc="length of the shift, both sides together"),
            "side": Param(default="both", choices=("both", "images", "texts"), doc="which side moves"),
            "renormalise": _RENORMALISE,
        },
        reference=_LIANG,
    ),
    AlignerSpec(
        name="procrustes",
        factory="gapbench.builtin.aligners.procrustes:Procrustes",
        summary="orthogonal map from images to the texts of their pairs (the seed study's)",
        family="paired linear",
        needs=frozenset({Need.PAIRS}),
        acts_on=ActsOn.BOTH,
        params={
            "center": Param(default=False, doc="subtract each side's mean, on both sides"),
            "scale": Param(default=False, doc="also scale by the least-squares factor"),
            "side": Param(default="images", choices=("images", "texts"), doc="which side is mapped onto the other"),
            "pull": Param(default=0.0, low=0.0, high=1e6, doc="weight of a pull towards the identity, per pair"),
            "tie_break": Param(
                default="identity",
                choices=("identity", "none"),
                doc="what decides the part of the rotation that the pairs leave open",
            ),
            "renormalise": Param(default=False, doc="normalise what was changed"),
        },
        reference=(
            "P. H. Schonemann, A generalized solution of the orthogonal Procrustes problem, Psychometrika 31, 1966"
        ),
    ),
)
