"""The journal: whatever ends a process, and however many append at once, whole records stay and none is changed."""

import contextlib
import json
import multiprocessing
import os
import resource

import msgspec
import numpy as np
import pytest
from records import failed, hits, record, run, stored

from gapbench.errors import DataError, UsageError
from gapbench.model.identity import checksum, sealed
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.outcomes import SUFFIX
from gapbench.results.verify import verify_folder, verify_records, well


def labels(path):
    return [one.record.label for one in journal.read(path)]


def test_an_answer_comes_back_as_it_was_appended(tmp_path):
    draft, content = record("other", hits(0.5), reason="caf\u00e9 \u6f22 \U0001f600", environment={"x": [1.5e-7, None]})
    path = journal.run_file(tmp_path)
    written = journal.append(path, draft, content)
    (found,) = journal.read(path)
    assert found.record == written == sealed(msgspec.structs.replace(draft, outcomes=written.outcomes))
    assert found.container.block(found.record.outcomes) == content
    assert (found.file, found.line) == ("run.jsonl", 1)


def test_nothing_that_was_written_is_ever_rewritten(tmp_path):
    before = b""
    for i in range(5):
        path = run(tmp_path, [record("same", hits(0.5), created=f"2026-01-0{i + 1}")])
        content = path.read_bytes()
        assert content.startswith(before)
        before = content
    assert labels(path) == ["same"] * 5


def test_a_torn_line_costs_itself_alone(tmp_path):
    path = run(tmp_path, [failed("a")])
    with path.open("ab") as file:
        file.write(b'{"schema_version": 2, "cell_')
    run(tmp_path, [failed("b")])
    assert labels(path) == ["a", "b"]


@pytest.mark.parametrize("zeros", [0, 20])
def test_a_record_cut_off_anywhere_costs_itself_alone(tmp_path, zeros):
    path = run(tmp_path, [failed("a")])
    first = path.read_bytes()
    second = failed("b", reason="caf\u00e9 \u6f22 \U0001f600", environment={"x": [1.5e-7, True, None, {"y": "\n"}]})
    run(tmp_path, [second])
    whole = path.read_bytes()
    for cut in range(len(first), len(whole) - 1, 3 if zeros else 1):
        path.write_bytes(whole[:cut] + b"\0" * zeros)
        assert labels(path) == ["a"]
        if cut % 5 == 0 or cut >= len(whole) - 5:
            run(tmp_path, [failed("c")])  # as the next run goes on
            assert labels(path) == ["a", "c"]
            assert path.read_bytes().startswith(whole[:cut] + b"\0" * zeros + journal.CUT_OFF + b"\n")


def test_a_crash_that_cuts_off_the_mark_of_a_crash_costs_nothing_more(tmp_path):
    path = run(tmp_path, [failed("a")])
    cut = path.read_bytes() + b'{"schema_version": 2, "cell_'
    for length in range(len(journal.CUT_OFF) + 1):
        path.write_bytes(cut + journal.CUT_OFF[:length])
        assert labels(path) == ["a"]
        run(tmp_path, [failed("b")])
        assert labels(path) == ["a", "b"]


def test_a_whole_record_without_the_end_of_its_line_stays(tmp_path):
    path = run(tmp_path, [failed("a"), failed("b")])
    path.write_bytes(path.read_bytes()[:-1])
    assert labels(path) == ["a", "b"]
    run(tmp_path, [failed("c")])
    assert labels(path) == ["a", "b", "c"]
    assert [line for line, _ in journal.scan(path)] == [1, 2, 3]


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("damage", [b"", b"\0", b"x", b"\n", b" ", b"\xff", b"{"])
def test_a_line_whose_last_byte_is_damaged_was_not_cut_off(tmp_path, line, damage):
    path = run(tmp_path, [failed(name) for name in "abc"])
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[line].endswith(b"}\n")
    lines[line] = lines[line][:-2] + damage + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=rf"line {line + 1}, is damaged"):
        journal.read(path)
    assert not well(verify_records(path))


@pytest.mark.parametrize("end", [b"x", b" x", b"{", b"]"])
def test_a_damaged_end_of_the_last_line_is_told(tmp_path, end):
    path = run(tmp_path, [failed("a")])
    path.write_bytes(path.read_bytes()[:-1] + end)
    with pytest.raises(DataError, match="line 1, is damaged"):
        journal.read(path)


@pytest.mark.parametrize("name", ["run.jsonl", "run.outcomes", ".lock"])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link(tmp_path, name, there):
    (tmp_path / "records").mkdir()
    victim = tmp_path / "victim"
    if there:
        victim.write_bytes(b"mine\n")
    (tmp_path / "records" / name).symlink_to(victim)
    with pytest.raises((OSError, UsageError), match=f"it is a link.*{name}|{name}.*it is a link|records.*it is a link"):
        run(tmp_path, [record("a", hits(0.5))])
    assert (victim.read_bytes() if there else not victim.exists()) in (b"mine\n", True)


def test_a_linked_folder_of_records_is_not_written_to(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "records").symlink_to(tmp_path / "far")
    with pytest.raises(UsageError, match=r"records cannot be locked \(it is a link"):
        run(tmp_path / "board", [failed("a")])
    assert list((tmp_path / "far").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_records_are_read_from_regular_files_alone(tmp_path, kind):
    path = run(tmp_path, [failed("a")])
    path.rename(tmp_path / "elsewhere")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(DataError, match=r"run\.jsonl cannot be read .it is"):
        journal.read_folder(tmp_path)
    assert not well(verify_folder(tmp_path))


@pytest.mark.parametrize("damage", [(b'"reason"', b'"reason'), (b"toy", b"\xff\xfe!"), (b":", b";")])
def test_a_damaged_line_is_named_and_not_passed_over(tmp_path, damage):
    path = run(tmp_path, [failed(name) for name in "abc"])
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(*damage, 1)
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match=r"run.jsonl, line 2, is"):
        journal.read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema_version": 99}', "schema version 99; this gapbench reads version 2. Upgrade gapbench"),
        (
            '{"schema_version": 1, "cell_id": "x"}',
            "schema version 1; this gapbench reads version 2. Run its cell again",
        ),
        ('{"schema_version": 2, "cell_id": "x"}', "line 2, is no record"),
        ('["a list"]', "line 2, is no record"),
        ("hello", "line 2, is damaged"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, message):
    path = run(tmp_path, [failed("a")])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError) as caught:
        journal.read(path)
    assert message in str(caught.value)
    assert "run.jsonl, line 2" in str(caught.value)


def test_a_changed_value_does_not_match_its_checksum(tmp_path):
    path = run(tmp_path, [record("a", hits(0.5))])
    path.write_bytes(path.read_bytes().replace(b'"value":0.5', b'"value":0.9', 1))
    with pytest.raises(DataError, match="line 1, does not match its own checksum"):
        journal.read(path)


@pytest.mark.parametrize("which", ["records", "outcomes"])
def test_no_flipped_byte_is_used(tmp_path, which):
    """Of 500 positions: what is read afterwards is what was written, or it is told and not read."""
    rng = np.random.default_rng(0)
    names = ["identity", *"abcd"]
    path = run(tmp_path, [record(name, rng.random(400) < 0.5, made={"x": [1e-300, 0.1]}) for name in names])
    whole = {one.record.checksum: one.record for one in journal.read(path)}
    blocks = {one.record.checksum: one.container.block(one.record.outcomes) for one in journal.read(path)}
    flipped = path if which == "records" else path.with_suffix(SUFFIX)
    content = flipped.read_bytes()
    for position in rng.integers(0, len(content), 500):
        spoiled = bytearray(content)
        spoiled[position] ^= int(rng.integers(1, 256))
        flipped.write_bytes(spoiled)
        container = journal.container_of(path)
        told, kept = 0, 0
        for _, found in journal.scan(path):
            if isinstance(found, DataError):
                told += 1
                continue
            one = whole[found.checksum]
            assert msgspec.structs.replace(found, outcomes=one.outcomes) == one, position
            try:
                assert container.block(found.outcomes) == blocks[found.checksum], position
                kept += 1
            except DataError:
                told += 1
        assert told or kept == len(names), position
        assert told or which == "records", position  # in the text of a number, 1E-300 is 1e-300
        assert not told or not well(verify_records(path)), position


def appended_by(folder, process, count, wait):
    wait.wait()
    run(folder, [record(f"p{process}-{i}", hits(0.5, wrong=[process, i])) for i in range(count)])


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of Python 3.12: threads that are idle here
@pytest.mark.parametrize("repeat", range(20))
def test_processes_that_append_at_once_lose_and_mix_nothing(tmp_path, repeat):
    context = multiprocessing.get_context("fork")
    wait = context.Barrier(4)
    processes = [context.Process(target=appended_by, args=(tmp_path, i, 5, wait)) for i in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    path = journal.run_file(tmp_path)
    assert sorted(labels(path)) == sorted(f"p{p}-{i}" for p in range(4) for i in range(5))
    for line in path.read_bytes().splitlines():
        json.loads(line)
    for one in journal.read(path):
        process, i = map(int, one.record.label[1:].split("-"))
        measured = one.container.measurements(one.record.outcomes, one.record.metrics)
        np.testing.assert_array_equal(measured["top1"].outcomes, hits(0.5, wrong=[process, i]))
    assert len(answers(journal.read(path))) == 20
    assert well(verify_records(path))


@contextlib.contextmanager
def largest_file(size):
    """No file may grow beyond this: to a process it looks as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_record_and_the_next_append_works(tmp_path):
    path = run(tmp_path, [record("a", hits(0.5))])
    one, other = record("b", hits(0.6)), record("c", hits(0.7))
    before = path.read_bytes()
    sizes = path.stat().st_size, path.with_suffix(SUFFIX).stat().st_size
    told = set()
    for limit in {size + more for size in sizes for more in (0, 1, 10, 100)}:
        with largest_file(limit), pytest.raises(OSError) as caught:
            run(tmp_path, [one])
        told.add(caught.value.filename)
        assert "None" not in str(caught.value)
        assert path.read_bytes() == before
        assert labels(path) == ["a"]
        assert well(verify_records(path))
    assert told == {str(path), str(path.with_suffix(SUFFIX))}
    run(tmp_path, [other])
    assert labels(path) == ["a", "c"]
    assert well(verify_records(path))
    assert path.read_bytes().startswith(before)


def test_a_full_disk_at_the_first_record_leaves_an_empty_file(tmp_path):
    with largest_file(0), pytest.raises(OSError):
        run(tmp_path, [record("a", hits(0.5))])
    assert journal.read_folder(tmp_path) == []
    assert len(stored(tmp_path, [record("a", hits(0.5))])) == 1


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "records").write_text("")
    with pytest.raises(UsageError, match=r"records cannot be locked \(.*\)\. Choose another folder with --out"):
        run(tmp_path, [failed("a")])


def test_a_records_file_that_is_none_is_told(tmp_path):
    journal.run_file(tmp_path).mkdir(parents=True)
    with pytest.raises(DataError, match=r"run\.jsonl cannot be read .it is no regular file"):
        journal.read_folder(tmp_path)
    assert journal.read(tmp_path / "nothing.jsonl") == []


def test_a_record_is_sealed_when_it_is_appended_whatever_it_said_before(tmp_path):
    draft, content = record("a", hits(0.5), cell_id="x", checksum="y")
    written = journal.append(journal.run_file(tmp_path), draft, content)
    assert written.checksum == checksum(written)
    assert len(written.cell_id) == 64
