"""What a cell's result depends on, and the id that is the hash of it: it can be checked from the record alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.fingerprint import fingerprint

if TYPE_CHECKING:
    from gapbench.results.record import Record

#: Notes that are part of a cell's identity: the scored strings, the train split, the kind of index, the source of a
#: third-party aligner (its version stays while its author works on it; its code does not), and the values that ``auto``
#: chooses among.
NOTES = ("texts", "train", "index", "code", "grids")


def cell_id(record: Record) -> str:
    """Give the id of a record: the hash of everything that its result depends on."""
    return fingerprint(
        [
            record.schema_version,
            record.encoder.fingerprint,
            record.dataset.fingerprint,
            msgspec.to_builtins(record.aligner),
            msgspec.to_builtins(record.protocol),
            record.seed,
            {name: record.notes.get(name) for name in NOTES},
        ]
    )
