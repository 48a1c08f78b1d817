"""Lines that tell of long work come when they are due, also where the work stands still, and end with it."""

from itertools import pairwise
from threading import Event

from gapbench.heartbeat import EVERY, FIRST, heartbeat


def test_lines_come_while_the_work_stands_still_and_end_with_it():
    said, third = [], Event()

    def write(line):
        said.append(line)
        if len(said) == 3:
            third.set()

    with heartbeat(lambda: "half", write, first=(0.01, 0.02), every=0.05):
        assert third.wait(20)
    after = len(said)
    Event().wait(0.2)
    assert set(said) == {"half"}
    assert len(said) == after


def test_an_empty_line_is_not_written():
    looked = Event()

    def line():
        looked.set()
        return ""

    said = []
    with heartbeat(line, said.append, first=(0.01,), every=10):
        assert looked.wait(20)
    assert said == []


def test_there_is_a_line_at_least_every_30_seconds():
    due = [0.0, *FIRST, EVERY]
    assert max(later - earlier for earlier, later in pairwise(due)) <= 30
    assert EVERY <= 30
