"""The whole extension contract: five hooks, each returning specs.

A plugin is a module (or any object) with functions of these names, marked with ``gapbench.hookimpl`` and named in the
entry-point group ``gapbench``::

    import gapbench

    @gapbench.hookimpl
    def gapbench_aligners():
        return [gapbench.AlignerSpec(name="my-method", factory="my_package.method:MyMethod", ...)]

Hooks are called once, at start-up, for every command that looks at components. They must not import anything heavy:
the implementation is named as ``"module:attribute"`` and imported only when a component is built. Each plugin is called
by itself: if it raises, it alone is reported as broken.

A plugin may say which version of the contract it was written for, ``GAPBENCH_CONTRACT = 2``; one that is too new or too
old is then refused in so many words, instead of failing somewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gapbench.specs import AlignerSpec, DatasetSpec, EncoderSpec, MetricSpec, PromptSpec

#: Name of the pluggy project and of the entry-point group.
PROJECT = "gapbench"

#: Version of the contract that this gapbench speaks: hooks, specs and protocols. It is raised when a change would break
#: plugins; the oldest version that is still understood is below it.
CONTRACT = 2
OLDEST_CONTRACT = 2

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def gapbench_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Give the encoders. Called at start-up; an encoder is built when its embeddings are missing from the store."""


@hookspec
def gapbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Give the datasets. Called at start-up; a dataset is built when a plan holds it."""


@hookspec
def gapbench_prompts() -> Iterable[PromptSpec]:  # type: ignore[empty-body]
    """Give the prompt strategies. Called at start-up; built when a plan needs the prompts of a dataset's classes."""


@hookspec
def gapbench_aligners() -> Iterable[AlignerSpec]:  # type: ignore[empty-body]
    """Give the aligners. Called at start-up; one instance is built for each cell, fitted and scored in it."""


@hookspec
def gapbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Give the metrics. Called at start-up; one instance is built for each cell."""
