"""No number moves unnoticed: what a run gives on embeddings made by code is what plain float64 code gave, kept in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from golden import make

import gapbench

if TYPE_CHECKING:
    from gapbench.model.record import Record

    Runs = dict[str, dict[str, Record]]

KEPT = json.loads(make.FILE.read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("golden")
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


def _place(kept: dict[str, dict[str, object]], record: Record) -> int:
    names = [label.partition("[")[0] for label in kept]
    return names.index(record.aligner.name)


def test_the_file_is_what_its_maker_makes() -> None:
    made = make.golden()
    assert made.keys() == KEPT.keys()
    for world, rows in made.items():
        assert rows.keys() == KEPT[world].keys()
        for label, values in rows.items():
            assert values.keys() == KEPT[world][label].keys(), (world, label)
            for metric, value in values.items():
                assert np.allclose(value, KEPT[world][label][metric], rtol=1e-9, atol=1e-12), (world, label, metric)


@pytest.mark.parametrize(("world", "label"), [(world, label) for world, rows in KEPT.items() for label in rows])
def test_a_run_gives_what_plain_float64_code_gives(runs: Runs, world: str, label: str) -> None:
    record = runs[world][label]
    for metric, expected in KEPT[world][label].items():
        value = record.metrics[metric].value
        if isinstance(expected, list):
            low, high = expected
            assert low - 1e-9 <= value <= high + 1e-9, (metric, value, expected)
        else:
            assert value == pytest.approx(expected, rel=2e-5, abs=2e-6), metric
