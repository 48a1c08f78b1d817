"""The digits are the same items on every machine, and readable in every colour."""

import hashlib

import numpy as np
import pytest

from gapbench.builtin.datasets.digits import COLORS, ColorDigits, Digits, contrasting, glyphs, split_rows
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.errors import UsageError


@pytest.mark.parametrize("dataset", [Digits, ColorDigits])
def test_an_item_hash_is_that_of_its_pixels(dataset):
    split = dataset(None).split("test")
    pixels = [np.asarray(split.images[number]).tobytes() for number in range(10)]
    assert [hashlib.sha256(pixel).hexdigest() for pixel in pixels] == list(split.item_hashes[:10])


@pytest.mark.parametrize(
    ("dataset", "name", "beginning"),
    [
        (Digits, "train", "ae2ebdfadae18e0f"),
        (Digits, "test", "515dd57a72b57fbb"),
        (ColorDigits, "train", "413b235ca4ed3eb4"),
        (ColorDigits, "test", "8a391491c360e8d2"),
    ],
)
def test_items_and_their_order_never_change(dataset, name, beginning):
    split = dataset(None).split(name)
    captions = None if split.captions is None else [list(own) for own in split.captions]
    assert fingerprint([list(split.item_hashes), split.labels.tolist(), captions]).startswith(beginning)


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="no split 'val'"):
        Digits(None).split("val")


def test_every_pair_of_colours_can_be_told_apart():
    for color, ground in contrasting():
        difference = np.subtract(COLORS[color], COLORS[ground], dtype=float)
        assert abs(difference @ [0.299, 0.587, 0.114]) > 70
    assert {color for pair in contrasting() for color in pair} == set(COLORS)


def test_what_is_cached_cannot_be_changed_by_its_users():
    for array in (*glyphs(), split_rows("test")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    Digits(None).split("test").labels[0] = 9  # one's own copy
    assert Digits(None).split("test").labels[0] == glyphs()[1][split_rows("test")[0]]
