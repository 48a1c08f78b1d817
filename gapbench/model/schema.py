"""The JSON Schema of a record, published as ``record.schema.json`` in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gapbench.model.record import Record

FILE = Path(__file__).parent / "record.schema.json"


def record_schema() -> dict[str, Any]:
    """Give the schema (JSON Schema 2020-12), as the code has it."""
    schema = msgspec.json.schema(Record)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gapbench record", **schema}


def write() -> None:
    """Write the published file: ``python -c "from gapbench.model.schema import write; write()"``."""
    import json

    FILE.write_text(json.dumps(record_schema(), indent=1, sort_keys=True) + "\n")
