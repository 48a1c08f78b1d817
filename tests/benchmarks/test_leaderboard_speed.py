"""A leaderboard of 100,000 records is built in seconds, and in little memory; appending and comparing cost little."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import textwrap
import time

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from records import CODE, HERE, hits, record

from gapbench.model.identity import sealed
from gapbench.model.record import (
    SCHEMA_VERSION,
    AlignerRef,
    DatasetRef,
    EncoderRef,
    ItemCounts,
    MetricValue,
    Outcomes,
    PromptsRef,
    ProtocolRef,
    Record,
)
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare
from gapbench.results.outcomes import SUFFIX
from gapbench.stats import wilson

ENCODERS, DATASETS, ALIGNERS, SEEDS, ITEMS = 20, 10, 100, 5, 500
RECORDS = ENCODERS * DATASETS * ALIGNERS * SEEDS

#: The whole command, figures and page included: 10 to 13 s and 670 to 820 MB on two shared cores. Seconds are the machine's: what
#: is held is the ratio to one plain loop that reads each line with `json`, and each block of outcomes with its hash (2.6 to 4.7).
RATIO, MEGABYTES = 6.0, 1000

#: The same ratio for reading and comparing alone. Appending a record is held against a plain loop that appends the same bytes
#: to two files and flushes each to disk; the aim is 2 ms on a disk that flushes in a fraction of one.
COMPARE_RATIO, APPEND_RATIO = 4.0, 4.0

OTHERS = ("mean-per-class-recall", "ece", "centroid-l2", "rmg", "paired-cos", "linear-separability", "frechet")

BUILD = """
    import json, os, subprocess, sys, time
    from pathlib import Path

    def memory(session):  # of all processes; pages that several share count once
        total = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    total += int((process / "smaps_rollup").read_text().partition("Pss:")[2].split()[0]) / 1000
            except (OSError, IndexError):  # it has ended
                pass
        return total

    start = time.perf_counter()
    command = [sys.executable, "-m", "gapbench", "leaderboard", "build", "large", "--out", sys.argv[1]]
    two_cores = {"OMP_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "2"}
    build = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | two_cores, start_new_session=True)
    most = 0
    while build.poll() is None:
        most = max(most, memory(build.pid))
        time.sleep(0.5)
    assert build.returncode == 0
    print(json.dumps([time.perf_counter() - start, most]))
"""


READ = """
    import hashlib, json, sys, time
    from pathlib import Path
    import safetensors.numpy

    start = time.perf_counter()
    records = Path(sys.argv[1]) / "records"
    with (records / "run.jsonl").open("rb") as lines, (records / "run.outcomes").open("rb") as blocks:
        for line in lines:
            where = json.loads(line)["outcomes"]
            blocks.seek(where["offset"])
            content = blocks.read(where["length"])
            assert hashlib.sha256(content).hexdigest() == where["sha256"]
            safetensors.numpy.load(content)
    print(json.dumps([time.perf_counter() - start, 0]))
"""


def measured(script, folder):
    """Run a script and give what it says: seconds and megabytes."""
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def table(encoder, dataset, rng, aligners=ALIGNERS, seeds=SEEDS):
    """Give the records of one table, each with the block of its outcomes."""
    names = ["identity", *(f"aligner-{i:03d}" for i in range(1, aligners))]
    shares = np.clip(0.7 + 0.1 * rng.standard_normal(aligners), 0.05, 0.99)
    for seed in range(seeds):
        latent = rng.random(ITEMS)
        found = (latent < shares[:, None]) ^ (rng.random((aligners, ITEMS)) < 0.05)
        for i, name in enumerate(names):
            metrics = {
                "top1": MetricValue(
                    value=float(found[i].mean()),
                    ci95=wilson(int(found[i].sum()), ITEMS),
                    n=ITEMS,
                    distribution="gapbench",
                )
            }
            for other in OTHERS:
                metrics[other] = MetricValue(
                    value=float(rng.random()), ci95=(0.1, 0.9), n=ITEMS, distribution="gapbench"
                )
            draft = Record(
                schema_version=SCHEMA_VERSION,
                cell_id="",
                study="large",
                label=name,
                encoder=EncoderRef(
                    component="encoder", name=f"encoder-{encoder}", fingerprint=f"{encoder:064d}", dtype="float32",
                    distribution="gapbench",
                ),
                dataset=DatasetRef(
                    component="dataset", name=f"dataset-{dataset}", fingerprint=f"{dataset:064d}", split="test", n=ITEMS,
                    distribution="gapbench",
                ),
                prompts=PromptsRef(name="photo", n_texts=10, fingerprint="t" * 64, distribution="gapbench"),
                aligner=AlignerRef(name=name, params={}, distribution="large", family="toy"),
                protocol=ProtocolRef(
                    name="held-out", fit_size=None, shots=None, fit_split="train", fit_fingerprint="f" * 64
                ),
                seed=seed,
                items=ItemCounts(fitted=500, scored=ITEMS),
                index="flat",
                status="ok",
                metrics=metrics,
                environment=HERE,
                code=CODE,
                created_utc="2026-01-01T00:00:00.000+00:00",
            )  # fmt: skip
            yield draft, safetensors.numpy.save({"bits/top1": np.packbits(found[i])})


def write(folder, tables):
    """Write records and their outcomes as appending them one by one does, in one go."""
    path = journal.run_file(folder)
    path.parent.mkdir(parents=True)
    offset = 0
    with path.open("wb") as lines, path.with_suffix(SUFFIX).open("wb") as blocks:
        for made in tables:
            for draft, content in made:
                where = Outcomes(offset=offset, length=len(content), sha256=hashlib.sha256(content).hexdigest())
                blocks.write(content)
                lines.write(journal.line_of(sealed(msgspec.structs.replace(draft, outcomes=where))))
                offset += len(content)
    return path


@pytest.mark.benchmark
def test_a_hundred_thousand_records_are_built_in_seconds_and_a_gigabyte(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path, (table(encoder, dataset, rng) for encoder in range(ENCODERS) for dataset in range(DATASETS)))
    os.sync()
    builds, reads, most = [], [], 0
    while len(builds) < 2 or (min(builds) / min(reads) > RATIO and len(builds) < 4):  # a missed limit is measured again
        reads.append(measured(READ, tmp_path)[0])  # the first reads every file for the first time
        taken, memory = measured(BUILD, tmp_path)
        builds.append(taken)
        most = max(most, memory)
        print(f"\n{RECORDS:,} records ({path.stat().st_size / 1e6:.0f} MB): {taken:.1f} s, {memory:.0f} MB; ", end="")
        print(f"a plain loop that reads them: {reads[-1]:.1f} s")
        shutil.rmtree(tmp_path / "figures")
    found = min(builds) / min(reads)
    print(f"{found:.2f} x the plain loop (limit {RATIO})")
    assert RECORDS == 100_000
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + ENCODERS * DATASETS * ALIGNERS * (1 + len(OTHERS))
    assert found < RATIO
    assert most < MEGABYTES


@pytest.mark.benchmark
def test_ten_thousand_records_are_read_and_compared_in_a_few_times_a_plain_loop(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path, (table(encoder, dataset, rng) for encoder in range(4) for dataset in range(5)))

    def ours():
        start = time.perf_counter()
        found = sum(len(group) for group in compare(answers(journal.read_folder(tmp_path))))
        assert found == 10_000
        return time.perf_counter() - start

    times = [(ours(), measured(READ, tmp_path)[0]) for _ in range(3)]
    found = min(a for a, _ in times) / min(b for _, b in times)
    if found > COMPARE_RATIO:  # a missed limit is measured again
        times += [(ours(), measured(READ, tmp_path)[0]) for _ in range(3)]
        found = min(a for a, _ in times) / min(b for _, b in times)
    print(
        f"\n10,000 records ({path.stat().st_size / 1e6:.0f} MB) read and compared: {min(a for a, _ in times):.2f} s, ",
        end="",
    )
    print(f"{found:.2f} x a plain loop (limit {COMPARE_RATIO})")
    assert found < COMPARE_RATIO


@pytest.mark.benchmark
def test_appending_a_record_costs_a_few_times_two_flushed_appends(tmp_path):
    draft, content = record("other", hits(0.5))
    path = journal.run_file(tmp_path / "ours")
    journal.append(path, draft, content)
    line = path.read_bytes()
    plain = tmp_path / "plain"
    plain.mkdir()

    def appended(number):
        start = time.perf_counter()
        journal.append(path, msgspec.structs.replace(draft, seed=number), content)
        return 1000 * (time.perf_counter() - start)

    def written():
        start = time.perf_counter()
        for name, block in (("run.outcomes", content), ("run.jsonl", line)):
            with (plain / name).open("ab") as file:
                file.write(block)
                file.flush()
                os.fsync(file.fileno())
        return 1000 * (time.perf_counter() - start)

    def ratio():
        times = [(appended(i), written()) for i in range(200)][20:]
        mine, bare = (statistics.median(found) for found in zip(*times, strict=True))
        return mine / bare, mine, bare

    found = ratio()
    if found[0] > APPEND_RATIO:  # a missed limit is measured again
        found = min(found, ratio())
    print(f"\nappending: {found[1]:.2f} ms, two plain appends {found[2]:.2f} ms; ", end="")
    print(f"{found[0]:.2f} x (limit {APPEND_RATIO})")
    assert found[0] < APPEND_RATIO
