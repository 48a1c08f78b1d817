"""Specs of the aligners that learn from pairs or labels: specs only."""

from __future__ import annotations

from gapbench.builtin.aligners.unpaired_specs import RENORMALISE, shrinkage
from gapbench.specs import ActsOn, AlignerSpec, Need, Param

_HOME = "gapbench.builtin.aligners"
_PAIRS = frozenset({Need.PAIRS})
_SIDE = Param(default="images", choices=("images", "texts"), doc="which side is mapped onto the other")
_ALPHA_GRID = (0.01, 0.1, 1.0, 10.0, 100.0)


def _paired(
    name: str,
    factory: str,
    summary: str,
    *,
    params: dict[str, Param],
    reference: str,
    common_space: bool = True,
    **options: str,
) -> AlignerSpec:
    return AlignerSpec(
        name=name,
        factory=f"{_HOME}.{factory}",
        summary=summary,
        family="paired linear",
        needs=_PAIRS,
        acts_on=ActsOn.BOTH,
        params=params,
        common_space=common_space,
        reference=reference,
        options=options,
    )


def _ridge(name: str, summary: str, toward: str, alpha: float, reference: str) -> AlignerSpec:
    return _paired(
        name,
        "regression:Ridge",
        summary,
        params={
            "alpha": Param(default=alpha, low=1e-9, high=1e9, grid=_ALPHA_GRID, doc="weight of the shrinking, lambda"),
            "side": _SIDE,
            "renormalise": RENORMALISE,
        },
        reference=reference,
        common_space=toward != "zero",
        toward=toward,
    )


def _cca(name: str, summary: str, weight: float, reference: str) -> AlignerSpec:
    return _paired(
        name,
        "correlation:CanonicalCorrelation",
        summary,
        params={
            "k": Param(default=100, low=1, high=100_000, grid=(10, 50, 100, 200), doc="directions kept"),
            "shrinkage": shrinkage(0.5),
            "weight": Param(default=weight, low=0.0, high=10.0, doc="power of the correlations that weighs directions"),
            "renormalise": RENORMALISE,
        },
        reference=reference,
        common_space=False,
    )


PAIRED = (
    _paired(
        "procrustes",
        "procrustes:Procrustes",
        "orthogonal map from images to the texts of their pairs (the seed study's)",
        params={
            "center": Param(default=False, doc="subtract each side's mean, on both sides"),
            "scale": Param(default=False, doc="also scale by the least-squares factor"),
            "side": _SIDE,
            "pull": Param(
                default=0.0,
                low=0.0,
                high=1e6,
                grid=(0.0, 0.03, 0.1, 0.3, 1.0),
                doc="weight of a pull towards the identity, per pair",
            ),
            "rank": Param(default=0, low=0, high=100_000, doc="leading directions that are mapped; 0: all"),
            "rounds": Param(default=0, low=0, high=100, doc="rounds of the robust variant; 0: least squares"),
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
    _paired(
        "ols",
        "regression:LeastSquares",
        "least-squares map from one side of the pairs to the other",
        params={"side": _SIDE, "renormalise": RENORMALISE},
        reference="T. Mikolov, Q. V. Le, I. Sutskever, Exploiting Similarities among Languages, 2013, arXiv 1309.4168",
        common_space=False,
    ),
    _ridge(
        "ridge",
        "least-squares map, shrunk towards zero",
        "zero",
        1.0,
        "F. Paischer et al., SITTA: A Semantic Image-Text Alignment for Image Captioning, 2023, arXiv 2307.05591",
    ),
    _ridge(
        "ridge-identity",
        "least-squares map, shrunk towards doing nothing",
        "identity",
        10.0,
        "A. E. Hoerl, R. W. Kennard, Ridge Regression, Technometrics 12, 1970 (with a target other than zero)",
    ),
    _cca(
        "cca",
        "projects both sides on the directions in which they correlate most",
        0.0,
        "H. Hotelling, Relations between two sets of variates, Biometrika 28, 1936",
    ),
    _cca(
        "csa",
        "cca with the cosine's terms weighed by their correlation",
        0.5,
        "P.-h. Li, S. P. Chinchali, U. Topcu, CSA: Data-efficient Mapping of Unimodal Features to Multimodal Features, "
        "ICLR 2025, arXiv 2410.07610",
    ),
    _paired(
        "pls-svd",
        "correlation:PartialLeastSquares",
        "projects both sides on the singular vectors of their cross-covariance",
        params={
            "k": Param(default=100, low=1, high=100_000, grid=(10, 50, 100, 200), doc="directions kept"),
            "renormalise": RENORMALISE,
        },
        reference="J. A. Wegelin, A Survey of Partial Least Squares (PLS) Methods, University of Washington, 2000",
        common_space=False,
    ),
    AlignerSpec(
        name="gda-clip",
        factory=f"{_HOME}.scores:GaussianDiscriminant",
        summary="adds a Gaussian discriminant of labelled images to the zero-shot score",
        family="labelled",
        needs=frozenset({Need.LABELS, Need.CLASS_TEXTS}),
        acts_on=ActsOn.SCORES,
        params={
            "alpha": Param(
                default=0.1,
                low=0.0,
                high=1e4,
                grid=(0.0, 0.001, 0.01, 0.1, 1.0, 10.0),
                doc="weight of the discriminant beside 100 times the cosine",
            ),
            "shrinkage": shrinkage(0.1),
        },
        reference=(
            "Z. Wang et al., A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation, ICLR 2024, arXiv 2402.04087"
        ),
    ),
)
