"""The record: one answer to one question, a fact, one JSON object on one line, never changed once it is written.

A record says what was asked (encoder, data, texts, aligner, protocol, seed), what was measured, and which code measured
it. Values are fractions in 0..1, never percentages. What compares cells (differences, tests, ranks) is no part of a
record: it is computed from records whenever somebody looks (`gapbench.results.comparisons`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: Raised whenever a field changes its meaning; readers refuse records of another schema.
SCHEMA_VERSION = 2

#: Reserved names: the encoder of an embedding file, its class texts, and a dataset's own captions.
PRECOMPUTED, GIVEN, CAPTIONS = "precomputed", "given", "captions"

Status = Literal["ok", "error", "timeout"]
ParamValue = bool | int | float | str


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of all parts: immutable, by keyword, strict about unknown fields, and in no reference cycle."""


class Code(_Struct, frozen=True, kw_only=True):
    """Code that took part: the version of a distribution, and the SHA-256 of its package (empty where it cannot be told)."""

    version: str
    sha256: str


class EncoderRef(_Struct, frozen=True, kw_only=True):
    """Which encoder: the registered component, the name that is shown, and the fingerprint of all that changes its rows.

    The fingerprint covers ``dtype`` (empty where the embeddings are given).
    """

    component: str
    name: str
    fingerprint: str
    dtype: str
    distribution: str


class DatasetRef(_Struct, frozen=True, kw_only=True):
    """Which items: ``n`` images of ``split``; the fingerprint covers images, labels, class names and captions.

    ``published`` is false where they are known not to be those that the name stands for (`gapbench.Intake`).
    """

    component: str
    name: str
    fingerprint: str
    split: str
    n: int
    distribution: str
    published: bool = True


class PromptsRef(_Struct, frozen=True, kw_only=True):
    """Which texts were scored: ``n_texts`` of a prompt strategy, ``captions`` or ``given``; the fingerprint covers them."""

    name: str
    n_texts: int
    fingerprint: str
    distribution: str


class AlignerRef(_Struct, frozen=True, kw_only=True):
    """Which aligner, with all its parameters, defaults included, and the values that ``auto`` chooses among."""

    name: str
    params: dict[str, ParamValue]
    distribution: str
    family: str
    control: bool = False
    grids: dict[str, list[ParamValue]] = {}


#: The protocol that fits on what it scores.
IN_SAMPLE = "in-sample"

#: The fit split of sources that have none of their own: one half is fitted on, the other scored.
HALF = "half of test"


class ProtocolRef(_Struct, frozen=True, kw_only=True):
    """What was fitted on what.

    ``fit_size`` items, or ``shots`` of each class, were asked for (None: all), of ``fit_split``, which has the fingerprint
    ``fit_fingerprint``.
    """

    name: str
    fit_size: int | None
    shots: int | None
    fit_split: str
    fit_fingerprint: str


class ItemCounts(_Struct, frozen=True, kw_only=True):
    """How many items took part; all zero where a cell failed before any did.

    Parameters
    ----------
    fitted
        Images that the aligner was fitted on.
    scored
        Images that were scored.
    seen
        Scored images that were fitted on as well; in-sample alone has such.
    repeated
        Images that occur more than once, bit by bit, in a source that was halved: they are kept in one half.
    left_out
        Images of a fit split that are scored as well, bit by bit, and were therefore not fitted on.
    empty_classes
        Classes without a scored image.
    alike_classes
        Classes that have their texts in common with another, so that they cannot be told apart.
    cut_texts
        Scored texts, class prompts or captions, that are longer than the encoder reads.
    scored_copies
        Scored images that are copies of another one, bit by bit: intervals and tests take an image and its copies for one.
    skipped
        What the sources held and was not read, by kind: hidden files, blank captions, pictures that cannot be read.
    """

    fitted: int = 0
    scored: int = 0
    seen: int = 0
    repeated: int = 0
    left_out: int = 0
    empty_classes: int = 0
    alike_classes: int = 0
    cut_texts: int = 0
    scored_copies: int = 0
    skipped: dict[str, int] = {}


class MetricValue(_Struct, frozen=True, kw_only=True):
    """One number with its 95 % interval, the number of items, and the distribution whose metric measured it."""

    value: float
    ci95: tuple[float, float] | None
    n: int
    distribution: str


class Unmeasured(_Struct, frozen=True, kw_only=True):
    """Why a metric has no value here: it failed, or it has no meaning for this cell."""

    status: Literal["error", "not measurable"]
    reason: str
    distribution: str


class Choice(_Struct, frozen=True, kw_only=True):
    """What ``auto`` chose on a validation slice of ``items`` items of the fit split; ``scores`` has all that was tried."""

    params: dict[str, ParamValue]
    items: int
    scores: list[tuple[dict[str, ParamValue], float]]


class Timing(_Struct, frozen=True, kw_only=True):
    """Seconds; encoding is shared by all cells of one encoder and dataset and told with each."""

    encode_s: float
    fit_s: float
    score_s: float


class Outcomes(_Struct, frozen=True, kw_only=True):
    """Where the per-item outcomes lie in the container beside the records file: bytes, and their SHA-256."""

    offset: int
    length: int
    sha256: str


class Record(_Struct, frozen=True, kw_only=True):
    """One cell's answer.

    Parameters
    ----------
    cell_id
        Hash of the question (`gapbench.model.identity.cell_id`).
    checksum
        Hash of everything else in the record (`gapbench.model.identity.checksum`).
    study
        The study that asked.
    label
        The aligner with its parameters, in selection syntax.
    index
        Kind of the index over the texts.
    status, reason
        Whether the aligner could be fitted and applied, else why not.
    items
        How many items were fitted on and scored.
    metrics, unmeasured
        Values, and what has none; each names the distribution that measured.
    pairs
        What the pairs that were fitted on were made of; empty where the aligner reads none.
    chosen
        What ``auto`` chose.
    warnings
        What a reader of the numbers must know.
    index_recall
        Share of answers of an approximate index that are those of the exact one.
    printed
        Number of characters that plugins printed; they are not kept.
    code
        All code that took part, by distribution; of a plugin that is one file, by its name.
    notes
        What the aligner notes about its fit, for people: nothing rests on it.
    """

    schema_version: int
    cell_id: str
    study: str
    label: str
    encoder: EncoderRef
    dataset: DatasetRef
    prompts: PromptsRef
    aligner: AlignerRef
    protocol: ProtocolRef
    seed: int
    index: str
    status: Status
    reason: str = ""
    items: ItemCounts = ItemCounts()
    metrics: dict[str, MetricValue] = {}
    unmeasured: dict[str, Unmeasured] = {}
    pairs: str = ""
    chosen: Choice | None = None
    warnings: tuple[str, ...] = ()
    index_recall: float | None = None
    printed: int = 0
    timing: Timing = Timing(encode_s=0.0, fit_s=0.0, score_s=0.0)
    environment: dict[str, Any] = {}
    code: dict[str, Code] = {}
    created_utc: str = ""
    outcomes: Outcomes | None = None
    notes: dict[str, ParamValue] = {}
    checksum: str = ""
