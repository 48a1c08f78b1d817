"""Score-side methods for gapbench: they take away what makes some candidates everybody's neighbour.

Specs only; the implementations are imported when they are built.
"""

from __future__ import annotations

from dataclasses import replace

import gapbench
from gapbench import ActsOn, AlignerSpec, Need, Param

GAPBENCH_CONTRACT = 2

_BANKS = frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS})
_TEST = frozenset({Need.TEST_IMAGES, Need.TEST_TEXTS})
_TEMPERATURE = Param(default=0.01, low=1e-4, high=10.0, grid=(0.005, 0.01, 0.02, 0.05), doc="temperature tau")
_ITERATIONS = Param(default=10, low=1, high=10_000, doc="Sinkhorn iterations")
_BETA = Param(default=20.0, low=1e-3, high=1e4, grid=(5.0, 20.0, 50.0, 100.0), doc="inverse temperature beta")


def _spec(
    name: str, factory: str, summary: str, needs: frozenset[Need], reference: str, **params: Param
) -> AlignerSpec:
    return AlignerSpec(
        name=name,
        factory=f"gapbench_hubness.{factory}",
        summary=summary,
        family="similarity",
        needs=needs,
        acts_on=ActsOn.SCORES,
        params=params,
        reference=reference,
    )


SPECS = (
    _spec(
        "nnn",
        "banks:NearestNeighborNormalization",
        "subtracts a candidate's mean score with its nearest bank queries",
        _BANKS,
        "N. Chowdhury et al., Nearest Neighbor Normalization Improves Multimodal Retrieval, EMNLP 2024, arXiv 2410.24114",
        k=Param(default=128, low=1, high=1_000_000, grid=(1, 8, 16, 32, 64, 128, 256), doc="bank queries, nearest"),
        alpha=Param(default=0.75, low=0.0, high=10.0, grid=(0.25, 0.5, 0.75, 1.0), doc="weight of the bias"),
    ),
    _spec(
        "inverted-softmax",
        "banks:InvertedSoftmax",
        "divides by a candidate's soft count over the bank queries",
        _BANKS,
        "S. L. Smith et al., Offline bilingual word vectors, orthogonal transformations and the inverted softmax, "
        "ICLR 2017, arXiv 1702.03859",
        beta=_BETA,
    ),
    _spec(
        "qb-norm",
        "gallery:QueryBankNormalization",
        "inverted softmax for the queries whose first candidate is some bank query's first",
        _BANKS,
        "S.-V. Bogolin et al., Cross Modal Retrieval with Querybank Normalisation, CVPR 2022, arXiv 2112.12777",
        beta=_BETA,
        k=Param(default=1, low=1, high=1_000_000, doc="candidates of a bank query that count as hubs"),
    ),
    replace(
        _spec(
            "dbsn",
            "gallery:DualBankSinkhorn",
            "Sinkhorn of query and target banks against the candidates; the dual potential is the bias",
            _BANKS,
            "Z. Pan et al., ACM MM 2025, arXiv 2508.02538",
            tau=_TEMPERATURE,
            iterations=_ITERATIONS,
            bank=Param(default=2_000, low=2, high=1_000_000, doc="rows of each bank, drawn at random"),
        ),
        stochastic=True,  # it draws its banks where there are more rows
    ),
    _spec(
        "csls",
        "transductive:CrossDomainLocalScaling",
        "subtracts half of a candidate's mean score with its nearest test queries",
        _TEST,
        "A. Conneau et al., Word Translation Without Parallel Data, ICLR 2018, arXiv 1710.04087",
        k=Param(default=10, low=1, high=1_000_000, doc="neighbours on the other side"),
    ),
    _spec(
        "sinkhorn-norm",
        "transductive:SinkhornNormalization",
        "Sinkhorn with uniform marginals on the test scores: takes a one-to-one test set for granted",
        _TEST,
        "Z. Pan et al., ACM MM 2025, arXiv 2508.02538",
        tau=_TEMPERATURE,
        iterations=_ITERATIONS,
    ),
)


@gapbench.hookimpl
def gapbench_aligners() -> tuple[AlignerSpec, ...]:
    """Register the aligners."""
    return SPECS
