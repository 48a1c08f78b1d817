"""The aligned test split: equal to plain NumPy, whatever is cached, and aligners held to the contract."""

import numpy as np
import pytest

from gapbench.bench import scored as module
from gapbench.bench.fitdata import FitRows
from gapbench.bench.mapping import checked_map
from gapbench.bench.scored import AlignedSplit
from gapbench.builtin.aligners.controls import Identity
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import unit_rows
from gapbench.errors import PluginError
from gapbench.specs import ActsOn, AlignerSpec, Pooling


def spec(acts_on=ActsOn.BOTH):
    return AlignerSpec(name="a", factory="m:A", summary="", family="", needs=frozenset(), acts_on=acts_on)


def classed(pooling=Pooling.MEAN, n=50, d=6, classes=4):
    rng = np.random.default_rng(0)
    return EmbeddedSplit(
        images=rng.normal(size=(n, d)).astype(np.float32),
        fingerprint="x",
        classes=tuple("abcd"),
        labels=rng.integers(0, classes, n),
        prompts=Texts(
            rows=rng.normal(size=(3 * classes, d)).astype(np.float32), owner=np.repeat(np.arange(classes), 3)
        ),
        pooling=pooling,
    )


def captioned(n=40, d=6):
    rng = np.random.default_rng(0)
    owner = rng.integers(0, n, 70)
    return EmbeddedSplit(
        images=rng.normal(size=(n, d)).astype(np.float32),
        fingerprint="y",
        captions=Texts(rows=rng.normal(size=(70, d)).astype(np.float32), owner=owner),
    )


def aligned(split, aligner=None, acts_on=ActsOn.BOTH, captions=False):
    rows = FitRows(split, captioned=captions, raw=False)
    return AlignedSplit(rows, aligner or Identity(), spec(acts_on), np.random.default_rng(0))


def test_nearest_and_mean_pooling_predict_as_numpy_does():
    split = classed()
    x, t = unit_rows(split.images), unit_rows(split.prompts.rows)
    prototypes = unit_rows(t.reshape(4, 3, 6).mean(axis=1))
    np.testing.assert_array_equal(aligned(split).top_classes(1)[:, 0], (x @ prototypes.T).argmax(axis=1))
    nearest = aligned(classed(Pooling.NEAREST))
    best = (x @ t.T).reshape(50, 4, 3).max(axis=2)
    np.testing.assert_array_equal(nearest.top_classes(4), np.argsort(-best, axis=1, kind="stable"))


class Biased:
    def text_bias(self, t):
        return 2 * t[:, 0]

    def image_bias(self, x):
        return 2 * x[:, 1]


class Scored:
    def scores(self, x, t):
        return x @ t.T + 2 * t[:, 0]


def test_a_bias_and_the_same_scores_without_vectors_agree():
    split = classed()
    one = aligned(split, Biased(), ActsOn.SCORES).top_classes(4)
    two = aligned(split, Scored(), ActsOn.SCORES).top_classes(4)
    np.testing.assert_array_equal(one, two)
    assert (one != aligned(split).top_classes(4)).any()


def test_ranks_are_those_of_numpy():
    split = captioned()
    x, t, owner = unit_rows(split.images), unit_rows(split.captions.rows), split.captions.owner
    data = aligned(split, captions=True)
    similarity = x @ t.T
    for image in range(40):
        own = similarity[image][owner == image]
        expected = (similarity[image] > own.max()).sum() if len(own) else 70
        assert data.image_to_text_ranks()[image] == expected
    for caption in range(70):
        assert (
            data.text_to_image_ranks()[caption] == (similarity[:, caption] > similarity[owner[caption], caption]).sum()
        )


def test_sums_are_those_of_numpy_and_do_not_depend_on_what_is_cached(monkeypatch):
    for split, captions in ((classed(), False), (captioned(), True)):
        kept = aligned(split, captions=captions).gap_sums()
        with monkeypatch.context() as patch:
            patch.setattr(module, "CACHE_BYTES", 0)
            streamed = aligned(split, captions=captions).gap_sums()
        for name in ("image_sum", "text_sum", "pair_dot", "image_count", "text_count", "pair_count"):
            np.testing.assert_allclose(getattr(kept, name), getattr(streamed, name), atol=1e-9)
        np.testing.assert_allclose(kept.image_sum.sum(axis=0), unit_rows(split.images).sum(axis=0), atol=1e-5)
    x, t = unit_rows(split.images), unit_rows(split.captions.rows)
    assert kept.pair_dot.sum() == pytest.approx(float((x[split.captions.owner] * t).sum()), abs=1e-4)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda x: x[:-1], "gave shape"),
        (lambda x: x[:, 0], "gave shape"),
        (lambda x: None, "gave NoneType"),
        (lambda x: x * np.nan, "NaN or infinity, first in row 0"),
        (lambda x: x.astype(int), "int64 values"),
        (lambda x: np.add(x, 1, out=x), "read-only"),
        (lambda x: x[:, :2], "gave 2 dimensions"),
    ],
)
def test_a_map_that_breaks_the_contract_is_named(method, message):
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    with pytest.raises(PluginError, match=message):
        checked_map(method, rows, "images()", 3)


def test_float16_output_is_taken():
    rows = np.ones((2, 3), np.float32)
    assert checked_map(lambda x: x.astype(np.float16), rows, "images()").dtype == np.float32


def test_retrieval_by_scores_equals_retrieval_by_vectors():
    class Plain:
        def scores(self, x, t):
            return x @ t.T

    vectors = aligned(captioned(), captions=True)
    scores = aligned(captioned(), Plain(), ActsOn.SCORES, captions=True)
    np.testing.assert_array_equal(scores.image_to_text_ranks(), vectors.image_to_text_ranks())
    np.testing.assert_array_equal(scores.text_to_image_ranks(), vectors.text_to_image_ranks())
