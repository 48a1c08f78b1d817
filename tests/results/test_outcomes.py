"""Outcomes: one container beside the records, the same bytes everywhere, and no change that goes unnoticed."""

import os
from hashlib import sha256

import msgspec
import numpy as np
import pytest
from records import binary, hits, record, stored, value

from gapbench.components import Measurement
from gapbench.errors import DataError
from gapbench.model.record import Outcomes
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.outcomes import SUFFIX, Block, Container, pack


def placed(content, offset=0):
    return Outcomes(offset=offset, length=len(content), sha256=sha256(content).hexdigest())


def test_outcomes_round_trip():
    rng = np.random.default_rng(0)
    given = {
        "hits": Measurement(value=0.5, n=13, outcomes=rng.random(13) < 0.5),
        "real": Measurement(value=0.1, n=5, outcomes=rng.random(5)),
        "jack": Measurement(value=0.1, n=50, jackknife=rng.random(10)),
        "bare": Measurement(value=1.0, n=1),
    }
    content = pack(given, np.arange(13))
    assert content == pack(given, np.arange(13))
    block = Block(content, "here")
    found = {name: block.measurement(name, value(measured)) for name, measured in given.items()}
    np.testing.assert_array_equal(found["hits"].outcomes, given["hits"].outcomes)
    np.testing.assert_allclose(found["real"].outcomes, given["real"].outcomes, rtol=1e-6)
    np.testing.assert_array_equal(found["jack"].jackknife, given["jack"].jackknife)
    assert found["bare"] is None


def test_every_block_of_a_container_comes_back_as_it_was_measured(tmp_path):
    shares = [0.1, 0.5, 0.9]
    found = stored(tmp_path, [record(f"a{i}", hits(share)) for i, share in enumerate(shares)])
    for one, share in zip(found, shares, strict=True):
        measured = one.container.measurements(one.record.outcomes, one.record.metrics)
        np.testing.assert_array_equal(measured["top1"].outcomes, hits(share))
    path = journal.run_file(tmp_path).with_suffix(SUFFIX)
    assert sum(one.record.outcomes.length for one in found) == path.stat().st_size


def test_tampering_is_noticed(tmp_path):
    (one,) = stored(tmp_path, [record("identity", hits(0.5))])
    path = journal.run_file(tmp_path).with_suffix(SUFFIX)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for read in (one.container.block, Container(path).block, Container(path).opened):
        with pytest.raises(DataError, match="SHA-256"):
            read(one.record.outcomes)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        Container(path).block(one.record.outcomes)


@pytest.mark.parametrize(
    "change", [{"offset": 1}, {"offset": -1}, {"offset": 10**12}, {"length": 1}, {"length": 10**12}]
)
def test_a_place_that_is_not_that_of_the_block_is_noticed(tmp_path, change):
    (one,) = stored(tmp_path, [record("identity", hits(0.5))])
    with pytest.raises(DataError, match="SHA-256"):
        one.container.block(msgspec.structs.replace(one.record.outcomes, **change))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_plain_file_is_read(tmp_path, kind):
    content = pack({"top1": binary(hits(0.5))}, None)
    (tmp_path / "real").write_bytes(content)
    path = tmp_path / "run.outcomes"
    {"link": lambda: path.symlink_to(tmp_path / "real"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(DataError, match=r"run\.outcomes cannot be read"):
        Container(path).block(placed(content))


def test_bytes_that_are_no_outcomes_are_told(tmp_path):
    path = tmp_path / "run.outcomes"
    path.write_bytes(b"anything at all")
    with pytest.raises(DataError, match="not in the safetensors format"):
        Container(path).measurements(placed(b"anything at all"), {})


@pytest.mark.parametrize("n", [9, 10**9, -1])
def test_outcomes_of_another_number_of_items_are_no_outcomes_of_a_value(n):
    measured = binary(hits(0.5, n=8))
    said = msgspec.structs.replace(value(measured), n=n)
    with pytest.raises(DataError, match=f"outcomes of {n} items"):
        Block(pack({"top1": measured}, None), "here").measurement("top1", said)


@pytest.mark.parametrize("predicted", [[-1, 0, 200], [-1, 3, 127], [0, 255, 3], [0, 70_000, 1]])
def test_classes_that_an_approximate_index_did_not_find_keep_their_mark(tmp_path, predicted):
    content = pack({"top1": binary(np.zeros(3, bool))}, np.array(predicted))
    path = tmp_path / "run.outcomes"
    path.write_bytes(content)
    assert Container(path).opened(placed(content)).predicted.tolist() == predicted


def test_a_container_sees_what_is_appended_later_and_bears_being_cut_short(tmp_path):
    (first,) = stored(tmp_path, [record("a", hits(0.5))])
    first.container.block(first.record.outcomes)
    later = stored(tmp_path, [record("b", hits(0.7))])[1]
    assert first.container.block(later.record.outcomes) == later.container.block(later.record.outcomes)
    os.truncate(first.container.path, 10)
    with pytest.raises(DataError, match="SHA-256"):
        first.container.block(later.record.outcomes)


def test_many_answers_of_one_file_take_one_descriptor(tmp_path):
    found = stored(tmp_path, [record(f"a{i}", hits(0.5), created=when) for i in range(30) for when in TWICE])
    before = len(os.listdir("/proc/self/fd"))
    assert len(answers(found)) == 30
    assert len(os.listdir("/proc/self/fd")) <= before + 1


TWICE = ("2026-01-01T00:00:00.000+00:00", "2026-01-02T00:00:00.000+00:00")
