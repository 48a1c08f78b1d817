"""What a record says before anything is measured: the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.fingerprint import fingerprint
from gapbench.model.identity import cell_id
from gapbench.model.record import (
    CAPTIONS,
    GIVEN,
    HALF,
    PRECOMPUTED,
    SCHEMA_VERSION,
    AlignerRef,
    DatasetRef,
    EncoderRef,
    PromptsRef,
    ProtocolRef,
    Record,
)
from gapbench.results.environment import environment
from gapbench.specs import AlignerSpec

if TYPE_CHECKING:
    from gapbench.bench.plan import Cell
    from gapbench.components import EmbeddedSplit, PromptSet


def record_header(
    cell: Cell,
    test: EmbeddedSplit,
    train: EmbeddedSplit | None,
    prompts: PromptSet | None,
    *,
    study: str,
    index: str,
    encoder: str,
    dtype: str,
) -> Record:
    """Write a record without its results.

    Parameters
    ----------
    cell, test, train, prompts
        What is run, and on what.
    study, index
        Name of the study, and kind of the index over prompts.
    encoder
        Fingerprint of the encoder; of an embedding file, that of its arrays.
    dtype
        What encoders compute in.
    """
    scored = test.captions if cell.captioned else test.prompts
    header = Record(
        schema_version=SCHEMA_VERSION,
        cell_id="",
        study=study,
        label=cell.aligner.label,
        encoder=_encoder(cell, encoder, dtype),
        dataset=_dataset(cell, test),
        prompts=PromptsRef(
            name=cell.prompts_name,
            n_texts=0 if scored is None else len(scored.rows),
            fingerprint=_texts(cell, prompts),
            distribution="" if cell.prompts is None else cell.prompts.component.origin.distribution,
        ),
        aligner=_aligner(cell),
        protocol=_protocol(cell, train),
        seed=cell.seed,
        index=index,
        status="ok",
        environment=environment(),
    )
    return msgspec.structs.replace(header, cell_id=cell_id(header))


def _encoder(cell: Cell, fingerprint_: str, dtype: str) -> EncoderRef:
    encoder = cell.source.encoder
    return EncoderRef(
        component=PRECOMPUTED if encoder is None else encoder.component.spec.name,
        name=cell.source.encoder_name,
        fingerprint=fingerprint_,
        dtype="" if encoder is None else dtype,
        distribution="" if encoder is None else encoder.component.origin.distribution,
    )


def _dataset(cell: Cell, test: EmbeddedSplit) -> DatasetRef:
    component = cell.source.dataset.component
    return DatasetRef(
        component=component.spec.name,
        name=cell.source.dataset_name,
        fingerprint=test.fingerprint,
        split="test",
        n=len(test.images),
        distribution=component.origin.distribution,
        published=test.intake.published,
    )


def _texts(cell: Cell, prompts: PromptSet | None) -> str:
    """Identify the scored texts; captions, and what a file gives, are covered by the fingerprint of the items."""
    if cell.prompts_name in (CAPTIONS, GIVEN) or prompts is None:
        return cell.prompts_name
    weights = [] if prompts.weights is None else [[float(weight) for weight in prompts.weights]]
    return fingerprint([list(prompts.prompts), list(prompts.owner), prompts.pooling, *weights])


def _aligner(cell: Cell) -> AlignerRef:
    origin, spec = cell.aligner.component.origin, cell.aligner.component.spec
    assert isinstance(spec, AlignerSpec)
    return AlignerRef(
        name=cell.aligner.name,
        params=dict(cell.aligner.params),
        distribution=origin.distribution,
        family=spec.family,
        control=spec.control,
        grids={name: list(values) for name, values in cell.aligner.automatic.items()},
    )


def _protocol(cell: Cell, train: EmbeddedSplit | None) -> ProtocolRef:
    protocol = cell.protocol
    fitted_on_train = train is not None and not protocol.fits_on_test
    return ProtocolRef(
        name=protocol.name,
        fit_size=protocol.fit_size,
        shots=protocol.shots,
        fit_split="test" if protocol.fits_on_test else "train" if fitted_on_train else HALF,
        fit_fingerprint=train.fingerprint if train is not None and fitted_on_train else "",
    )
