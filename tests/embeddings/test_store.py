"""The store: content keys, whole entries only, texts by string, memos that notice changes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.embeddings.fingerprint import canonical_json, derive_rng, fingerprint
from gapbench.embeddings.store import Store
from gapbench.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_any_change_of_an_input_gives_another_key(identity, data):
    key = data.draw(st.sampled_from(sorted(identity)))
    other = data.draw(JSON)
    changed = {**identity, key: other}
    same = canonical_json(identity) == canonical_json(changed)
    assert (fingerprint(identity) == fingerprint(changed)) == same
    shuffled = dict(reversed(list(identity.items())))
    assert fingerprint(shuffled) == fingerprint(identity)


def test_not_a_number_has_no_key():
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"x": float("nan")})


def test_generators_depend_on_every_axis_and_on_nothing_else():
    assert derive_rng(a=1, b=2).integers(10**9) == derive_rng(b=2, a=1).integers(10**9)
    assert derive_rng(a=1, b=2).integers(10**9) != derive_rng(a=1, b=3).integers(10**9)


def filled(tmp_path, n=10, d=4):
    store = Store(tmp_path / "store")
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    with store.write_images("k" * 64, {"encoder_name": "toy", "dataset_name": "toys", "split": "test"}, n, d) as writer:
        writer.append(rows[:3])
        writer.append(rows[3:])
    return store, rows


def test_images_come_back_as_they_were_and_as_clip_retrieval_names_them(tmp_path):
    store, rows = filled(tmp_path)
    assert store.has_images("k" * 64)
    np.testing.assert_array_equal(store.images("k" * 64)[:], rows)
    np.testing.assert_array_equal(np.load(store.root / "images" / ("k" * 64) / "img_emb" / "img_emb_0.npy"), rows)
    assert store.verify() == []


def test_an_interrupted_write_leaves_nothing(tmp_path):
    store = Store(tmp_path / "store")
    with pytest.raises(RuntimeError), store.write_images("a", {}, 4, 2) as writer:
        writer.append(np.ones((2, 2), np.float32))
        raise RuntimeError
    with pytest.raises(DataError, match="Only 2 of 4"), store.write_images("a", {}, 4, 2) as writer:
        writer.append(np.ones((2, 2), np.float32))
    assert not store.has_images("a")
    assert store.entries() == []


def test_a_killed_write_is_invisible_and_pruned(tmp_path):
    code = f"""
import os
from pathlib import Path
import numpy as np
from gapbench.embeddings.store import Store
with Store(Path({str(tmp_path / "store")!r})).write_images("a", {{}}, 4, 2) as writer:
    writer.append(np.ones((2, 2), np.float32))
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    store = Store(tmp_path / "store")
    assert not store.has_images("a")
    (entry,) = store.entries()
    assert not entry.complete
    store.remove(entry)
    assert store.entries() == []


def test_verify_finds_a_flipped_bit(tmp_path):
    store, _ = filled(tmp_path)
    path = store.root / "images" / ("k" * 64) / "img_emb" / "img_emb_0.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    ((_, problem),) = store.verify()
    assert "img_emb_0.npy" in problem


def test_only_new_strings_are_missing(tmp_path):
    store = Store(tmp_path)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    store.write_texts("enc", ["a", "b\n", "ü"], rows)
    assert store.missing_texts("enc", ["b\n", "c", "a", "c"]) == ["c"]
    assert store.missing_texts("other", ["a"]) == ["a"]
    store.write_texts("enc", ["c"], np.array([[9, 9]], np.float32))
    np.testing.assert_array_equal(store.texts("enc", ["c", "ü", "a", "c"]), [[9, 9], [4, 5], [0, 1], [9, 9]])
    np.testing.assert_array_equal(Store(tmp_path).texts("enc", ["ü"]), [[4, 5]])


def test_a_memo_is_forgotten_when_a_file_changes(tmp_path):
    store, file = Store(tmp_path / "store"), tmp_path / "weights"
    file.write_text("one")
    store.remember("encoder", "name", [file], {"x": 1})
    assert store.recall("encoder", "name", [file]) == {"x": 1}
    assert store.recall("encoder", "other", [file]) is None
    file.write_text("two!")
    assert store.recall("encoder", "name", [file]) is None
    file.unlink()
    assert store.recall("encoder", "name", [file]) is None


def test_the_cache_command_lists_verifies_and_prunes(gapbench, tmp_path):
    store, _ = filled(tmp_path)
    env = {"GAPBENCH_CACHE": str(store.root)}
    (entry,) = json.loads(gapbench("cache", "ls", "--json", env=env).stdout)
    assert (entry["rows"], entry["dim"], entry["complete"], entry["what"]) == (10, 4, True, "toy / toys / test")
    assert "0 damaged" in gapbench("cache", "verify", env=env).stdout
    (store.root / "images" / "half.tmp").mkdir()
    os.truncate(store.root / "images" / ("k" * 64) / "img_emb" / "img_emb_0.npy", 50)
    gapbench("cache", "verify", env=env, code=1 if store.verify() else 0)
    assert "removed 2 entries" in gapbench("cache", "prune", env=env).stdout
    assert store.entries() == []
