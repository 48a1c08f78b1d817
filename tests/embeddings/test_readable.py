"""Pictures that cannot be read are found all at once, in rows as in the split."""

import numpy as np
import pytest
from PIL import Image

from gapbench.components import Intake, Split
from gapbench.embeddings.encode import encoded_batches
from gapbench.embeddings.readable import MOST_NAMED, refusal, unreadable, without_unreadable
from gapbench.errors import DataError


class Pictures:
    def __init__(self, n, bad):
        self.n, self.bad = n, bad

    def __len__(self):
        return self.n

    def __getitem__(self, item):
        if item in self.bad:
            raise DataError(f"{item}.png is no picture.")
        return Image.new("RGB", (2, 2), (item % 256, 0, 0))


class Encoder:
    def encode_images(self, batch):
        return np.array([np.asarray(image)[0, 0] for image in batch], dtype=np.float32)


def split(n, bad):
    return Split(
        images=Pictures(n, bad),
        item_hashes=[f"{row:064x}" for row in range(n)],
        classes=["a", "b"],
        labels=np.arange(n) % 2,
        captions=[[f"caption {row}"] for row in range(n)],
        intake=Intake(skipped={"hidden files": 2}, notices=["Odd."]),
    )


def test_they_are_found_from_a_row_on():
    assert unreadable(Pictures(50, {3, 20, 49})) == {row: f"{row}.png is no picture." for row in (3, 20, 49)}
    assert list(unreadable(Pictures(50, {3, 20, 49}), 4)) == [20, 49]


def test_encoding_names_every_one(tmp_path):
    encoded = encoded_batches(Encoder(), Pictures(300, {70, 71, 299}), batch_size=16)
    with pytest.raises(DataError) as caught:
        list(encoded)
    assert str(caught.value).splitlines() == [
        "3 pictures cannot be read; leave them out with --skip-unreadable:",
        *(f"  {row}.png is no picture." for row in (70, 71, 299)),
    ]


def test_of_many_the_first_are_named_and_all_counted():
    message = str(refusal([f"{row}.png is no picture." for row in range(MOST_NAMED + 1_000)]))
    assert message.startswith(f"{MOST_NAMED + 1_000:,} pictures cannot be read")
    assert message.endswith("and 1,000 more")
    assert "--skip-unreadable" in str(refusal(["a.png is no picture."]))


def test_left_out_they_take_all_that_is_theirs_along():
    found = without_unreadable(split(10, {0, 4}))
    rows = [1, 2, 3, 5, 6, 7, 8, 9]
    assert [found.images[row].getpixel((0, 0))[0] for row in range(8)] == rows
    assert list(found.item_hashes) == [f"{row:064x}" for row in rows]
    assert found.labels.tolist() == [row % 2 for row in rows]
    assert found.captions == [[f"caption {row}"] for row in rows]
    assert found.intake.skipped == {"hidden files": 2, "pictures that cannot be read": 2}
    assert found.intake.notices == ["Odd.", "Left out: 0.png is no picture.", "Left out: 4.png is no picture."]
    whole = split(10, ())
    assert without_unreadable(whole) is whole
