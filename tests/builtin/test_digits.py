"""digits and color-digits: real glyphs, one fixed split, no chance involved."""

import numpy as np
import pytest

from gapbench.builtin.datasets.digits import CLASSES, COLORS, ColorDigits, Digits, glyphs, split_rows


@pytest.mark.parametrize("dataset", [Digits, ColorDigits])
def test_splits_are_disjoint_stratified_and_fixed(dataset):
    state = np.random.get_state()[1].copy()
    train, test = dataset(None).split("train"), dataset(None).split("test")
    assert (len(train.images), len(test.images)) == (1297, 500)
    assert not set(split_rows("train")) & set(split_rows("test"))
    shares = np.bincount(test.labels) / np.bincount(glyphs()[1])
    assert np.ptp(shares) < 0.02
    assert list(test.item_hashes) == list(dataset(None).split("test").item_hashes)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_digits_are_the_glyphs_in_white_on_black():
    split, row = Digits(None).split("test"), split_rows("test")[7]
    picture = np.asarray(split.images[7])
    assert picture.shape == (32, 32, 3)
    assert (picture[..., 0] == picture[..., 2]).all()
    blocks = picture[4:28, 4:28, 0].reshape(8, 3, 8, 3).mean(axis=(1, 3)) / 255
    assert np.corrcoef(blocks.ravel(), glyphs()[0][row].ravel())[0, 1] > 0.95


def test_captions_name_what_is_painted():
    split = ColorDigits(None).split("test")
    for number in range(0, 500, 50):
        first, second = split.captions[number]
        _, color, digit, _, _, ground, _ = first.split()
        assert digit == CLASSES[split.labels[number]]
        assert second == f"the digit {digit} in {color} on {ground}"
        corner = np.asarray(split.images[number])[0, 0]
        assert tuple(corner) == COLORS[ground]
