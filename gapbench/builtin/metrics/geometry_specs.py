"""Specs of the metrics of gap and geometry beyond the first four. Those that are not a default are asked for by name."""

from __future__ import annotations

from gapbench.specs import Better, MetricFamily, MetricSpec, Need

_HERE = "gapbench.builtin.metrics"
_ISOLA = "T. Wang, P. Isola, Understanding Contrastive Representation Learning, ICML 2020, arXiv 2005.10242"
_LIANG = "W. Liang et al., Mind the Gap, NeurIPS 2022, arXiv 2203.02053"
_SCHRODI = "S. Schrodi et al., Two Effects, One Trigger, ICLR 2025, arXiv 2404.07983"
_PAIRS = frozenset({Need.PAIRS})
_CAPTIONS = frozenset({Need.CAPTIONS})


def _gap(
    name: str,
    factory: str,
    summary: str,
    *,
    unit: str,
    better: Better = Better.NEITHER,
    needs: frozenset[Need] = frozenset(),
    default: bool = False,
    reference: str = "",
    **options: str,
) -> MetricSpec:
    return MetricSpec(
        name=name,
        factory=f"{_HERE}.{factory}",
        summary=summary,
        unit=unit,
        better=better,
        family=MetricFamily.GAP,
        needs=needs,
        default=default,
        reference=reference,
        options=options,
    )


_DISTANCES = (
    _gap(
        "centroid-cos",
        "distances:CentroidCosine",
        "cosine of the two modalities' means",
        unit="cosine",
        better=Better.HIGHER,
        reference="A. Fahim et al., It's Not a Modality Gap, 2024, arXiv 2405.18570",
    ),
    _gap(
        "paired-l2",
        "distances:PairedDistance",
        "mean distance of pairs",
        unit="distance",
        better=Better.LOWER,
        needs=_PAIRS,
        reference=_SCHRODI,
    ),
    *(
        _gap(
            f"{part}-gap",
            "distances:PairedGap",
            summary,
            unit="squared distance",
            better=Better.LOWER,
            needs=_PAIRS,
            reference="after X. Liu et al., 2026, arXiv 2604.00279",
            part=part,
        )
        for part, summary in (
            ("centroid", "squared distance of the means over pairs: what a translation can take away"),
            ("distribution", "mean squared distance of pairs once the means coincide"),
        )
    ),
    _gap(
        "frechet",
        "distances:Frechet",
        "Frechet distance of both modalities, taken for Gaussians",
        unit="squared distance",
        better=Better.LOWER,
        reference="D. C. Dowson, B. V. Landau, J. Multivariate Analysis 12, 1982",
    ),
    _gap(
        "mmd",
        "distances:MaximumMeanDiscrepancy",
        "squared maximum mean discrepancy; the kernel's bandwidth is that of the rows before alignment",
        unit="discrepancy",
        better=Better.LOWER,
        reference="A. Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012",
    ),
)

_SHAPES = (
    *(
        _gap(
            f"cone-{side}",
            "shapes:Cone",
            f"mean cosine of different {side}",
            unit="cosine",
            reference=_LIANG,
            side=side,
        )
        for side in ("images", "texts")
    ),
    *(
        _gap(f"uniformity-{over}", "shapes:Uniformity", summary, unit="log potential", reference=_ISOLA, over=over)
        for over, summary in (
            ("images", "how evenly images are spread; lower is more even"),
            ("texts", "how evenly texts are spread; lower is more even"),
            ("pooled", "how evenly images and texts together are spread"),
            ("cross", "how near images and texts are that do not belong together"),
        )
    ),
    *(
        _gap(
            f"effective-rank-{side}",
            "shapes:EffectiveRank",
            f"effective number of dimensions of the {side}",
            unit="dimensions",
            reference="Q. Garrido et al., RankMe, ICML 2023, arXiv 2210.02885",
            side=side,
        )
        for side in ("images", "texts")
    ),
    _gap(
        "gap-concentration",
        "shapes:GapConcentration",
        "share of dimensions that the difference of means is spread over",
        unit="ratio",
        reference=_SCHRODI,
    ),
    _gap(
        "class-fisher",
        "shapes:ClassFisher",
        "spread of the images between classes over their spread within",
        unit="times",
        better=Better.HIGHER,
        reference="R. A. Fisher, The use of multiple measurements in taxonomic problems, 1936",
    ),
)

_NEIGHBOURS = (
    _gap(
        "modality-mixing",
        "mixing:ModalityMixing",
        "neighbours of the other modality over what chance gives; 0: never, 1: mixed",
        unit="times",
        better=Better.HIGHER,
        reference="after I. Korsunsky et al., Nature Methods 16, 2019 (iLISI)",
    ),
    *(
        _gap(
            f"hubness-skew-{name}",
            "neighbourhoods:HubnessSkew",
            f"skewness of how often each {candidate} is among a query's ten best",
            unit="skewness",
            better=Better.LOWER,
            reference="M. Radovanovic et al., Hubs in Space, JMLR 11, 2010",
            queries=queries,
        )
        for name, queries, candidate in (("i2t", "images", "text"), ("t2i", "texts", "image"))
    ),
    _gap(
        "cka",
        "neighbourhoods:LinearCka",
        "linear centred kernel alignment of images and their texts, debiased",
        unit="alignment",
        better=Better.HIGHER,
        needs=_PAIRS,
        reference="S. Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019",
    ),
    _gap(
        "mutual-knn",
        "neighbourhoods:MutualNeighbours",
        "share of nearest images whose texts are nearest texts",
        unit="ratio",
        better=Better.HIGHER,
        needs=_CAPTIONS,
        reference="M. Huh et al., The Platonic Representation Hypothesis, ICML 2024, arXiv 2405.07987",
    ),
    _gap(
        "neighbour-preservation",
        "neighbourhoods:NeighbourPreservation",
        "share of nearest rows within a modality that alignment keeps",
        unit="ratio",
        better=Better.HIGHER,
    ),
    _gap(
        "displacement",
        "neighbourhoods:Displacement",
        "mean distance that alignment moves a row",
        unit="distance",
    ),
)

GEOMETRY_SPECS = (*_DISTANCES, *_SHAPES, *_NEIGHBOURS)
