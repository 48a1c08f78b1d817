"""What an aligner notes is kept as plain values, whatever it is."""

import numpy as np
import pytest

from gapbench.bench.notes import LONGEST, kept_as_text, plain_notes
from gapbench.errors import AlignerError


def test_values_are_plain():
    given = {"a": np.float32(0.5), "b": float("nan"), "c": [1], 3: 2**70, "d": True, "e": "x\ud800"}
    assert plain_notes(given, "mine") == {"a": 0.5, "b": "nan", "c": "[1]", "3": str(2**70), "d": True, "e": "x\\ud800"}


def test_what_is_kept_as_text_is_named():
    given = {"a": np.float32(0.5), "b": float("nan"), "c": [1], "d": 2**70, "e": np.bool_(True), "f": "x", "g": np.inf}
    assert kept_as_text(given) == ["b", "c", "d", "g"]


def test_a_long_text_is_cut_and_says_so():
    assert plain_notes({"a": "x" * 10**7}, "mine")["a"] == "x" * LONGEST + "... (10000000 characters)"


@pytest.mark.parametrize("given", [None, [1], "text"])
def test_what_is_no_dictionary_is_named(given):
    with pytest.raises(AlignerError, match=r"Aligner 'mine': notes\(\) gave .* must give a dictionary"):
        plain_notes(given, "mine")
