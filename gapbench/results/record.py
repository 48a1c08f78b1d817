"""The record: one JSON object on one line for one cell.

Values are fractions in 0..1, never percentages. ``delta``, ``p`` and ``p_holm`` compare with the cell of the same
table whose aligner is ``identity``; they are filled in when a run ends, since Holm's correction needs the whole table.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: Raised whenever a field changes its meaning; readers refuse records from a newer schema.
SCHEMA_VERSION = 1

Status = Literal["ok", "error", "skipped", "timeout"]
ParamValue = bool | int | float | str


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of all parts: immutable, by keyword, strict about unknown fields, and in no reference cycle."""


class EncoderRef(_Struct, frozen=True, kw_only=True):
    """Which encoder; the fingerprint covers all that changes its embeddings."""

    name: str
    fingerprint: str


class DatasetRef(_Struct, frozen=True, kw_only=True):
    """Which items: ``n`` images of ``split``, identified by the fingerprint."""

    name: str
    fingerprint: str
    split: str
    n: int


class PromptsRef(_Struct, frozen=True, kw_only=True):
    """Which texts were scored: ``n_texts`` strings of a prompt strategy, or ``captions``."""

    name: str
    n_texts: int


class PluginRef(_Struct, frozen=True, kw_only=True):
    """The distribution that a component comes from."""

    distribution: str
    version: str


class AlignerRef(_Struct, frozen=True, kw_only=True):
    """Which aligner, with all its parameters, defaults included."""

    name: str
    params: dict[str, ParamValue]
    plugin: PluginRef


class ProtocolRef(_Struct, frozen=True, kw_only=True):
    """What was fitted on what: ``fit_size`` items, or ``shots`` of each class (None for all), of ``fit_split``."""

    name: str
    fit_size: int | None
    fit_split: str
    shots: int | None = None


class MetricValue(_Struct, frozen=True, kw_only=True):
    """One number with its 95 % interval, and its difference to ``identity`` on the same items."""

    value: float
    ci95: tuple[float, float] | None
    n: int
    delta: float | None = None
    p: float | None = None
    p_holm: float | None = None


class Timing(_Struct, frozen=True, kw_only=True):
    """Seconds; encoding is shared by all cells of one encoder and dataset and told with each."""

    encode_s: float
    fit_s: float
    score_s: float


class Outcomes(_Struct, frozen=True, kw_only=True):
    """Where the per-item outcomes lie, relative to the records file, and their SHA-256."""

    file: str
    sha256: str


class Record(_Struct, frozen=True, kw_only=True):
    """One cell's result. ``notes`` says what the numbers rest on (what the pairs were, the rank of a map ...)."""

    schema_version: int
    cell_id: str
    study: str
    encoder: EncoderRef
    dataset: DatasetRef
    prompts: PromptsRef
    aligner: AlignerRef
    protocol: ProtocolRef
    seed: int
    status: Status
    reason: str = ""
    metrics: dict[str, MetricValue] = {}
    timing: Timing = Timing(encode_s=0.0, fit_s=0.0, score_s=0.0)
    environment: dict[str, Any] = {}
    created_utc: str = ""
    outcomes: Outcomes | None = None
    notes: dict[str, Any] = {}
