"""The seed study's whole path without network: STL-10's binary layout and a saved open_clip checkpoint, both made here."""

import json
import time

import numpy as np
import pytest

NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def write_stl10(root, n=30):
    """Write the official layout: uint8, 3 x 96 x 96, column-major; labels from 1."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        labels = np.arange(n, dtype=np.uint8) % 10 + 1
        images = rng.integers(0, 255, (n, 3, 96, 96), dtype=np.uint8)
        images[:, 0] = (labels * 25)[:, None, None]  # the red channel tells the class
        images.transpose(0, 1, 3, 2).tofile(folder / f"{split}_X.bin")
        labels.tofile(folder / f"{split}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "fold_indices.txt").write_text(" ".join(map(str, range(10))) + "\n")
    (folder / "unlabeled_X.bin").write_bytes(b"")
    return root


def test_without_network_and_files_it_says_what_is_missing_how_large_and_how_to_supply_it(gapbench, tmp_path):
    start = time.monotonic()
    done = gapbench("run", "--study", "clip-stl10", env={"GAPBENCH_DATA": str(tmp_path / "none")}, code=1)
    assert time.monotonic() - start < 10
    words = " ".join((done.stdout + done.stderr).split())
    assert "605 MB" in words
    assert "2.6 GB" in words
    assert "--download" in words
    assert "--data-root" in words
    assert "Traceback" not in words


def test_stl10_is_read_from_its_binary_layout(tmp_path):
    from gapbench.builtin.datasets.torchvision_sets import TorchvisionSet
    from gapbench.specs import Context

    dataset = TorchvisionSet(
        Context(data_root=write_stl10(tmp_path)),
        name="stl10",
        cls="STL10",
        size=1,
        published={"train": 5000, "test": 8000},
    )
    assert dataset.missing() is None
    split = dataset.split("test")
    assert tuple(split.classes) == NAMES
    assert split.labels.tolist() == [i % 10 for i in range(30)]
    picture = np.asarray(split.images[3])
    assert picture.shape == (96, 96, 3)
    assert (picture[..., 0] == 100).all()
    assert len(set(split.item_hashes)) == 30


@pytest.mark.slow
def test_the_study_runs_to_table_figures_and_leaderboard(gapbench, tmp_path):
    import open_clip
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu")
    checkpoint = tmp_path / "ViT-B-32-random.pt"
    torch.save({name: value.half() for name, value in model.state_dict().items()}, checkpoint)
    out = tmp_path / "out"
    done = gapbench(
        *("run", "--study", "clip-stl10", "-e", f"open_clip:ViT-B-32-quickgelu/{checkpoint}"),
        *("--data-root", write_stl10(tmp_path / "data"), "--out", out, "--offline"),
    )
    records = [json.loads(line) for line in (out / "records/run.jsonl").read_text().splitlines()]
    assert len(records) == 20  # four prompt strategies; identity, Procrustes and three controls
    assert {r["status"] for r in records} == {"ok"}
    assert {r["encoder"]["name"] for r in records} == {"open_clip:ViT-B-32-quickgelu/ViT-B-32-random.pt"}
    assert {r["dataset"]["n"] for r in records} == {30}
    assert {r["protocol"]["name"] for r in records} == {"in-sample"}
    assert [r["prompts"]["n_texts"] for r in records if r["prompts"]["name"] == "openai-2"] == [20] * 5
    assert "reported 97.36" not in done.stdout  # of other pictures than these
    page = (out / "README.md").read_text()
    assert "reported 95.11" not in page
    assert "The images are own files, not the official stl10" in page
    assert str(tmp_path) not in (out / "records/run.jsonl").read_text()
    for method in ("umap", "pca"):
        [figure] = (out / "figures").glob(f"{method}-*stl10*photo*.png")
        assert figure.stat().st_size > 20_000
        assert f"figures/{figure.name}" in page
    assert (out / "figures" / "gap-accuracy.png").is_file()
