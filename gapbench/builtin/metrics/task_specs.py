"""Specs of the task metrics beyond accuracy and recall. Those that are not a default are asked for by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from gapbench.specs import Better, MetricFamily, MetricSpec, Need

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Of metrics of clusters.
_NOT_JUDGED = {
    "gives what tests and intervals need": "which clusters k-means finds varies most, and no interval would hold that"
}

_HERE = "gapbench.builtin.metrics"
_MIXED = "Li et al., Closing the Modality Gap for Mixed Modality Search, 2025, arXiv 2507.19054"
_TRANSFER = "Y. Zhang et al., Diagnosing and Rectifying Vision Models using Language, ICLR 2023, arXiv 2302.04269"
_MODGAP = "E. Grassucci et al., ICLR 2026, arXiv 2601.18525"


def _task(
    name: str,
    factory: str,
    summary: str,
    *needs: Need,
    unit: str = "share",
    better: Better = Better.HIGHER,
    default: bool = False,
    reference: str = "",
    expected_failures: Mapping[str, str] = MappingProxyType({}),
    **options: float | str,
) -> MetricSpec:
    return MetricSpec(
        name=name,
        factory=f"{_HERE}.{factory}",
        summary=summary,
        unit=unit,
        better=better,
        family=MetricFamily.TASK,
        needs=frozenset(needs),
        default=default,
        reference=reference,
        expected_failures=expected_failures,
        options=options,
    )


TASK_SPECS = (
    _task(
        "ece",
        "calibration:CalibrationError",
        "calibration error of class probabilities after one re-fitted temperature",
        Need.LABELS,
        better=Better.LOWER,
        reference="C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv 1706.04599",
    ),
    _task(
        "margin",
        "calibration:Margin",
        "score of the right class minus the best other one; depends on the scale of scores",
        Need.LABELS,
        unit="score",
    ),
    _task(
        "i2t-median-rank",
        "ranks:ImageToTextMedianRank",
        "median position of the best own caption of an image",
        Need.CAPTIONS,
        unit="rank",
        better=Better.LOWER,
    ),
    _task(
        "t2i-median-rank",
        "ranks:TextToImageMedianRank",
        "median position of the own image of a caption",
        Need.CAPTIONS,
        unit="rank",
        better=Better.LOWER,
    ),
    _task(
        "i2t-map@10",
        "ranks:ImageToTextPrecision",
        "mean average precision in the first 10 texts, all own captions relevant",
        Need.CAPTIONS,
        unit="ratio",
        k=10,
    ),
    _task(
        "t2i-map@10",
        "ranks:TextToImagePrecision",
        "mean of one over the position of the own image, within the first 10",
        Need.CAPTIONS,
        unit="ratio",
        k=10,
    ),
    *(
        _task(
            f"i2t-all-recall@{k}",
            "ranks:AllCaptions",
            f"share of images with all own captions in the first {k}",
            Need.CAPTIONS,
            k=k,
        )
        for k in (5, 10)
    ),
    _task(
        "mixed-ndcg@10",
        "mixed_search:MixedNdcg",
        "text queries over images, texts and both fused: gain of the first 10 over the ideal",
        Need.CAPTIONS,
        unit="ratio",
        default=True,
        reference=_MIXED,
    ),
    _task(
        "mixed-recall@10",
        "mixed_search:MixedRecall",
        "text queries over images, texts and both fused: share of own documents in the first 10",
        Need.CAPTIONS,
        reference=_MIXED,
    ),
    _task(
        "same-modality-share@10",
        "mixed_search:SameModalityShare",
        "text queries over a mixed corpus: share of texts in the first 10 beyond their share; 0: no bias",
        Need.CAPTIONS,
        unit="difference",
        better=Better.NEITHER,
        default=True,
        reference=_MIXED,
    ),
    _task(
        "v-measure",
        "grouping:VMeasure",
        "k-means clusters of images and texts against the classes: homogeneity and completeness",
        unit="ratio",
        expected_failures=_NOT_JUDGED,
        reference=f"A. Rosenberg and J. Hirschberg, EMNLP-CoNLL 2007; on mixed clusters {_MODGAP}",
    ),
    _task(
        "ari",
        "grouping:AdjustedRand",
        "k-means clusters of images and texts against the classes: pairs that agree, beyond chance",
        unit="agreement",
        expected_failures=_NOT_JUDGED,
        reference=f"L. Hubert and P. Arabie, J. Classification 2, 193, 1985; on mixed clusters {_MODGAP}",
    ),
    _task(
        "nmi",
        "grouping:NormalisedInformation",
        "k-means clusters of images and texts against the classes: shared information, geometric mean",
        unit="ratio",
        expected_failures=_NOT_JUDGED,
        reference=f"A. Strehl and J. Ghosh, JMLR 3, 583, 2002; on mixed clusters {_MODGAP}",
    ),
    _task(
        "text-to-image-transfer",
        "transfer:CrossModalTransfer",
        "images that a linear head learnt on texts classifies rightly",
        source="texts",
        reference=_TRANSFER,
    ),
    _task(
        "image-to-text-transfer",
        "transfer:CrossModalTransfer",
        "texts that a linear head learnt on images classifies rightly",
        source="images",
        reference=_TRANSFER,
    ),
    _task(
        "flip-rate-noise",
        "robustness:NoiseFlips",
        "images whose best text changes under noise of half the norm before alignment",
        better=Better.LOWER,
        level=0.5,
        reference="R. Chowers et al., Is the Modality Gap a Bug or a Feature?, 2026, arXiv 2603.29080",
    ),
    _task(
        "flip-rate-int8",
        "robustness:Int8Flips",
        "images whose best text changes when aligned rows are stored as int8",
        better=Better.LOWER,
        expected_failures={"notices a destroyed space": "rounding flips what is nearly tied, whatever the space knows"},
    ),
)
