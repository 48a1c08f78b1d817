"""The command of a row: read by the command line, it asks for what the row shows."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from gapbench.results.record import AlignerRef, MetricValue, PluginRef, ProtocolRef

from gapbench.cli.run import command as run
from gapbench.leaderboard.command import row_command, row_request, study_command
from gapbench.leaderboard.table import Row, Table
from gapbench.model.request import Request
from gapbench.model.study import Study

sys.path.insert(0, str(Path(__file__).parent))
from making import record

HITS = np.array([True, False])
STUDY = Study(name="toy")


def made(
    folder,
    aligner="dn",
    *,
    plugin=("gapbench", "0.1.0"),
    label=None,
    seeds=(0,),
    encoder="enc",
    dataset="data",
    **changes,
):
    """Make a table of one row."""
    ref = AlignerRef(name=aligner, params={}, plugin=PluginRef(distribution=plugin[0], version=plugin[1]))
    label = label or aligner
    notes = {"label": label, **changes.pop("notes", {})}
    records = [record(folder, aligner, HITS, seed=seed, aligner=ref, notes=notes, **changes) for seed in seeds]
    first = records[0].protocol
    row = Row(label=label, records=records)
    table = Table(
        encoder=encoder, dataset=dataset, prompts="photo", protocol=first.name, fit_size=first.fit_size, shots=first.shots,
        fit_split="train", n=2, n_texts=2, primary="top1", metrics=["top1"], rows=[row],
    )  # fmt: skip
    return table, row


def read(line):
    """Read the last command of a line as the command line does; also return what is installed before it."""
    *before, line = line.split(" && ")
    words = shlex.split(line)
    assert words[:2] == ["gapbench", "run"]
    installed = [shlex.split(one) for one in before]
    assert all(one[:2] == ["pip", "install"] for one in installed)
    return Request.from_command_line(run.make_context("run", words[2:]).params), [
        name for one in installed for name in one[2:]
    ]


CASES = {
    "plain": {},
    "identity": {"aligner": "identity"},
    "sweep": {"label": "gap-shift[delta=0.25,side=images]"},
    "seeds": {"seeds": (0, 1, 2, 7)},
    "far seeds": {"seeds": (0, 2**63 - 1)},
    "shots": {"protocol": ProtocolRef(name="held-out", fit_size=None, fit_split="train", shots=3)},
    "in-sample": {"protocol": ProtocolRef(name="in-sample", fit_size=100, fit_split="test")},
    "index": {"notes": {"index": "hnsw"}},
    "quotes": {"dataset": 'folder:it\'s; rm -rf "x" $HOME `y`', "encoder": "open_clip:ViT-B-32/a b.pt"},
    "file": {"encoder": "precomputed", "dataset": "embeddings:s1/e.npz"},
    "dash": {"dataset": "-d", "label": "--seeds"},
    "metrics": {"metrics": {name: MetricValue(value=0.0, ci95=None, n=2) for name in ("top1", "i2t-recall@1")}},
    "one file": {"plugin": ("my plugin.py", "")},
    "distribution": {"plugin": ("gapbench-zoo", "1.0+local")},
}


@pytest.mark.parametrize("case", CASES)
def test_the_command_asks_for_what_the_row_shows(tmp_path, case):
    table, row = made(tmp_path, **CASES[case])
    request, installed = read(row_command(table, row, STUDY))
    assert request == row_request(table, row, STUDY)
    record = row.records[0]
    assert request.datasets == (table.dataset,)
    assert request.aligners == (("identity",) if row.label == "identity" else ("identity", row.label))
    assert request.metrics == tuple(record.metrics)
    assert request.seeds == tuple(one.seed for one in row.records)
    assert request.protocol == record.protocol.name
    assert request.fit_size == (() if record.protocol.shots else (record.protocol.fit_size or "all",))
    assert request.shots == ((record.protocol.shots,) if record.protocol.shots else ())
    assert (request.index or "flat") == record.notes["index"]
    given = table.encoder == "precomputed"
    assert (request.encoders, request.prompts) == (((), ()) if given else ((table.encoder,), ("photo",)))
    plugin = record.aligner.plugin
    assert [str(path) for path in request.plugins] == ([plugin.distribution] if plugin.version == "" else [])
    assert installed == ([f"{plugin.distribution}=={plugin.version}"] if case == "distribution" else [])


def test_a_study_that_fetches_says_so_in_its_commands(tmp_path):
    fetching = Study(name="toy", download=True)
    table, row = made(tmp_path)
    assert read(row_command(table, row, fetching))[0].download
    assert study_command(fetching) == "gapbench run --study toy --download"
    assert row_command(table, Row(label="dn", records=[]), STUDY) == "gapbench run --study toy"
