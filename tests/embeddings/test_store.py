"""The store: content keys, whole entries only, texts by string, memos that notice changes."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.embeddings import entry, housekeeping
from gapbench.embeddings.disk import discard
from gapbench.embeddings.fingerprint import canonical_json, derive_rng, fingerprint, hash_file
from gapbench.embeddings.items import item_digests
from gapbench.embeddings.store import Store
from gapbench.errors import DataError, GapbenchWarning

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


ENCODER, CODE = "e" * 64, "c" * 64


def digests_of(n):
    return item_digests(map(str, range(n)))


def filled(tmp_path, n=10, d=4, code=CODE):
    store = Store(tmp_path / "store")
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    identity = {"encoder_name": "toy", "dataset_name": "toys", "split": "test"}
    store.write_images(ENCODER, digests_of(n), rows, code=code, identity=identity)
    return store, rows


def missing(store, code, n=10):
    return len(store.missing_images(ENCODER, code, digests_of(n)))


def array_of(store):
    (found,) = (store.root / "images" / ENCODER).glob("*/img_emb/img_emb_0.npy")
    return found


def test_images_come_back_as_they_were_and_as_clip_retrieval_names_them(tmp_path):
    store, rows = filled(tmp_path)
    assert missing(store, CODE) == 0
    np.testing.assert_array_equal(store.images(ENCODER, CODE, digests_of(10))[:], rows)
    np.testing.assert_array_equal(np.load(array_of(store)), rows)
    assert housekeeping.verify(store) == []


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=30)
def test_any_selection_of_items_is_found_whatever_segments_they_are_in(tmp_path_factory, written, data):
    store = Store(tmp_path_factory.mktemp("store"))
    for items in written:
        rows = np.array([[item, item * item] for item in dict.fromkeys(items)], dtype=np.float32)
        store.write_images(ENCODER, item_digests(map(str, dict.fromkeys(items))), rows, code=CODE)
    known = sorted({item for items in written for item in items})
    wanted = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=40))
    found = store.images(ENCODER, CODE, item_digests(map(str, wanted)))
    assert found.shape == (len(wanted), 2)
    np.testing.assert_array_equal(found[:], [[item, item * item] for item in wanted])
    some = np.array(data.draw(st.lists(st.integers(0, len(wanted) - 1), min_size=1)))
    np.testing.assert_array_equal(found[some], found[:][some])
    others = [99, *wanted, 98, 99]
    places = store.missing_images(ENCODER, CODE, item_digests(map(str, others)))
    assert [others[place] for place in places] == [99, 98]
    with pytest.raises(DataError, match=r"3 embeddings .* are not in the store"):
        store.images(ENCODER, CODE, item_digests(map(str, others)))


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    monkeypatch.setattr(entry.Writer, "digests", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write_images(ENCODER, digests_of(4), np.ones((4, 2), np.float32), code=CODE)
    assert missing(store, CODE, 4) == 4
    assert not any(path.is_file() for path in store.root.rglob("*"))


def writer_in_another_process(tmp_path, then):
    code = f"""
import os, sys, time
from pathlib import Path
import numpy as np
from gapbench.embeddings import entry
from gapbench.embeddings.items import item_digests
from gapbench.embeddings.store import Store
whole = entry.Writer.digests
def digests(self, found):
    print("writing", flush=True)
    {then}
    whole(self, found)
entry.Writer.digests = digests
store = Store(Path({str(tmp_path / "store")!r}))
store.write_images({ENCODER!r}, item_digests(map(str, range(4))), np.ones((4, 2), np.float32), code={CODE!r})
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == "writing\n"
    return process


def test_a_killed_write_is_invisible_and_pruned(tmp_path):
    with writer_in_another_process(tmp_path, "os.kill(os.getpid(), 9)") as process:
        assert process.wait() == -9
    store = Store(tmp_path / "store")
    assert missing(store, CODE, 4) == 4
    (left,) = housekeeping.entries(store)
    assert (left.complete, left.what) == (False, housekeeping.INTERRUPTED)
    assert housekeeping.prune(store) == ([left], [])
    assert housekeeping.entries(store) == []
    assert not any(path.is_file() for path in store.root.rglob("*"))


def test_pruning_leaves_alone_what_a_live_process_writes(tmp_path):
    with writer_in_another_process(tmp_path, "sys.stdin.readline()") as process:
        store = Store(tmp_path / "store")
        (entry,) = housekeeping.entries(store)
        assert entry.what == housekeeping.WRITING
        for everything in (False, True):
            assert housekeeping.prune(store, everything=everything) == ([], [entry])
        assert housekeeping.verify(store) == []
        _, errors = process.communicate("go on\n")
        assert process.returncode == 0, errors
    np.testing.assert_array_equal(store.images(ENCODER, CODE, digests_of(4))[:], np.ones((4, 2)))


def test_pruning_leaves_a_damaged_entry_alone_while_somebody_works_on_its_key(tmp_path):
    store, _ = filled(tmp_path)
    os.truncate(array_of(store), 50)
    with store.lock(f"images-{ENCODER}"):
        removed, left = housekeeping.prune(store)
        assert (len(removed), len(left)) == (0, 1)
    removed, left = housekeeping.prune(store)
    assert (len(removed), len(left)) == (1, 0)


def test_entries_that_come_and_go_while_one_looks_are_no_error(tmp_path):
    store, stop, errors = Store(tmp_path / "store"), threading.Event(), []

    def work():
        other = Store(store.root)
        while not stop.is_set():
            other.write_texts("enc", ["a", "b"], np.ones((2, 3), np.float32), code=CODE)
            with other.lock("texts-enc"):
                for made in housekeeping.entries(other):
                    if made.complete:
                        discard(other.root, made.path)

    def guarded():
        try:
            work()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    for _ in range(60):
        housekeeping.entries(store)
        assert housekeeping.verify(store) == []
        removed, _ = housekeeping.prune(store)
        assert removed == []
    stop.set()
    thread.join()
    assert errors == []


def test_only_new_strings_are_missing(tmp_path):
    store = Store(tmp_path)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    store.write_texts("enc", ["a", "b\n", "ü"], rows, code=CODE)
    assert store.missing_texts("enc", CODE, ["b\n", "c", "a", "c"]) == ["c"]
    assert store.missing_texts("other", CODE, ["a"]) == ["a"]
    store.write_texts("enc", ["c"], np.array([[9, 9]], np.float32), code=CODE)
    np.testing.assert_array_equal(store.texts("enc", CODE, ["c", "ü", "a", "c"]), [[9, 9], [4, 5], [0, 1], [9, 9]])
    np.testing.assert_array_equal(Store(tmp_path).texts("enc", CODE, ["ü"]), [[4, 5]])


def test_rows_of_other_code_are_found_once_they_are_said_to_agree(tmp_path):
    store, rows = filled(tmp_path)
    assert missing(store, "other") == 10
    (stored,) = store.images_by_others(ENCODER, "other", digests_of(10))
    assert (stored.code, stored.n) == (CODE, 10)
    assert store.images_by_others(ENCODER, "other", item_digests(["none of them"])) == []
    store.agree(stored, "other")
    assert store.images_by_others(ENCODER, "other", digests_of(10)) == []
    np.testing.assert_array_equal(Store(store.root).images(ENCODER, "other", digests_of(10))[:], rows)
    assert missing(Store(store.root), "third") == 10


def test_what_unknown_code_made_is_trusted_by_its_maker_alone(tmp_path):
    store, _ = filled(tmp_path, code="")
    assert missing(store, "") == 0
    assert missing(Store(store.root), "") == 10
    assert len(Store(store.root).images_by_others(ENCODER, "", digests_of(10))) == 1


def test_a_memo_is_forgotten_when_a_file_changes(tmp_path):
    memos, file = Store(tmp_path / "store").memos, tmp_path / "weights"
    file.write_text("one")
    memos.remember("encoder", "name", [file], {"x": 1})
    assert memos.recall("encoder", "name", [file]) == {"x": 1}
    assert memos.recall("encoder", "other", [file]) is None
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time
    assert memos.recall("encoder", "name", [file]) is None
    memos.remember("encoder", "name", [file], {"x": 2})
    file.unlink()
    assert memos.recall("encoder", "name", [file]) is None


def test_the_cache_command_lists_verifies_and_prunes(gapbench, tmp_path):
    store, _ = filled(tmp_path)
    env = {"GAPBENCH_CACHE": str(store.root)}
    (listed,) = json.loads(gapbench("cache", "ls", "--json", env=env).stdout)
    assert (listed["rows"], listed["dim"], listed["complete"], listed["what"]) == (10, 4, True, "toy / toys / test")
    assert "1 entry checked, 0 damaged" in gapbench("cache", "verify", env=env).stdout
    (store.root / "tmp" / "half.tmp").mkdir()
    os.truncate(array_of(store), 50)
    done = gapbench("cache", "verify", env=env, code=1)
    assert "img_emb/img_emb_0.npy does not match its checksum" in done.stderr
    assert "1 entry checked, 1 damaged, 1 unfinished, 0 being written" in done.stdout
    assert "removed 2 entries" in gapbench("cache", "prune", env=env).stdout
    assert housekeeping.entries(store) == []


@pytest.mark.parametrize("place", ["file", "file/below", "readable"])
def test_a_store_that_cannot_be_written_to_is_named(tmp_path, place):
    (tmp_path / "file").write_text("x")
    (tmp_path / "readable").mkdir(mode=0o500)
    if place == "readable" and os.access(tmp_path / place, os.W_OK):
        pytest.skip("this user may write anywhere")
    store = Store(tmp_path / place)
    for write in (
        lambda: store.write_texts("enc", ["a"], np.ones((1, 2), np.float32), code=CODE),
        lambda: store.write_images(ENCODER, digests_of(1), np.ones((1, 2), np.float32), code=CODE),
        lambda: store.lock("a").__enter__(),
    ):
        with pytest.raises(DataError, match="cannot be written to") as caught:
            write()
        assert str(store.root) in str(caught.value)
        assert "GAPBENCH_CACHE" in str(caught.value)
    with pytest.warns(GapbenchWarning, match="cannot be written to"):
        store.memos.remember("encoder", "one", [tmp_path / "file"], {})
    store.memos.remember("encoder", "two", [tmp_path / "file"], {})  # told once: a second warning is an error here
    assert housekeeping.entries(store) == []
    assert housekeeping.verify(store) == []
    assert housekeeping.prune(store) == ([], [])


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    code = f"""
import resource, signal
from pathlib import Path
import numpy as np
from gapbench.embeddings.items import item_digests
from gapbench.embeddings.store import Store
from gapbench.errors import DataError, GapbenchWarning
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store, rows = Store(Path({str(tmp_path / "store")!r})), np.ones((100_000, 2), np.float32)
    store.write_images({ENCODER!r}, item_digests(map(str, range(100_000))), rows, code={CODE!r})
except DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "cannot be written to (File too large)" in done.stdout
    assert str(tmp_path / "store") in done.stdout
    assert not any(path.is_file() for path in (tmp_path / "store").rglob("*"))


def test_a_first_check_of_27_megabytes_is_not_made_twice(tmp_path, monkeypatch):
    store, digests = Store(tmp_path / "store"), digests_of(13_200)
    rows = np.ones((13_200, 512), np.float32)
    store.write_images(ENCODER, digests, rows, code=CODE)
    entry._CHECKED.clear()
    start = time.process_time()
    assert missing(store, CODE, 13_200) == 0
    first = time.process_time() - start
    start = time.process_time()
    hash_file(array_of(store))
    alone = time.process_time() - start
    monkeypatch.setattr(entry, "_checked", None)
    assert store.images(ENCODER, CODE, digests).shape == rows.shape
    assert missing(Store(store.root), CODE, 13_200) == 0
    print(f"first check of {rows.nbytes / 1e6:.0f} MB: {1000 * first:.1f} ms; SHA-256 alone: {1000 * alone:.1f} ms")
    assert first < 3 * alone + 0.05


def test_an_entry_in_the_place_of_another_is_told_and_not_used(tmp_path):
    """Each holds by itself: only where it lies is wrong."""
    store = Store(tmp_path)
    for encoder, value in (("a" * 64, 1.0), ("b" * 64, 2.0)):
        store.write_images(encoder, digests_of(4), np.full((4, 3), value, np.float32), code="c" * 64)
    one, other = (tmp_path / "images" / encoder for encoder in ("a" * 64, "b" * 64))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    for encoder in ("a" * 64, "b" * 64):
        with pytest.warns(GapbenchWarning, match="lies where another entry belongs"):
            assert len(Store(tmp_path).missing_images(encoder, "c" * 64, digests_of(4))) == 4


def test_segments_of_several_widths_are_refused(tmp_path):
    store = Store(tmp_path)
    store.write_images(ENCODER, item_digests(["one"]), np.ones((1, 2), np.float32), code=CODE)
    store.write_images(ENCODER, item_digests(["two"]), np.ones((1, 3), np.float32), code=CODE)
    with pytest.raises(DataError, match="several numbers of dimensions"):
        store.images(ENCODER, CODE, item_digests(["one", "two"]))
