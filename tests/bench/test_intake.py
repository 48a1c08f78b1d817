"""What a dataset notices while it is read reaches the terminal, the record and the text under the table."""

import pytest

from gapbench.bench.manifest import manifest_of
from gapbench.components import Intake, Split
from gapbench.errors import DataError
from gapbench.intake import intake_sentences
from gapbench.results import journal

PLUGIN = """
import dataclasses
from gapbench import DatasetSpec, Intake, Offer, hookimpl
from gapbench.builtin.datasets.digits import Digits

class Noticing(Digits):
    def split(self, name):
        intake = Intake(read_as="digits", skipped={"smudged digits": 3, "blank pages": 0}, notices=[f"The {name} ink is blue."])
        return dataclasses.replace(super().split(name), intake=intake)

@hookimpl
def gapbench_datasets():
    return [DatasetSpec(name="noticing", factory="noticing:Noticing", summary="s", offers=frozenset({Offer.LABELS}),
                        splits={"train": 1297, "test": 500}, licence="CC BY 4.0")]
"""


def test_sentences_leave_out_what_is_not_there():
    intake = Intake(skipped={"dot files": 1_200, "blank captions": 0}, notices=["It is upside down."])
    assert intake_sentences("folder:x", intake) == [
        "folder:x: Not read: dot files (1,200).",
        "folder:x: It is upside down.",
    ]
    assert intake_sentences("folder:x", Intake()) == []


@pytest.mark.parametrize("intake", [Intake(skipped={"files": "many"}), Intake(notices=[1]), Intake(read_as=3)])
def test_an_intake_of_something_else_is_refused(intake):
    with pytest.raises(DataError, match="its intake"):
        manifest_of(Split(images=[object()], item_hashes=["a" * 32], intake=intake), "set")


def test_item_hashes_that_are_none_are_refused():
    """Rows of the store are found by them: numbers of rows would be taken for the same items in other data."""
    for bad in ("0", "x" * 32, "A" * 32, 7):
        with pytest.raises(DataError, match="must be 32 hexadecimal digits or more"):
            manifest_of(Split(images=[object()], item_hashes=[bad]), "set")


def test_a_run_tells_it_once_and_the_record_counts_it(gapbench, tmp_path):
    (tmp_path / "noticing.py").write_text(PLUGIN)
    words = (
        "-d",
        "noticing",
        "-e",
        "mini-clip",
        "-p",
        "plain",
        "-p",
        "photo",
        "-a",
        "identity",
        "-m",
        "top1",
        "--no-figures",
    )
    first = gapbench("run", "--plugin", "noticing.py", *words, "--out", "out")
    told = " ".join(first.stderr.split())
    for split in ("train", "test"):
        assert told.count(f"noticing ({split}): Not read: smudged digits (3).") == 1
        assert told.count(f"noticing ({split}): The {split} ink is blue.") == 1
    assert "Not read: smudged digits (6)." in (tmp_path / "out" / "README.md").read_text()  # of both splits
    counts = [stored.record.items.skipped for stored in journal.read_folder(tmp_path / "out")]
    assert counts == [{"smudged digits": 6}] * 2
    again = gapbench("run", "--plugin", "noticing.py", *words, "--out", "out")  # from what is remembered
    assert "noticing (test): Not read: smudged digits (3)." in " ".join(again.stderr.split())


def test_published_numbers_do_not_stand_beside_own_data(gapbench, tmp_path):
    study = (
        'name = "mine"\ntitle = "Mine"\nabout = "a"\nencoders = ["mini-clip"]\ndatasets = ["noticing"]\nprompts = ["plain"]\n'
        'aligners = ["identity"]\nmetrics = ["top1"]\nprotocol = "in-sample"\n'
        '[[reference]]\nprompts = "plain"\nmetric = "top1"\nvalue = 0.1234\nsource = "a paper"\n'
    )
    (tmp_path / "mine.toml").write_text(study)
    for published in (True, False):
        (tmp_path / "noticing.py").write_text(PLUGIN.replace("Intake(", f"Intake(published={published}, "))
        out = f"out-{published}"
        done = gapbench("run", "--plugin", "noticing.py", "--study", "mine.toml", "--no-figures", "--out", out)
        page = (tmp_path / out / "README.md").read_text()
        assert ("12.34" in page) is published
        assert ("12.34" in done.stdout) is published
        assert ("own files, not the official noticing" in page) is not published
