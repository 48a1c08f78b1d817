"""What is left out of sums is left out of the items: every jackknife against measuring again without a group."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import BY_NAME, caption_pairs, caption_split, class_split, fitted, scored
from scipy.spatial.distance import cdist
from scipy.stats import skew

from gapbench.builtin.metrics import SPECS
from gapbench.builtin.metrics.distances import cholesky
from gapbench.builtin.metrics.left_out import left_out, scatters
from gapbench.builtin.metrics.neighbourhoods import left_out_hsic
from gapbench.errors import NotMeasurable
from gapbench.testing.toys import in_file_order

METRICS = {spec.name: spec for spec in SPECS}


def measure(name, split, captioned):
    module, _, attribute = METRICS[name].factory.partition(":")
    metric = getattr(importlib.import_module(module), attribute)(**METRICS[name].options)
    return metric.measure(scored(fitted("identity", split), BY_NAME["identity"], split, captioned=captioned))


def without(split, items):
    """Give a split without some items, and the captions of these."""
    kept = np.setdiff1d(np.arange(len(split.images)), items)
    if split.captions is None:
        return replace(split, images=split.images[kept], labels=split.labels[kept], keys=split.keys[kept])
    texts = split.captions
    captions = replace(texts, rows=texts.rows[kept], owner=np.arange(len(kept)), keys=texts.keys[kept])
    return replace(split, images=split.images[kept], captions=captions, keys=split.keys[kept])


WORLDS = {
    "many items": (in_file_order(caption_split(*caption_pairs(n=60, d=8))), True),
    "many dimensions": (in_file_order(caption_split(*caption_pairs(n=30, d=40))), True),
    "class texts": (in_file_order(class_split(n_classes=6, n=60)), False),
    "more classes than dimensions": (in_file_order(class_split(n_classes=8, d=4, n=60)), False),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "name", ["frechet", "effective-rank-images", "effective-rank-texts", "cka", "class-fisher", "modality-mixing"]
)
def test_the_jackknife_is_what_is_measured_without_each_group(name, world):
    split, captioned = WORLDS[world]
    if name == "class-fisher" and captioned:
        pytest.skip("these images have no classes")
    found = measure(name, split, captioned)
    if name == "effective-rank-texts" and not captioned:
        assert found.jackknife is None  # class texts are no sample of items
        return
    most = {"cka": 100, "class-fisher": len(split.images)}.get(name, 25)
    groups = np.arange(len(split.images)) % min(most, len(split.images))
    again = [measure(name, without(split, np.flatnonzero(groups == g)), captioned).value for g in left_out(groups)]
    np.testing.assert_allclose(found.jackknife, again, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("queries", ["i2t", "t2i"])
def test_hubs_are_counted_again_without_a_group_of_queries_and_candidates(queries):
    x, y = caption_pairs(n=120, d=6)
    found = measure(f"hubness-skew-{queries}", in_file_order(caption_split(x, y)), captioned=True)
    scores = x @ y.T if queries == "i2t" else y @ x.T
    for group in (0, 7, 99):
        kept = np.arange(120) % 100 != group
        near = np.argsort(-scores[kept][:, kept], axis=1, kind="stable")[:, :10]
        assert found.jackknife[group] == pytest.approx(skew(np.bincount(near.ravel(), minlength=kept.sum())), rel=1e-9)


def test_class_texts_are_never_left_out_as_queries_or_candidates():
    split = in_file_order(class_split(n_classes=8, n=60))
    prompts = split.prompts
    many = replace(
        split,
        classes=tuple(map(str, range(24))),
        labels=np.arange(60) % 24,
        prompts=replace(
            prompts, rows=np.tile(prompts.rows, (3, 1)) + np.linspace(0, 1, 24 * 8, dtype="f4").reshape(24, 8),
            owner=np.arange(24), keys=np.arange(24, dtype=np.uint64),
        ),
    )  # fmt: skip
    data = scored(fitted("identity", many), BY_NAME["identity"], many, captioned=False)
    for name, scores in (("i2t", data.sample.ranked("images")), ("t2i", data.sample.ranked("texts"))):
        kept = np.arange(60) != 5
        rest = scores[kept] if name == "i2t" else scores[:, kept]
        near = np.argsort(-rest, axis=1, kind="stable")[:, :10]
        expected = skew(np.bincount(near.ravel(), minlength=rest.shape[1]))
        assert measure(f"hubness-skew-{name}", many, captioned=False).jackknife[5] == pytest.approx(expected, rel=1e-9)


def test_too_few_candidates_or_queries_say_nothing_of_hubs():
    with pytest.raises(NotMeasurable, match="at least 20 candidates; there are 8"):
        measure("hubness-skew-i2t", class_split(n_classes=8, n=200), captioned=False)
    with pytest.raises(NotMeasurable, match="8 queries choose 10 of 200"):
        measure("hubness-skew-t2i", class_split(n_classes=8, n=200), captioned=False)


def test_classes_of_single_images_have_no_spread_within():
    split = class_split(n_classes=8, n=15)
    with pytest.raises(NotMeasurable, match="15 images of 8 classes"):
        measure("class-fisher", split, captioned=False)


def test_mixing_by_weights_is_counting_where_there_are_as_many_texts_as_images():
    """With class texts an image weighs less than a text: two copies of every image that weigh half change nothing."""
    split = in_file_order(class_split(n_classes=8, n=8, d=5))
    split = replace(split, labels=np.arange(8))
    x, t = split.images.astype(np.float64), split.prompts.rows.astype(np.float64)
    both = np.vstack([x, t])
    distances = cdist(both, both)
    np.fill_diagonal(distances, np.inf)
    near = np.argsort(distances, axis=1)[:, :10]
    share = ((near >= 8) != (np.arange(16) >= 8)[:, None]).mean() / (8 / 15)
    assert measure("modality-mixing", split, captioned=False).value == pytest.approx(share, rel=1e-6)


def test_where_all_rows_are_one_point_the_modalities_are_mixed():
    x = caption_pairs(n=60, d=4)[0]
    same = caption_split(np.tile(x[:1], (60, 1)), np.tile(x[:1], (60, 1)))
    found = measure("modality-mixing", same, captioned=True)
    assert found.value == pytest.approx(1, abs=1e-6)


def test_scatters_and_factors_hold_rank_deficient_rows():
    rng = np.random.default_rng(0)
    for n, d in ((40, 9), (12, 30)):
        rows = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d))
        groups = np.arange(n) % 4
        for scatter, kept in zip(scatters(rows, groups), (groups >= 0, *(groups != g for g in range(4))), strict=True):
            squares = np.linalg.svd(rows[kept] - rows[kept].mean(axis=0), compute_uv=False) ** 2
            np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(scatter))[-3:], np.sort(squares)[-3:], rtol=1e-9)
        whole = np.cov(rows.T)
        factor = cholesky(whole)
        assert factor.shape == (d, 3)
        np.testing.assert_allclose(factor @ factor.T, whole, atol=1e-10)


def test_hsic_without_a_group_is_hsic_of_the_rest():
    rng = np.random.default_rng(0)
    one, other = (rows @ rows.T for rows in rng.normal(size=(2, 20, 3)))
    groups = np.arange(20) % 6
    values = left_out_hsic(one, other, groups)
    for group in range(6):
        kept = np.flatnonzero(groups != group)
        rest = np.ix_(kept, kept)
        whole = left_out_hsic(one[rest], other[rest], np.zeros(len(kept), dtype=np.int64))
        assert values[1 + group] == pytest.approx(whole[0], rel=1e-10)
