"""Data in ImageNet's shape goes from folder to leaderboard."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from gapbench.builtin.datasets.class_names import imagenet_names
from gapbench.results import journal


@pytest.fixture
def imagenet(tmp_path):
    """A val/ of 1,000 codes: one to three small pictures each, five classes without any, and one picture twice."""
    rng, names = np.random.default_rng(0), imagenet_names()
    absent = list(names)[100:105]
    pictures = 0
    for row, code in enumerate(names):
        if code in absent:
            continue
        for _ in range(1 + row % 3):
            path = tmp_path / "imagenet" / "val" / code / f"ILSVRC2012_val_{pictures:08d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(path)
            pictures += 1
    first = min((tmp_path / "imagenet" / "val").rglob("*.JPEG"))
    (first.parent / "again.JPEG").write_bytes(first.read_bytes())
    (tmp_path / "imagenet" / "wnids.txt").write_text("\n".join(names))
    return tmp_path / "imagenet", pictures + 1


def test_it_runs_and_says_what_is_odd(gapbench, imagenet, tmp_path):
    root, n = imagenet
    twice = sum(count for count in Counter(imagenet_names().values()).values() if count > 1)
    assert twice > 0
    done = gapbench(
        *("run", "-d", f"folder:{root}", "-e", "mini-clip", "-p", "photo", "-a", "identity", "-a", "mean-center"),
        *("-m", "top1", "-m", "mean-per-class-recall", "-m", "centroid-l2", "--no-figures", "--out", "out"),
    )
    records = [stored.record for stored in journal.read_folder(tmp_path / "out")]
    assert [record.status for record in records] == ["ok", "ok"]
    for record in records:
        assert record.dataset.n == n
        assert record.prompts.n_texts == 1000
        assert record.items.repeated == 2
        assert record.items.alike_classes == twice
        assert record.items.empty_classes >= 5
    page = (tmp_path / "out" / "README.md").read_text()
    assert "images occur more than once, bit by bit; copies are in one half." in page
    assert f"{twice} classes share their texts with another" in page
    told = " ".join(done.stderr.split())
    assert "5 of 1,000 classes have no picture here" in told
    assert "Classes and their order are those of" in told
