"""gapbench: does closing the modality gap help, for this encoder, on this task, and by how much more than noise?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gapbench.api import Results, run
    from gapbench.components import (
        Aligner,
        Dataset,
        Encoder,
        FitData,
        Intake,
        Measurement,
        Metric,
        PromptSet,
        PromptStrategy,
        ScoredSplit,
        Split,
    )
    from gapbench.errors import GapbenchError, UndeclaredData
    from gapbench.hookspecs import hookimpl
    from gapbench.specs import (
        ActsOn,
        AlignerSpec,
        Better,
        Context,
        DatasetSpec,
        Download,
        EncoderSpec,
        FitContext,
        MetricFamily,
        MetricSpec,
        Missing,
        Need,
        Offer,
        Param,
        Pooling,
        PromptContext,
        PromptSpec,
    )

__all__ = [
    "ActsOn",
    "Aligner",
    "AlignerSpec",
    "Better",
    "Context",
    "Dataset",
    "DatasetSpec",
    "Download",
    "Encoder",
    "EncoderSpec",
    "FitContext",
    "FitData",
    "GapbenchError",
    "Intake",
    "Measurement",
    "Metric",
    "MetricFamily",
    "MetricSpec",
    "Missing",
    "Need",
    "Offer",
    "Param",
    "Pooling",
    "PromptContext",
    "PromptSet",
    "PromptSpec",
    "PromptStrategy",
    "Results",
    "ScoredSplit",
    "Split",
    "UndeclaredData",
    "hookimpl",
    "run",
]

_HOMES = {
    "gapbench.api": ("Results", "run"),
    "gapbench.hookspecs": ("hookimpl",),
    "gapbench.errors": ("GapbenchError", "UndeclaredData"),
    "gapbench.components": (
        "Aligner",
        "Dataset",
        "Encoder",
        "FitData",
        "Intake",
        "Measurement",
        "Metric",
        "PromptSet",
        "PromptStrategy",
        "ScoredSplit",
        "Split",
    ),
}


def __getattr__(name: str) -> Any:
    """Import public names on first use: ``import gapbench`` alone costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'gapbench' has no attribute {name!r}")
    import importlib

    home = next((module for module, names in _HOMES.items() if name in names), "gapbench.specs")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, whether they are imported yet or not, and nothing else."""
    return sorted(__all__)
