"""Encoding: order, each thing once, and outputs held to the contract."""

import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from gapbench.components import Encoder
from gapbench.embeddings import encode as encode_module
from gapbench.embeddings import housekeeping
from gapbench.embeddings.encode import encode_images, encode_texts
from gapbench.embeddings.items import item_digests
from gapbench.embeddings.store import Store
from gapbench.errors import DataError, PluginError


class Toy(Encoder):
    """Encodes a picture as its size, a string as its length."""

    def __init__(self):
        self.texts = []
        self.widths = []
        self.preparing = set()

    def identity(self):
        return {"toy": 1}

    def prepare(self, image):
        self.preparing.add(threading.current_thread().name)
        return image.size

    def encode_images(self, batch):
        self.widths += [width for width, _ in batch]
        return np.array(batch, dtype=np.float32)

    def encode_texts(self, texts):
        self.texts += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def pictures(*sizes):
    return [Image.new("RGB", (size, 2)) for size in sizes], item_digests(map(str, sizes))


def encode(encoder, sizes, store, **more):
    encode_images(encoder, "enc", *pictures(*sizes), store, code="c", **more)


def stored(store, *sizes):
    return store.images("enc", "c", pictures(*sizes)[1])[:][:, 0].tolist()


def test_rows_are_in_order_whatever_the_batches(tmp_path):
    for batch in (1, 3, 64):
        store, encoder = Store(tmp_path / str(batch)), Toy()
        encode(encoder, range(1, 11), store, batch_size=batch)
        assert stored(store, *range(1, 11)) == list(range(1, 11))
        assert all(name.startswith("gapbench-prepare") for name in encoder.preparing)


def test_only_what_is_new_is_encoded(tmp_path):
    store, encoder = Store(tmp_path), Toy()
    encode(encoder, [1, 2, 3], store)
    encode(encoder, [3, 2, 9, 1, 9, 3], store)
    encode(encoder, [9, 1], store)
    assert encoder.widths == [1, 2, 3, 9]
    assert stored(store, 9, 3, 3, 1) == [9, 3, 3, 1]
    assert len(housekeeping.entries(store)) == 2


def test_segments_are_closed_by_rows_and_by_time(tmp_path, monkeypatch):
    monkeypatch.setattr(encode_module, "SEGMENT_ROWS", 4)
    store = Store(tmp_path)
    encode(Toy(), range(1, 11), store, batch_size=2)
    assert sorted(entry.rows for entry in housekeeping.entries(store)) == [2, 4, 4]
    assert stored(store, *range(10, 0, -1)) == list(range(10, 0, -1))
    monkeypatch.setattr(encode_module, "SEGMENT_S", 0)
    encode(Toy(), range(11, 14), store, batch_size=1)
    assert sorted(entry.rows for entry in housekeeping.entries(store)) == [1, 1, 1, 2, 4, 4]


def test_rows_that_lie_in_order_are_one_memory_map(tmp_path):
    store = Store(tmp_path)
    encode(Toy(), range(1, 11), store)
    assert isinstance(store.images("enc", "c", pictures(*range(1, 11))[1]), np.memmap)
    assert isinstance(store.images("enc", "c", pictures(4, 5, 6)[1]), np.memmap)
    assert not isinstance(store.images("enc", "c", pictures(4, 6)[1]), np.memmap)


@pytest.mark.parametrize("error", [DataError("no picture"), KeyboardInterrupt()])
def test_what_was_encoded_before_an_error_is_kept(tmp_path, error):
    class Fails(Toy):
        def encode_images(self, batch):
            if (5, 2) in batch:
                raise error
            return super().encode_images(batch)

    store, encoder = Store(tmp_path), Toy()
    with pytest.raises(type(error)):
        encode(Fails(), range(1, 9), store, batch_size=2)
    encode(encoder, range(1, 9), store, batch_size=2)
    assert encoder.widths == [5, 6, 7, 8]
    assert stored(store, *range(1, 9)) == list(range(1, 9))


KILLED = """
import os, sys, time
import numpy as np
from pathlib import Path
from PIL import Image
from gapbench.embeddings import encode
from gapbench.embeddings.items import item_digests
from gapbench.embeddings.store import Store

class Slow:
    def prepare(self, image):
        return image.size
    def encode_images(self, batch):
        time.sleep(0.0005)
        return np.array(batch, dtype=np.float32)

encode.SEGMENT_ROWS = 5
sizes = range(1, 101)
print("begin", flush=True)
images = [Image.new("RGB", (size, 2)) for size in sizes]
encode.encode_images(Slow(), "enc", images, item_digests(map(str, sizes)), Store(Path(sys.argv[1])), code="c", batch_size=1)
"""


@pytest.mark.parametrize("times", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_costs_the_open_segment_alone(tmp_path, times):
    """Kill at random moments, until all is encoded: whatever was kept is whole, and no kill takes it away."""
    rng, kept, everything = np.random.default_rng(0), 0, pictures(*range(1, 101))[1]
    for number in range(times):
        if kept == 100:
            shutil.rmtree(tmp_path / "store")
            kept = 0
        with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "store"], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"begin\n"
            time.sleep(rng.uniform(0, 0.25))
            process.kill()
        store = Store(tmp_path / "store")
        assert housekeeping.verify(store) == []
        missing = store.missing_images("enc", "c", everything)
        here = np.setdiff1d(np.arange(100), missing)
        assert len(here) >= kept, number
        kept = len(here)
        assert stored(store, *(here + 1)) == (here + 1).tolist() if kept else True
        assert all(entry.rows == 5 for entry in housekeeping.entries(store) if entry.complete)
    encode(Toy(), range(1, 101), store)
    assert stored(store, *range(1, 101)) == list(range(1, 101))


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
        encode(encoder, [1, 2, 3], store)
    assert housekeeping.entries(store) == []
