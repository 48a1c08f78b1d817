"""Specs of the aligners that need no pairs: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import ActsOn, AlignerSpec, Need, Param

_HOME = "gapbench.builtin.aligners"
_BOTH = frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS})

RENORMALISE = Param(default=True, doc="normalise the result")
KEEP_NORMS = Param(default=False, doc="normalise the result")
RECENTER = Param(
    default="zero", choices=("zero", "target"), doc="zero: centre both sides; target: move onto the images' mean"
)
SCOPE = Param(
    default="modality", choices=("modality", "pooled"), doc="each modality's own covariance, or the mean of both"
)


def shrinkage(default: float) -> Param:
    """Give a parameter: the share by which covariances are shrunk."""
    return Param(
        default=default, low=0.0, high=1.0, grid=(0.01, 0.1, 0.3, 0.5, 0.9), doc="share of a sphere in covariances"
    )


def _unpaired(
    name: str,
    factory: str,
    summary: str,
    *,
    family: str,
    reference: str,
    acts_on: ActsOn = ActsOn.BOTH,
    params: dict[str, Param] | None = None,
) -> AlignerSpec:
    return AlignerSpec(
        name=name,
        factory=f"{_HOME}.{factory}",
        summary=summary,
        family=family,
        needs=_BOTH,
        acts_on=acts_on,
        params=params or {},
        reference=reference,
    )


_MEAN = (
    _unpaired(
        "mean-center",
        "means:MeanCenter",
        "subtracts each modality's mean",
        family="mean",
        params={
            "strength": Param(
                default=1.0, low=0.0, high=1.0, grid=(0.25, 0.5, 0.75, 1.0), doc="share of the mean that is subtracted"
            ),
            "renormalise": RENORMALISE,
        },
        reference=(
            "Y. Zhang, E. Sui, S. Yeung-Levy, Connect, Collapse, Corrupt: Learning Cross-Modal Tasks with Uni-Modal "
            "Data, ICLR 2024, arXiv 2401.08567"
        ),
    ),
    _unpaired(
        "role-center",
        "means:RoleCenter",
        "subtracts the mean of each role; documents with image and text are fused first",
        family="mean",
        params={
            "strength": Param(default=1.0, low=0.0, high=1.0, doc="share of the mean that is subtracted"),
            "renormalise": RENORMALISE,
        },
        reference=(
            "B. Li, Y. Zhang, X. Wang, W. Liang, L. Schmidt, S. Yeung-Levy, Closing the Modality Gap for Mixed Modality "
            "Search, 2025, arXiv 2507.19054"
        ),
    ),
    _unpaired(
        "gap-shift",
        "means:GapShift",
        "moves the modalities towards each other along the gap's direction",
        family="mean",
        params={
            "delta": Param(
                default=0.5,
                low=-5.0,
                high=5.0,
                grid=(-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0),
                doc="length of the shift, both sides together",
            ),
            "side": Param(default="both", choices=("both", "images", "texts"), doc="which side moves"),
            "renormalise": RENORMALISE,
        },
        reference=(
            "W. Liang, Y. Zhang, Y. Kwon, S. Yeung, J. Zou, Mind the Gap: Understanding the Modality Gap in Multi-modal "
            "Contrastive Representation Learning, NeurIPS 2022, arXiv 2203.02053"
        ),
    ),
    _unpaired(
        "shift-to-mean",
        "means:ShiftToMean",
        "moves one side onto the other's mean",
        family="mean",
        params={
            "amount": Param(
                default=1.0, low=-5.0, high=5.0, grid=(0.25, 0.5, 0.75, 1.0), doc="share of the way, 1: means coincide"
            ),
            "side": Param(default="texts", choices=("texts", "images"), doc="which side moves"),
            "renormalise": KEEP_NORMS,
        },
        reference=(
            "R. Chowers, O. Naparstek, E. Barzelay, Y. Weiss, Is the Modality Gap a Bug or a Feature? A Robustness "
            "Perspective, 2026, arXiv 2603.29080"
        ),
    ),
    _unpaired(
        "gap-projection",
        "means:GapProjection",
        "takes the gap's direction out of both sides",
        family="mean",
        params={
            "common": Param(default=False, doc="also subtract the mean that both sides then share"),
            "renormalise": RENORMALISE,
        },
        reference="S. Ravfogel et al., Null It Out, ACL 2020 (its case of one direction)",
    ),
    _unpaired(
        "dn",
        "means:DistributionNormalization",
        "subtracts a part of each modality's mean, without normalising",
        family="mean",
        params={
            "strength": Param(
                default=0.25, low=0.0, high=1.0, grid=(0.1, 0.25, 0.5, 0.75, 1.0), doc="share of the mean, lambda"
            ),
            "renormalise": KEEP_NORMS,
        },
        reference=(
            "Y. Zhou et al., Test-Time Distribution Normalization for Contrastively Learned Vision-language Models, "
            "NeurIPS 2023, arXiv 2302.11084"
        ),
    ),
)

_SCALE = (
    _unpaired(
        "drop-gap-dims",
        "scales:DropGapDims",
        "leaves out the dimensions in which the means differ most",
        family="dimensions",
        params={
            "k": Param(default=5, low=0, high=100_000, grid=(1, 2, 5, 10, 20), doc="dimensions to delete"),
            "renormalise": RENORMALISE,
        },
        reference="S. Schrodi et al., Two Effects, One Trigger, ICLR 2025, arXiv 2404.07983",
    ),
    _unpaired(
        "z-score",
        "scales:ZScore",
        "standardises every dimension of each modality",
        family="scale",
        params={"renormalise": RENORMALISE},
        reference="Y. Zhang et al., Diagnosing and Rectifying Vision Models using Language, ICLR 2023, arXiv 2302.04269",
    ),
    _unpaired(
        "realign",
        "scales:ReAlign",
        "gives the texts the mean and the size of the images",
        family="scale",
        acts_on=ActsOn.TEXTS,
        reference="X. Yu et al., Modality Gap-Driven Subspace Alignment (ReVision), 2026, arXiv 2602.07026",
    ),
)

_SPECTRUM = (
    _unpaired(
        "abtt",
        "spectrum:AllButTheTop",
        "centres, and takes out the leading principal directions",
        family="spectrum",
        params={
            "directions": Param(default=3, low=0, high=100_000, grid=(1, 3, 5, 10), doc="directions to take out"),
            "scope": SCOPE,
            "renormalise": RENORMALISE,
        },
        reference="J. Mu, S. Bhat, P. Viswanath, All-but-the-Top, ICLR 2018, arXiv 1702.01417",
    ),
    *(
        AlignerSpec(
            name=f"whiten-{kind}",
            factory=f"{_HOME}.spectrum:Whiten",
            summary=summary,
            family="spectrum",
            needs=_BOTH,
            acts_on=ActsOn.BOTH,
            options={"kind": kind},
            params={**own, "shrinkage": shrinkage(0.5), "renormalise": RENORMALISE},
            reference="R. Betser, M. Y. Levi, G. Gilboa, Whitened CLIP, ICML 2025, arXiv 2505.06934",
        )
        for kind, own, summary in (
            (
                "pca",
                {"components": Param(default=0, low=0, high=100_000, doc="leading directions kept; 0: all")},
                "gives every principal direction of both modalities together the same variance, in their basis",
            ),
            ("zca", {"scope": SCOPE}, "gives every direction the same variance, turning as little as possible"),
        )
    ),
    _unpaired(
        "subspace-alignment",
        "spectrum:SubspaceAlignment",
        "brings the principal subspace of the texts onto that of the images",
        family="spectrum",
        params={
            "k": Param(default=256, low=1, high=100_000, grid=(16, 64, 128, 256), doc="dimensions of the subspaces"),
            "recenter": RECENTER,
            "renormalise": RENORMALISE,
        },
        reference="B. Fernando et al., Unsupervised Visual Domain Adaptation Using Subspace Alignment, ICCV 2013",
    ),
)

_COVARIANCE = (
    _unpaired(
        "coral",
        "covariance:Coral",
        "whitens the texts and colours them as the images",
        family="covariance",
        params={
            "ridge": Param(
                default=1.0, low=1e-6, high=1e6, grid=(0.1, 1.0, 10.0), doc="added to variances, in mean variances"
            ),
            "recenter": RECENTER,
            "renormalise": RENORMALISE,
        },
        reference="B. Sun, J. Feng, K. Saenko, Return of Frustratingly Easy Domain Adaptation, AAAI 2016",
    ),
    _unpaired(
        "gaussian-ot",
        "covariance:GaussianTransport",
        "optimal transport of the texts onto the images, both taken for Gaussians",
        family="covariance",
        params={"shrinkage": shrinkage(0.1), "recenter": RECENTER, "renormalise": RENORMALISE},
        reference="M. Knott, C. S. Smith, On the optimal mapping of distributions, J. Optim. Theory Appl. 43, 1984",
    ),
)

_ERASURE = (
    _unpaired(
        "leace",
        "erasure:Leace",
        "erases the modality for linear classifiers with the least change",
        family="erasure",
        params={
            "shrinkage": Param(default="optimal", choices=("optimal", "fixed"), doc="how the covariance is shrunk"),
            "share": Param(default=0.1, low=0.0, high=1.0, doc="share of a sphere where shrinkage is fixed"),
            "center": Param(default=False, doc="also subtract the mean that both sides then share"),
            "balance": Param(default=True, doc="modalities weigh the same, however many rows they have"),
            "renormalise": RENORMALISE,
        },
        reference="N. Belrose et al., LEACE: Perfect linear concept erasure in closed form, NeurIPS 2023, arXiv 2306.03819",
    ),
    _unpaired(
        "oracle-leace",
        "erasure:OracleLeace",
        "moves each modality onto the pooled mean",
        family="erasure",
        params={
            "balance": Param(default=True, doc="modalities weigh the same, however many rows they have"),
            "renormalise": RENORMALISE,
        },
        reference="N. Belrose et al., LEACE: Perfect linear concept erasure in closed form, NeurIPS 2023, arXiv 2306.03819",
    ),
)

_SCORES = (
    _unpaired(
        "logit-bias",
        "scores:LogitBias",
        "subtracts what each candidate scores on average",
        family="similarity",
        acts_on=ActsOn.SCORES,
        params={"weight": Param(default=1.0, low=0.0, high=10.0, grid=(0.25, 0.5, 0.75, 1.0), doc="share of the mean")},
        reference="Y. Zhou et al., Test-Time Distribution Normalization, NeurIPS 2023, arXiv 2302.11084 (as a bias)",
    ),
)

UNPAIRED = (*_MEAN, *_SCALE, *_SPECTRUM, *_COVARIANCE, *_ERASURE, *_SCORES)
