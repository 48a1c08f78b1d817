"""Speed and memory, each with its baseline in the same run; `pytest -m benchmark -n 0 -s` prints the figures.

The machine may be noisy: ratios are taken of medians or minima of alternating runs, and where a limit is missed once, the
measurement is made a second time before it counts.
"""

import json
import os
import statistics
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest


def seconds(command, env=None, cwd=None):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **(env or {})}, cwd=cwd)
    return time.perf_counter() - start


def ratio(command, baseline, runs=15):
    """Median of one over the median of the other, measured in turn."""
    times = [(seconds(command), seconds(baseline)) for _ in range(runs)][2:]
    return statistics.median(a for a, _ in times) / statistics.median(b for _, b in times)


@pytest.mark.benchmark
@pytest.mark.parametrize(("command", "limit"), [("--help", 2.5), ("list", 4.0)])
def test_start_up_against_a_bare_import_of_click(command, limit):
    mine = [sys.executable, "-m", "gapbench", command]
    bare = [sys.executable, "-c", "import click"]
    found = ratio(mine, bare)
    if found > limit:
        found = min(found, ratio(mine, bare))
    print(f"\ngapbench {command}: {found:.2f} x import click (limit {limit})")
    assert found <= limit


@pytest.mark.benchmark
def test_importing_gapbench_costs_little_more_than_python():
    """At most 30 ms more than bare Python."""
    mine, bare = [sys.executable, "-c", "import gapbench"], [sys.executable, "-c", "pass"]

    def extra():
        times = [(seconds(mine), seconds(bare)) for _ in range(15)][2:]
        return 1000 * (statistics.median(a for a, _ in times) - statistics.median(b for _, b in times))

    found = extra()
    if found > 30:
        found = min(found, extra())
    print(f"\nimport gapbench: {found:.1f} ms more than bare Python (limit 30 ms)")
    assert found <= 30


@pytest.mark.parametrize("command", ["--help", "list", "plugins"])
def test_start_up_imports_nothing_heavy(command):
    code = (
        "import sys; sys.argv = ['gapbench', *sys.argv[1:]]\n"
        "from gapbench.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'torch', 'faiss', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.check_output([sys.executable, "-c", code, command], text=True)
    assert out.splitlines()[-1] == "[]"


#: What a cold run cannot do without: each picture is drawn, prepared and encoded once; for each of its 209 cells there is a
#: decomposition of the fit split and a ranking of all scored pairs.
ENCODE = """
    import sys
    from pathlib import Path

    import numpy as np

    from gapbench.builtin.datasets.digits import ColorDigits, Digits
    from gapbench.builtin.encoders.mini_clip import mini_clip
    from gapbench.specs import Context

    context = Context(data_root=Path(sys.argv[1]), device="cpu")
    encoder = mini_clip(context)
    for dataset, cells in ((Digits(context), 90), (ColorDigits(context), 119)):
        rows = {}
        for name in ("train", "test"):
            pictures = dataset.split(name).images
            prepared = [encoder.prepare(pictures[i]) for i in range(len(pictures))]
            parts = [encoder.encode_images(prepared[i : i + 64]) for i in range(0, len(prepared), 64)]
            rows[name] = np.concatenate(parts).astype(np.float64)
        for _ in range(cells):
            np.linalg.svd(rows["train"] - rows["train"].mean(axis=0), full_matrices=False)
            np.argsort(rows["test"] @ rows["test"].T, axis=1)
"""

#: What a warm run cannot do without: its libraries, and each file of the store and of the results with its hash.
REREAD = """
    import hashlib, json, sys
    from pathlib import Path

    import click, filelock, jinja2, msgspec, numpy, rich.console, rich.table, safetensors.numpy, scipy.special

    for path in (path for folder in sys.argv[1:] for path in Path(folder).rglob("*") if path.is_file()):
        content = path.read_bytes()
        hashlib.sha256(content).hexdigest()
        if path.suffix == ".jsonl":
            for line in content.splitlines():
                json.loads(line)
"""

#: Processor time over that of the plain loops. Of a cold run, a fifth is the processes that aligners have of their own: some
#: 9 ms for each of its cells, and a server that they are forked from.
COLD_RATIO, WARM_RATIO = 2.4, 3.0


def processor_seconds(command, env, cwd):
    """Processor time of a command and its processes, which other work on the machine changes less than the clock."""
    before = os.times()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **env}, cwd=cwd)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.benchmark
def test_a_cold_run_and_the_same_again_against_plain_loops(tmp_path):
    """Cold: encode included, figures not. Warm: the same again. All cells again: in a new folder, from a warm store."""

    def run(store, out):
        command = [sys.executable, "-m", "gapbench", "run", "--no-figures", "--out", str(tmp_path / out)]
        return processor_seconds(command, {"GAPBENCH_CACHE": str(tmp_path / store)}, tmp_path)

    def loop(script, *folders):
        command = [sys.executable, "-c", textwrap.dedent(script), *(str(tmp_path / name) for name in folders)]
        return processor_seconds(command, {}, tmp_path)

    def cold(number):
        mine, bare = run(f"store{number}", f"out{number}"), loop(ENCODE, "data")
        print(f"\ncold: {mine:.1f} s of processor time, a plain loop {bare:.1f} s")
        return mine / bare

    def warm():
        times = [(run("store0", "out0"), loop(REREAD, "store0", "out0")) for _ in range(7)][1:]
        mine, bare = (statistics.median(found) for found in zip(*times, strict=True))
        print(f"\nwarm: {mine:.2f} s of processor time, a plain loop {bare:.2f} s")
        return mine / bare

    found = cold(0)
    if found > COLD_RATIO:  # a missed limit is measured again
        found = min(found, cold(1))
    again = warm()
    if again > WARM_RATIO:
        again = min(again, warm())
    print(f"\ncold {found:.2f} x (limit {COLD_RATIO}); the same again {again:.2f} x (limit {WARM_RATIO})")
    print(f"all cells again from a warm store: {run('store0', 'again'):.1f} s of processor time")
    assert found <= COLD_RATIO
    assert again <= WARM_RATIO


def test_nothing_to_encode_imports_no_torch(gapbench, tmp_path):
    run = ("run", "-d", "digits", "-p", "photo", "--no-figures")
    gapbench(*run, "--out", tmp_path / "a")
    code = (
        "import sys; sys.argv = ['gapbench', *sys.argv[1:]]\n"
        "from gapbench.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    for arguments in ([*run, "--out", str(tmp_path / "b")], ["plan"], ["plan", "--study", "clip-stl10"]):
        out = subprocess.check_output([sys.executable, "-c", code, *arguments], text=True, stderr=subprocess.DEVNULL)
        assert out.splitlines()[-1] == "False"


@pytest.mark.benchmark
def test_encoding_keeps_up_with_a_bare_loop(tmp_path):
    """Images per second of `encode_images` (decoding, resizing, storing) over a bare loop on ready tensors."""
    import open_clip
    import torch
    from PIL import Image

    from gapbench.builtin.encoders.open_clip import OpenClip
    from gapbench.embeddings.encode import encode_images
    from gapbench.embeddings.items import item_digests
    from gapbench.embeddings.store import Store
    from gapbench.specs import Context

    torch.manual_seed(0)
    checkpoint = tmp_path / "weights.pt"
    torch.save(open_clip.create_model("ViT-B-32-quickgelu").state_dict(), checkpoint)
    encoder = OpenClip(Context(data_root=tmp_path, device="cpu"), f"ViT-B-32-quickgelu/{checkpoint}")
    rng = np.random.default_rng(0)
    n, batch = 96, 32
    pictures = [Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)) for _ in range(n)]
    digests = item_digests(map(str, range(n)))
    ready = [[encoder.prepare(p) for p in pictures[start : start + batch]] for start in range(0, n, batch)]
    tensors = [torch.stack(part) for part in ready]
    model = encoder._loaded[0]

    def bare():
        start = time.perf_counter()
        with torch.inference_mode():
            for part in tensors:
                model.encode_image(part)
        return n / (time.perf_counter() - start)

    def ours(number):
        start = time.perf_counter()
        encode_images(encoder, "e", pictures, digests, Store(tmp_path / str(number)), batch_size=batch)
        return n / (time.perf_counter() - start)

    bare()
    rates = [(ours(i), bare()) for i in range(3)]
    found = statistics.median(a / b for a, b in rates)
    if found < 0.9:  # a noisy machine: once more before it counts
        found = max(found, statistics.median(ours(3 + i) / bare() for i in range(3)))
    print(f"\nencoding: {found:.2f} of a bare loop (median of 3); {rates[-1][0]:.1f} images/s")
    assert found >= 0.9


PEAK = """
import sys, threading, time
sys.argv = ["gapbench", *sys.argv[1:]]

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024

peak, stop = [0.0], threading.Event()
def watch():
    while not stop.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.005)
watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
from gapbench.cli.main import _exit_code
code = _exit_code()
stop.set()
print("peak", peak[0], code)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_embeddings(tmp_path):
    """Anonymous memory: what the run itself needs, without the mapped input."""
    d, peaks = 64, {}
    for n in (10**4, 10**5, 10**6):
        rng = np.random.default_rng(0)
        texts = rng.normal(size=(10, d)).astype(np.float32)
        labels = rng.integers(0, 10, n)
        images = rng.normal(size=(n, d)).astype(np.float32)
        images += texts[labels]
        path = tmp_path / f"{n}.npz"
        np.savez(path, image=images, text=texts, label=labels)
        del images
        arguments = ["run", "-d", f"embeddings:{path}", "-a", "identity", "-a", "mean-center", "--no-figures"]
        arguments += ["-m", "top1", "-m", "centroid-l2", "-m", "paired-cos", "--out", str(tmp_path / f"out{n}")]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        out = subprocess.run(
            [sys.executable, "-c", PEAK, *arguments], capture_output=True, text=True, env=env, check=True
        )
        _, peak, code = out.stdout.splitlines()[-1].split()
        assert code == "0", out.stderr
        peaks[n] = float(peak)
        path.unlink()
    print("\npeak anonymous memory in MB:", json.dumps({str(n): round(peak) for n, peak in peaks.items()}))
    # Per item: labels, order and halves, outcomes and predictions, and what joining them costs for a moment.
    per_item = 200 / 2**20
    assert peaks[10**6] - peaks[10**4] <= 64 + 10**6 * per_item


#: A process for each aligner over one process for all: 1.45 to 1.47 on a quiet machine, 1.7 beside other work.
ROOMS_RATIO = 2.0


@pytest.mark.benchmark
def test_rooms_against_one_process(tmp_path):
    """All cells of the default run from a warm store: a process for each aligner against all in one."""

    def times(number):
        command = [sys.executable, "-m", "gapbench", "run", "--no-figures", "--out"]
        return seconds([*command, f"rooms-{number}"], cwd=tmp_path), seconds(
            [*command, f"here-{number}", "--in-process"], cwd=tmp_path
        )

    def found(first):
        rooms, here = (min(each) for each in zip(*(times(first + number) for number in range(3)), strict=True))
        print(f"\nrooms: {rooms:.1f} s, one process: {here:.1f} s, {rooms / here:.2f} times (limit {ROOMS_RATIO})")
        return rooms / here

    times("warm")
    assert found(0) <= ROOMS_RATIO or found(3) <= ROOMS_RATIO
