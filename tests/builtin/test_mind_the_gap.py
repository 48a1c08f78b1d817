"""The published features of Mind the Gap: fetched from a server on this machine, verified, and read as they were published."""

import hashlib
import json
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from gapbench.builtin.datasets import mind_the_gap
from gapbench.builtin.datasets.mind_the_gap import FILES, MIRROR, SOURCE, MindTheGap, Published
from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import DataError, MissingAssetError, UsageError
from gapbench.specs import Context, Offer


@contextmanager
def serving(monkeypatch, contents, *, status=200, told=None):
    """Serve files on this machine; ``told`` is the length that is announced, where that is not the content's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = contents.get(self.path.lstrip("/"))
            self.send_response(404 if content is None else status)
            self.send_header("Content-Length", str(told or len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(MIRROR, f"http://127.0.0.1:{server.server_port}/")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Put a small array in the place of the file `clip`; gives its bytes."""
    rows = np.random.default_rng(0).normal(size=(2, 20, 4)).astype(np.float32)
    np.save(tmp_path / "made.npy", rows)
    content = (tmp_path / "made.npy").read_bytes()
    (tmp_path / "made.npy").unlink()
    small = Published("features_clip.npy", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(mind_the_gap.FILES, "clip", small)
    return content


def features(tmp_path, name="clip"):
    return MindTheGap(Context(data_root=tmp_path / "data"), name)


def kept(tmp_path):
    return sorted(path.name for path in (tmp_path / "data").rglob("*") if path.is_file())


def test_a_file_is_fetched_verified_and_read(tmp_path, monkeypatch, small):
    data = features(tmp_path)
    assert data.missing().size == len(small)
    assert "--download" in data.missing().how
    with serving(monkeypatch, {"features_clip.npy": small}):
        data.download()
    assert kept(tmp_path) == ["features_clip.npy"]
    data = features(tmp_path)
    assert data.missing() is None
    assert data.offers() == {Offer.CAPTIONS}
    assert data.splits() == {"test": 20}
    assert data.dims() == (4, 4)
    split = data.embedded("test")
    expected = np.load(data.path)
    np.testing.assert_array_equal(split.images[:], expected[0])
    np.testing.assert_array_equal(split.captions.rows[:], expected[1])
    assert split.captions.owner.tolist() == list(range(20))


def damaged(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (damaged, {}, "its SHA-256 is"),
        (lambda content: content[:-5], {}, "bytes and should have"),
        (lambda content: content + b"0", {}, "bytes and should have"),
        (lambda content: b"<html></html>", {}, "it has 13 bytes"),
        (lambda content: content, {"status": 503}, "503"),
        (lambda content: content[:100], {"told": 10_000}, "bytes and should have|IncompleteRead"),
        (lambda content: None, {}, "404"),
    ],
    ids=["damaged", "short", "long", "page", "busy", "interrupted", "absent"],
)
def test_what_is_not_the_published_file_is_told_and_not_kept(tmp_path, monkeypatch, small, change, more, message):
    content = change(small)
    with (
        serving(monkeypatch, {} if content is None else {"features_clip.npy": content}, **more),
        pytest.raises(MissingAssetError, match=message) as caught,
    ):
        features(tmp_path).download()
    assert "features_clip.npy" in str(caught.value)
    assert kept(tmp_path) == []


def test_without_a_server_it_is_told(tmp_path, monkeypatch, small):
    for address in ("http://127.0.0.1:9/", "file:///etc/"):
        monkeypatch.setenv(MIRROR, address)
        with pytest.raises(MissingAssetError, match="could not be fetched"):
            features(tmp_path).download()
    assert kept(tmp_path) == []


def test_a_file_that_was_damaged_is_missing_is_never_read_and_is_healed(tmp_path, monkeypatch, small):
    data = features(tmp_path)
    data.path.parent.mkdir(parents=True)
    data.path.write_bytes(damaged(small))
    assert "is not what was published" in data.missing().what
    with pytest.raises(DataError, match="is not the file that was published: its SHA-256"):
        data.embedded("test")
    with serving(monkeypatch, {"features_clip.npy": small}):
        data.download()
    assert features(tmp_path).missing() is None


def test_a_disk_that_is_full_is_told(tmp_path, monkeypatch, small):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mind_the_gap, "write_whole", full)
    with (
        serving(monkeypatch, {"features_clip.npy": small}),
        pytest.raises(MissingAssetError, match="No space left on device"),
    ):
        features(tmp_path).download()


def test_other_names_are_told(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'clip-random'"):
        features(tmp_path, "clip-randm")


def test_the_address_is_that_of_a_commit(tmp_path, monkeypatch):
    monkeypatch.delenv(MIRROR, raising=False)
    assert SOURCE.startswith("https://")
    assert "/8e20cb24efa4c5f89aad694f2f65eb43ffc46d10/" in SOURCE
    assert f"{SOURCE}features_convirt_random.npy" in features(tmp_path, "convirt-random").missing().how
    assert len({one.sha256 for one in FILES.values()}) == len({one.file for one in FILES.values()}) == 6


@pytest.mark.parametrize(("name", "n"), [("clip", 500), ("videoclip", 100)])
def test_the_published_files_are_those_of_the_checksums(tmp_path, monkeypatch, shared_file, name, n):
    content = shared_file(FILES[name].file).read_bytes()
    with serving(monkeypatch, {FILES[name].file: content}):
        features(tmp_path, name).download()
    split = features(tmp_path, name).embedded("test")
    same = EmbeddingFile(shared_file(f"mind_the_gap_{name.replace('-', '_')}.npz")).embedded("test")
    assert split.fingerprint == same.fingerprint
    assert len(split.images) == n
    np.testing.assert_array_equal(split.images[:], same.images[:])
    np.testing.assert_array_equal(split.captions.rows[:], same.captions.rows[:])


def test_it_imports_no_torch(gapbench_store, monkeypatch):
    import subprocess

    code = "import sys, gapbench.builtin.datasets.mind_the_gap; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_fetches_only_when_asked(gapbench, tmp_path, monkeypatch):
    content = np.lib.format.magic(1, 0)
    run = ("run", "-d", "mind-the-gap:clip", "-a", "identity", "-m", "i2t-recall@1", "--no-figures", "--out", "o")
    data = ("--data-root", "data")
    with serving(monkeypatch, {"features_clip.npy": content}):
        without = gapbench(*run, *data, code=1)
        assert "--download" in " ".join(without.stderr.split())
        assert "2 MB" in " ".join(without.stderr.split())
        assert kept(tmp_path) == []
        wrong = gapbench(*run, *data, "--download", code=1)
        assert "is not the file that was published" in " ".join(wrong.stderr.split())
        assert kept(tmp_path) == []
        assert "Traceback" not in without.stderr + wrong.stderr
        assert gapbench(*run, *data, "--offline", code=1).returncode == 1


def test_a_run_with_download_scores_the_published_features(gapbench, tmp_path, monkeypatch, shared_file):
    content = shared_file("features_clip.npy").read_bytes()
    run = ("run", "-a", "identity", "-m", "i2t-recall@1", "--protocol", "in-sample", "--no-figures", "--out", "o")
    with serving(monkeypatch, {"features_clip.npy": content}):
        gapbench(*run, "-d", "mind-the-gap:clip", "--data-root", "data", "--download")
    (path,) = (tmp_path / "o" / "records").glob("*.jsonl")
    (record,) = map(json.loads, path.read_text().splitlines())
    assert record["metrics"]["i2t-recall@1"]["value"] == pytest.approx(0.552, abs=0.0005)
