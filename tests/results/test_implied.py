"""What rows of the same items say of each other: who contradicts whom, and who is blamed."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from gapbench.results.implied import Labels, _fewer, copies


class Record:
    """As much of a record as labels are told by."""

    def __init__(self, n, fit_split="train", seed=0, dataset="d"):
        self.dataset = type("Dataset", (), {"fingerprint": dataset, "n": n})
        self.protocol = type("Protocol", (), {"fit_split": fit_split})
        self.items = type("Items", (), {"scored": n})
        self.seed = seed


def blamed(*rows):
    labels = Labels()
    for position, (predicted, hits) in enumerate(rows):
        labels.add(position, Record(len(predicted)), np.array(predicted), np.array(hits, dtype=bool))
    return {position for position, _ in labels.contradictions()}


def test_rows_that_agree_contradict_nobody():
    assert blamed(([0, 1, 2], [1, 1, 0]), ([0, 2, 1], [1, 0, 1]), ([1, 1, 1], [0, 1, 1])) == set()


def test_two_rows_that_are_right_with_other_classes_are_both_blamed():
    assert blamed(([0, 1], [1, 1]), ([1, 1], [1, 1])) == {0, 1}


def test_the_fewer_are_blamed():
    assert blamed(([0, 1], [1, 1]), ([0, 1], [1, 1]), ([1, 1], [1, 1])) == {2}
    assert blamed(([0, 1], [0, 1]), ([0, 1], [0, 1]), ([0, 1], [1, 1])) == {2}
    assert blamed(([0, 1], [1, 1]), ([0, 1], [1, 1]), ([0, 1], [0, 1])) == {2}


def test_what_one_calls_right_and_another_wrong_with_the_same_class_blames_both():
    assert blamed(([0], [1]), ([0], [0])) == {0, 1}


def test_a_class_that_was_not_found_says_nothing():
    assert blamed(([-1, 0], [0, 1]), ([1, 0], [1, 1])) == set()


def test_other_halves_are_other_items():
    labels = Labels()
    for seed in (0, 1):
        record = Record(4, "half of test", seed)
        labels.add(seed, record, np.array([seed, 1]), np.array([True, True]))
    assert list(labels.contradictions()) == []
    assert labels.compared() == {0: 0, 1: 0}


@pytest.mark.parametrize("seed", range(5))
def test_honest_rows_are_never_blamed_and_one_forged_row_among_three_always_is(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, 200)
    rows = []
    for _ in range(3):
        predicted = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 5, 200))
        rows.append((predicted, predicted == truth))
    assert blamed(*rows) == set()
    predicted, hits = rows[2]
    forged = hits.copy()
    forged[np.flatnonzero(~hits)[:20]] = True
    assert 2 in blamed(*rows[:2], (predicted, forged))


def test_a_number_that_fewer_rows_have_is_named_with_the_other():
    assert list(_fewer({0: 5, 1: 5, 2: 7}, "{} and {}")) == [(2, "7 and 5")]
    assert list(_fewer({0: 5, 1: 7}, "{} and {}")) == [(0, "5 and 7"), (1, "7 and 5")]
    assert list(_fewer({0: 5, 1: 5}, "{} and {}")) == []


def stored(cell="c", seconds=1.0, created="monday", checksum="", environment=None):
    timing = SimpleNamespace(fit_s=seconds, score_s=0.0)
    made = environment or {"platform": "here"}
    number = next(NUMBERS)
    record = SimpleNamespace(
        cell_id=cell, timing=timing, created_utc=created, environment=made, checksum=checksum or f"{number}"
    )
    return SimpleNamespace(record=record, file="run.jsonl", line=number)


NUMBERS = itertools.count()


@pytest.mark.parametrize(
    ("rows", "copied"),
    [
        ([{}, {}, {}], []),  # one run under several names
        ([{}, {"created": "tuesday"}, {}, {"created": "wednesday"}, {"created": "tuesday"}], [1, 2, 3, 4]),
        ([{}, {"environment": {"platform": "there"}}], [1]),
        ([{}, {"created": "tuesday", "seconds": 2.0}, {"created": "tuesday", "cell": "another"}], []),
        ([{"seconds": 0.0}, {"seconds": 0.0, "created": "tuesday"}], []),
        ([{"checksum": "x"}, {"checksum": "x"}, {"checksum": "x"}], [1, 2]),
        ([{"checksum": "x", "seconds": 0.0}, {"checksum": "x", "seconds": 0.0}], [1]),
    ],
)
def test_copies_are_told_and_runs_are_not(rows, copied):
    assert [position for position, _ in copies([stored(**row) for row in rows])] == copied


def test_copies_are_found_among_very_many_runs_of_one_cell():
    """Held against each other they would be 2 x 10^8 pairs, which take minutes."""
    runs = [stored(seconds=0.001 * number, created=f"{number}") for number in range(10_000)]
    runs += [stored(created=f"at {number}") for number in range(10_000)]
    assert len(list(copies(runs))) == 10_000  # 1000 x 0.001 s is among the first ones
