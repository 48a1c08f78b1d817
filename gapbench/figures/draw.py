"""Which figures a run draws; the data of each is kept beside it, so that it can be drawn again."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from gapbench.bench.cell import aligned_cell
from gapbench.embeddings.npz import open_npz
from gapbench.errors import DataError
from gapbench.figures.gap_accuracy import draw_gap_accuracy
from gapbench.figures.learning import draw_learning_curves
from gapbench.figures.pair import PairData, check_pair, draw_pair
from gapbench.figures.style import attempt
from gapbench.leaderboard.build import tables_of
from gapbench.leaderboard.table import PRIMARY, largest_fits
from gapbench.model.names import slug
from gapbench.results.answers import BASELINE
from gapbench.results.folder import write_pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.bench.execute import Outcome, Runner
    from gapbench.bench.scored import AlignedSplit
    from gapbench.leaderboard.table import Table
    from gapbench.model.record import Record
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec

FOLDER = "figures"

#: Images in a picture, as in the seed study.
SAMPLE = 100


def draw_all(
    runner: Runner, study: Study, outcome: Outcome, specs: Mapping[str, MetricSpec], tables: Sequence[Table]
) -> list[Path]:
    """Draw gap against accuracy, and one pair of pictures for each encoder and dataset of this run."""
    folder = runner.options.folder / FOLDER
    drawn: list[Path] = []
    with attempt("of all tables"):
        drawn += draw_tables(tables, specs, folder)
    for record in _pictured(study, [answer.record for answer in outcome.answers]):
        stem = slug(record.encoder.name, record.dataset.name, record.prompts.name)
        with attempt(f"pair-{stem}"):
            data = _pair_data(runner, record, _scores(record, tables))
            if data is not None:
                _keep(data, folder / f"pair-{stem}.npz")
                drawn += draw_both(data, folder, stem)
    return drawn


def draw_again(
    folder: Path, specs: Mapping[str, MetricSpec], tables: Sequence[Table] | None = None, to: Path | None = None
) -> list[Path]:
    """Draw the figures of a finished run again from its records and the kept data.

    Parameters
    ----------
    folder, specs
        The results, and the known metrics.
    tables
        Those of the results, where they are at hand.
    to
        Where the figures go; None for ``figures/`` of the results.

    Raises
    ------
    UsageError
        There is no run in that folder.
    """
    target = to or folder / FOLDER
    drawn = draw_tables(tables_of(folder, specs) if tables is None else tables, specs, target)
    for path in sorted((folder / FOLDER).glob("pair-*.npz")):
        with attempt(path.name):
            drawn += draw_both(kept_pair(path), target, path.stem.removeprefix("pair-"))
    return drawn


def draw_tables(tables: Sequence[Table], specs: Mapping[str, MetricSpec], folder: Path) -> list[Path]:
    """Draw what rests on records alone."""
    tables = [table for table in tables if not table.stale]
    return draw_gap_accuracy(largest_fits(tables), specs, folder / "gap-accuracy") + draw_learning_curves(
        tables, specs, folder
    )


def draw_both(data: PairData, folder: Path, stem: str) -> list[Path]:
    return [path for method in ("umap", "pca") for path in draw_pair(data, folder / f"{method}-{stem}", method=method)]


def _pictured(study: Study, records: Sequence[Record]) -> list[Record]:
    """Choose one record for each encoder and dataset: the study's aligner on the first of its prompts that ran.

    Where that aligner was not run, the first one that is neither ``identity`` nor a control stands in.
    """
    chosen: dict[tuple[str, str], Record] = {}
    whole = [record for record in records if record.status == "ok"]
    asked = [r for r in whole if study.figure_aligner in (r.aligner.name, r.label)]
    others = [r for r in whole if r.aligner.name != BASELINE and not r.aligner.control]
    for candidates in (asked, others):
        for prompts in study.figure_prompts:
            for record in candidates:
                if record.prompts.name == prompts:
                    chosen.setdefault((record.encoder.name, record.dataset.name), record)
    return list(chosen.values())


def _pair_data(runner: Runner, record: Record, scores: tuple[str, str]) -> PairData | None:
    """Align a sample of the cell again; the plan still knows its task."""
    task = runner.tasks.get(record.cell_id)
    if task is None or len(set(task.test.dims)) > 1:  # no picture holds two spaces
        return None
    with (
        aligned_cell(task, runner.registry, "identity") as before,
        aligned_cell(task, runner.registry, task.aligner) as after,
    ):
        return _pair_of(before, after, record, scores)


def _pair_of(before: AlignedSplit, after: AlignedSplit, record: Record, scores: tuple[str, str]) -> PairData:
    rows = before.order[:SAMPLE]
    owner = before.owner
    texts = np.arange(len(owner))
    if before.captioned:
        position = np.full(before.n_images, -1)
        position[rows] = np.arange(len(rows))
        texts = np.flatnonzero(position[owner] >= 0)
        owner = position[owner[texts]]
    return PairData(
        images_before=before.image_rows(rows),
        texts_before=before.texts[texts],
        images_after=after.image_rows(rows),
        texts_after=after.texts[texts],
        owner=owner,
        labels=np.zeros(0, dtype=np.int64) if before.captioned else before.labels[rows],
        classes=() if before.captioned else tuple(before.classes),
        title=f"{record.encoder.name}, {record.dataset.name}, {record.prompts.name}",
        after=record.label,
        scores=scores,
    )


def _scores(record: Record, tables: Sequence[Table]) -> tuple[str, str]:
    """Say the primary metric before and after alignment; empty where there is no identity to compare with."""
    name = next((name for name in PRIMARY if name in record.metrics), "")
    compared = (one for table in tables for row in table.rows for one in row.compared)
    found = (one.differences.get(name) for one in compared if one.answer.record.cell_id == record.cell_id)
    difference = next(found, None)
    if difference is None:
        return "", ""
    after = record.metrics[name].value
    return f"{name} {100 * (after - difference.delta):.1f} %", f"{name} {100 * after:.1f} %"


def _keep(data: PairData, path: Path) -> None:
    content = io.BytesIO()
    np.savez_compressed(
        content,
        images_before=data.images_before,
        texts_before=data.texts_before,
        images_after=data.images_after,
        texts_after=data.texts_after,
        owner=data.owner,
        labels=data.labels,
        words=np.array([data.title, data.after, *data.scores, *data.classes]),
    )
    write_pages(path.parent, {path.name: content.getvalue()})


def kept_pair(path: Path) -> PairData:
    arrays = open_npz(path)
    try:
        title, after, one, two, *classes = (str(word) for word in arrays.pop("words"))
        data = PairData(**arrays, title=title, after=after, scores=(one, two), classes=tuple(classes))
        check_pair(data)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not the data of a figure ({error}); remove it and run again.") from error
    return data
