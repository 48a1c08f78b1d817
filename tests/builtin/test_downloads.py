"""The whole way of --download, against a server with every fault."""

import hashlib
import json
import re
import shutil
import time

import pytest
from fake_hub import Hub

from gapbench.builtin import fetching
from gapbench.builtin.encoders import open_clip_files
from gapbench.builtin.encoders.mini_clip import HOME
from gapbench.builtin.encoders.open_clip import OpenClip
from gapbench.errors import MissingAssetError
from gapbench.specs import Context

REPOSITORY = "tiny/clip"
SAFE, PICKLE = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one small model, both as safetensors and as a pickle, and an empty cache of it."""
    from huggingface_hub import constants

    folder = tmp_path / "site" / REPOSITORY
    folder.mkdir(parents=True)
    for name in (SAFE, "open_clip_config.json"):
        shutil.copy(HOME / name, folder / name)
    (folder / PICKLE).write_bytes(b"a pickle that nobody wants")
    served = Hub(tmp_path / "site")
    cache = tmp_path / "cache"
    for name, value in {
        "ENDPOINT": served.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": served.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "WAITS", (0.01, 0.01))
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    plain = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: plain(min(seconds, 0.01)))  # the client of the hub waits, too
    _use_cache(monkeypatch, cache)
    yield served
    served.close()


def _use_cache(monkeypatch, cache):
    """Name the cache in each call: the defaults of arguments were taken when the package was imported."""
    import huggingface_hub

    for name in ("hf_hub_download", "snapshot_download", "try_to_load_from_cache"):
        plain = getattr(huggingface_hub, name)
        monkeypatch.setattr(huggingface_hub, name, lambda *a, plain=plain, **k: plain(*a, **k, cache_dir=cache))


def model(tmp_path, **flags):
    return OpenClip(Context(data_root=tmp_path, device="cpu", **flags), f"hf-hub:{REPOSITORY}")


def fetched(tmp_path):
    found = model(tmp_path, download=True)
    found.download()
    return found


def refusal(tmp_path):
    with pytest.raises(MissingAssetError) as caught:
        fetched(tmp_path)
    return str(caught.value)


def weights(hub):
    return hashlib.sha256((hub.root / REPOSITORY / SAFE).read_bytes()).hexdigest()


def damage(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def test_a_model_is_fetched_once_and_is_the_published_one(tmp_path, hub):
    found = fetched(tmp_path)
    assert found.missing() is None
    assert found.identity()["weights"] == weights(hub)
    assert (hub.sent(SAFE), hub.sent(PICKLE)) == (1, 0)
    hub.log.clear()
    assert model(tmp_path, download=True).missing() is None
    assert hub.log == []


@pytest.mark.filterwarnings("ignore:The server answers")
@pytest.mark.parametrize("fault", ["403", "429", "500", "503", "gated", "denied", "unknown"])
def test_no_fault_of_the_server_makes_a_pickle_of_a_safetensors_file(tmp_path, hub, fault):
    hub.faults[SAFE] = fault
    refusal(tmp_path)
    assert not [path for _, path, _ in hub.log if PICKLE in path]


def test_a_repository_that_has_only_the_pickle_gives_that(tmp_path, hub):
    (hub.root / REPOSITORY / SAFE).unlink()
    fetched(tmp_path)
    assert hub.sent(PICKLE) == 1


@pytest.mark.filterwarnings("ignore:The server answers")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("gated", r"gated. Accept the conditions on http\S+/tiny/clip, then set HF_TOKEN.*hf auth login"),
        ("denied", r"gated. Accept the conditions"),
        ("unknown", r"There is no repository http\S+/tiny/clip, or it is private. Check its name"),
        ("404", r"answers 404|none of the files"),
        ("403", r"refuses it \(403\).*Run it again later"),
        ("429", r"asked too often \(429\).*HF_TOKEN raises the limit"),
        ("503", r"has trouble \(503\), also after some waiting. Run it again later"),
        ("wrong", r"is damaged: its SHA-256.*Nothing of it is used"),
    ],
)
def test_a_failure_says_what_to_do_about_its_cause(tmp_path, hub, fault, words):
    hub.faults["open_clip_"] = fault
    said = refusal(tmp_path)
    assert re.search(words, said), said
    assert "Check the network" not in said


def test_a_repository_without_weights_is_named_with_the_files_that_it_lacks(tmp_path, hub):
    for name in (SAFE, PICKLE):
        (hub.root / REPOSITORY / name).unlink()
    assert f"has none of the files {SAFE}, {PICKLE}. Check its name" in refusal(tmp_path)


@pytest.mark.filterwarnings("ignore:The server answers")
@pytest.mark.parametrize("status", ["429", "503"])
def test_a_busy_server_is_asked_again(tmp_path, hub, status):
    hub.faults[SAFE] = f"once:{status}"
    assert fetched(tmp_path).missing() is None
    assert (hub.sent(SAFE), hub.sent(PICKLE)) == (1, 0)


def test_each_wait_for_a_busy_server_is_told(monkeypatch):
    import urllib.error

    from gapbench.errors import GapbenchWarning

    monkeypatch.setattr(fetching, "WAITS", (0.01, 0.01))
    answers = [503, 429, 200]

    def call():
        if (status := answers.pop(0)) != 200:
            raise urllib.error.HTTPError("http://x", status, "busy", None, None)
        return "whole"

    with pytest.warns(GapbenchWarning, match=r"The server answers (503|429); the next try is in") as told:
        assert fetching.retried(call) == "whole"
    assert len(told) == 2


def test_a_line_that_breaks_is_taken_up_where_it_broke(tmp_path, hub):
    plain = hub.fault
    broken = []

    def fault(path):
        head = not any(SAFE in logged and method == "HEAD" for method, logged, _ in hub.log)
        if SAFE in path and not head and not broken:
            broken.append(path)
            return "cut"
        return plain(path)

    hub.fault = fault
    found = fetched(tmp_path)
    assert broken
    assert found.identity()["weights"] == weights(hub)


def test_offline_variables_are_named(tmp_path, hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set in the environment and forbids it. Unset it" in refusal(tmp_path)
    assert hub.log == []


def test_no_connection_says_so(tmp_path, hub):
    hub.close()
    assert "Check the network" in refusal(tmp_path)


def test_damaged_weights_are_told_refused_and_fetched_again(tmp_path, hub):
    path = fetched(tmp_path).source.weights.locate().resolve()
    damage(path)
    missing = model(tmp_path).missing()
    assert str(path.name[:12]) in missing.what
    assert "is damaged: its SHA-256" in missing.what
    assert "--download" in missing.how
    with pytest.raises(MissingAssetError, match="is damaged"):
        model(tmp_path).identity()
    assert fetched(tmp_path).identity()["weights"] == weights(hub)
    assert hub.sent(SAFE) == 2


def test_damaged_weights_stay_where_they_cannot_be_fetched_again(tmp_path, hub):
    path = fetched(tmp_path).source.weights.locate().resolve()
    damage(path)
    hub.faults[SAFE] = "unknown"
    assert "There is no repository" in refusal(tmp_path)
    assert path.is_file()


def test_weights_are_hashed_once_while_they_do_not_change(tmp_path, hub, monkeypatch):
    from gapbench.embeddings import sums

    found = fetched(tmp_path)
    monkeypatch.setattr(sums, "_sum", lambda *a: pytest.fail("hashed again"))
    assert model(tmp_path).missing() is None
    assert model(tmp_path).source.digest == found.identity()["weights"]


@pytest.fixture
def address(hub, tmp_path, monkeypatch):
    """A weight file by its address, which has its SHA-256, and the folder of such files."""
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()
    (hub.root / digest).mkdir()
    (hub.root / digest / "tiny.pt").write_bytes(content)
    monkeypatch.setattr(open_clip_files, "BY_ADDRESS", tmp_path / "clip")
    return open_clip_files.Asset(url=f"{hub.url}/files/{digest}/tiny.pt")


def test_weights_by_address_are_held_to_the_sum_in_it(address, hub):
    address.fetch()
    assert address.damage() == ""
    damage(address.locate())
    assert "is damaged: its SHA-256" in address.damage()
    address.fetch()
    assert address.damage() == ""


@pytest.mark.filterwarnings("ignore:The server answers")
@pytest.mark.parametrize("fault", ["wrong", "503"])
def test_nothing_half_is_left_of_weights_by_address(address, hub, fault):
    hub.faults["tiny.pt"] = fault
    with pytest.raises((fetching.WrongContentError, OSError)):
        address.fetch()
    assert list(address.home.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(28, "No space left on device"),
            "The disk is full at FOLDER. Free some space, or let the files go elsewhere",
        ),
        (PermissionError(13, "Permission denied"), "FOLDER cannot be written to"),
        (TimeoutError("timed out"), "No connection, or it broke off (timed out). Check the network"),
        (RuntimeError("Tried X, got: HTTP Error 503: Busy"), "The server has trouble (503)"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_causes_in_words(error, words):
    assert fetching.cause(error, folder="FOLDER").startswith(words)


def test_a_missing_package_is_known_before_anything_is_fetched(tmp_path, monkeypatch):
    from gapbench.builtin.encoders import open_clip_source

    monkeypatch.setattr(open_clip_source, "find_spec", lambda name: None)
    missing = OpenClip(Context(data_root=tmp_path), "ViT-B-16-SigLIP/webli").missing()
    assert "the package 'transformers'" in missing.what
    assert missing.how.startswith("run: pip install transformers")
    assert missing.size == pytest.approx(813e6, rel=0.01)


@pytest.mark.slow
def test_the_table_of_sizes_is_what_the_models_have():
    from gapbench.builtin.encoders.open_clip_sizes import TABLE, count_parameters

    table = json.loads(TABLE.read_text())
    for name in ("ViT-B-32", "RN50"):
        assert table[name] == count_parameters(name)
