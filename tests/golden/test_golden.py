"""No number moves unnoticed: what a run gives on embeddings made by code is what plain float64 code gave, kept in a file."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import gapbench

HERE = Path(__file__).parent
KEPT = json.loads((HERE / "golden.json").read_text())


def maker():
    spec = importlib.util.spec_from_file_location("golden_make", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, make = tmp_path_factory.mktemp("golden"), maker()
    images, texts = make.captions()
    np.savez(folder / "captions.npz", image=images, text=texts, pair=np.arange(len(images)))
    images, texts, labels = make.classes()
    np.savez(folder / "classes.npz", image=images, text=texts, label=labels)
    found = {}
    for world, kept in KEPT.items():
        run = gapbench.run(
            datasets=f"embeddings:{folder / world}.npz",
            aligners=list(kept),
            metrics=sorted({metric for values in kept.values() for metric in values}),
            protocol="in-sample",
            fit_size="all",
        )
        assert not run.failed
        # Rows in the order in which they were asked for.
        found[world] = dict(zip(kept, sorted(run.records, key=lambda r: _place(kept, r)), strict=True))
    return found


def _place(kept, record):
    names = [label.partition("[")[0] for label in kept]
    return names.index(record.aligner.name)


def test_the_file_is_what_its_maker_makes():
    made = maker().golden()
    assert made.keys() == KEPT.keys()
    for world, rows in made.items():
        assert rows.keys() == KEPT[world].keys()
        for label, values in rows.items():
            for metric, value in values.items():
                assert np.allclose(value, KEPT[world][label][metric], rtol=1e-9, atol=1e-12), (world, label, metric)


@pytest.mark.parametrize(("world", "label"), [(world, label) for world, rows in KEPT.items() for label in rows])
def test_a_run_gives_what_plain_float64_code_gives(runs, world, label):
    record = runs[world][label]
    for metric, expected in KEPT[world][label].items():
        value = record.metrics[metric].value
        if isinstance(expected, list):
            low, high = expected
            assert low - 1e-9 <= value <= high + 1e-9, (metric, value, expected)
        else:
            assert value == pytest.approx(expected, rel=2e-5, abs=2e-6), metric
