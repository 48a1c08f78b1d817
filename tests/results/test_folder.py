"""Folders of results: gapbench never replaces a file that it did not write."""

import hashlib
import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest
from processes import write_often

from gapbench.errors import UsageError
from gapbench.results.folder import PAGES, WRITTEN, check_folder, remove_page, write_pages


def content(path):
    return {str(found.relative_to(path)): found.read_bytes() for found in path.rglob("*") if found.is_file()}


@pytest.mark.parametrize(
    "name", [*PAGES, "notes.txt", "records", "figures", "records/song.mp3", "figures/me.png", "run.jsonl"]
)
def test_a_folder_with_files_of_somebody_is_refused_and_they_are_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(UsageError, match="did not write") as told:
        check_folder(tmp_path)
    assert name in str(told.value)
    assert content(tmp_path) == before


def test_many_files_are_a_short_message_of_plain_text(tmp_path):
    for number in range(50):
        (tmp_path / f"\x1b[2J{number:02}").touch()
    with pytest.raises(UsageError, match="and 45 more") as told:
        check_folder(tmp_path)
    assert str(told.value).isprintable()


def test_what_gapbench_writes_and_what_systems_leave_is_no_hindrance(tmp_path):
    check_folder(tmp_path / "not there")
    write_pages(tmp_path, {name: name.encode() for name in PAGES})
    write_pages(tmp_path / "figures", {"umap-a_b_c.svg": b"1", "pair-a__00ff.npz": b"2", "gap-accuracy.pdf": b"3"})
    for name in (
        "records/run.jsonl",
        f"records/{'0a' * 8}.jsonl",
        ".DS_Store",
        ".gitignore",
        "rows.npz",
        "rows.safetensors",
        "rows.parquet",
        "Thumbs.db",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    check_folder(tmp_path)


def test_a_folder_in_the_place_of_a_page_costs_that_page_alone(tmp_path):
    (tmp_path / "README.md").mkdir()
    check_folder(tmp_path)
    with pytest.raises(OSError, match=r"README\.md"):
        write_pages(tmp_path, {"README.md": b"1", "table.csv": b"2"})
    assert (tmp_path / "table.csv").read_bytes() == b"2"
    (tmp_path / "README.md").rmdir()
    write_pages(tmp_path, {"README.md": b"3", "table.csv": b"4"})


def test_own_pages_are_replaced_freely_and_are_known_by_sha256sum(tmp_path):
    for text in (b"one", b"two", b"two", b"three"):
        write_pages(tmp_path, {"README.md": text, "table.csv": text})
        check_folder(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == b"three"
    digest = hashlib.sha256(b"three").hexdigest()
    assert (tmp_path / WRITTEN).read_text() == f"{digest}  README.md\n{digest}  table.csv\n"
    subprocess.run(["sha256sum", "--check", "--strict", WRITTEN], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("edit", ["edited by hand", ""])
def test_a_page_that_was_edited_stays_and_nothing_else_is_written(tmp_path, edit):
    write_pages(tmp_path, {"README.md": b"one", "table.csv": b"one"})
    (tmp_path / "README.md").write_text(edit)
    before = content(tmp_path)
    with pytest.raises(UsageError, match=r"README\.md"):
        check_folder(tmp_path)
    with pytest.raises(UsageError, match=r"README\.md"):
        write_pages(tmp_path, {"table.csv": b"two", "README.md": b"two"})
    assert content(tmp_path) == before
    (tmp_path / "README.md").unlink()
    write_pages(tmp_path, {"table.csv": b"two", "README.md": b"two"})


def test_the_same_bytes_are_no_replacement_whoever_wrote_them(tmp_path):
    (tmp_path / "README.md").write_bytes(b"same")
    stamp = (tmp_path / "README.md").stat().st_mtime_ns
    write_pages(tmp_path, {"README.md": b"same"})
    assert (tmp_path / "README.md").stat().st_mtime_ns == stamp
    write_pages(tmp_path, {"README.md": b"other"})


def test_links_and_pipes_are_nobodys_pages(tmp_path):
    (tmp_path / "far").write_text("mine")
    board = tmp_path / "board"
    board.mkdir()
    (board / "README.md").symlink_to(tmp_path / "far")
    (board / "table.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(board / "table.tex")
    with pytest.raises(UsageError, match=r"README\.md, table\.csv, table\.tex"):
        write_pages(board, dict.fromkeys(("README.md", "table.csv", "table.tex"), b"x"))
    (tmp_path / "elsewhere").mkdir()
    (board / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="figures"):
        check_folder(board)
    assert (tmp_path / "far").read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    ["records", "figures", "records/run.jsonl", "records/run.outcomes", "records/.lock", "figures/gap-accuracy.svg"],
)
@pytest.mark.parametrize("there", [True, False])
def test_no_link_passes_where_results_go(tmp_path, name, there):
    board = tmp_path / "board"
    (board / name).parent.mkdir(parents=True)
    if there:
        (tmp_path / "far").touch() if "/" in name else (tmp_path / "far").mkdir()
    (board / name).symlink_to(tmp_path / "far")
    with pytest.raises(UsageError, match=name):
        check_folder(board)


def test_a_pipe_is_no_file_of_ours(tmp_path):
    (tmp_path / "records").mkdir()
    os.mkfifo(tmp_path / "records" / "run.jsonl")
    with pytest.raises(UsageError, match=r"records/run\.jsonl"):
        check_folder(tmp_path)


def test_only_own_pages_are_removed(tmp_path):
    write_pages(tmp_path, {"study.json": b"one", "README.md": b"one"})
    remove_page(tmp_path, "study.json")
    assert not (tmp_path / "study.json").exists()
    (tmp_path / "study.json").write_text("mine")
    remove_page(tmp_path, "study.json")
    assert (tmp_path / "study.json").read_text() == "mine"


class Killed(BaseException):
    """What cannot be caught by mistake."""


@pytest.mark.parametrize("step", range(8))
def test_writing_that_is_cut_short_anywhere_is_done_again(tmp_path, monkeypatch, step):
    write_pages(tmp_path, {"README.md": b"one", "table.csv": b"one"})
    steps = iter(range(100))
    whole = Path.replace

    def replaced(path, target):
        number = next(steps)
        if number == step // 2 and step % 2 == 0:
            raise Killed
        whole(path, target)
        if number == step // 2:
            raise Killed

    monkeypatch.setattr(Path, "replace", replaced)
    with pytest.raises(Killed):
        write_pages(tmp_path, {"README.md": b"two", "table.csv": b"two"})
    monkeypatch.undo()
    check_folder(tmp_path)
    write_pages(tmp_path, {"README.md": b"three", "table.csv": b"three"})
    assert {(tmp_path / name).read_bytes() for name in ("README.md", "table.csv")} == {b"three"}
    check_folder(tmp_path)


def test_several_processes_write_into_one_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(tmp_path, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len({(tmp_path / name).read_bytes() for name in PAGES}) == 1
    check_folder(tmp_path)


def test_a_full_disk_names_the_page_and_leaves_no_half(tmp_path, monkeypatch):
    write_pages(tmp_path, {"README.md": b"one"})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*gapbench\.sha256") as told:
        write_pages(tmp_path, {"README.md": b"two"})
    assert told.value.filename == str(tmp_path / WRITTEN)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tmp") == []
    assert (tmp_path / "README.md").read_bytes() == b"one"
