"""``gapbench check`` says what is wrong once, and what to type."""

import json

import pytest

BATCH = '''
"""Not row by row."""

import numpy as np

import gapbench

print("ready", end="")


class Batch:
    def fit(self, data):
        return self

    def images(self, x):
        return (x - x.mean(axis=0)).astype(np.float32)


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="batch", factory="batch:Batch", summary="s", family="mean", acts_on=gapbench.ActsOn.IMAGES,
            needs=frozenset({gapbench.Need.UNPAIRED_IMAGES}),
        )
    ]
'''


@pytest.fixture
def plugin(tmp_path):
    def write(text):
        (tmp_path / "batch.py").write_text(text)
        return ("check", "aligner", "batch", "--plugin", "batch.py")

    return write


def test_a_cause_of_many_failures_is_said_once(plugin, gapbench):
    shown = " ".join(gapbench(*plugin(BATCH), code=1).stdout.split())
    assert shown.count("does not work row by row") == 1
    assert "for the same cause fail: " in shown
    assert "it prints while it is imported: 'ready'" in shown
    assert "JSONDecodeError" not in shown


def test_one_file_may_import_what_it_likes(plugin, gapbench):
    text = BATCH.replace('print("ready", end="")', "").replace("x - x.mean(axis=0)", "x + np.float32(0.5)")
    (found,) = json.loads(gapbench(*plugin(text), "--json", code=None).stdout)
    (reason,) = [reason for reason, names in found["not_tried"].items() if "costs nothing at start-up" in names]
    assert "it is one file" in reason


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("batch.py",), "batch.py is a file where a kind is meant; write KIND NAME --plugin batch.py."),
        (("batch.py", "batch"), "batch.py is a file where a kind is meant"),
        (("aligner",), "Which aligner? Write gapbench check aligner NAME"),
    ],
)
def test_a_file_where_a_kind_is_meant_is_told_with_the_way_out(words, told, plugin, gapbench):
    plugin(BATCH)
    assert told in gapbench("check", *words, code=2).stderr
