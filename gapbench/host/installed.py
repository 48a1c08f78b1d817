"""What is installed, seen from a record: whether the code that it names is the one here, and the specs of that code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gapbench.host.provenance import Provenance
from gapbench.host.registry import Kind
from gapbench.specs import AlignerSpec, MetricSpec

if TYPE_CHECKING:
    from gapbench.host.registry import Component, Registry
    from gapbench.model.record import Record

#: Of a distribution that a record names: it is here with the recorded code, with other code, not here, or its code could
#: not be told when the record was written.
CodeState = Literal["as recorded", "other code", "not installed", "not told"]


class Installed:
    """The registry, asked about records.

    Parameters
    ----------
    registry
        What is installed.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._provenance = Provenance(registry)

    def code(self, record: Record) -> dict[str, CodeState]:
        """Say of each distribution that a record names whether its code is the one here."""
        return {name: self._state(record, name) for name in record.code}

    def _state(self, record: Record, distribution: str) -> CodeState:
        recorded, here = record.code.get(distribution), self._provenance.code(distribution)
        if here is None:
            return "not installed"
        if recorded is None or not recorded.sha256 or not here.sha256:
            return "not told"
        return "as recorded" if recorded.sha256 == here.sha256 else "other code"

    def aligner(self, record: Record) -> AlignerSpec | None:
        """Return the spec of a record's aligner; None where its code is not here."""
        found = self._current(record, Kind.ALIGNER, record.aligner.name, record.aligner.distribution)
        return found.spec if found is not None and isinstance(found.spec, AlignerSpec) else None

    def metric(self, record: Record, name: str, distribution: str) -> MetricSpec | None:
        """Return the spec of a metric of a record; None where its code is not here."""
        found = self._current(record, Kind.METRIC, name, distribution)
        return found.spec if found is not None and isinstance(found.spec, MetricSpec) else None

    def unknown(self, record: Record) -> list[str]:
        """Name the components of a record that its own code, which is here, does not have."""
        named = [
            (Kind.ENCODER, record.encoder.component, record.encoder.distribution),
            (Kind.DATASET, record.dataset.component, record.dataset.distribution),
            (Kind.PROMPTS, record.prompts.name, record.prompts.distribution),
            (Kind.ALIGNER, record.aligner.name, record.aligner.distribution),
            *((Kind.METRIC, name, value.distribution) for name, value in record.metrics.items()),
        ]
        return [
            f"{kind} {name!r}, which {distribution} does not have"
            for kind, name, distribution in named
            if distribution
            and self._state(record, distribution) == "as recorded"
            and self._current(record, kind, name, distribution) is None
        ]

    def _current(self, record: Record, kind: Kind, name: str, distribution: str) -> Component | None:
        found = self.registry.named(kind, name)
        if found is None or found.origin.distribution != distribution:
            return None
        return found if self._state(record, distribution) == "as recorded" else None
