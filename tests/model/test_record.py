"""The record: the published schema is that of the code, and nothing else is a record."""

import json

import jsonschema
import msgspec
import pytest
from records import hits, record

from gapbench.model.identity import sealed
from gapbench.model.record import Record
from gapbench.model.schema import FILE, record_schema


@pytest.fixture
def content():
    return json.loads(msgspec.json.encode(sealed(record("other", hits(0.5))[0])))


def test_the_published_schema_is_that_of_the_code():
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(record_schema()))


def test_a_record_follows_the_schema(content):
    jsonschema.validate(content, record_schema())


@pytest.mark.parametrize("change", [{"status": "good"}, {"seed": "0"}, {"extra": 1}, {"notes": {"a": [1]}}])
def test_a_record_with_a_wrong_field_breaks_the_schema(content, change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, **change}, record_schema())
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({**content, **change}), type=Record)


def test_no_part_of_a_record_is_a_comparison(content):
    def keys(part):
        if isinstance(part, dict):
            for key, inner in part.items():
                yield key
                yield from keys(inner)

    assert not {"delta", "p", "p_holm", "rank"} & set(keys(content))
