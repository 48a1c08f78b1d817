"""What every aligner must do, whatever its method."""

from __future__ import annotations

import random
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.fitdata import FitRows
from gapbench.bench.mapping import Maps
from gapbench.bench.notes import kept_as_text
from gapbench.bench.scored import UNALIGNED
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import AlignerError, GapbenchError, UndeclaredData
from gapbench.host.registry import Kind
from gapbench.specs import ActsOn, Need
from gapbench.state import load_aligner, save_aligner
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.fits import OF_CLASSES, PoisonedRows, aligned, all_scores, fit_aligner
from gapbench.testing.guards import no_global_changes
from gapbench.testing.toys import in_file_order, reordered, two_cones

if TYPE_CHECKING:
    from gapbench.components import Float32

#: What maps may differ by where a sum is taken in another order, relative to the largest value.
CLOSE = 2e-5


def toy(subject: Subject, n: int = 80, d: int = 7, classes: int = 4, **options: Any) -> EmbeddedSplit:
    """Give toy data of a kind that the aligner can be fitted on."""
    cones = two_cones(n, d, classes, **options)
    return cones.prompts() if subject.spec.needs & OF_CLASSES else cones.captions()


def fitted(subject: Subject, split: EmbeddedSplit, **options: Any) -> Any:
    """Build and fit."""
    return fit_aligner(subject.build(), subject.spec, split, **options)


def same(one: Float32, other: Float32, what: str, slack: float = CLOSE) -> None:
    """Hold two results to each other."""
    assert one.shape == other.shape, f"{what}: shapes {one.shape} and {other.shape}"
    scale = max(float(np.abs(one).max(initial=0)), 1e-30)
    difference = float(np.abs(one - other).max(initial=0)) / scale
    assert difference <= slack, f"{what}: results differ by {difference:.2g} of the largest value"


def rows_of(subject: Subject, split: EmbeddedSplit) -> tuple[Float32, Float32]:
    """Image and text rows as the aligner receives them."""
    rows = FitRows(split, captioned=split.captions is not None, raw=subject.spec.raw)
    texts = split.captions or split.prompts
    assert texts is not None
    return rows.all_images(), rows.rows(texts.rows, slice(None))


def _same_scores(subject: Subject, one: Any, other: Any, split: EmbeddedSplit, what: str, slack: float = CLOSE) -> None:
    same(all_scores(one, subject.spec, split), all_scores(other, subject.spec, split), what, slack)


# This check is the first one: what is changed once and for all would be the rule for all that follow.
@check("leaves global state alone", Kind.ALIGNER)
def global_state(subject: Subject) -> None:
    """Random generators, threads, torch's flags and the environment are as before."""
    split = toy(subject)
    all_scores(None, UNALIGNED, split)  # what gapbench itself imports for this is not the aligner's doing
    for _ in range(2):  # what it imports in the first round is watched in the second
        with no_global_changes():
            all_scores(fitted(subject, split), subject.spec, split)


@check("gives finite float rows of the right shape", Kind.ALIGNER)
def shapes(subject: Subject) -> None:
    """Maps give ``(n, e)`` finite floating-point rows, with the same e on both sides, and scores are finite."""
    split = toy(subject)
    data = aligned(fitted(subject, split), subject.spec, split)
    images = data.image_rows(np.arange(data.n_images))
    assert images.shape[1] == data.texts.shape[1], (
        f"images have {images.shape[1]} dimensions, texts {data.texts.shape[1]}"
    )
    assert np.isfinite(data.sample.ranked("images")).all(), "scores of texts for images are not finite"
    if data.captioned:
        assert np.isfinite(data.sample.ranked("texts")).all(), "scores of images for texts are not finite"


@check("changes only what it says", Kind.ALIGNER)
def acts(subject: Subject) -> None:
    """A side that ``acts_on`` does not name comes out as it went in, and what it names does not."""
    split = toy(subject)
    x, t = rows_of(subject, split)
    maps = Maps(fitted(subject, split), subject.spec)
    moved = {
        "images": not np.array_equal(maps.rows("images", x), x),
        "texts": not np.array_equal(maps.rows("texts", t), t),
    }
    wanted = {
        ActsOn.NOTHING: (), ActsOn.SCORES: (), ActsOn.IMAGES: ("images",), ActsOn.TEXTS: ("texts",),
        ActsOn.BOTH: ("images", "texts"),
    }[subject.spec.acts_on]  # fmt: skip
    for side, changed in moved.items():
        assert not changed or side in wanted, (
            f"it changes {side}, but its spec says that it acts on {subject.spec.acts_on}"
        )
    if subject.spec.acts_on is ActsOn.SCORES:
        moved["scores"] = not np.array_equal(maps.score_texts(x, t), x @ t.T)
    nothing = subject.spec.acts_on is ActsOn.NOTHING
    assert nothing or any(moved.values()), f"it says that it acts on {subject.spec.acts_on}, but nothing changes"


@check("leaves its input unchanged", Kind.ALIGNER)
def inputs(subject: Subject) -> None:
    """Read-only rows are enough for ``fit`` and for the maps, and nothing writes to them by another way."""
    split = toy(subject)
    texts = split.captions or split.prompts
    assert texts is not None
    before = np.array(split.images[:]), np.array(texts.rows[:])
    x, t = rows_of(subject, split)
    aligner = fitted(subject, split)
    all_scores(aligner, subject.spec, split)
    maps = Maps(aligner, subject.spec)
    for side, rows in (("images", x), ("texts", t)):
        kept = rows.copy()
        maps.rows(side, rows)
        assert np.array_equal(kept, rows), f"{side}() changed its input: work on a copy"
    assert np.array_equal(before[0], split.images[:]), "the images it was fitted on have changed"
    assert np.array_equal(before[1], texts.rows[:]), "the texts it was fitted on have changed"


@check("is the same for the same generator", Kind.ALIGNER)
def repeatable(subject: Subject) -> None:
    """Two fits on the same rows with the same generator give the same scores, bit by bit."""
    split = toy(subject)
    one, other = (all_scores(fitted(subject, split, seed=3), subject.spec, split) for _ in range(2))
    assert np.array_equal(one, other), "two fits with the same generator differ"


@check("is the same for another generator unless stochastic", Kind.ALIGNER)
def deterministic(subject: Subject) -> None:
    """Only an aligner whose spec says ``stochastic`` may depend on the generator."""
    if subject.spec.stochastic:
        raise DoesNotApplyError("its spec says that it is stochastic")
    if Need.VALIDATION in subject.spec.needs:
        raise DoesNotApplyError("its validation slice is drawn")
    split = toy(subject)
    one, other = (all_scores(fitted(subject, split, seed=seed), subject.spec, split) for seed in (3, 4))
    assert np.array_equal(one, other), "it depends on data.rng; write stochastic=True in its spec"


@check("maps row by row", Kind.ALIGNER)
def row_by_row(subject: Subject) -> None:
    """A row's result depends neither on the rows around it, nor on their order, nor on the size of the batch."""
    split = toy(subject)
    x, t = rows_of(subject, split)
    aligner = fitted(subject, split)
    maps = Maps(aligner, subject.spec)
    for side, rows in (("images", x), ("texts", t)):
        whole = maps.rows(side, rows)
        order = np.random.default_rng(0).permutation(len(rows))
        same(whole[order], maps.rows(side, rows[order]), f"{side} in another order")
        parts = [maps.rows(side, part) for part in np.array_split(rows, 3)]
        same(whole, np.concatenate(parts), f"{side} in three batches")
        same(whole[:1], maps.rows(side, rows[:1]), f"{side}, one row alone")
    scores = maps.score_texts(maps.rows("images", x), maps.rows("texts", t))
    few = maps.score_texts(maps.rows("images", x[:3]), maps.rows("texts", t))
    same(scores[:3], few, "scores of three images alone")
    anew = Maps(fitted(subject, split), subject.spec)  # it remembers nothing of the rows above
    for side, rows in (("texts", t), ("images", x)):
        same(
            maps.rows(side, rows)[:3],
            anew.rows(side, rows[:3]),
            f"{side}, three rows by an instance that mapped no others",
        )
    again = Maps(fitted(subject, split), subject.spec)
    few = again.score_texts(again.rows("images", x[:3]), again.rows("texts", t))
    same(scores[:3], few, "scores of three images by an instance that scored no others")


@check("does not depend on the order of the fit split", Kind.ALIGNER)
def order_of_items(subject: Subject) -> None:
    """Fitting on the same items, read in another order, gives the same scores, but for rounding."""
    if subject.spec.stochastic or Need.VALIDATION in subject.spec.needs:
        raise DoesNotApplyError("it draws from the rows, so the order in which it reads them matters")
    split = in_file_order(toy(subject))  # a run gives rows in an order of its own, whatever that of the file
    order = np.random.default_rng(1).permutation(len(split.images))
    other = in_file_order(reordered(split, order))
    _same_scores(subject, fitted(subject, split), fitted(subject, other), split, "items in another order", slack=1e-3)
    if split.captions is not None:
        captions = Texts(rows=split.captions.rows[:][order], owner=split.captions.owner[order])
        apart = in_file_order(replace(split, captions=captions))
        _same_scores(
            subject, fitted(subject, split), fitted(subject, apart), split, "texts in another order", slack=1e-3
        )


def _odd(subject: Subject, split: EmbeddedSplit, *, may_refuse: bool = False) -> None:
    """Fit on odd data: finite scores without warnings, or where nothing can be learnt a clear refusal."""
    refusal = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = all_scores(fitted(subject, split), subject.spec, split)
    except AlignerError:  # what a run found at its door is no refusal
        raise
    except GapbenchError as error:
        refusal = str(error)
    if refusal:
        assert may_refuse, f"it refuses: {refusal}"
        assert len(refusal) > 40, f"its refusal says too little: {refusal}"  # noqa: PLR2004 - what, why, way out
        return
    assert np.isfinite(scores).all(), "scores are not finite"


@check("works in two dimensions", Kind.ALIGNER)
def two_dimensions(subject: Subject) -> None:
    """Rows have two dimensions."""
    _odd(subject, toy(subject, n=40, d=2))


@check("works with fewer rows than dimensions", Kind.ALIGNER)
def few_rows(subject: Subject) -> None:
    """Six rows, forty dimensions."""
    _odd(subject, toy(subject, n=6, d=40, classes=3))


@check("works on one row, or refuses clearly", Kind.ALIGNER)
def one_row(subject: Subject) -> None:
    """N = 1: finite scores, or an error that says what to do."""
    _odd(subject, toy(subject, n=1, classes=1), may_refuse=True)


@check("works on one class, or refuses clearly", Kind.ALIGNER)
def one_class(subject: Subject) -> None:
    """A single class (or one caption for all): finite scores, or an error that says what to do."""
    if subject.spec.needs & OF_CLASSES:
        _odd(subject, toy(subject, classes=1), may_refuse=True)
    else:
        _odd(subject, two_cones(30, classes=1).prompts(), may_refuse=True)


@check("works on duplicate rows", Kind.ALIGNER)
def duplicates(subject: Subject) -> None:
    """Every row five times."""
    split = toy(subject, n=12)
    times = np.repeat(np.arange(12), 5)
    captions = split.captions and Texts(rows=split.captions.rows[times], owner=np.arange(60))
    labels = None if split.labels is None else split.labels[times]
    _odd(subject, replace(split, images=split.images[times], labels=labels, captions=captions))


@check("works on rank-deficient rows", Kind.ALIGNER)
def low_rank(subject: Subject) -> None:
    """Rows of rank three in twelve dimensions, two of them constant zero."""
    split = toy(subject, d=3)
    wide = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 3)))[0].T
    wide = np.hstack([wide, np.zeros((3, 2))]).astype(np.float32)

    def widened(texts: Texts | None) -> Texts | None:
        return None if texts is None else replace(texts, rows=texts.rows[:] @ wide)

    _odd(
        subject,
        replace(split, images=split.images @ wide, captions=widened(split.captions), prompts=widened(split.prompts)),
    )


@check("works on rows of half precision", Kind.ALIGNER)
def half(subject: Subject) -> None:
    """Rows that were stored as float16."""
    split = toy(subject)

    def rounded(texts: Texts | None) -> Texts | None:
        return None if texts is None else replace(texts, rows=texts.rows[:].astype(np.float16))

    _odd(
        subject,
        replace(
            split,
            images=split.images[:].astype(np.float16),
            captions=rounded(split.captions),
            prompts=rounded(split.prompts),
        ),
    )


@check("can be kept in a file", Kind.ALIGNER)
def state(subject: Subject) -> None:
    """What was learnt survives safetensors: a new aligner that reads it gives the same scores, bit by bit."""
    split = toy(subject)
    one = fitted(subject, split)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_aligner(one, path)
        other = subject.build()
        load_aligner(other, path)
    assert np.array_equal(all_scores(one, subject.spec, split), all_scores(other, subject.spec, split)), (
        "after writing and reading it again it gives other scores"
    )


@check("reads only what it declares", Kind.ALIGNER)
def undeclared(subject: Subject) -> None:
    """Everything outside ``needs`` is NaN: the result must not change by a bit."""
    split = toy(subject)
    rows = PoisonedRows(subject.spec, split)
    try:
        one = fit_aligner(subject.build(), subject.spec, split, rows=rows)
    except UndeclaredData as error:
        raise AssertionError(str(error)) from error
    scores = all_scores(one, subject.spec, split)
    assert np.isfinite(scores).all(), (
        "with undeclared rows poisoned its scores are NaN: it reads what it does not declare"
    )
    if Need.VALIDATION not in subject.spec.needs:
        clean = all_scores(fitted(subject, split), subject.spec, split)
        assert np.array_equal(scores, clean), "with undeclared rows poisoned its scores change"


@check("does not draw from global generators", Kind.ALIGNER)
def own_generator(subject: Subject) -> None:
    """Other states of the global generators give the same scores: chance comes from ``data.rng`` alone."""
    split = toy(subject)
    kept = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that must not matter
    try:
        results = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            results.append(all_scores(fitted(subject, split), subject.spec, split))
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])  # noqa: NPY002
    assert np.array_equal(results[0], results[1]), "its scores depend on the global random state; draw from data.rng"


@check("notes what JSON can hold", Kind.ALIGNER)
def notes(subject: Subject) -> None:
    """``notes()``, where there is one, gives a dict of truths, finite numbers and texts: a run keeps all else as text."""
    aligner = fitted(subject, toy(subject))
    if not hasattr(aligner, "notes"):
        raise DoesNotApplyError("it has no notes()")
    found = aligner.notes()
    assert isinstance(found, dict), f"notes() gives {type(found).__name__}; it must give a dict"
    lost = kept_as_text(found)
    assert not lost, (
        f"a run would keep as text what notes() gives for {', '.join(map(repr, lost))}; give truths, finite numbers or texts"
    )


@check("learns from pairs what shuffled pairs do not tell", Kind.ALIGNER)
def pairs(subject: Subject) -> None:
    """Fitted on shuffled pairs, a method that claims to need pairs finds fewer partners than on true ones."""
    if Need.PAIRS not in subject.spec.needs:
        raise DoesNotApplyError("it needs no pairs")
    if subject.spec.needs & OF_CLASSES:
        raise DoesNotApplyError("its pairs are made of classes")
    split = two_cones(300, 7, angle=0.4, noise=0.02).captions()
    assert split.captions is not None
    shuffled = np.random.default_rng(0).permutation(300)
    wrong = replace(split, captions=replace(split.captions, rows=split.captions.rows[shuffled]))
    found = [
        float(np.mean(all_scores(fitted(subject, fit), subject.spec, split).argmax(axis=1) == np.arange(300)))
        for fit in (split, wrong)
    ]
    assert found[0] > found[1], (
        f"fitted on true pairs it finds {found[0]:.0%} of the partners, on shuffled ones {found[1]:.0%}: "
        "it does not use which rows belong together"
    )
