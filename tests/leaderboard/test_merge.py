"""Records of several machines: what agrees is reproduced, what does not is a conflict, and nothing is lost."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from gapbench.components import Measurement
from gapbench.errors import DataError, UsageError
from gapbench.host.discovery import discover
from gapbench.leaderboard.across import index, tally
from gapbench.leaderboard.build import build, pages, stale, tables_of
from gapbench.leaderboard.membership import outside
from gapbench.model.record import (
    SCHEMA_VERSION,
    AlignerRef,
    Code,
    DatasetRef,
    EncoderRef,
    ItemCounts,
    MetricValue,
    PromptsRef,
    ProtocolRef,
    Record,
    Timing,
)
from gapbench.model.study import Reference, Study
from gapbench.results import add as adding
from gapbench.results import journal, outcomes
from gapbench.results.add import add
from gapbench.results.verify import verify_folder, verify_records, well
from gapbench.stats import interval

SPECS = discover().metric_specs()
STUDY = Study(name="toy")
EARLIER, LATER = "2026-01-01T00:00:00.000+00:00", "2026-02-01T00:00:00.000+00:00"
N = 400
HERE = {"gapbench": "0.1.0", "python": "3.11.2", "platform": "Linux x86_64", "libraries": {"numpy": "2.0"}}
THERE = {"gapbench": "0.1.0", "python": "3.13.0", "platform": "Darwin arm64", "libraries": {"numpy": "2.1"}}
CODE = {"gapbench": Code(version="0.1.0", sha256="a" * 64), "toy": Code(version="1", sha256="b" * 64)}


def hits(share, n=N, wrong=()):
    """Say which of n items are right: the first ones, but for a few."""
    found = np.arange(n) < round(share * n)
    found[list(wrong)] ^= True
    return found


def record(name, right, *, made=HERE, created=EARLIER, seed=0, gap=0.5, code=CODE, fit_s=0.0, **changes):
    """Make a record that is not sealed yet, and the block of its outcomes."""
    measured = Measurement(value=float(right.mean()), n=len(right), outcomes=right)
    own = "gapbench"
    draft = Record(
        schema_version=SCHEMA_VERSION,
        cell_id="",
        study="toy",
        label=name,
        encoder=EncoderRef(component="enc", name="enc", fingerprint="e" * 64, dtype="float32", distribution="toy"),
        dataset=DatasetRef(
            component="data", name="data", fingerprint="d" * 64, split="test", n=len(right), distribution="toy"
        ),
        prompts=PromptsRef(name="photo", n_texts=2, fingerprint="f" * 64, distribution=own),
        aligner=AlignerRef(
            name=name,
            params={},
            distribution="gapbench" if name == "identity" else "toy",
            family="map",
            control=name == "random-rotation",
        ),
        protocol=ProtocolRef(name="held-out", fit_size=None, shots=None, fit_split="train", fit_fingerprint="c" * 64),
        seed=seed,
        items=ItemCounts(fitted=100, scored=N),
        index="flat",
        status="ok",
        metrics={
            "top1": MetricValue(value=measured.value, ci95=interval(measured), n=measured.n, distribution=own),
            "centroid-l2": MetricValue(value=gap, ci95=None, n=measured.n, distribution=own),
        },
        timing=Timing(encode_s=0.0, fit_s=fit_s, score_s=0.0),
        environment=made,
        code=code,
        created_utc=created,
    )
    draft = msgspec.structs.replace(draft, **changes)
    predicted = np.where(right, 0, 1)  # all items are of the first class
    return draft, outcomes.pack({"top1": measured}, predicted) if draft.status == "ok" else None


def run(folder, records):
    """Write records as a run leaves them, and return their file."""
    path = journal.run_file(folder)
    for one in records:
        journal.append(path, *one)
    return path


@pytest.fixture
def first(tmp_path):
    """Give a leaderboard made on one machine."""
    folder = tmp_path / "first"
    run(folder, [record("identity", hits(0.9)), record("worse", hits(0.6))])
    return folder


def second(tmp_path, *extra, share=0.6, wrong=(), name="second", **more):
    """Give the records file of another machine."""
    mine = {"made": THERE, "created": LATER, **more}
    rows = [record("identity", hits(0.9), **mine), record("worse", hits(share, wrong=wrong), **mine)]
    return run(tmp_path / name, [*rows, *(make(mine) for make in extra)])


def row_of(folder, label, state=None):
    return next(
        row
        for table in tables_of(folder, SPECS)
        for row in table.rows
        if row.label == label and state in (None, row.state)
    )


def labels(folder):
    return sorted({stored.record.label for stored in journal.read_folder(folder)})


def test_a_second_machine_reproduces_the_first(first, tmp_path):
    added = add(second(tmp_path), first)
    assert (len(added.records), added.known, added.refused) == (2, 0, [])
    row = row_of(first, "worse")
    assert row.state == "reproduced"
    assert row.remark.startswith("reproduced 2x")
    assert "Linux x86_64" in row.remark
    assert "Darwin arm64" in row.remark
    assert row.rank == 2
    done = verify_folder(first)
    assert well(done)
    assert [verdict.state for verdict in done.verdicts] == ["reproduced"] * 4
    assert "reproduced 2x" in pages(first, STUDY, SPECS)["README.md"]


def test_adding_twice_changes_nothing(first, tmp_path):
    file = second(tmp_path)
    add(file, first)
    build(first, STUDY, SPECS)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    again = add(file, first)
    assert (again.path, again.records, again.known) == (None, [], 2)
    build(first, STUDY, SPECS)
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_the_order_of_adding_does_not_matter(tmp_path):
    two = second(tmp_path)
    three = second(tmp_path, name="third", wrong=[0])
    made = []
    for number, files in enumerate(([two, three], [three, two])):
        folder = tmp_path / f"board{number}"
        run(folder, [record("identity", hits(0.9)), record("worse", hits(0.6))])
        for file in files:
            add(file, folder)
        made.append(pages(folder, STUDY, SPECS))
    assert made[0] == made[1]


def test_another_value_of_the_same_cell_by_the_same_code_is_a_conflict_and_has_no_rank(first, tmp_path):
    add(second(tmp_path, share=0.95), first)
    row = row_of(first, "worse")
    assert (row.state, row.rank) == ("conflict", None)
    assert "top1 0.95 (" in row.remark
    assert "against 0.6 (" in row.remark
    assert "conflict: top1" in pages(first, STUDY, SPECS)["README.md"]
    failed = [verdict for verdict in verify_folder(first).verdicts if verdict.reasons]
    assert len(failed) == 2  # nobody knows which one is right
    assert all("does not agree" in verdict.reasons[0] for verdict in failed)


def test_another_value_by_other_code_supersedes_the_older_one(first, tmp_path):
    newer = {**CODE, "toy": Code(version="2", sha256="9" * 64)}
    add(second(tmp_path, share=0.95, code=newer), first)
    row = row_of(first, "worse")
    assert (row.state, row.values["top1"].value) == ("", 0.95)
    assert "against 0.6" in row.superseded[0]
    done = verify_folder(first)
    assert well(done)
    assert any("superseded: top1 0.95" in remark for verdict in done.verdicts for remark in verdict.remarks)


def test_one_item_that_rounds_differently_is_no_conflict(first, tmp_path):
    add(second(tmp_path, wrong=[17]), first)
    assert row_of(first, "worse").state == "reproduced"
    add(second(tmp_path, wrong=[1, 2, 3], name="third"), first)
    assert row_of(first, "worse").state == "conflict"


def test_a_copy_of_a_run_is_no_reproduction(first, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "records").symlink_to(first / "records")
    assert add(copy / "records/run.jsonl", first).known == 2
    assert row_of(first, "worse").state == ""


def test_a_copy_with_another_date_reproduces_nothing_since_its_seconds_are_the_same(tmp_path):
    for seconds, state in ((0.25, ""), (0.5, "reproduced")):
        folder = tmp_path / f"board{seconds}"
        run(folder, [record("identity", hits(0.9), fit_s=0.25)])
        run(folder, [record("identity", hits(0.9), fit_s=seconds, created=LATER)])
        assert row_of(folder, "identity").state == state
        remarks = [remark for verdict in verify_folder(folder).verdicts for remark in verdict.remarks]
        assert bool(remarks) == (not state)
        assert all("the same microseconds as run.jsonl, line 1" in remark for remark in remarks)


def test_a_new_aligner_is_compared_with_the_identity_that_is_there(first, tmp_path):
    file = run(tmp_path / "author", [record("mine", hits(0.99), made=THERE, created=LATER)])
    add(file, first)
    mine = row_of(first, "mine")
    assert mine.rank == 1
    assert mine.values["top1"].delta == pytest.approx(0.09)
    assert mine.values["top1"].significant
    assert row_of(first, "identity").rank == 2
    assert well(verify_folder(first))


def test_other_weights_of_the_same_name_are_another_table_and_the_older_one_is_stale(first, tmp_path):
    newer = EncoderRef(component="enc", name="enc", fingerprint="0" * 64, dtype="float32", distribution="toy")
    add(run(tmp_path / "newer", [record("identity", hits(0.5), encoder=newer, created=LATER)]), first)
    tables = tables_of(first, SPECS)
    assert sorted((table.stale, len(table.rows)) for table in tables) == [(False, 1), (True, 2)]
    page = pages(first, STUDY, SPECS)["README.md"]
    assert "50.0" in page
    assert "90.0" not in page
    assert "## Stale" in page


def test_a_row_without_all_seeds_stands_below_with_its_coverage(tmp_path):
    folder = tmp_path / "board"
    rows = [record("identity", hits(0.9), seed=seed) for seed in range(3)]
    rows += [record("half", hits(0.95), seed=seed) for seed in range(2)]
    rows += [record("half", hits(0.95), seed=2, status="error", reason="no memory", metrics={})]
    rows += [record("one", hits(0.99), seed=1)]
    run(folder, rows)
    half = row_of(folder, "half")
    assert (half.coverage, half.rank) == ((2, 3), None)
    assert row_of(folder, "one").coverage == (1, 3)
    page = pages(folder, STUDY, SPECS)["README.md"]
    assert "`half`: incomplete: 2 of 3 seeds. no memory" in page
    assert "`one`: incomplete: 1 of 3 seeds" in page


def test_a_cell_that_ended_well_somewhere_is_not_an_error(tmp_path):
    folder = tmp_path / "board"
    run(folder, [record("identity", hits(0.9)), record("worse", hits(0.6), status="error", reason="x", metrics={})])
    add(second(tmp_path), folder)
    assert row_of(folder, "worse").values["top1"].value == 0.6


@pytest.mark.parametrize("moment", [0, 1])
def test_a_crash_in_the_middle_loses_nothing_and_adding_again_completes_it(first, tmp_path, monkeypatch, moment):
    file = second(tmp_path, lambda mine: record("third", hits(0.8), **mine))
    before = labels(first)
    write = adding.write_whole
    written = []

    def crash(path, content):
        if len(written) == moment:
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(adding, "write_whole", crash)
    with pytest.raises(KeyboardInterrupt):
        add(file, first)
    monkeypatch.setattr(adding, "write_whole", write)
    assert labels(first) == before
    assert well(verify_folder(first))
    assert len(add(file, first).records) == 3
    assert labels(first) == ["identity", "third", "worse"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: line[: len(line) // 2], "is damaged"),
        (lambda line: line[: len(line) // 2] + journal.CUT_OFF, "is cut off"),
        (lambda _: b"no JSON}", "is damaged"),
        (lambda line: line.replace(b'"schema_version":2', b'"schema_version":3'), "Upgrade gapbench"),
        (lambda line: line.replace(b'"value":0.8', b'"value":0.7'), "it does not match its own checksum"),
        (lambda line: line.replace(b'"outcomes":{', b'"outcomes":null,"x":{'), "no record"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_kept(first, tmp_path, spoil, words):
    file = second(tmp_path, lambda mine: record("third", hits(0.8), **mine))
    lines = file.read_bytes().splitlines()
    assert b'"name":"third"' in lines[2]
    file.write_bytes(b"\n".join([lines[0], spoil(lines[2]), lines[1]]) + b"\n")
    added = add(file, first)
    ((line, reason),) = added.refused
    assert line == 2
    assert words in reason
    assert [r.label for r in added.records] == ["identity", "worse"]
    assert well(verify_folder(first))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda mine: record("third", hits(0.8), **mine, status="timeout", reason="slow", metrics={}), "its status is"),
        (lambda mine: (record("third", hits(0.8), **mine)[0], None), "it has no per-item outcomes"),
        (lambda mine: (record("third", hits(0.8), **mine)[0], record("third", hits(0.7))[1]), "its outcomes give"),
        (lambda mine: record("third", hits(0.8), **{**mine, "created": "now"}), "is no time"),
        (lambda mine: record("third", hits(0.8), **mine, label="fourth"), "is not that of 'third'"),
    ],
)
def test_a_record_that_does_not_stand_up_is_refused_with_the_reason(first, tmp_path, make, words):
    added = add(second(tmp_path, make), first)
    ((line, reason),) = added.refused
    assert line == 3
    assert words in reason
    assert len(added.records) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1000]),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(f"{path}.other"), path.symlink_to(f"{path}.other")),
    ],
    ids=["missing", "empty", "short", "folder", "pipe", "link"],
)
def test_lines_whose_outcomes_cannot_be_read_are_named(gapbench, tmp_path, spoil):
    file = second(tmp_path)
    spoil(file.with_suffix(".outcomes"))
    done = gapbench("leaderboard", "add", file, "--to", "toy", "--out", "board", code=1)
    assert "line 1, was left out: " in done.stderr or "line 2, was left out: " in done.stderr
    assert "outcomes" in done.stderr
    assert "Traceback" not in done.stderr


def test_there_must_be_a_file_with_records(first, tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        add(tmp_path / "nothing.jsonl", first)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="has no records"):
        add(tmp_path / "empty.jsonl", first)


def test_outcomes_that_do_not_hold_their_items_are_refused(tmp_path):
    draft, block = record("identity", hits(0.9))
    value = msgspec.structs.replace(draft.metrics["top1"], n=10**12)
    draft = msgspec.structs.replace(draft, metrics={"top1": value})
    (verdict,) = verify_records(run(tmp_path, [(draft, block)])).verdicts
    assert any("does not hold the outcomes" in reason for reason in verdict.reasons)


def _add(file, folder):
    added = add(file, folder)
    build(folder, STUDY, SPECS)
    assert not added.refused


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of Python 3.12: threads that are idle here
def test_several_that_add_at_once_all_arrive(first, tmp_path):
    names = ["one", "two", "three", "four"]
    files = [second(tmp_path, lambda mine, n=n: record(n, hits(0.8), **mine), name=n) for n in names]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(file, first)) for file in files * 2]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    assert labels(first) == sorted(["identity", "worse", *names])
    assert well(verify_folder(first))
    assert stale(first, STUDY, SPECS) == []


#: A process that has imported all, and whose children add: each is killed at one write more than the one before it.
KILL = """
import os, signal, sys
import matplotlib.pyplot
import gapbench.cli.leaderboard, gapbench.figures.draw, gapbench.leaderboard.build, gapbench.results.add, gapbench.host.discovery
from gapbench.cli.main import main
gapbench.host.discovery.discover()
def add(at):
    written = [0]
    def hook(event, args):
        writes = event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR)
        path = args[1] if event == "os.rename" else args[0] if writes else None
        if path is not None and os.path.abspath(os.fspath(path)).startswith(os.path.abspath("board")):
            written[0] += 1
            if written[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    sys.argv[1:] = ["leaderboard", "add", sys.argv[1], "--to", "toy", "--out", "board"]
    main()
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        add(int(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_an_add_that_was_killed_at_any_write_is_completed_by_the_next(tmp_path):
    file = second(tmp_path)
    board = tmp_path / "board"
    codes = []
    with subprocess.Popen(
        [sys.executable, "-c", KILL, file], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as adder:
        while len(codes) < 40 and 0 not in codes:
            for path in sorted(board.rglob("*"), reverse=True) if board.exists() else ():
                path.unlink() if path.is_file() else path.rmdir()
            print(len(codes) + 1, file=adder.stdin, flush=True)
            codes.append(int(adder.stdout.readline()))
            assert not add(file, board).refused
            build(board, STUDY, SPECS)
            assert labels(board) == ["identity", "worse"]
            assert well(verify_folder(board))
        adder.stdin.close()
    assert set(codes) == {0, -signal.SIGKILL}


def test_a_study_takes_its_own_cells_and_anybodys_aligner():
    mine, _ = record("anything", hits(0.9))
    known = Study(name="s", encoders=("enc",), datasets=("data",), prompts=("photo",))
    assert outside(mine, known) == ""
    assert "encoder 'enc'" in outside(mine, msgspec.structs.replace(known, encoders=("other",)))
    assert "dataset 'data'" in outside(mine, msgspec.structs.replace(known, datasets=("other",)))
    assert "prompt strategy" in outside(mine, msgspec.structs.replace(known, prompts=("plain",)))
    assert "not the protocol" in outside(mine, msgspec.structs.replace(known, protocol="in-sample"))
    assert "not the protocol" in outside(mine, msgspec.structs.replace(known, fit_size=20))


def test_published_numbers_are_reported_rows_and_never_ranked(first):
    study = Study(name="toy", reference=(Reference(metric="top1", value=0.97, source="a paper", prompts="photo"),))
    (table,) = tables_of(first, SPECS, study)
    (row,) = [row for row in table.rows if row.state == "reported"]
    assert (row.label, row.rank, row.remark, row.records) == ("identity", None, "a paper", [])
    assert table.row("identity") is not row
    page = pages(first, study, SPECS)["README.md"]
    assert "reported 97.00 % (388 of 400), a paper; here 90.00 % (-28 images)" in page


def test_a_study_that_nobody_ran_shows_what_is_reported_and_the_command(tmp_path):
    from gapbench.model.study import load_study

    study = load_study("clip-stl10")
    page = pages(tmp_path, study, SPECS)["README.md"]
    assert "gapbench run --study clip-stl10 --download" in page
    for number in ("96.26", "97.36", "96.25", "95.11"):
        assert f"reported {number} %" in page
    assert "not run here yet" in page
    with pytest.raises(UsageError, match="has no results"):
        pages(tmp_path, Study(name="nothing"), SPECS)


def test_wins_and_losses_across_studies_are_side_by_side(tmp_path):
    folder = tmp_path / "board"
    rows = [
        record("identity", hits(0.8), gap=0.8),
        record("better", hits(0.99), gap=0.2),
        record("same", hits(0.8, wrong=[1]), gap=0.4),
        record("worse", hits(0.3), gap=1.2),
        record("random-rotation", hits(0.0), gap=1.0),
    ]
    run(folder, rows)
    tables = tables_of(folder, SPECS)
    found = tally(tables, SPECS)
    assert {label: (t.wins, t.ties, t.losses) for label, t in found.items()} == {
        "better": (1, 0, 0),
        "same": (0, 1, 0),
        "worse": (0, 0, 1),
    }
    assert found["better"].closed == [pytest.approx(0.75)]
    page = index([(STUDY, tables), (Study(name="other"), [])], SPECS)
    assert "| `better` | 1 | 1 / 0 / 0, 75 % |" in page
    assert "random-rotation" not in page


def test_the_tables_in_a_folder_of_a_build_are_not_stale(first):
    build(first, STUDY, SPECS)
    assert stale(first, STUDY, SPECS) == []
    (first / "table.csv").write_text("other")
    assert stale(first, STUDY, SPECS) == ["table.csv"]


def test_the_command_adds_and_says_what_it_left_out(gapbench, tmp_path):
    board = tmp_path / "leaderboards" / "toy"
    run(board, [record("identity", hits(0.9)), record("worse", hits(0.6))])
    file = second(tmp_path, lambda mine: record("third", hits(0.8), **mine))
    file.write_text(file.read_text() + "{broken")
    done = gapbench("leaderboard", "add", file, code=1)
    assert "3 records added" in done.stdout
    assert "line 4, was left out: it is cut off" in done.stderr
    assert "reproduced 2x" in (board / "README.md").read_text()
    assert "`third`" in (board / "README.md").read_text()
    (board / "README.md").unlink()
    assert "3 records were there already" in gapbench("leaderboard", "add", file, code=1).stdout
    assert (
        "reproduced 2x" in (board / "README.md").read_text()
    )  # what is stale is built, whether anything is new or not
    verified = gapbench("leaderboard", "verify", "toy", "--json")
    assert {row["state"] for row in json.loads(verified.stdout)["rows"]} == {"reproduced", "verified"}


def test_mistakes_with_the_command_are_told(gapbench, tmp_path):
    file = second(tmp_path)
    assert "There is no leaderboard" in gapbench("leaderboard", "add", file, code=2).stderr
    assert "There is no file" in gapbench("leaderboard", "add", "none.jsonl", code=2).stderr
    assert "is no part of the study" in gapbench("leaderboard", "add", file, "--to", "digits", code=1).stderr
    (tmp_path / "blocked").write_text("a file")
    told = gapbench("leaderboard", "add", file, "--to", "toy", "--out", "blocked", code=2)
    assert "cannot be locked" in told.stderr
    assert ".tmp" not in told.stderr
    assert "Traceback" not in told.stderr
    assert "no leaderboards below" in gapbench("leaderboard", "build", code=2).stderr
