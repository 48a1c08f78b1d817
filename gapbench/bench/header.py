"""The header of a record: which cell it is, and the id that covers everything its results depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.bench.materials import CAPTIONS, GIVEN
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.host.build import source_hash
from gapbench.host.discovery import BUILTIN
from gapbench.results.identity import cell_id
from gapbench.results.provenance import environment
from gapbench.results.record import (
    SCHEMA_VERSION,
    AlignerRef,
    DatasetRef,
    EncoderRef,
    PluginRef,
    PromptsRef,
    ProtocolRef,
    Record,
)
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
) -> Record:
    """Write a record without its results.

    Parameters
    ----------
    cell, test, train, prompts
        What is run, and on what.
    study, index
        Name of the study, and kind of the index over prompts.
    encoder
        Fingerprint of the encoder; of an embedding file, that of the file.
    """
    origin, spec = cell.aligner.component.origin, cell.aligner.component.spec
    assert isinstance(spec, AlignerSpec)
    aligner = AlignerRef(
        name=cell.aligner.name,
        params=dict(cell.aligner.params),
        plugin=PluginRef(distribution=origin.distribution, version=origin.version),
    )
    texts = {CAPTIONS: "captions", GIVEN: "given"}.get(cell.prompts_name) or fingerprint(
        None if prompts is None else [list(prompts.prompts), list(prompts.owner), prompts.pooling]
    )
    fit_split = "test" if cell.protocol.fits_on_test else "train" if train is not None else "half of test"
    code = "" if origin == BUILTIN else source_hash(spec.factory)
    grids = {name: list(values) for name, values in cell.aligner.automatic.items()}
    scored = test.captions if cell.captioned else test.prompts
    notes = {
        "label": cell.aligner.label,
        "family": spec.family,
        "texts": texts,
        "index": index,
    }
    notes |= {"train": train.fingerprint} if train is not None else {}
    notes |= {"code": code} if code else {}
    header = Record(
        schema_version=SCHEMA_VERSION,
        cell_id="",
        study=study,
        encoder=EncoderRef(name=cell.source.encoder_name, fingerprint=encoder),
        dataset=DatasetRef(
            name=cell.source.dataset_name, fingerprint=test.fingerprint, split="test", n=len(test.images)
        ),
        prompts=PromptsRef(name=cell.prompts_name, n_texts=0 if scored is None else len(scored.rows)),
        aligner=aligner,
        protocol=ProtocolRef(
            name=cell.protocol.name,
            fit_size=cell.protocol.fit_size,
            fit_split=fit_split,
            shots=cell.protocol.shots,
        ),
        seed=cell.seed,
        status="ok",
        environment=environment(),
        notes=notes | ({"grids": grids} if grids else {}),
    )
    return msgspec.structs.replace(header, cell_id=cell_id(header))
