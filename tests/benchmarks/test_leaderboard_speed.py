"""A leaderboard of 100,000 records is built in seconds, and in little memory."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from gapbench.results.finalise import finalise
from gapbench.results.identity import cell_id
from gapbench.results.record import (
    AlignerRef,
    DatasetRef,
    EncoderRef,
    MetricValue,
    Outcomes,
    PluginRef,
    PromptsRef,
    ProtocolRef,
    Record,
)

from gapbench.results import journal
from gapbench.stats import mcnemar_exact_matrix, wilson

ENCODERS, DATASETS, ALIGNERS, SEEDS, ITEMS = 20, 10, 100, 5, 500
RECORDS = ENCODERS * DATASETS * ALIGNERS * SEEDS

#: The aim is 10 s and 1 GB for the whole command, figures and page included; on two idle cores of an AMD EPYC it takes 8.4 to
#: 10.5 s, and 900 MB in all processes. Seconds are the machine's: what is held is the ratio to reading each line with `json` and
#: each outcomes file with its hash, in one plain loop (4.4 to 5.2 s there, so about 2).
RATIO, MEGABYTES = 3.2, 1000

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
    with (records / "run.jsonl").open("rb") as lines:
        for line in lines:
            where = json.loads(line)["outcomes"]
            content = (records / where["file"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == where["sha256"]
            safetensors.numpy.load(content)
    print(json.dumps([time.perf_counter() - start, 0]))
"""


def measured(script, folder):
    """Run a script and give what it says: seconds and megabytes."""
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def table(encoder, dataset, outcomes, rng):
    """Give the records of one table and write their outcomes."""
    names = ["identity", *(f"aligner-{i:03d}" for i in range(1, ALIGNERS))]
    shares = np.clip(0.7 + 0.1 * rng.standard_normal(ALIGNERS), 0.05, 0.99)
    made = {
        "gapbench": "0.1.0",
        "python": "3.11",
        "platform": "Linux x86_64",
        "libraries": {"numpy": "2.0", "torch": "2.9"},
    }
    for seed in range(SEEDS):
        latent = rng.random(ITEMS)
        hits = (latent < shares[:, None]) ^ (rng.random((ALIGNERS, ITEMS)) < 0.05)
        p = mcnemar_exact_matrix(hits)[0]
        base = ""
        for i, name in enumerate(names):
            content = safetensors.numpy.save({"bits/top1": np.packbits(hits[i])})
            kept = Outcomes(
                file=f"outcomes/{encoder}-{dataset}-{i}-{seed}.safetensors", sha256=hashlib.sha256(content).hexdigest()
            )
            (outcomes / kept.file.partition("/")[2]).write_bytes(content)
            base = base or kept.sha256
            value = float(hits[i].mean())
            test = {"delta": value - float(hits[0].mean()), "p": float(p[i]), "p_holm": 1.0} if i else {}
            metrics = {"top1": MetricValue(value=value, ci95=wilson(int(hits[i].sum()), ITEMS), n=ITEMS, **test)}
            for other in OTHERS:
                metrics[other] = MetricValue(value=float(rng.random()), ci95=(0.1, 0.9), n=ITEMS)
            record = Record(
                schema_version=1,
                cell_id="",
                study="large",
                encoder=EncoderRef(name=f"encoder-{encoder}", fingerprint=f"{encoder:064d}"),
                dataset=DatasetRef(name=f"dataset-{dataset}", fingerprint=f"{dataset:064d}", split="test", n=ITEMS),
                prompts=PromptsRef(name="photo", n_texts=10),
                aligner=AlignerRef(name=name, params={}, plugin=PluginRef(distribution="large", version="1")),
                protocol=ProtocolRef(name="held-out", fit_size=None, fit_split="train"),
                seed=seed,
                status="ok",
                metrics=metrics,
                environment=made,
                created_utc="2026-01-01T00:00:00Z",
                outcomes=kept,
                notes={"label": name, "texts": "t", "index": "flat", **({"compared_with": base} if i else {})},
            )
            yield msgspec.structs.replace(record, cell_id=cell_id(record))


@pytest.mark.slow
def test_a_hundred_thousand_records_are_built_in_seconds_and_a_gigabyte(tmp_path):
    records = journal.run_file(tmp_path)
    outcomes = records.parent / "outcomes"
    outcomes.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with records.open("wb") as file:
        for encoder in range(ENCODERS):
            for dataset in range(DATASETS):
                made = list(table(encoder, dataset, outcomes, rng))
                file.writelines(map(journal.line, finalise(made, records.parent)))  # as a run leaves them
    os.sync()  # writing 100,000 files goes on for a while after the last of them is closed
    builds, reads, most = [], [], 0
    while len(builds) < 2 or (min(builds) / min(reads) > RATIO and len(builds) < 4):  # a missed limit is measured again
        reads.append(measured(READ, tmp_path)[0])  # the first reads every file for the first time
        taken, memory = measured(BUILD, tmp_path)
        builds.append(taken)
        most = max(most, memory)
        print(
            f"\n{RECORDS:,} records ({records.stat().st_size / 1e6:.0f} MB): {taken:.1f} s, {memory:.0f} MB; ", end=""
        )
        print(f"a plain loop that reads them: {reads[-1]:.1f} s")
        shutil.rmtree(tmp_path / "figures")
    found = min(builds) / min(reads)
    print(f"{found:.2f} x the plain loop (limit {RATIO})")
    assert RECORDS == 100_000
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + ENCODERS * DATASETS * ALIGNERS * (1 + len(OTHERS))
    assert found < RATIO
    assert most < MEGABYTES
