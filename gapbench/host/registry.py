"""What is registered: components with their origin, and what is broken with its cause."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from gapbench.errors import BrokenPluginError, GapbenchWarning, UsageError, did_you_mean
from gapbench.specs import (
    AlignerSpec,
    DatasetSpec,
    EncoderSpec,
    MetricSpec,
    PromptSpec,
    Spec,
    base_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Kind(StrEnum):
    """The five kinds of component."""

    ENCODER = "encoder"
    DATASET = "dataset"
    PROMPTS = "prompts"
    ALIGNER = "aligner"
    METRIC = "metric"


#: The hook and the spec type of each kind.
HOOKS: Mapping[Kind, str] = {
    Kind.ENCODER: "gapbench_encoders",
    Kind.DATASET: "gapbench_datasets",
    Kind.PROMPTS: "gapbench_prompts",
    Kind.ALIGNER: "gapbench_aligners",
    Kind.METRIC: "gapbench_metrics",
}
SPEC_TYPES: Mapping[Kind, type[Spec]] = {
    Kind.ENCODER: EncoderSpec,
    Kind.DATASET: DatasetSpec,
    Kind.PROMPTS: PromptSpec,
    Kind.ALIGNER: AlignerSpec,
    Kind.METRIC: MetricSpec,
}


#: Stands for a distribution whose metadata does not tell its name.
UNKNOWN = "unknown"


#: Stands in place of an entry point for a plugin that is an object of this process.
OBJECT = "object"

#: Likewise for one that is a module of this process.
MODULE = "module"


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from: a distribution's entry point, or a file.

    ``file`` is the path of a plugin that is one file; ``modules`` are those that its hooks and factories lie in.
    """

    distribution: str
    version: str
    entry_point: str
    module: str
    file: str = ""
    modules: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    @property
    def handle(self) -> str:
        """What ``--no-plugin`` takes to leave it out; metadata may be too damaged to tell the distribution."""
        return self.entry_point if self.distribution == UNKNOWN else self.distribution

    @property
    def named(self) -> bool:
        """Whether somebody named it, a file or an object, rather than that it was found because it is installed."""
        return bool(self.file) or self.entry_point in (OBJECT, MODULE)


@dataclass(frozen=True)
class Component:
    """A valid spec and where it comes from."""

    kind: Kind
    spec: Spec
    origin: Origin


@dataclass(frozen=True)
class Plugin:
    """A plugin that works: its hooks and its components."""

    origin: Origin
    hooks: tuple[str, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Broken:
    """A plugin that does not work.

    ``stage`` is ``discover`` (it cannot be imported) or ``validate`` (what it registers breaks the contract);
    ``components`` are the names it would have brought, as far as they are known.
    """

    origin: Origin
    stage: str
    cause: str
    fix: str
    components: tuple[tuple[Kind, str], ...] = ()
    error: BaseException | None = field(default=None, compare=False, repr=False)


class MetricSpecs(Mapping[str, MetricSpec]):
    """Specs of metrics by name; ``top[k=3]`` is found under ``top``."""

    def __init__(self, specs: Mapping[str, MetricSpec]) -> None:
        self._specs = dict(specs)

    def __getitem__(self, name: str) -> MetricSpec:
        """Return the spec of a metric."""
        return self._specs[base_name(name)]

    def __iter__(self) -> Iterator[str]:
        """Return the metrics' own names, in their order."""
        return iter(self._specs)

    def __len__(self) -> int:
        """Count the metrics."""
        return len(self._specs)


class Registry:
    """All plugins, whole and broken.

    Parameters
    ----------
    plugins, broken
        As `gapbench.host.discovery.discover` found them; names are unique among ``plugins``.
    unknown
        What was to be left out, and is not there.
    """

    def __init__(self, plugins: Sequence[Plugin], broken: Sequence[Broken], unknown: Sequence[str] = ()) -> None:
        self.unknown = tuple(unknown)
        self.plugins = tuple(plugins)
        self.broken = tuple(broken)
        self._by_kind: dict[Kind, dict[str, Component]] = {kind: {} for kind in Kind}
        for plugin in plugins:
            for component in plugin.components:
                self._by_kind[component.kind][component.spec.name] = component

    def check_named(self) -> None:
        """Refuse to go on without a plugin that was named; tell of one that was to be left out and is not there.

        One that is merely installed costs nothing but itself.

        Raises
        ------
        BrokenPluginError
            Tells each that is broken, with cause and remedy.
        """
        for name in self.unknown:
            told = f"There is no plugin {name!r} to leave out. `gapbench plugins` lists those that are there."
            warnings.warn(told, GapbenchWarning, stacklevel=2)
        broken = [one for one in self.broken if one.origin.named]
        if broken:
            raise BrokenPluginError(
                "\n".join(f"{one.origin} is broken: {one.cause} {one.fix}".rstrip() for one in broken)
            )

    def components(self, kind: Kind) -> Mapping[str, Component]:
        """Give the components of a kind by name, built-ins first."""
        return self._by_kind[kind]

    def named(self, kind: Kind, label: str) -> Component | None:
        """Return the component that a label is of, whatever argument and parameters it has."""
        return self._by_kind[kind].get(base_name(label))

    def metric_specs(self) -> MetricSpecs:
        """Give what is known of the metrics, by name."""
        found = ((name, component.spec) for name, component in self._by_kind[Kind.METRIC].items())
        return MetricSpecs({name: spec for name, spec in found if isinstance(spec, MetricSpec)})

    def broken_with(self, kind: Kind, name: str) -> Broken | None:
        """Give the broken plugin that would have brought a component."""
        return next((broken for broken in self.broken if (kind, name) in broken.components), None)

    def get(self, kind: Kind, name: str) -> Component:
        """Give one component by its name (of a family: without the argument).

        Raises
        ------
        BrokenPluginError
            The component belongs to a broken plugin.
        UsageError
            There is none of that name; says which one may be meant.
        """
        if name in self._by_kind[kind]:
            return self._by_kind[kind][name]
        if broken := self.broken_with(kind, name):
            raise BrokenPluginError(
                f"{kind.capitalize()} {name!r} belongs to the broken plugin {broken.origin}: {broken.cause} {broken.fix}"
            )
        raise UsageError(f"There is no {kind} {name!r}.{did_you_mean(name, self._by_kind[kind])}")
