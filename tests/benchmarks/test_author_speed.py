"""How long an author waits after a save; `pytest -m benchmark -n 0 -s` prints the figure."""

import time

import pytest

#: Seconds that a round may take when pictures are encoded already.
LIMIT_S = 6.0


@pytest.mark.benchmark
def test_a_round_of_dev_takes_a_few_seconds(gapbench):
    gapbench("new", "aligner", "my-idea", "--single-file")

    def seconds():
        begun = time.perf_counter()
        gapbench("dev", "my_idea.py", "--once")
        return time.perf_counter() - begun

    seconds()  # the first one encodes
    found = min(seconds() for _ in range(3))
    print(f"\ngapbench dev, a round: {found:.1f} s (limit {LIMIT_S:.0f} s)")
    assert found <= LIMIT_S
