"""The built-in components, registered through the same hooks as everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gapbench.specs import AlignerSpec, DatasetSpec, EncoderSpec, MetricSpec, PromptSpec


@hookimpl
def gapbench_encoders() -> Iterable[EncoderSpec]:
    """``mini-clip`` and the family ``open_clip:MODEL/PRETRAINED``."""
    from gapbench.builtin.encoders import SPECS

    return SPECS


@hookimpl
def gapbench_datasets() -> Iterable[DatasetSpec]:
    """Embedded data, torchvision's sets, folders, caption files and embedding files."""
    from gapbench.builtin.datasets import SPECS

    return SPECS


@hookimpl
def gapbench_prompts() -> Iterable[PromptSpec]:
    """The seed study's three, two ensembles, free templates and files, and the dataset's own captions."""
    from gapbench.builtin.prompts import SPECS

    return SPECS


@hookimpl
def gapbench_aligners() -> Iterable[AlignerSpec]:
    """The identity, controls and closed-form maps."""
    from gapbench.builtin.aligners import SPECS

    return SPECS


@hookimpl
def gapbench_metrics() -> Iterable[MetricSpec]:
    """Task metrics and gap metrics."""
    from gapbench.builtin.metrics import SPECS

    return SPECS
