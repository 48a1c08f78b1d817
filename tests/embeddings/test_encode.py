"""Encoding: order, each thing once, and outputs held to the contract."""

import threading

import numpy as np
import pytest
from PIL import Image

from gapbench.components import Encoder, Split
from gapbench.embeddings import housekeeping
from gapbench.embeddings.encode import encode_images, encode_texts
from gapbench.embeddings.store import Store
from gapbench.errors import PluginError


class Toy(Encoder):
    """Encodes a picture as its size, a string as its length."""

    def __init__(self):
        self.texts = []
        self.preparing = set()

    def identity(self):
        return {"toy": 1}

    def prepare(self, image):
        self.preparing.add(threading.current_thread().name)
        return image.size

    def encode_images(self, batch):
        return np.array(batch, dtype=np.float32)

    def encode_texts(self, texts):
        self.texts += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def pictures(n):
    images = [Image.new("RGB", (i + 1, 2)) for i in range(n)]
    return Split(images=images, item_hashes=[str(i) for i in range(n)])


def test_rows_are_in_order_whatever_the_batches(tmp_path):
    for batch in (1, 3, 64):
        store, encoder = Store(tmp_path / str(batch)), Toy()
        encode_images(encoder, pictures(10), store, "key", {}, code="c", batch_size=batch)
        np.testing.assert_array_equal(store.images("key", "c")[:, :][:, 0], np.arange(1, 11))
        assert all(name.startswith("gapbench-prepare") for name in encoder.preparing)


def test_what_is_stored_is_not_encoded_again(tmp_path):
    store, encoder = Store(tmp_path), Toy()
    encode_images(encoder, pictures(3), store, "key", {}, code="c")
    encoder.encode_images = None
    assert encode_images(encoder, pictures(3), store, "key", {}, code="c") == 0


def test_each_string_is_encoded_once(tmp_path):
    store, encoder = Store(tmp_path), Toy()
    encode_texts(encoder, "enc", ["a", "bb", "a"], store, code="c")
    encode_texts(encoder, "enc", ["bb", "ccc"], store, code="c")
    assert encoder.texts == ["a", "bb", "ccc"]
    np.testing.assert_array_equal(store.texts("enc", "c", ["ccc", "a"])[:, 0], [3, 1])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda n: [[1.0]] * n, "list"),
        (lambda n: np.ones((n - 1, 2), np.float32), "shape"),
        (lambda n: np.full((n, 2), np.nan, np.float32), "NaN"),
        (lambda n: np.ones((n, 2), np.int64), "int64"),
    ],
)
def test_a_bad_output_is_an_error_and_leaves_nothing(tmp_path, output, message):
    store, encoder = Store(tmp_path), Toy()
    encoder.encode_images = lambda batch: output(len(batch))
    with pytest.raises(PluginError, match=message):
        encode_images(encoder, pictures(3), store, "key", {})
    assert housekeeping.entries(store) == []
