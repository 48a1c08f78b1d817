"""Reading a folder against plain tools; `pytest -m benchmark -n 0 -s` prints the ratios."""

import os
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from PIL import Image

from gapbench.builtin.datasets.folder import ImageFolder
from gapbench.embeddings.readable import unreadable

PICTURES = 4_000

#: A scan with hashes may take so many times as long as ``sha256sum``; decoding in threads must be so fast beside Pillow in
#: as many processes.
SCAN_RATIO, DECODE_SPEED = 1.5, 0.8


def decode(paths):
    for path in paths:
        with Image.open(path) as picture:
            picture.convert("RGB")


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    bases = [Image.fromarray(rng.integers(0, 255, (47, 63, 3), dtype=np.uint8)).resize((500, 375)) for _ in range(50)]
    for item in range(PICTURES):
        path = root / f"class {item % 10}" / f"{item}.jpg"
        path.parent.mkdir(exist_ok=True)
        bases[item % 50].save(path, quality=85 + item % 10)
    return root, [str(path) for path in root.rglob("*.jpg")]


@pytest.mark.benchmark
def test_scanning_and_hashing_costs_little_more_than_sha256sum(photos):
    root, paths = photos
    names = "\0".join(paths).encode()
    ratios = []
    for _ in range(3):
        plain = seconds(
            lambda: subprocess.run(["xargs", "-0", "sha256sum"], input=names, stdout=subprocess.DEVNULL, check=True)
        )
        ratios.append(seconds(lambda: ImageFolder(None, str(root)).split("test")) / plain)
    print(f"\nscan and hash of {PICTURES:,} pictures: {min(ratios):.2f} times sha256sum (limit {SCAN_RATIO})")
    assert min(ratios) <= SCAN_RATIO


@pytest.mark.benchmark
def test_opening_every_picture_is_as_fast_as_pillow_in_processes(photos):
    root, paths = photos
    images = ImageFolder(None, str(root)).split("test").images
    speeds = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, [paths[:2]] * os.cpu_count()))  # starts the processes
        for _ in range(3):
            plain = seconds(lambda: list(pool.map(decode, [paths[part::8] for part in range(8)])))
            speeds.append(plain / seconds(lambda: unreadable(images)))
    print(f"\nopening {PICTURES:,} pictures: {max(speeds):.2f} of Pillow's speed in processes (limit {DECODE_SPEED})")
    assert max(speeds) >= DECODE_SPEED
