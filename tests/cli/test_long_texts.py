"""Texts that are longer than an encoder reads."""

import pytest

from gapbench.results import journal

PLUGIN = """
import gapbench

TAIL = "word " * 100


class Tail:
    def prompts(self, classes):
        return gapbench.PromptSet(prompts=[f"a photo of a {c} " + TAIL * (c in ("three", "seven")) for c in classes],
                                  owner=list(range(len(classes))))


class Late:
    def prompts(self, classes):
        return gapbench.PromptSet(prompts=[TAIL + c for c in classes], owner=list(range(len(classes))))


@gapbench.hookimpl
def gapbench_prompts():
    return [gapbench.PromptSpec(name=name, factory=f"long_texts:{cls}", summary="")
            for name, cls in (("tail", "Tail"), ("late", "Late"))]
"""


def records(folder):
    return [stored.record for stored in journal.read_folder(folder / "out")]


@pytest.fixture
def run(gapbench, tmp_path):
    (tmp_path / "long_texts.py").write_text(PLUGIN)

    def command(*prompts, code=0):
        given = [part for name in prompts for part in ("-p", name)]
        metric = ("-a", "identity", "-a", "mean-center", "-m", "top1", "--no-figures", "--out", "out")
        return gapbench("run", "-d", "digits", *given, *metric, "--plugin", "long_texts.py", code=code)

    return command


def test_they_are_counted_in_record_and_table(run, tmp_path):
    done = run("tail", "photo")
    counts = {record.prompts.name: record.items.cut_texts for record in records(tmp_path)}
    assert counts == {"tail": 2, "photo": 0}
    for told in (done.stdout, (tmp_path / "out" / "README.md").read_text()):
        assert " ".join(told.split()).count("2 texts are longer than the encoder reads; their ends were cut off.") == 1


def test_what_is_kept_is_counted_again_without_encoding(run, tmp_path):
    run("tail")
    first = records(tmp_path)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            path.unlink()
    assert "encoding 0.0 s" in run("tail").stdout
    assert [record.items for record in records(tmp_path)] == [record.items for record in first]


def test_classes_of_which_the_same_is_read_are_refused_and_the_others_run(run, tmp_path):
    done = run("late", "photo", code=1)
    words = " ".join((done.stdout + done.stderr).split())
    assert "Classes 'zero' and 'one' cannot be told apart: encoder 'mini-clip' reads only the beginning" in words
    assert "Traceback" not in words
    assert {record.prompts.name for record in records(tmp_path) if record.status == "ok"} == {"photo"}
