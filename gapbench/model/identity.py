"""Identity: the hash of the question that a record answers, and a checksum over the whole record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gapbench.model.record import Record

_encoder = msgspec.json.Encoder(order="deterministic")


def cell_id(record: Record) -> str:
    """Return the id of the question of a record, SHA-256 in hex; it can be computed from the record alone.

    Encoder and data are identified by content and by the registered component that they come from. The argument of a
    component, such as the path of a file, is not: the same arrays in another file are the same question. The code that
    answers is not part of the question either (`gapbench.model.record.Code`).
    """
    encoder, data, prompts, aligner = record.encoder, record.dataset, record.prompts, record.aligner
    question = (
        (encoder.component, encoder.fingerprint),
        (data.component, data.split, data.fingerprint, data.n),
        (prompts.name, prompts.fingerprint, prompts.n_texts),
        (record.label, aligner),
        record.protocol,
        record.index,
        record.seed,
    )
    return hashlib.sha256(_encoder.encode(question)).hexdigest()


def checksum(record: Record) -> str:
    """Return the SHA-256 (hex) of everything in a record but the checksum itself, and the place of its outcomes.

    Outcomes move when records are added to a leaderboard; what they are, their own hash says.
    """
    where = record.outcomes
    placeless = None if where is None else msgspec.structs.replace(where, offset=0)
    return hashlib.sha256(_encoder.encode(msgspec.structs.replace(record, checksum="", outcomes=placeless))).hexdigest()


def sealed(record: Record) -> Record:
    """Return a record with its id and its checksum; nothing may be changed afterwards."""
    record = msgspec.structs.replace(record, cell_id=cell_id(record))
    return msgspec.structs.replace(record, checksum=checksum(record))
