"""Encoders and datasets keep gapbench's contract."""

import datasets
import gapbench_huggingface
import pytest
from datasets import ClassLabel, Features, Value
from tiny_data import NAMES, rows, tar
from tiny_models import MAKERS

from gapbench.host.registry import Kind, Origin
from gapbench.host.validate import components_of, hooks_of
from gapbench.testing.checks import checks_of, run_check, subject_of

#: Checks that start processes of their own: tried with one model, since they take seconds.
IN_PROCESSES = ("costs nothing at start-up", "is the same in another process")
COMPONENTS = components_of(
    hooks_of(gapbench_huggingface), Origin("gapbench_huggingface", "", "", "gapbench_huggingface")
)


def subject(kind, name, argument):
    (found,) = [one for one in COMPONENTS if one.kind is kind and one.spec.name == name]
    return subject_of(found, str(argument))


def well(kind, name, argument, *, processes=False):
    outcomes = [
        run_check(one, subject(kind, name, argument))
        for one in checks_of(kind)
        if processes or one.name not in IN_PROCESSES
    ]
    assert not [f"{one.check.name}: {one.reason}" for one in outcomes if one.status == "failed"]
    passed = {one.check.name for one in outcomes if one.status == "passed"}
    assert len(passed) > len(outcomes) - 4
    return passed


@pytest.mark.parametrize("kind", MAKERS)
def test_two_tower_models(model_folder, kind):
    well(Kind.ENCODER, "hf", model_folder(kind), processes=kind == "clip")


def test_a_model_of_sentence_transformers(sentence_folder):
    well(Kind.ENCODER, "st", sentence_folder)


def test_a_table_of_labels_and_captions(tmp_path):
    kinds = Features({"image": datasets.Image(), "label": ClassLabel(names=NAMES), "caption": Value("string")})
    parts = {}
    for split, start in (("train", 0), ("test", 50)):
        columns = rows(20, start, caption=[f"caption {number}" for number in range(20)])
        parts[split] = datasets.Dataset.from_dict(columns, features=kinds)
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "set")
    passed = well(Kind.DATASET, "hf-dataset", tmp_path / "set", processes=True)
    assert {"labels every item with a class", "captions every item"} <= passed


def test_archives(tmp_path):
    for split, start in (("train", 0), ("test", 50)):
        files = []
        for number, row in enumerate(rows(20, start)["image"]):
            files += [(f"{number}.png", row["bytes"]), (f"{number}.cls", str(number % 3).encode())]
        tar(tmp_path / split / "0.tar", files)
    assert "labels every item with a class" in well(Kind.DATASET, "wds", tmp_path, processes=True)
