"""Aligners that learn or remember: specs only, what they do is imported when they are built."""

from __future__ import annotations

from gapbench import ActsOn, AlignerSpec, Need, Param, hookimpl

GAPBENCH_CONTRACT = 2

_RATES = (1e-4, 1e-3, 1e-2)


def _training(alpha: Param, **more: Param) -> dict[str, Param]:
    """Give the parameters of an adapter that is trained on pairs."""
    return {
        "side": Param(default="images", choices=("images", "texts", "both"), doc="which side is mapped"),
        "alpha": alpha,
        **more,
        "tau": Param(default=0.01, low=1e-4, high=10.0, grid=(0.01, 0.03, 0.1), doc="temperature of the loss"),
        "epochs": Param(default=100, low=0, high=100_000, doc="passes over the pairs at most"),
        "lr": Param(default=1e-3, low=0.0, high=1.0, grid=_RATES, doc="step length of AdamW"),
        "weight_decay": Param(default=0.01, low=0.0, high=100.0, grid=(0.0, 0.01, 1.0), doc="decay of AdamW"),
        "batch": Param(default=256, low=2, high=100_000, doc="pairs a batch at most"),
        "patience": Param(default=10, low=1, high=100_000, doc="epochs without a better validation loss that end it"),
    }


def _adapter(name: str, factory: str, summary: str, reference: str, params: dict[str, Param]) -> AlignerSpec:
    return AlignerSpec(
        name=name,
        factory=f"gapbench_adapters.adapters:{factory}",
        summary=summary,
        family="learned",
        needs=frozenset({Need.PAIRS, Need.VALIDATION}),
        acts_on=ActsOn.BOTH,
        stochastic=True,
        params=params,
        reference=reference,
    )


_LINEAR = _adapter(
    "linear-adapter",
    "LinearAdapter",
    "residual linear map, trained on pairs with a contrastive loss",
    "D. Koishigarina, A. Uselis, S. J. Oh, CLIP Behaves like a Bag-of-Words Model Cross-modally but not Uni-modally, "
    "2025, arXiv 2502.03566 (its loss without hard negatives)",
    _training(Param(default=1.0, low=0.0, high=100.0, doc="weight of the residual")),
)

_MLP = _adapter(
    "mlp-adapter",
    "MlpAdapter",
    "residual bottleneck of two layers, trained on pairs with a contrastive loss",
    "P. Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024, arXiv 2110.04544",
    _training(
        Param(default=0.2, low=0.0, high=0.99, grid=(0.2, 0.4, 0.6, 0.8), doc="share of what is learnt"),
        hidden=Param(default=0, low=0, high=100_000, doc="width of the bottleneck; 0: a quarter of the dimensions"),
    ),
)

_TIP = AlignerSpec(
    name="tip-adapter",
    factory="gapbench_adapters.tip:TipAdapter",
    summary="adds the votes of similar labelled images to the zero-shot score",
    family="labelled",
    needs=frozenset({Need.LABELS, Need.UNPAIRED_IMAGES, Need.CLASS_TEXTS}),
    acts_on=ActsOn.SCORES,
    stochastic=True,
    params={
        "shots": Param(default=16, low=0, high=100_000, doc="images cached a class; 0: all, up to 20,000 together"),
        "alpha": Param(default=1.0, low=0.0, high=1e4, grid=(0.0, 0.1, 0.3, 1.0, 3.0, 10.0), doc="weight of the votes"),
        "beta": Param(default=5.5, low=0.0, high=1e3, grid=(1.0, 2.0, 5.5, 10.0, 20.0), doc="sharpness of the votes"),
    },
    reference=(
        "R. Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022, "
        "arXiv 2207.09519"
    ),
)

_INMAP = AlignerSpec(
    name="inmap",
    factory="gapbench_adapters.inmap:VisionProxies",
    summary="replaces class texts by proxies that are learnt among the unlabelled test images",
    family="learned",
    needs=frozenset({Need.TEST_IMAGES, Need.CLASS_TEXTS}),
    acts_on=ActsOn.TEXTS,
    params={
        "tau_t": Param(
            default=0.01, low=1e-4, high=10.0, grid=(0.005, 0.01, 0.02), doc="temperature of the texts' labels"
        ),
        "tau_i": Param(default=0.04, low=1e-4, high=10.0, grid=(0.02, 0.04, 0.08), doc="temperature of the proxies"),
        "alpha": Param(default=0.6, low=0.0, high=1.0, doc="threshold above which a label is hardened"),
        "balance": Param(default=False, doc="balance the labels over the classes"),
        "rounds": Param(default=20, low=0, high=10_000, doc="rounds of balancing"),
        "lr": Param(default=10.0, low=0.0, high=1e4, doc="first step length, halved when the gradient grows"),
        "iterations": Param(default=2000, low=0, high=100_000, doc="steps at most"),
    },
    reference=(
        "Q. Qian, Y. Xu, J. Hu, Intra-Modal Proxy Learning for Zero-Shot Visual Categorization with CLIP, NeurIPS 2023, "
        "arXiv 2310.19752"
    ),
)

_DECAP = AlignerSpec(
    name="decap-memory",
    factory="gapbench_adapters.decap:TextMemory",
    summary="rebuilds images from the texts that resemble them",
    family="memory",
    needs=frozenset({Need.UNPAIRED_TEXTS}),
    acts_on=ActsOn.IMAGES,
    stochastic=True,
    params={
        "memory": Param(default=10_000, low=1, high=1_000_000, doc="texts kept, drawn where there are more"),
        "tau": Param(default=0.01, low=1e-4, high=10.0, grid=(0.005, 0.01, 0.02, 0.05), doc="temperature"),
        "top": Param(default=0, low=0, high=1_000_000, grid=(0, 10, 100), doc="texts with a weight; 0: all"),
    },
    reference=(
        "W. Li, L. Zhu, L. Wen, Y. Yang, DeCap: Decoding CLIP Latents for Zero-Shot Captioning via Text-Only Training, "
        "ICLR 2023, arXiv 2303.03032"
    ),
)


@hookimpl
def gapbench_aligners() -> list[AlignerSpec]:
    """Register the aligners."""
    return [_LINEAR, _MLP, _TIP, _INMAP, _DECAP]
