"""No number moves unnoticed: what a run gives is what plain float64 code gave, kept in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from golden import make
from places import CLIP

import gapbench

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.model.record import Record

    Runs = dict[str, dict[str, Record]]

KEPT = json.loads(make.FILE.read_text())


MADE = [world for world in KEPT if world != "published"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("golden")
    images, texts = make.captions()
    np.savez(folder / "captions.npz", image=images, text=texts, pair=np.arange(len(images)))
    images, texts, labels = make.classes()
    np.savez(folder / "classes.npz", image=images, text=texts, label=labels)
    return {world: _measured(folder / f"{world}.npz", KEPT[world]) for world in MADE}


@pytest.fixture(scope="module")
def published() -> dict[str, Record]:
    if not CLIP.exists():
        pytest.skip(f"{CLIP.name} is not here")
    return _measured(CLIP, KEPT["published"])


def _measured(file: Path, kept: dict[str, dict[str, object]]) -> dict[str, Record]:
    run = gapbench.run(
        datasets=f"embeddings:{file}",
        aligners=list(kept),
        metrics=sorted({metric for values in kept.values() for metric in values}),
        protocol="in-sample",
        fit_size="all",
    )
    assert not run.failed
    # Rows in the order in which they were asked for.
    return dict(zip(kept, sorted(run.records, key=lambda r: _place(kept, r)), strict=True))


def _place(kept: dict[str, dict[str, object]], record: Record) -> int:
    names = [label.partition("[")[0] for label in kept]
    return names.index(record.aligner.name)


def _same(made: dict[str, dict[str, object]], kept: dict[str, dict[str, object]], rtol: float = 1e-9) -> None:
    assert made.keys() == kept.keys()
    for label, values in made.items():
        assert values.keys() == kept[label].keys(), label
        for metric, value in values.items():
            assert np.allclose(value, kept[label][metric], rtol=rtol, atol=1e-12), (label, metric)


def test_the_file_is_what_its_maker_makes() -> None:
    made = make.golden()
    assert list(made) == MADE
    for world, rows in made.items():
        _same(rows, KEPT[world])


@pytest.mark.slow
def test_the_file_is_what_its_maker_makes_of_published_features() -> None:
    if not CLIP.exists():
        pytest.skip(f"{CLIP.name} is not here")
    _same(make.of_published(), KEPT["published"], rtol=1e-7)


@pytest.mark.parametrize(("world", "label"), [(world, label) for world in MADE for label in KEPT[world]])
def test_a_run_gives_what_plain_float64_code_gives(runs: Runs, world: str, label: str) -> None:
    _agrees(runs[world][label], KEPT[world][label])


@pytest.mark.parametrize("label", KEPT["published"])
def test_a_run_on_published_features_gives_what_plain_float64_code_gives(
    published: dict[str, Record], label: str
) -> None:
    _agrees(published[label], KEPT["published"][label])


def _agrees(record: Record, kept: dict[str, object]) -> None:
    for metric, expected in kept.items():
        value = record.metrics[metric].value
        if isinstance(expected, list):
            low, high = expected
            assert low - 1e-9 <= value <= high + 1e-9, (metric, value, expected)
        else:
            assert value == pytest.approx(expected, rel=2e-5, abs=2e-6), metric
