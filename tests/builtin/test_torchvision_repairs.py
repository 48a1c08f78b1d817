"""Sets of torchvision whose unpacking was interrupted are noticed and repaired; own files are told from official ones."""

import gzip
import hashlib
import pickle
import struct
import tarfile

import numpy as np
import pytest
from fake_hub import Hub
from torchvision import datasets

from gapbench.builtin.datasets.torchvision_layouts import LAYOUTS
from gapbench.builtin.datasets.torchvision_sets import TorchvisionSet
from gapbench.errors import DataError, GapbenchWarning, MissingAssetError
from gapbench.specs import Context

NAMES = [f"class{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    """A server with a small STL-10, which torchvision takes for the official one."""
    folder = tmp_path / "made" / "stl10_binary"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("test", 6), ("train", 4), ("unlabeled", 4)):
        rng.integers(0, 255, (n, 3, 96, 96), dtype=np.uint8).tofile(folder / f"{part}_X.bin")
        (np.arange(n) % 10 + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "site").mkdir()
    archive = tmp_path / "site" / "stl10_binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    hub = Hub(tmp_path / "site")
    sums = {path.name: md5(path) for path in folder.iterdir()}
    monkeypatch.setattr(datasets.STL10, "url", f"{hub.url}/files/stl10_binary.tar.gz")
    monkeypatch.setattr(datasets.STL10, "tgz_md5", md5(archive))
    for kind, names in {
        "train_list": ("train_X.bin", "train_y.bin", "unlabeled_X.bin"),
        "test_list": ("test_X.bin", "test_y.bin"),
    }.items():
        monkeypatch.setattr(datasets.STL10, kind, [[name, sums[name]] for name in names])
    yield hub
    hub.close()


def small_stl10(tmp_path, **flags):
    root = tmp_path / "data"
    return TorchvisionSet(
        Context(data_root=root, **flags), name="stl10", cls="STL10", size=1, published={"train": 4, "test": 6}
    )


def fetched(tmp_path):
    made = small_stl10(tmp_path, download=True)
    assert made.missing() is not None
    made.download()
    return made


def test_a_set_is_fetched_once(tmp_path, stl10):
    split = fetched(tmp_path).split("test")
    assert (len(split.images), split.intake.published, list(split.intake.notices)) == (6, True, [])
    stl10.log.clear()
    assert small_stl10(tmp_path, download=True).missing() is None
    assert stl10.log == []


def halved(folder):
    path = folder / "test_X.bin"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(name):
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize("interrupt", [halved, without("train_X.bin"), without("class_names.txt")])
def test_an_interrupted_unpacking_is_noticed_and_repaired_without_fetching(tmp_path, stl10, interrupt):
    fetched(tmp_path)
    interrupt(tmp_path / "data" / "stl10_binary")
    missing = small_stl10(tmp_path).missing()
    assert "all of dataset stl10" in missing.what
    with pytest.raises(DataError, match=r"is not whole.*--download"):
        small_stl10(tmp_path).split("test")
    before = stl10.sent("stl10_binary")
    with pytest.warns(GapbenchWarning, match="is not whole; files in"):
        repaired = fetched(tmp_path)
    assert len(repaired.split("test").images) == 6
    assert stl10.sent("stl10_binary") == before  # the archive is still there


def test_an_archive_that_is_cut_is_fetched_again(tmp_path, stl10):
    archive = tmp_path / "data" / "stl10_binary.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes((stl10.root / archive.name).read_bytes()[:500])
    assert len(fetched(tmp_path).split("test").images) == 6


@pytest.mark.filterwarnings("ignore:The server answers")
@pytest.mark.parametrize(
    ("fault", "words"),
    [("503", r"has trouble \(503\)"), ("404", "answers 404"), ("403", r"refuses it \(403\)"), ("wrong", "corrupted")],
)
def test_a_set_that_cannot_be_fetched_says_why(tmp_path, stl10, monkeypatch, fault, words):
    monkeypatch.setattr("gapbench.builtin.fetching.WAITS", (0.01,))
    stl10.faults["stl10_binary"] = fault
    with pytest.raises(MissingAssetError, match=words):
        fetched(tmp_path)


def test_own_files_run_and_are_told_and_stay(tmp_path, stl10):
    fetched(tmp_path)
    own = tmp_path / "data" / "stl10_binary" / "test_X.bin"
    own.write_bytes(bytes(255 - byte for byte in own.read_bytes()))
    before = md5(own)
    again = small_stl10(tmp_path, download=True)
    assert again.missing() is None
    test, train = again.split("test"), again.split("train")
    assert (test.intake.published, train.intake.published) == (False, True)
    assert "own files, not the official stl10" in test.intake.notices[0]
    assert md5(own) == before


def test_sums_are_remembered_while_files_do_not_change(tmp_path, stl10, monkeypatch):
    from gapbench.embeddings import sums

    fetched(tmp_path).split("test")
    monkeypatch.setattr(sums, "_sum", lambda *a: pytest.fail("hashed again"))
    small_stl10(tmp_path).split("test")


def cifar_folder(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    batch = {"data": np.zeros((4, 3072), dtype=np.uint8), "labels": [3, 1, 0, 9]}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}))
    sums = {path.name: md5(path) for path in folder.iterdir()}
    cifar = datasets.CIFAR10
    monkeypatch.setattr(cifar, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": sums["batches.meta"]})
    return folder


def test_pickles_with_another_sum_are_refused_each_time(tmp_path, monkeypatch):
    folder = cifar_folder(tmp_path, monkeypatch)
    made = [
        TorchvisionSet(
            Context(data_root=tmp_path), name="cifar10", cls="CIFAR10", size=1, published={"train": 20, "test": 4}
        )
        for _ in range(3)
    ]
    assert len(made[0].split("test").images) == 4
    with (folder / "data_batch_2").open("ab") as file:
        file.write(b"x")
    for one in made[1:]:
        with pytest.raises(DataError, match="torchvision does not take the files"):
            one.split("test")


def test_a_gzip_file_that_was_half_unpacked_is_noticed(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, n in (("train", 3), ("t10k", 2)):
        for name, content in (
            (f"{part}-images-idx3-ubyte", struct.pack(">IIII", 0x803, n, 28, 28) + bytes(n * 784)),
            (f"{part}-labels-idx1-ubyte", struct.pack(">II", 0x801, n) + bytes(n)),
        ):
            (folder / name).write_bytes(content)
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    half = folder / "train-images-idx3-ubyte"
    half.write_bytes(half.read_bytes()[:1000])
    made = TorchvisionSet(Context(data_root=tmp_path), name="mnist", cls="MNIST", size=1, published={"test": 2})
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte has 1,000 of 2,368 bytes"):
        made.split("test")


def test_every_layout_says_what_its_set_is_made_of():
    for name, layout in LAYOUTS.items():
        assert layout.needed, name
        assert all(part.startswith(layout.folder) for part in (*layout.needed, *layout.leftovers)), name
