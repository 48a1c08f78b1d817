"""Every registered aligner, the distributions below plugins/ included, on the data that break methods."""

import importlib
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import caption_pairs, caption_split, class_split, fit_spec, scored

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.builtin.aligners import SPECS
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import unit_rows
from gapbench.errors import GapbenchError, UndeclaredData
from gapbench.specs import ActsOn, Need

PLUGINS = Path(__file__).parents[2] / "plugins"


def of_plugins():
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        sys.path.insert(0, str(project.parent))
        for module in tomllib.loads(project.read_text())["project"]["entry-points"]["gapbench"].values():
            yield from importlib.import_module(module).gapbench_aligners()


ALIGNERS = {spec.name: spec for spec in (*SPECS, *of_plugins())}
OF_CLASSES = {Need.LABELS, Need.CLASS_TEXTS}


def scores_of(spec, split, test=None, seed=0, **params):
    """Fit and rank everything; what a metric would see."""
    captioned = split.captions is not None
    aligner = fit_spec(spec, split, captioned=captioned, test=test or split, seed=seed, **params)
    data = scored(aligner, spec, test or split, captioned=captioned)
    return data.sample.ranked("images"), data


def few_of(n, d, classes=3, seed=0):
    return class_split(n_classes=classes, d=d, n=n, seed=seed)


def one_class():
    return few_of(12, 6, classes=1)


def duplicates():
    split = few_of(20, 6)
    return EmbeddedSplit(
        images=np.repeat(split.images[:4], 5, axis=0),
        fingerprint="dup",
        classes=split.classes,
        labels=np.repeat([0, 1, 2, 0], 5),
        prompts=split.prompts,
    )


def low_rank():
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((3, 10))
    images, texts = (unit_rows((rng.standard_normal((n, 3)) @ basis).astype(np.float32)) for n in (40, 4))
    labels = np.arange(40) % 4
    return EmbeddedSplit(
        images=images,
        fingerprint="low",
        classes=tuple("abcd"),
        labels=labels,
        prompts=Texts(rows=texts, owner=np.arange(4)),
    )


def constant_columns():
    split = few_of(30, 6)
    pad = [np.hstack([rows, np.zeros((len(rows), 2), np.float32)]) for rows in (split.images, split.prompts.rows)]
    return EmbeddedSplit(
        images=pad[0],
        fingerprint="flat",
        classes=split.classes,
        labels=split.labels,
        prompts=Texts(rows=pad[1], owner=split.prompts.owner),
    )


def half_precision():
    split = few_of(60, 16)
    images, texts = (rows.astype(np.float16).astype(np.float32) for rows in (split.images, split.prompts.rows))
    return EmbeddedSplit(
        images=images, fingerprint="half", classes=split.classes, labels=split.labels, prompts=Texts(rows=texts, owner=split.prompts.owner)
    )  # fmt: skip


CASES = {
    "fewer rows than dimensions": lambda: few_of(6, 40),
    "two dimensions": lambda: few_of(30, 2),
    "one class": one_class,
    "duplicate rows": duplicates,
    "low rank": low_rank,
    "constant columns": constant_columns,
    "half precision": half_precision,
    "two images": lambda: few_of(2, 5, classes=2),
}

#: Where a method has nothing to go by and must say so.
MAY_REFUSE = {"one class", "two images"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ALIGNERS)
def test_odd_data_give_finite_scores_or_a_reason(name, case):
    spec, split = ALIGNERS[name], CASES[case]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            ranked, data = scores_of(spec, split)
        except GapbenchError as error:
            refusal = str(error)
        else:
            refusal = ""
    if refusal:
        assert case in MAY_REFUSE, refusal
        assert len(refusal) > 40  # says what, why and the way out
        return
    assert np.isfinite(ranked).all()
    assert np.isfinite(data.texts).all()


@pytest.mark.parametrize("name", ALIGNERS)
def test_what_is_not_declared_plays_no_part(name):
    """Everything outside ``needs`` is poisoned: the result must not change by a bit, and must not be NaN."""
    spec = ALIGNERS[name]
    pairs = caption_split(*caption_pairs(40, 6))
    split = few_of(40, 6) if spec.needs & OF_CLASSES else pairs
    captioned = split.captions is not None
    results = [
        scored(fit_on(spec, rows), spec, split, captioned=captioned).sample.ranked("images")
        for rows in (FitRows(split, captioned=captioned, raw=spec.raw), Poisoned(spec, split))
    ]
    np.testing.assert_array_equal(*results)
    assert np.isfinite(results[1]).all()


class Poisoned(FitRows):
    """Rows whose every array is NaN unless the spec declares it."""

    def __init__(self, spec, split):
        super().__init__(split, captioned=split.captions is not None, raw=spec.raw)
        self.spec = spec

    def _poison(self, rows, *needs):
        return rows if self.spec.needs & set(needs) else np.full_like(rows, np.nan)

    def all_images(self):
        return self._poison(super().all_images(), Need.UNPAIRED_IMAGES, Need.TEST_IMAGES)

    def all_texts(self):
        return self._poison(super().all_texts(), Need.UNPAIRED_TEXTS, Need.TEST_TEXTS)

    def all_pairs(self):
        return tuple(self._poison(rows, Need.PAIRS) for rows in super().all_pairs())


def fit_on(spec, rows):
    module, _, attribute = spec.factory.partition(":")
    aligner = getattr(importlib.import_module(module), attribute)(
        **spec.options, **{name: param.default for name, param in spec.params.items()}
    )
    validation = rows if Need.VALIDATION in spec.needs else None
    data = GuardedFitData(spec, rows, np.random.default_rng(0), validation=validation, test=rows)
    fitted = aligner.fit(data)
    return aligner if fitted is None else fitted


@pytest.mark.parametrize("name", ALIGNERS)
def test_reading_anything_else_is_refused(name):
    spec = ALIGNERS[name]
    split = few_of(20, 5)
    data = GuardedFitData(spec, FitRows(split, captioned=False, raw=False), np.random.default_rng(0))
    reads = {
        Need.UNPAIRED_IMAGES: lambda: data.images,
        Need.UNPAIRED_TEXTS: lambda: data.texts,
        Need.PAIRS: lambda: data.pairs,
        Need.LABELS: lambda: data.labels,
        Need.CLASS_TEXTS: lambda: data.class_texts,
        Need.TEST_IMAGES: lambda: data.test_images,
        Need.TEST_TEXTS: lambda: data.test_texts,
        Need.VALIDATION: lambda: data.validation,
    }
    for need, read in reads.items():
        if need not in spec.needs:
            with pytest.raises(UndeclaredData):
                read()


@pytest.mark.parametrize("name", [name for name, spec in ALIGNERS.items() if spec.acts_on is not ActsOn.NOTHING])
def test_the_same_generator_gives_the_same_result(name):
    spec, split = ALIGNERS[name], few_of(30, 6)
    np.testing.assert_array_equal(scores_of(spec, split, seed=5)[0], scores_of(spec, split, seed=5)[0])


#: Decompositions of d x d matrices: a minute each at 4,096 dimensions, so one of each kind stands for the others.
CUBIC = {
    "shuffled-pairs", "abtt", "whiten-pca", "subspace-alignment", "coral", "gaussian-ot", "leace", "procrustes", "ols",
    "ridge-identity", "cca", "csa", "pls-svd", "random-rotation", "gda-clip",
}  # fmt: skip


@pytest.mark.parametrize("name", [spec.name for spec in SPECS if spec.name not in CUBIC | {"whiten-zca", "ridge"}])
def test_four_thousand_dimensions(name):
    """d = 4096, with fewer rows than dimensions: one fit, finite."""
    ranked, _ = scores_of(ALIGNERS[name], few_of(64, 4096))
    assert np.isfinite(ranked).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whiten-zca", "ridge"])
def test_a_decomposition_in_four_thousand_dimensions(name):
    ranked, _ = scores_of(ALIGNERS[name], few_of(64, 4096))
    assert np.isfinite(ranked).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CUBIC))
def test_a_thousand_dimensions(name):
    ranked, _ = scores_of(ALIGNERS[name], few_of(64, 1024))
    assert np.isfinite(ranked).all()
