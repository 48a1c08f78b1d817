"""Records of several machines: what agrees is reproduced, what does not is a conflict, and nothing is lost."""

import json
import sys
from pathlib import Path

import msgspec
import pytest
from gapbench.results.merge import merge

from gapbench.errors import DataError, UsageError
from gapbench.host.discovery import discover
from gapbench.leaderboard.across import index, tally
from gapbench.leaderboard.build import build, pages, stale, tables_of
from gapbench.leaderboard.membership import outside
from gapbench.model.study import Reference, Study
from gapbench.results import add as adding
from gapbench.results import journal, outcomes
from gapbench.results.add import add
from gapbench.results.verify import verify_folder, verify_records, well

sys.path.insert(0, str(Path(__file__).parent))
from making import THERE, N, hits, record, run

SPECS = discover().metric_specs()
STUDY = Study(name="toy")
LATER = "2026-02-01T00:00:00Z"


@pytest.fixture
def first(tmp_path):
    """Give a leaderboard made on one machine."""
    folder = tmp_path / "first"
    run(folder, [record(folder, "identity", hits(0.9)), record(folder, "worse", hits(0.6))])
    return folder


def second(tmp_path, *extra, share=0.6, wrong=(), name="second"):
    """Give the records file of another machine."""
    folder = tmp_path / name
    mine = {"made": THERE, "created": LATER}
    rows = [record(folder, "identity", hits(0.9), **mine), record(folder, "worse", hits(share, wrong=wrong), **mine)]
    return run(folder, [*rows, *(make(folder, mine) for make in extra)])


def row_of(folder, label, state=None):
    return next(
        row
        for table in tables_of(folder, SPECS)
        for row in table.rows
        if row.label == label and state in (None, row.state)
    )


def test_a_second_machine_reproduces_the_first(first, tmp_path):
    added = add(second(tmp_path), first)
    assert (len(added.records), added.known, added.refused) == (2, 0, [])
    assert len(merge(first).records) == 2
    row = row_of(first, "worse")
    assert row.state == "reproduced"
    assert row.remark.startswith("reproduced 2x")
    assert "Linux x86_64" in row.remark
    assert "Darwin arm64" in row.remark
    assert row.rank == 2
    verdicts = verify_folder(first)
    assert well(verdicts)
    assert [verdict.state for verdict in verdicts] == ["reproduced"] * 4
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


def test_the_order_of_adding_does_not_matter(first, tmp_path):
    two = second(tmp_path)
    three = second(tmp_path, share=0.6, name="third", wrong=[0])
    made = []
    for number, files in enumerate(([two, three], [three, two])):
        folder = tmp_path / f"board{number}"
        run(folder, journal.read(journal.run_file(first)))
        for path in (first / "records/outcomes").iterdir():
            (folder / "records/outcomes").mkdir(exist_ok=True)
            (folder / "records/outcomes" / path.name).write_bytes(path.read_bytes())
        for file in files:
            add(file, folder)
        made.append(pages(folder, STUDY, SPECS))
    assert made[0] == made[1]


def test_another_value_of_the_same_cell_is_a_conflict_and_has_no_rank(first, tmp_path):
    add(second(tmp_path, share=0.95), first)
    row = row_of(first, "worse")
    assert (row.state, row.rank) == ("conflict", None)
    assert row.values["top1"].value == 0.6  # the first one is shown, not the last
    assert "top1 0.6 (" in row.remark
    assert "against 0.95 (" in row.remark
    page = pages(first, STUDY, SPECS)["README.md"]
    assert "conflict: top1 0.6" in page
    failed = [verdict for verdict in verify_folder(first) if verdict.reasons]
    assert len(failed) == 2  # nobody knows which one is right
    assert all("does not agree" in verdict.reasons[0] for verdict in failed)


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


def test_a_new_aligner_is_compared_with_the_identity_that_is_there(first, tmp_path):
    folder = tmp_path / "author"
    file = run(folder, [record(folder, "mine", hits(0.99), made=THERE, created=LATER)])
    assert journal.read(file)[0].metrics["top1"].delta is None
    add(file, first)
    mine = row_of(first, "mine")
    assert mine.rank == 1
    assert mine.values["top1"].delta == pytest.approx(0.09)
    assert mine.values["top1"].significant
    assert row_of(first, "identity").rank == 2
    assert well(verify_folder(first))


def test_older_code_of_the_same_name_is_stale_and_keeps_its_row(first, tmp_path):
    folder = tmp_path / "author"
    mine = [
        record(folder, "mine", hits(0.7), notes={"code": "one"}),
        record(folder, "mine", hits(0.99), notes={"code": "two"}, created=LATER),
    ]
    add(run(folder, mine), first)
    assert row_of(first, "mine", "").values["top1"].value == 0.99
    older = row_of(first, "mine", "stale")
    assert (older.values["top1"].value, older.rank) == (0.7, None)
    page = pages(first, STUDY, SPECS)
    assert "stale: made by older code" in page["README.md"]
    assert ",stale," in page["table.csv"]


def test_other_weights_of_the_same_name_are_another_table_and_the_older_one_is_stale(first, tmp_path):
    from gapbench.results.record import EncoderRef

    folder = tmp_path / "newer"
    newer = {"encoder": EncoderRef(name="enc", fingerprint="other weights"), "created": LATER}
    add(run(folder, [record(folder, "identity", hits(0.5), **newer)]), first)
    tables = tables_of(first, SPECS)
    assert sorted((table.stale, len(table.rows)) for table in tables) == [(False, 1), (True, 2)]
    page = pages(first, STUDY, SPECS)["README.md"]
    assert "50.0" in page
    assert "90.0" not in page
    assert "## Stale" in page


def test_a_row_without_all_seeds_stands_below_with_its_coverage(tmp_path):
    folder = tmp_path / "board"
    rows = [record(folder, "identity", hits(0.9), seed=seed) for seed in range(3)]
    rows += [record(folder, "half", hits(0.95), seed=seed) for seed in range(2)]
    rows += [record(folder, "half", hits(0.95), seed=2, status="error", reason="no memory", metrics={})]
    rows += [record(folder, "one", hits(0.99), seed=1)]
    run(folder, rows)
    half = row_of(folder, "half")
    assert (half.coverage, half.rank) == ((2, 3), None)
    assert row_of(folder, "one").coverage == (1, 3)
    page = pages(folder, STUDY, SPECS)["README.md"]
    assert "`half`: incomplete: 2 of 3 seeds. no memory" in page
    assert "`one`: incomplete: 1 of 3 seeds" in page


def test_a_cell_that_ended_well_somewhere_is_not_an_error(first, tmp_path):
    folder = tmp_path / "board"
    run(folder, [record(folder, "identity", hits(0.9)), record(folder, "worse", hits(0.6), status="error", metrics={})])
    add(second(tmp_path), folder)
    assert row_of(folder, "worse").values["top1"].value == 0.6


@pytest.mark.parametrize("moment", ["outcomes", "records"])
def test_a_crash_in_the_middle_loses_nothing_and_adding_again_completes_it(first, tmp_path, monkeypatch, moment):
    file = second(tmp_path, lambda folder, mine: record(folder, "third", hits(0.8), **mine))
    before = merge(first).records
    write = outcomes.write
    written = []

    def crash(path, content):
        if (path.suffix == ".jsonl") == (moment == "records") and (moment == "records" or written):
            raise KeyboardInterrupt
        written.append(path)
        write(path, content)

    monkeypatch.setattr(adding.outcomes, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        add(file, first)
    monkeypatch.setattr(adding.outcomes, "write", write)
    assert merge(first).records == before
    assert len(add(file, first).records) == 3
    assert {r.aligner.name for r in merge(first).records} == {"identity", "worse", "third"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: line[: len(line) // 2], "is cut off"),
        (lambda _: "no JSON}", "is damaged"),
        (lambda line: line.replace('"schema_version":1', '"schema_version":2'), "Upgrade gapbench"),
        (lambda line: line.replace('"value":0.6', '"value":0.7'), "its outcomes give"),
        (lambda line: line.replace('"fingerprint":"e"', '"fingerprint":"f"'), "one of them was changed"),
        (lambda line: line.replace('"outcomes":{', '"outcomes":null,"x":{'), "no record"),
        (lambda line: line.replace("outcomes/", "../outcomes/"), "outside the folder"),
        (lambda line: line.replace('"status":"ok"', '"status":"error"'), "its status is 'error'"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_kept(first, tmp_path, spoil, words):
    file = second(tmp_path, lambda folder, mine: record(folder, "third", hits(0.8), **mine))
    lines = file.read_text().splitlines()
    assert '"name":"worse"' in lines[2]
    file.write_text("\n".join([lines[0], lines[1], spoil(lines[2])]) + "\n")
    added = add(file, first)
    ((line, reason),) = added.refused
    assert line == 3
    assert words in reason
    assert [r.aligner.name for r in added.records] == ["identity", "third"]
    assert well(verify_folder(first))


def test_missing_outcomes_are_named(first, tmp_path):
    file = second(tmp_path)
    kept = journal.read(file)[1].outcomes.file
    (file.parent / kept).unlink()
    ((line, reason),) = add(file, first).refused
    assert (line, "is missing" in reason) == (2, True)


def test_there_must_be_a_file_with_records(first, tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        add(tmp_path / "nothing.jsonl", first)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="has no records"):
        add(tmp_path / "empty.jsonl", first)


def test_outcomes_that_do_not_hold_their_items_are_refused(tmp_path):
    folder = tmp_path / "odd"
    file = run(folder, [record(folder, "identity", hits(0.9))])
    line = file.read_text().replace(f'"n":{N}', f'"n":{10**12}')
    file.write_text(line)
    (verdict,) = verify_records(file)
    assert any("does not hold the outcomes" in reason for reason in verdict.reasons)


def test_a_study_takes_its_own_cells_and_anybodys_aligner(tmp_path):
    mine = record(tmp_path, "anything", hits(0.9))
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
        record(folder, "identity", hits(0.8), gap=0.8),
        record(folder, "better", hits(0.99), gap=0.2),
        record(folder, "same", hits(0.8, wrong=[1]), gap=0.4),
        record(folder, "worse", hits(0.3), gap=1.2),
        record(folder, "random-rotation", hits(0.0), gap=1.0),
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
    run(board, [record(board, "identity", hits(0.9)), record(board, "worse", hits(0.6))])
    file = second(tmp_path, lambda folder, mine: record(folder, "third", hits(0.8), **mine))
    file.write_text(file.read_text() + "{broken\n")
    done = gapbench("leaderboard", "add", file, code=1)
    assert "3 records added" in done.stdout
    assert "line 4, was left out: it is cut off" in done.stderr
    assert "reproduced 2x" in (board / "README.md").read_text()
    assert "`third`" in (board / "README.md").read_text()
    assert "3 records were there already" in gapbench("leaderboard", "add", file, code=1).stdout
    verified = gapbench("leaderboard", "verify", "toy", "--json")
    assert {row["state"] for row in json.loads(verified.stdout)["rows"]} == {"reproduced", "verified"}


def test_mistakes_with_the_command_are_told(gapbench, tmp_path):
    file = second(tmp_path)
    assert "There is no leaderboard" in gapbench("leaderboard", "add", file, code=2).stderr
    assert "There is no file" in gapbench("leaderboard", "add", "none.jsonl", code=2).stderr
    assert "is no part of the study" in gapbench("leaderboard", "add", file, "--to", "digits", code=1).stderr
    (tmp_path / "blocked").write_text("a file")
    told = gapbench("leaderboard", "add", file, "--to", "toy", "--out", "blocked", code=2)
    assert "cannot be written" in told.stderr
    assert ".tmp" not in told.stderr
    assert "Traceback" not in told.stderr
    assert "no leaderboards below" in gapbench("leaderboard", "build", code=2).stderr
