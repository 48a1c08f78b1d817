"""Identity: all that is asked decides the id of a cell, and nothing else does; the checksum covers everything."""

import msgspec
import pytest
from records import THERE, hits, other_code, record

from gapbench.model.identity import cell_id, checksum, sealed
from gapbench.model.record import Choice, Code, ItemCounts, MetricValue, Outcomes, Timing, Unmeasured

VALUE = MetricValue(value=0.25, ci95=(0.2, 0.3), n=4, distribution="toy")


def whole():
    """Return a record in which every field has a value."""
    draft, _ = record("other", hits(0.5))
    changed = changed_parts(
        draft, {"aligner.params": {"delta": 0.5, "side": "both"}, "aligner.grids": {"delta": [0.25, 0.5]}}
    )
    return msgspec.structs.replace(
        changed,
        reason="why",
        unmeasured={"ece": Unmeasured(status="error", reason="no", distribution="toy")},
        pairs="captions",
        chosen=Choice(params={"delta": 0.5}, items=10, scores=[({"delta": 0.5}, 0.9)]),
        warnings=("few pairs",),
        index_recall=0.99,
        printed=3,
        timing=Timing(encode_s=1.0, fit_s=2.0, score_s=3.0),
        outcomes=Outcomes(offset=3, length=4, sha256="d" * 64),
        notes={"rank": 3},
    )


def changed_parts(one, changes):
    """Return a record with some parts replaced, named as ``part.field``."""
    for path, new in changes.items():
        name, _, field = path.partition(".")
        value = msgspec.structs.replace(getattr(one, name), **{field: new}) if field else new
        one = msgspec.structs.replace(one, **{name: value})
    return one


#: What a question consists of.
ASKED = {
    "encoder.component": "enc2",
    "encoder.fingerprint": "e2",
    "dataset.component": "data2",
    "dataset.split": "train",
    "dataset.fingerprint": "d2",
    "dataset.n": 401,
    "prompts.name": "plain",
    "prompts.fingerprint": "t2",
    "prompts.n_texts": 3,
    "label": "other[delta=0.5]",
    "aligner.name": "another",
    "aligner.params": {"delta": 0.25, "side": "both"},
    "aligner.distribution": "toy-two",
    "aligner.family": "mean",
    "aligner.control": True,
    "aligner.grids": {"delta": [0.25, 0.5, 0.75]},
    "protocol.name": "in-sample",
    "protocol.fit_size": 100,
    "protocol.shots": 1,
    "protocol.fit_split": "half of test",
    "protocol.fit_fingerprint": "f2",
    "seed": 1,
    "index": "hnsw",
}

#: What is not asked: what came out, who answered, and names that are shown.
NOT_ASKED = {
    "schema_version": 3,
    "study": "another",
    "encoder.name": "file:/elsewhere/enc",
    "encoder.dtype": "bfloat16",
    "encoder.distribution": "another",
    "dataset.name": "embeddings:elsewhere.npz",
    "dataset.distribution": "another",
    "dataset.published": False,
    "prompts.distribution": "another",
    "status": "error",
    "reason": "another",
    "items": ItemCounts(fitted=99),
    "metrics": {"top1": VALUE},
    "unmeasured": {},
    "pairs": "class prompts",
    "chosen": None,
    "warnings": (),
    "index_recall": 0.5,
    "printed": 4,
    "timing": Timing(encode_s=9.0, fit_s=2.0, score_s=3.0),
    "environment": THERE,
    "code": other_code(),
    "created_utc": "2027-01-01",
    "outcomes": None,
    "notes": {"rank": 4},
}


def test_every_field_is_either_asked_or_not():
    parts = ("encoder", "dataset", "prompts", "aligner", "protocol")
    fields = {name for name in type(whole()).__struct_fields__ if name not in (*parts, "cell_id", "checksum")}
    for part in parts:
        fields |= {f"{part}.{name}" for name in getattr(whole(), part).__struct_fields__}
    assert fields == ASKED.keys() | NOT_ASKED.keys()
    assert not ASKED.keys() & NOT_ASKED.keys()


@pytest.mark.parametrize("path", ASKED)
def test_what_is_asked_changes_the_id(path):
    assert cell_id(changed_parts(whole(), {path: ASKED[path]})) != cell_id(whole())


@pytest.mark.parametrize("path", NOT_ASKED)
def test_what_is_not_asked_leaves_the_id(path):
    assert cell_id(changed_parts(whole(), {path: NOT_ASKED[path]})) == cell_id(whole())


@pytest.mark.parametrize("path", [*ASKED, *NOT_ASKED])
def test_the_checksum_covers_every_field(path):
    change = ASKED.get(path, NOT_ASKED.get(path))
    changed = sealed(changed_parts(whole(), {path: change}))
    assert changed.checksum != sealed(whole()).checksum
    assert changed.checksum == checksum(changed)


@pytest.mark.parametrize(
    ("field", "covered"), [({"offset": 9}, False), ({"length": 9}, True), ({"sha256": "9" * 64}, True)]
)
def test_outcomes_may_move_and_may_not_change(field, covered):
    one = whole()
    moved = msgspec.structs.replace(one, outcomes=msgspec.structs.replace(one.outcomes, **field))
    assert (checksum(moved) != checksum(one)) is covered


def test_the_parts_of_a_question_cannot_be_taken_for_each_other():
    one = changed_parts(whole(), {"encoder.component": "a", "encoder.fingerprint": "bc"})
    other = changed_parts(whole(), {"encoder.component": "ab", "encoder.fingerprint": "c"})
    assert cell_id(one) != cell_id(other)


def test_the_order_of_parameters_is_no_part_of_the_question():
    one = changed_parts(whole(), {"aligner.params": {"a": 1, "b": 2}})
    other = changed_parts(whole(), {"aligner.params": {"b": 2, "a": 1}})
    assert cell_id(one) == cell_id(other)


def test_sealing_again_changes_nothing():
    once = sealed(whole())
    assert sealed(once) == once
    assert once.code["toy"] == Code(version="1", sha256="b" * 64)
