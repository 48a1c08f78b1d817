"""Metrics against plain NumPy in float64, on random and on published embeddings."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gapbench.bench.fitdata import FitRows
from gapbench.bench.scored import AlignedSplit
from gapbench.builtin.aligners.controls import Identity
from gapbench.builtin.metrics.gaps import CentroidDistance, LinearSeparability, PairedCosine, RelativeModalityGap
from gapbench.builtin.metrics.tasks import ImageToText, MeanPerClassRecall, TextToImage, TopClasses
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import NotMeasurable
from gapbench.specs import ActsOn, AlignerSpec
from gapbench.stats import interval

SPEC = AlignerSpec(name="identity", factory="m:A", summary="", family="", needs=frozenset(), acts_on=ActsOn.NOTHING)


def aligned(split):
    rows = FitRows(split, captioned=split.captions is not None, raw=False)
    return AlignedSplit(rows, Identity(), SPEC, np.random.default_rng(0))


def unit(x):
    return x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)


def captioned(n=60, d=8, gap=1.0):
    rng = np.random.default_rng(3)
    texts = rng.normal(size=(n, d)).astype(np.float32)
    images = (texts + 0.3 * rng.normal(size=(n, d)) + gap).astype(np.float32)
    return EmbeddedSplit(images=images, fingerprint="x", captions=Texts(rows=texts, owner=np.arange(n)))


def classed(n=90, classes=6, d=8):
    rng = np.random.default_rng(4)
    prompts = rng.normal(size=(classes, d)).astype(np.float32)
    labels = np.sort(rng.integers(0, classes, n) ** 2 % classes)
    images = (prompts[labels] + rng.normal(size=(n, d))).astype(np.float32)
    return EmbeddedSplit(
        images=images,
        fingerprint="y",
        classes=tuple("abcdef"),
        labels=labels,
        prompts=Texts(rows=prompts, owner=np.arange(classes)),
    )


def rmg(x, y, pairs):
    """Transcribe the authors' definition with full matrices."""

    def inner(z):
        similarity = z @ z.T
        return (similarity.sum() - np.trace(similarity)) / (len(z) * (len(z) - 1))

    between = max((1 - pairs) / 2, 1e-3)
    within = ((1 - inner(x)) / 2 + (1 - inner(y)) / 2) / 2
    return between / (between + within)


@pytest.mark.parametrize("make", [captioned, classed])
def test_gap_metrics_equal_full_matrices(make):
    split = make()
    x, y = unit(split.images), unit((split.captions or split.prompts).rows)
    own = y if split.labels is None else y[split.labels]
    data = aligned(split)
    assert CentroidDistance().measure(data).value == pytest.approx(np.linalg.norm(x.mean(0) - y.mean(0)), rel=1e-5)
    cosine = float((x * own).sum(axis=1).mean())
    assert PairedCosine().measure(data).value == pytest.approx(cosine, rel=1e-5)
    assert RelativeModalityGap().measure(data).value == pytest.approx(rmg(x, y, cosine), rel=1e-5)


def test_the_jackknife_leaves_groups_out():
    split = captioned(n=40)
    measured = CentroidDistance().measure(aligned(split))
    x, y = unit(split.images), unit(split.captions.rows)
    expected = sorted(np.linalg.norm(np.delete(x, i, 0).mean(0) - np.delete(y, i, 0).mean(0)) for i in range(40))
    np.testing.assert_allclose(sorted(measured.jackknife), expected, rtol=1e-5)


def test_task_metrics_equal_numpy():
    split = classed()
    scores = unit(split.images) @ unit(split.prompts.rows).T
    order = np.argsort(-scores, axis=1)
    data = aligned(split)
    hits = order[:, 0] == split.labels
    assert TopClasses(k=1).measure(data).value == hits.mean()
    assert TopClasses(k=5).measure(data).value == (order[:, :5] == split.labels[:, None]).any(axis=1).mean()
    recall = np.mean([hits[split.labels == c].mean() for c in np.unique(split.labels)])
    measured = MeanPerClassRecall().measure(data)
    assert measured.value == pytest.approx(recall)
    assert measured.outcomes.mean() == pytest.approx(measured.value)


def test_recall_counts_images_without_captions_as_no_queries():
    split = captioned()
    few = EmbeddedSplit(
        images=split.images,
        fingerprint="z",
        captions=Texts(rows=split.captions.rows[:20], owner=np.repeat(np.arange(10), 2)),
    )
    assert ImageToText(k=1).measure(aligned(few)).n == 10
    assert TextToImage(k=1).measure(aligned(few)).n == 20


def several_captions(n=200, each=5, seed=5):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 8)).astype(np.float32)
    owner = rng.permutation(np.repeat(np.arange(n), each))
    noise = rng.normal(size=(n, 8))[owner] + 0.2 * rng.normal(size=(n * each, 8))  # captions of an image err together
    captions = Texts(rows=(images[owner] + noise).astype(np.float32), owner=owner)
    return EmbeddedSplit(images=images, fingerprint="c", captions=captions)


def test_captions_of_one_image_are_one_item():
    split = several_captions()
    data, owner = aligned(split), split.captions.owner
    x, y = unit(split.images), unit(split.captions.rows)
    cosines = (x[owner] * y).sum(axis=1)
    hits = (y @ x.T).argmax(axis=1) == owner
    for measured, values in ((PairedCosine().measure(data), cosines), (TextToImage(k=1).measure(data), hits)):
        assert measured.value == pytest.approx(values.mean(), rel=1e-5)
        assert measured.outcomes.mean() == pytest.approx(values.mean(), rel=1e-5)
        np.testing.assert_allclose(measured.outcomes, [values[owner == i].mean() for i in range(200)], atol=1e-5)
        low, high = interval(measured)
        assert high - low > 1.5 * 2 * 1.96 * values.std() / np.sqrt(len(values))  # captions taken for trials


def test_images_with_different_numbers_of_captions_keep_the_mean_over_captions():
    split = several_captions(n=40, each=3)
    some = np.flatnonzero((split.captions.owner > 5) | (np.arange(120) % 2 == 0))
    captions = Texts(rows=split.captions.rows[some], owner=split.captions.owner[some])
    measured = PairedCosine().measure(aligned(EmbeddedSplit(images=split.images, fingerprint="v", captions=captions)))
    x, y = unit(split.images), unit(captions.rows)
    assert measured.value == pytest.approx((x[captions.owner] * y).sum(axis=1).mean(), rel=1e-5)
    assert measured.outcomes.mean() == pytest.approx(measured.value, rel=1e-9)


def test_recall_of_classes_has_an_interval_for_classes_of_fixed_size():
    rng = np.random.default_rng(0)
    sizes, shares = np.array([10, 20, 40, 80, 150]), np.array([0.5, 0.6, 0.8, 0.9, 0.95])
    labels = np.repeat(np.arange(5), sizes)
    spread = np.sqrt(np.sum(shares * (1 - shares) / sizes)) / 5  # of a mean of independent shares
    widths, values = [], []
    for _ in range(50):
        hits = rng.random(300) < shares[labels]
        measured = MeanPerClassRecall().measure(Predicted(labels, np.where(hits, labels, (labels + 1) % 5)))
        low, high = interval(measured)
        widths.append(high - low)
        values.append(measured.value)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * spread, rel=0.12)
    assert np.mean(values) == pytest.approx(shares.mean(), abs=0.02)


def test_recall_of_classes_that_are_all_right_is_one_without_a_doubt_beyond():
    labels = np.repeat([0, 1, 2], [5, 50, 500])
    measured = MeanPerClassRecall().measure(Predicted(labels, labels))
    assert measured.value == 1
    assert interval(measured) == (1, 1)


def test_recall_of_classes_of_one_size_is_top1():
    labels = np.repeat([0, 1, 2], 20)
    measured = MeanPerClassRecall().measure(Predicted(labels, np.where(np.arange(60) % 7 == 0, 0, labels)))
    assert measured.outcomes.dtype == np.bool_


class Predicted:
    """A scored split with nothing but classes and predictions."""

    def __init__(self, labels, predicted):
        self.labels = labels
        self._predicted = predicted

    def top_classes(self, k):
        assert k == 1
        return self._predicted[:, None]


def test_separability_never_fits_and_scores_on_one_item(monkeypatch):
    seen = {}

    def held_out(images, texts, fit, score):
        seen.update(images=images, texts=texts, fit=fit, score=score)

    monkeypatch.setattr(LinearSeparability, "_held_out", staticmethod(held_out))
    split = several_captions(n=30, each=2)
    LinearSeparability().measure(aligned(split))
    x, y = unit(split.images), unit(split.captions.rows)
    image = (seen["images"] @ x.T).argmax(axis=1)
    np.testing.assert_array_equal(split.captions.owner[(seen["texts"] @ y.T).argmax(axis=1)], image)
    np.testing.assert_array_equal(np.sort(image), np.arange(30))
    assert not set(seen["fit"]) & set(seen["score"])


def test_separability_equals_a_scikit_learn_pipeline():
    rng = np.random.default_rng(1)
    images, texts = rng.normal(size=(120, 6)) + 0.3, rng.normal(size=(120, 6))
    fit, score = np.arange(60), np.arange(60, 120)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
    model.fit(np.concatenate([images[fit], texts[fit]]), np.repeat([0, 1], 60))
    expected = model.score(np.concatenate([images[score], texts[score]]), np.repeat([0, 1], 60))
    assert LinearSeparability._held_out(images, texts, fit, score).value == pytest.approx(expected, abs=1e-12)


def test_separability_is_one_for_a_gap_and_a_half_without():
    assert LinearSeparability().measure(aligned(captioned(n=400, gap=3.0))).value > 0.95
    rng = np.random.default_rng(0)
    same = EmbeddedSplit(
        images=rng.normal(size=(600, 8)).astype(np.float32),
        fingerprint="s",
        captions=Texts(rows=rng.normal(size=(600, 8)).astype(np.float32), owner=np.arange(600)),
    )
    assert LinearSeparability().measure(aligned(same)).value == pytest.approx(0.5, abs=0.08)
    with pytest.raises(NotMeasurable, match="four rows"):
        LinearSeparability().measure(aligned(captioned(n=3)))


def test_published_embeddings_give_the_published_numbers(shared_file):
    data = aligned(EmbeddingFile(shared_file("mind_the_gap_clip.npz")).embedded("test"))
    assert CentroidDistance().measure(data).value == pytest.approx(0.8514, abs=2e-4)
    assert PairedCosine().measure(data).value == pytest.approx(0.310, abs=5e-4)
    assert ImageToText(k=1).measure(data).value == 0.552
    assert TextToImage(k=1).measure(data).value == 0.506
    assert LinearSeparability().measure(data).value == 1
