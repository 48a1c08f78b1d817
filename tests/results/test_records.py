"""Records: the journal survives crashes, the schema is what is published, comparisons are what the outcomes give."""

import json

import jsonschema
import msgspec
import numpy as np
import pytest
from gapbench.results.finalise import finalise
from gapbench.results.provenance import environment
from gapbench.results.record import (
    AlignerRef,
    DatasetRef,
    EncoderRef,
    MetricValue,
    PluginRef,
    PromptsRef,
    ProtocolRef,
    Record,
)
from gapbench.results.schema import FILE, record_schema
from safetensors.numpy import load_file
from scipy import stats as scipy_stats

from gapbench.components import Measurement
from gapbench.errors import DataError
from gapbench.results import journal, outcomes


def record(cell="a", aligner="identity", metrics=None, seed=0, **changes):
    return Record(
        schema_version=1,
        cell_id=cell * 8,
        study="toy",
        encoder=EncoderRef(name="enc", fingerprint="e"),
        dataset=DatasetRef(name="data", fingerprint="d", split="test", n=4),
        prompts=PromptsRef(name="plain", n_texts=2),
        aligner=AlignerRef(name=aligner, params={}, plugin=PluginRef(distribution="gapbench", version="0")),
        protocol=ProtocolRef(name="held-out", fit_size=None, fit_split="train"),
        seed=seed,
        status="ok",
        metrics=metrics or {},
        created_utc="2026-01-01T00:00:00Z",
        notes={"label": aligner},
        **changes,
    )


def with_outcomes(folder, cell, aligner, hits, seed=0):
    hits = np.asarray(hits, dtype=bool)
    measurement = Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)
    kept = outcomes.save(folder, cell * 8, {"top1": measurement}, None)
    value = MetricValue(value=measurement.value, ci95=None, n=len(hits))
    return record(cell, aligner, {"top1": value}, seed=seed, outcomes=kept)


def test_the_published_schema_is_that_of_the_code():
    assert json.loads(FILE.read_text()) == record_schema()


def test_a_record_round_trips_and_follows_the_schema(tmp_path):
    path = tmp_path / "records.jsonl"
    journal.append(path, record(metrics={"top1": MetricValue(value=0.5, ci95=(0.4, 0.6), n=4)}))
    assert journal.read(path) == [record(metrics={"top1": MetricValue(value=0.5, ci95=(0.4, 0.6), n=4)})]
    jsonschema.validate(json.loads(path.read_text()), record_schema())


def test_a_record_with_a_wrong_field_breaks_the_schema():
    content = json.loads(msgspec.json.encode(record()))
    for change in ({"status": "good"}, {"seed": "0"}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**content, **change}, record_schema())


def test_a_torn_line_costs_itself_alone(tmp_path):
    path = tmp_path / "records.jsonl"
    journal.append(path, record("a"))
    with path.open("ab") as file:
        file.write(b'{"schema_version": 1, "cell_')
    journal.append(path, record("b"))
    assert [r.cell_id for r in journal.read(path)] == ["a" * 8, "b" * 8]


@pytest.mark.parametrize("zeros", [0, 20])
def test_a_record_cut_off_anywhere_costs_itself_alone(tmp_path, zeros):
    path = tmp_path / "records.jsonl"
    journal.append(path, record("a"))
    first = path.read_bytes()
    second = record(
        "b",
        reason="caf\u00e9 \u6f22 \U0001f600",
        environment={"x": [1.5e-7, True, None, {"y": "\n"}]},
        metrics={"top1": MetricValue(value=0.5, ci95=(0.4, 0.6), n=4)},
    )
    journal.append(path, second)
    whole = path.read_bytes()
    third = msgspec.json.encode(record("c"), order="deterministic") + b"\n"
    for cut in range(len(first), len(whole) - 1, 3 if zeros else 1):
        path.write_bytes(whole[:cut] + b"\0" * zeros)
        assert journal.read(path) == [record("a")]
        path.write_bytes(whole[:cut] + b"\0" * zeros + b"\n" + third)  # as the next run goes on
        assert [r.cell_id[0] for r in journal.read(path)] == ["a", "c"]


@pytest.mark.parametrize("damage", [(b'"reason"', b'"reason'), (b"toy", b"\xff\xfe!"), (b":", b";")])
def test_a_damaged_line_is_named_and_not_passed_over(tmp_path, damage):
    path = tmp_path / "records.jsonl"
    for cell in "abc":
        journal.append(path, record(cell))
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(*damage, 1)
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match=r"records.jsonl, line 2, is"):
        journal.read(path)


def test_the_last_record_of_a_cell_counts(tmp_path):
    path = tmp_path / "records.jsonl"
    journal.append(path, record("a", reason="old"))
    journal.append(path, record("a", reason="new"))
    assert [r.reason for r in journal.read(path)] == ["new"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1, "cell_id": "x"}', "line 2, is no record"),
        ('["a list"]', "line 2, is no record"),
        ("hello", "line 2, is damaged"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, message):
    path = tmp_path / "records.jsonl"
    journal.append(path, record())
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError) as caught:
        journal.read(path)
    assert message in str(caught.value)
    assert "records.jsonl, line 2" in str(caught.value)


def test_outcomes_round_trip_and_notice_tampering(tmp_path):
    rng = np.random.default_rng(0)
    given = {
        "hits": Measurement(value=0.5, n=13, outcomes=rng.random(13) < 0.5),
        "real": Measurement(value=0.1, n=5, outcomes=rng.random(5)),
        "jack": Measurement(value=0.1, n=50, jackknife=rng.random(10)),
        "bare": Measurement(value=1.0, n=1),
    }
    kept = outcomes.save(tmp_path, "c" * 64, given, np.arange(13))
    values = {name: (m.value, m.n) for name, m in given.items()}
    found = outcomes.load(tmp_path, kept, values)
    np.testing.assert_array_equal(found["hits"].outcomes, given["hits"].outcomes)
    np.testing.assert_allclose(found["real"].outcomes, given["real"].outcomes, rtol=1e-6)
    np.testing.assert_array_equal(found["jack"].jackknife, given["jack"].jackknife)
    assert "bare" not in found
    path = tmp_path / kept.file
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(DataError, match="SHA-256"):
        outcomes.load(tmp_path, kept, values)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        outcomes.load(tmp_path, kept, values)


def test_a_table_is_compared_with_identity_by_mcnemar_and_holm(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.random(200) < 0.8
    worse, same = base & (rng.random(200) < 0.8), base ^ (rng.random(200) < 0.02)
    records = [
        with_outcomes(tmp_path, cell, name, hits)
        for cell, name, hits in (("a", "identity", base), ("b", "worse", worse), ("c", "same", same))
    ]
    done = {r.aligner.name: r.metrics["top1"] for r in finalise(records, tmp_path)}
    assert done["identity"].delta is None
    expected = {}
    for name, hits in (("worse", worse), ("same", same)):
        b, c = int((hits & ~base).sum()), int((~hits & base).sum())
        expected[name] = scipy_stats.binomtest(min(b, c), b + c).pvalue
        assert done[name].p == pytest.approx(expected[name])
        assert done[name].delta == pytest.approx(hits.mean() - base.mean())
    smaller, larger = sorted(expected, key=expected.get)
    assert done[smaller].p_holm == pytest.approx(min(1, 2 * expected[smaller]))
    assert done[larger].p_holm == pytest.approx(max(done[smaller].p_holm, expected[larger]))


def test_seeds_are_compared_with_their_own_identity(tmp_path):
    rows = [
        with_outcomes(tmp_path, "a", "identity", [1, 1, 0, 0], seed=0),
        with_outcomes(tmp_path, "b", "identity", [1, 1, 1, 0], seed=1),
        with_outcomes(tmp_path, "c", "other", [1, 1, 1, 1], seed=1),
    ]
    done = finalise(rows, tmp_path)
    other = next(r for r in done if r.aligner.name == "other")
    assert other.metrics["top1"].delta == pytest.approx(0.25)


def test_missing_outcomes_leave_a_note_and_the_values(tmp_path):
    rows = [with_outcomes(tmp_path, "a", "identity", [1, 0]), with_outcomes(tmp_path, "b", "other", [1, 1])]
    (tmp_path / rows[1].outcomes.file).unlink()
    other = next(r for r in finalise(rows, tmp_path) if r.aligner.name == "other")
    assert other.metrics["top1"].value == 1.0
    assert other.metrics["top1"].p is None
    assert "is missing" in other.notes["outcomes"]


def test_the_environment_names_no_host_and_no_user():
    import getpass
    import socket

    text = json.dumps(environment())
    assert "numpy" in text
    assert socket.gethostname() not in text
    assert getpass.getuser() not in text


def test_a_replaced_record_counts_in_no_correction(tmp_path):
    rng = np.random.default_rng(2)
    base, other = rng.random(100) < 0.9, rng.random(100) < 0.6
    old = msgspec.structs.replace(with_outcomes(tmp_path, "o", "other", other), created_utc="2025-01-01T00:00:00Z")
    rows = [with_outcomes(tmp_path, "a", "identity", base), with_outcomes(tmp_path, "b", "other", other), old]
    done = {r.cell_id: r.metrics["top1"] for r in finalise(rows, tmp_path)}
    assert done["b" * 8].p_holm == done["b" * 8].p
    assert done["o" * 8].p_holm is None


def test_classes_that_an_approximate_index_did_not_find_keep_their_mark(tmp_path):
    hits = Measurement(value=0.0, n=3, outcomes=np.zeros(3, bool))
    for predicted in ([-1, 0, 200], [-1, 3, 127], [0, 255, 3]):
        kept = outcomes.save(tmp_path, "p" * 64, {"top1": hits}, np.array(predicted))
        assert load_file(tmp_path / kept.file)["predicted"].tolist() == predicted
