"""Built-in metrics: specs only, implementations are imported when they are built."""

from __future__ import annotations

from dataclasses import replace

from gapbench.builtin.metrics.geometry_specs import GEOMETRY_SPECS
from gapbench.builtin.metrics.task_specs import TASK_SPECS
from gapbench.specs import Better, MetricFamily, MetricSpec, Need, Param

_TASKS = "gapbench.builtin.metrics.tasks"
_GAPS = "gapbench.builtin.metrics.gaps"
_SCHRODI = "S. Schrodi et al., Two Effects, One Trigger, ICLR 2025, arXiv 2404.07983"


def _task(name: str, factory: str, summary: str, need: Need, **options: int) -> MetricSpec:
    return MetricSpec(
        name=name,
        factory=f"{_TASKS}:{factory}",
        summary=summary,
        unit="share",
        better=Better.HIGHER,
        family=MetricFamily.TASK,
        needs=frozenset({need}),
        options=options,
    )


def _by_k(name: str, factory: str, summary: str, need: Need, default: int = 10) -> MetricSpec:
    """Describe a metric of which the user says k."""
    k = Param(default=default, low=1, high=1_000_000, doc="how many of the first are looked at")
    return replace(_task(name, factory, summary, need), params={"k": k}, default=False)


SPECS = (
    _task("top1", "TopClasses", "share of images whose best class is the right one", Need.LABELS, k=1),
    _task("top5", "TopClasses", "share of images with the right class among the five best", Need.LABELS, k=5),
    _task("mean-per-class-recall", "MeanPerClassRecall", "top1 with every class weighing the same", Need.LABELS),
    *(
        _task(
            f"i2t-recall@{k}",
            "ImageToText",
            f"share of images with an own caption in the first {k}",
            Need.CAPTIONS,
            k=k,
        )
        for k in (1, 5, 10)
    ),
    *(
        _task(
            f"t2i-recall@{k}", "TextToImage", f"share of captions with their image in the first {k}", Need.CAPTIONS, k=k
        )
        for k in (1, 5, 10)
    ),
    _by_k("top", "TopClasses", "share of images with the right class among the k best: top[k=2]", Need.LABELS, 3),
    _by_k("i2t-recall", "ImageToText", "share of images with an own caption in the first k", Need.CAPTIONS),
    _by_k("t2i-recall", "TextToImage", "share of captions with their image in the first k", Need.CAPTIONS),
    *TASK_SPECS,
    MetricSpec(
        name="centroid-l2",
        factory=f"{_GAPS}:CentroidDistance",
        summary="distance between the two modalities' means (unit rows)",
        unit="distance",
        better=Better.LOWER,
        family=MetricFamily.GAP,
        reference="W. Liang et al., Mind the Gap, NeurIPS 2022, arXiv 2203.02053",
    ),
    MetricSpec(
        name="rmg",
        factory=f"{_GAPS}:RelativeModalityGap",
        summary="distance of pairs relative to distances within modalities; 0.5: as far as random items",
        unit="ratio",
        better=Better.LOWER,
        family=MetricFamily.GAP,
        needs=frozenset({Need.PAIRS}),
        reference=_SCHRODI,
    ),
    MetricSpec(
        name="paired-cos",
        factory=f"{_GAPS}:PairedCosine",
        summary="mean cosine of pairs",
        unit="cosine",
        better=Better.HIGHER,
        family=MetricFamily.GAP,
        needs=frozenset({Need.PAIRS}),
        reference=_SCHRODI,
    ),
    MetricSpec(
        name="linear-separability",
        factory=f"{_GAPS}:LinearSeparability",
        summary="held-out accuracy of a linear classifier that tells the modalities apart",
        unit="share",
        better=Better.LOWER,
        family=MetricFamily.GAP,
        reference="A. Fahim et al., It's Not a Modality Gap, 2024, arXiv 2405.18570",
    ),
    *GEOMETRY_SPECS,
)
