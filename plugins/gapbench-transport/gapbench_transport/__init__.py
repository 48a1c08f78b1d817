"""Optimal transport for gapbench: specs only, POT is imported when an aligner is built."""

from gapbench import ActsOn, AlignerSpec, Need, Param, hookimpl

GAPBENCH_CONTRACT = 2

_RENORMALISE = Param(default=True, doc="normalise the result")
_OTTER = (
    "C. Shin, J. Zhao, S. Cromp, H. Vishwakarma, F. Sala, OTTER: Effortless Label Distribution Adaptation of Zero-shot "
    "Models, NeurIPS 2024, arXiv 2404.08461"
)

SPECS = (
    AlignerSpec(
        name="ot-barycentric",
        factory="gapbench_transport.barycentric:Barycentric",
        summary="moves each row to the mean of the rows of the other side that optimal transport gives it",
        family="transport",
        needs=frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS}),
        acts_on=ActsOn.BOTH,
        params={
            "side": Param(default="texts", choices=("texts", "images"), doc="which side is mapped onto the other"),
            "plan": Param(
                default="sinkhorn",
                choices=("sinkhorn", "emd", "unbalanced"),
                doc="with entropy, exact, or with entropy and free marginals",
            ),
            "reg": Param(
                default=0.1,
                low=0.005,
                high=100.0,
                grid=(0.02, 0.05, 0.1, 0.3),
                doc="weight of the entropy, in median costs; not for emd",
            ),
            "reg_m": Param(
                default=1.0,
                low=0.001,
                high=1000.0,
                grid=(0.1, 1.0, 10.0),
                doc="weight of the marginals, in median costs; unbalanced alone",
            ),
            "center": Param(default=True, doc="subtract each side's mean, on both sides"),
            "sample": Param(default=1000, low=1, high=5000, doc="rows of each side that the plan is made of, at most"),
            "renormalise": _RENORMALISE,
        },
        stochastic=True,
        reference=(
            "S. Ferradans, N. Papadakis, G. Peyre, J.-F. Aujol, Regularized Discrete Optimal Transport, SIAM Journal on "
            "Imaging Sciences 7(3), 2014; N. Courty, R. Flamary, D. Tuia, A. Rakotomamonjy, Optimal Transport for Domain "
            "Adaptation, TPAMI 39(9), 2017, arXiv 1507.00504"
        ),
    ),
    AlignerSpec(
        name="gromov-wasserstein",
        factory="gapbench_transport.gromov:GromovWasserstein",
        summary="matches classes by distances within each side alone, then rotates the images to the texts",
        family="transport",
        needs=frozenset({Need.LABELS, Need.CLASS_TEXTS}),
        acts_on=ActsOn.BOTH,
        params={
            "exchange": Param(default=True, doc="improve the matching by exchanging pairs of classes"),
            "renormalise": _RENORMALISE,
        },
        reference=(
            "G. Peyre, M. Cuturi, J. Solomon, Gromov-Wasserstein Averaging of Kernel and Distance Matrices, ICML 2016; "
            "D. Schnaus, N. Araslanov, D. Cremers, It's a (Blind) Match! Towards Vision-Language Correspondence without "
            "Parallel Data, CVPR 2025, arXiv 2503.24129"
        ),
    ),
    AlignerSpec(
        name="otter",
        factory="gapbench_transport.otter:Otter",
        summary="gives every class its share of the test images, all classes alike",
        family="transport",
        needs=frozenset({Need.TEST_IMAGES, Need.CLASS_TEXTS}),
        acts_on=ActsOn.SCORES,
        options={"prior": "uniform"},
        reference=_OTTER,
    ),
    AlignerSpec(
        name="otter-prior",
        factory="gapbench_transport.otter:Otter",
        summary="gives every class its share of the test images, as in the labels of the fit split",
        family="transport",
        needs=frozenset({Need.TEST_IMAGES, Need.CLASS_TEXTS, Need.LABELS}),
        acts_on=ActsOn.SCORES,
        options={"prior": "fit"},
        reference=_OTTER,
    ),
)


@hookimpl
def gapbench_aligners() -> tuple[AlignerSpec, ...]:
    """Register the aligners."""
    return SPECS
