"""The command of a row: read by the command line, it asks for what the row shows."""

import shlex

import msgspec
import pytest
from records import CODE, hits, record

from gapbench.cli.run import command as run
from gapbench.leaderboard.command import row_command, row_request, study_command
from gapbench.leaderboard.table import Row, Table
from gapbench.model.record import Code, MetricValue
from gapbench.model.request import Request
from gapbench.model.study import Study
from gapbench.results.answers import Answer
from gapbench.results.comparisons import Compared

STUDY = Study(name="toy")


def made(aligner="dn", *, plugin=None, label=None, seeds=(0,), encoder="enc", dataset="data", protocol=None, **changes):
    """Make a table of one row; ``plugin`` takes part beside gapbench."""
    label = label or aligner
    records = []
    for seed in seeds:
        one, _ = record(aligner, hits(0.5, 2), label=label, seed=seed, **changes)
        fitted = msgspec.structs.replace(one.protocol, **(protocol or {}))
        code = {"gapbench": CODE["gapbench"]} | (
            {plugin[0]: Code(version=plugin[1], sha256="f" * 64)} if plugin else {}
        )
        records.append(msgspec.structs.replace(one, code=code, protocol=fitted))
    first = records[0].protocol
    row = Row(label=label, compared=[Compared(answer=Answer(record=one, stored={}, runs=())) for one in records])
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
    "shots": {"protocol": {"shots": 3}},
    "in-sample": {"protocol": {"name": "in-sample", "fit_size": 100}},
    "index": {"index": "hnsw"},
    "quotes": {"dataset": 'folder:it\'s; rm -rf "x" $HOME `y`', "encoder": "open_clip:ViT-B-32/a b.pt"},
    "file": {"encoder": "precomputed", "dataset": "embeddings:s1/e.npz"},
    "dash": {"dataset": "-d", "label": "--seeds"},
    "metrics": {
        "metrics": {
            name: MetricValue(value=0.0, ci95=None, n=2, distribution="gapbench") for name in ("top1", "i2t-recall@1")
        }
    },
    "one file": {"plugin": ("my plugin.py", "")},
    "distribution": {"plugin": ("gapbench-zoo", "1.0+local")},
}


@pytest.mark.parametrize("case", CASES)
def test_the_command_asks_for_what_the_row_shows(case):
    table, row = made(**CASES[case])
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
    assert (request.index or "flat") == record.index
    assert request.dtype == record.encoder.dtype
    given = table.encoder == "precomputed"
    assert (request.encoders, request.prompts) == (((), ()) if given else ((table.encoder,), ("photo",)))
    name, version = CASES[case].get("plugin", ("", ""))
    assert [str(path) for path in request.plugins] == ([name] if name and not version else [])
    assert installed == ([f"{name}=={version}"] if version else [])


def test_every_plugin_of_every_kind_that_took_part_is_in_the_command():
    table, row = made()
    used = {"a-metric": "2", "an-encoder": "3", "one.py": "", "gapbench": "0.1.0"}
    code = {name: Code(version=version, sha256="f" * 64) for name, version in used.items()}
    one = msgspec.structs.replace(row.records[0], code=code)
    row.compared = [Compared(answer=Answer(record=one, stored={}, runs=()))]
    request, installed = read(row_command(table, row, STUDY))
    assert installed == ["a-metric==2", "an-encoder==3"]
    assert [str(path) for path in request.plugins] == ["one.py"]


def test_another_dtype_is_in_the_command():
    table, row = made()
    encoder = msgspec.structs.replace(row.records[0].encoder, dtype="bfloat16")
    one = msgspec.structs.replace(row.records[0], encoder=encoder)
    row.compared = [Compared(answer=Answer(record=one, stored={}, runs=()))]
    assert read(row_command(table, row, STUDY))[0].dtype == "bfloat16"


def test_a_study_that_fetches_says_so_in_its_commands():
    fetching = Study(name="toy", download=True)
    table, row = made()
    assert read(row_command(table, row, fetching))[0].download
    assert study_command(fetching) == "gapbench run --study toy --download"
    assert row_command(table, Row(label="dn"), STUDY) == "gapbench run --study toy"
