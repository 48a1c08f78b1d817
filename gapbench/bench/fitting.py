"""Fitting: which rows an aligner gets, what is chosen on a validation slice, and what the fit rests on."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapbench.bench.fitdata import FitParts, FitRows
from gapbench.bench.protocol import Cut, copies, first_groups, fit_and_test, subset
from gapbench.bench.rooms import Rooms
from gapbench.bench.scored import AlignedSplit
from gapbench.embeddings.fingerprint import derive_rng
from gapbench.errors import DataError
from gapbench.host.registry import Kind
from gapbench.host.selection import params_of, select
from gapbench.model.record import Choice
from gapbench.specs import AlignerSpec, Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.bench.rooms import AnyRoom
    from gapbench.bench.task import CellTask
    from gapbench.host.registry import Registry
    from gapbench.host.selection import Selected, Value

#: Fit rows of the last tables, with their moments: all aligners of a table share them.
_FIT_ROWS: dict[tuple[object, ...], tuple[FitRows, FitRows, Cut]] = {}
_FIT_ROWS_KEPT = 4

#: Share of the fit split that is set apart where a parameter is chosen or an aligner needs a validation slice.
VALIDATION_SHARE = 0.2

#: A free linear map wants so many pairs a dimension; with fewer the record warns.
PAIRS_A_DIMENSION = 5


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted aligner in its room, the rows to score, how they were cut from those to fit on, and what the record says.

    ``pairs`` is what the pairs were made of (empty where none are read), ``chosen`` what ``auto`` chose.
    """

    aligner: AnyRoom
    spec: AlignerSpec
    test: FitRows
    cut: Cut
    pairs: str = ""
    chosen: Choice | None = None
    warnings: tuple[str, ...] = ()


@contextmanager
def fit_cell(task: CellTask, registry: Registry, aligner: str, until: float | None = None) -> Iterator[Fit]:
    """Fit an aligner on a cell's rows, its automatic parameters chosen first; its room is open inside.

    Parameters
    ----------
    aligner
        The cell's own, or another one for its rows.
    until
        When it must be done, on the monotonic clock.
    """
    selected = select(registry, Kind.ALIGNER, [aligner])[0]
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    rooms = Rooms(task, registry, until)
    fit, test, cut = rows_of(task, raw=spec.raw)
    chosen = None
    if selected.automatic:
        selected, chosen = choose(task, selected, fit, rooms)
    warning = _too_few_pairs(spec, fit)
    with rooms.open(selected) as room:
        yield Fit(
            aligner=_fitted(task, room, selected, fit, test),
            spec=spec,
            test=test,
            cut=cut,
            pairs=fit.pairs_are if Need.PAIRS in spec.needs else "",
            chosen=chosen,
            warnings=(warning,) if warning else (),
        )


def rows_of(task: CellTask, *, raw: bool) -> tuple[FitRows, FitRows, Cut]:
    """Give the rows to fit on and to score, and how they were cut; shared by the aligners of a table, moments included."""
    header = task.header
    train = None if task.train is None else task.train.fingerprint
    key: tuple[object, ...] = (
        header.encoder.fingerprint,
        task.test.fingerprint,
        train,
        header.prompts.name,
        header.prompts.fingerprint,
    )
    key += (task.run, task.protocol, task.seed, task.captioned, raw)
    if key not in _FIT_ROWS:
        while len(_FIT_ROWS) >= _FIT_ROWS_KEPT:
            del _FIT_ROWS[next(iter(_FIT_ROWS))]
        cut = fit_and_test(task.protocol, task.seed, task.test, task.train)
        _FIT_ROWS[key] = (
            FitRows(cut.fit, captioned=task.captioned, raw=raw),
            FitRows(cut.test, captioned=task.captioned, raw=raw),
            cut,
        )
    return _FIT_ROWS[key]


def _fitted(task: CellTask, room: AnyRoom, selected: Selected, fit: FitRows, test: FitRows) -> AnyRoom:
    """Build and fit the aligner on what it declares."""
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    rng = derive_rng(purpose="aligner", aligner=selected.label, items=fit.items.fingerprint, seed=task.seed)
    validation = None
    if Need.VALIDATION in spec.needs:
        fit, validation = set_apart(fit, task.seed)
    transductive = test if task.protocol.name == "transductive" else None
    return room.fit(FitParts(spec, fit, validation=validation, test=transductive, context=task.context), rng)


def set_apart(fit: FitRows, seed: int) -> tuple[FitRows, FitRows]:
    """Cut a validation slice from the fit split; copies of an image are in one part.

    Raises
    ------
    DataError
        A single item cannot be cut.
    """
    n, group = len(fit.split.images), copies(fit.split)
    if group.max() == 0:
        raise DataError("One item to fit on cannot be cut into a fit and a validation slice. Fit on more items.")
    rng = derive_rng(purpose="validation", items=fit.items.fingerprint, seed=seed)
    order = fit.items.order[rng.permutation(n)]
    apart = first_groups(group, fit.items.order, order, max(1, round(n * VALIDATION_SHARE)))
    if not apart.any():  # no group is so small: the smallest one is set apart
        apart = group == np.argmin(np.bincount(group))
    parts = (np.flatnonzero(~apart), np.flatnonzero(apart))
    kept, validation = (FitRows(subset(fit.split, part), captioned=fit.captioned, raw=fit.raw) for part in parts)
    return kept, validation


def choose(task: CellTask, selected: Selected, fit: FitRows, rooms: Rooms) -> tuple[Selected, Choice]:
    """Choose the automatic parameters of an aligner on a validation slice of its fit split; test rows play no part.

    Every combination of the grids is fitted on the rest of the fit split and scored on the slice: by accuracy, or with
    captions by the mean of recall@1 both ways. Of equally good ones the default wins, then the first of the grid.

    Returns
    -------
    tuple
        The aligner with its parameters, and what the record says of the choice.
    """
    spec = selected.component.spec
    assert isinstance(spec, AlignerSpec)
    rest, validation = set_apart(fit, task.seed)
    grids = selected.automatic
    defaults = {name: params_of(selected.component)[name].default for name in grids}
    tried: list[tuple[float, dict[str, Value]]] = []
    for values in itertools.product(*grids.values()):
        params = dict(zip(grids, values, strict=True))
        with rooms.open(selected.with_params(params)) as room:
            aligner = _fitted(task, room, selected.with_params(params), rest, validation)
            tried.append((_validated(AlignedSplit(validation, aligner, spec, np.random.default_rng(0))), params))
    best = max(score for score, _ in tried)
    equals = [params for score, params in tried if score == best]
    winner = defaults if defaults in equals else equals[0]
    chosen = Choice(
        params=winner, items=len(validation.split.images), scores=[(params, score) for score, params in tried]
    )
    return selected.with_params(winner), chosen


def _validated(scored: AlignedSplit) -> float:
    """Score a validation slice."""
    if not scored.captioned:
        return float(np.mean(scored.top_classes(1)[:, 0] == scored.labels))
    asked = np.unique(scored.owner)
    first = np.mean(scored.image_to_text_ranks()[asked] == 0), np.mean(scored.text_to_image_ranks() == 0)
    return float(np.mean(first))


def _too_few_pairs(spec: AlignerSpec, fit: FitRows) -> str:
    """Say so where pairs are too few for a free linear map."""
    if Need.PAIRS not in spec.needs or spec.family != "paired linear":
        return ""
    pairs, d = int(fit.moments.pairs.n), max(fit.split.dims)
    if pairs >= PAIRS_A_DIMENSION * d:
        return ""
    return f"few pairs: {pairs} for {d} dimensions; a free linear map wants {PAIRS_A_DIMENSION * d} ({PAIRS_A_DIMENSION} d)"
