"""Task metrics beyond accuracy against scikit-learn, SciPy and plain loops, on random and on published embeddings."""

import importlib

import numpy as np
import pytest
from helpers import scored
from places import CLIP
from scipy import optimize, special, stats
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import (
    adjusted_rand_score,
    average_precision_score,
    normalized_mutual_info_score,
    v_measure_score,
)

from gapbench.builtin.aligners.controls import Identity
from gapbench.builtin.metrics.task_specs import TASK_SPECS
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import NotMeasurable
from gapbench.host.registry import Kind
from gapbench.host.validate import check_spec
from gapbench.specs import ActsOn, AlignerSpec, Better, MetricFamily, Need, Pooling
from gapbench.stats import interval
from gapbench.testing.toys import in_file_order

SPECS = {spec.name: spec for spec in TASK_SPECS}


def spec(acts_on=ActsOn.BOTH):
    return AlignerSpec(name="toy", factory="m:A", summary="", family="", needs=frozenset(), acts_on=acts_on)


def measure(name, data, **options):
    module, _, attribute = SPECS[name].factory.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    return factory(**SPECS[name].options | options).measure(data)


def aligned(split, aligner=None, acts_on=ActsOn.BOTH):
    return scored(aligner or Identity(), spec(acts_on), split, captioned=split.captions is not None)


def unit(x):
    return x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)


def captioned(n=60, d=8, each=3, gap=0.5, classes=4, seed=7):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    core = rng.normal(size=(n, d)) + 2 * rng.normal(size=(classes, d))[labels]
    owner = rng.permutation(np.repeat(np.arange(n), each))
    split = EmbeddedSplit(
        images=(core + 0.5 * rng.normal(size=(n, d)) + gap).astype(np.float32),
        fingerprint="c",
        classes=tuple(map(str, range(classes))),
        labels=labels,
        captions=Texts(rows=(core[owner] + 0.7 * rng.normal(size=(n * each, d)) - gap).astype(np.float32), owner=owner),
    )
    return in_file_order(split)


def classed(n=150, d=8, classes=5, each=1, pooling=Pooling.MEAN, noise=1.5, seed=1):
    rng = np.random.default_rng(seed)
    labels, owner = rng.integers(0, classes, n), rng.permutation(np.repeat(np.arange(classes), each))
    core = rng.normal(size=(classes, d))
    split = EmbeddedSplit(
        images=(core[labels] + noise * rng.normal(size=(n, d)) + 0.3).astype(np.float32),
        fingerprint="k",
        classes=tuple(map(str, range(classes))),
        labels=labels,
        prompts=Texts(rows=(core[owner] + 0.3 * rng.normal(size=(len(owner), d))).astype(np.float32), owner=owner),
        pooling=pooling,
    )
    return in_file_order(split)


def published():
    if not CLIP.is_file():
        pytest.skip("mind_the_gap_clip.npz is not beside this checkout (../shared/data)")
    return in_file_order(EmbeddingFile(CLIP).embedded("test"))


# -- ranks ------------------------------------------------------------------------------------------------------


def positions(split):
    """Positions, from 1, of own captions in the ranking of their image, and of images in that of their captions."""
    similarity = unit(split.images) @ unit(split.captions.rows).T
    owner = split.captions.owner
    own = [
        sorted(1 + int((row > row[j]).sum()) for j in np.flatnonzero(owner == i)) for i, row in enumerate(similarity)
    ]
    images = [1 + int((column > column[i]).sum()) for column, i in zip(similarity.T, owner, strict=True)]
    return own, np.array(images)


def average_precision(own, k):
    found = [(j + 1) / rank for j, rank in enumerate(own) if rank <= k]
    return sum(found) / min(k, len(own))


@pytest.mark.parametrize("each", [1, 3, 12])
def test_ranks_equal_plain_loops(each):
    split = captioned(n=40, each=each, d=5)
    own, images = positions(split)
    data = aligned(split)
    assert measure("i2t-median-rank", data).value == np.median([ranks[0] for ranks in own])
    assert measure("t2i-median-rank", data).value == np.median(images)
    precision = measure("i2t-map@10", data)
    np.testing.assert_allclose(precision.outcomes, [average_precision(ranks, 10) for ranks in own], rtol=1e-12)
    reciprocal = measure("t2i-map@10", data)
    assert reciprocal.value == pytest.approx(np.mean(np.where(images <= 10, 1 / images, 0)))
    assert reciprocal.outcomes.mean() == pytest.approx(reciprocal.value)
    for k in (5, 10):
        hits = [sum(rank <= k for rank in ranks) >= min(k, each) for ranks in own]
        np.testing.assert_array_equal(measure(f"i2t-all-recall@{k}", data).outcomes, hits)


def test_precision_over_the_whole_gallery_is_that_of_scikit_learn():
    split = captioned(n=12, each=2)
    similarity, owner = unit(split.images) @ unit(split.captions.rows).T, split.captions.owner
    expected = [average_precision_score(owner == i, similarity[i]) for i in range(12)]
    np.testing.assert_allclose(measure("i2t-map@10", aligned(split), k=24).outcomes, expected, rtol=1e-9)


def test_published_embeddings_have_the_ranks_of_full_matrices():
    split = published()
    own, images = positions(split)
    data = aligned(split)
    assert measure("i2t-median-rank", data).value == np.median([ranks[0] for ranks in own])
    assert measure("t2i-map@10", data).value == pytest.approx(np.mean(np.where(images <= 10, 1 / images, 0)))
    assert measure("i2t-all-recall@5", data).value == np.mean([ranks[0] <= 5 for ranks in own])


def test_images_without_a_caption_are_no_queries():
    split = captioned(n=20, each=2)
    some = split.captions.owner >= 5
    texts = Texts(rows=split.captions.rows[some], owner=split.captions.owner[some])
    data = aligned(EmbeddedSplit(images=split.images, fingerprint="f", captions=texts))
    for name in ("i2t-median-rank", "i2t-map@10", "i2t-all-recall@5"):
        assert measure(name, data).n == 15


class Ranked:
    """A scored split with nothing but owners and ranks."""

    def __init__(self, owner, ranks):
        self.owner = owner
        self._ranks = ranks

    def image_to_text_ranks(self):
        return self._ranks

    text_to_image_ranks = image_to_text_ranks


@pytest.mark.parametrize("n", [6, 15, 100, 401])
def test_the_interval_of_a_median_is_that_of_order_statistics(n):
    low, high = measure("i2t-median-rank", Ranked(np.arange(n), np.arange(n))).ci95
    tail = [stats.binom.cdf(k - 1, n, 0.5) for k in (low, low + 1)]  # the k-th value is k
    assert tail[0] <= 0.025 < tail[1]
    assert high == n + 1 - low


def test_the_interval_of_a_median_covers_it_nineteen_times_in_twenty():
    rng, owner = np.random.default_rng(0), np.arange(50)
    found = [measure("i2t-median-rank", Ranked(owner, rng.integers(0, 200, 50))).ci95 for _ in range(400)]
    assert np.mean([low <= 100.5 <= high for low, high in found]) > 0.93


def test_captions_that_agree_make_the_interval_of_a_median_no_narrower():
    ranks = np.random.default_rng(0).integers(0, 1000, 80)
    one = measure("t2i-median-rank", Ranked(np.arange(80), ranks))
    five = measure("t2i-median-rank", Ranked(np.repeat(np.arange(80), 5), np.repeat(ranks, 5)))
    assert five.n == 400
    assert five.ci95 == one.ci95
    assert measure("t2i-median-rank", Ranked(np.arange(5), ranks[:5])).ci95 is None


# -- calibration ------------------------------------------------------------------------------------------------


def loss(log_beta, scores, labels):
    scaled = np.exp(log_beta) * scores
    return np.sum(special.logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels])


def calibration_error(scores, labels, half):
    confidence = np.empty(len(labels))
    for side in (0, 1):
        found = optimize.minimize_scalar(
            loss, bounds=(-5, 8), args=(scores[half != side], labels[half != side]), method="bounded",
            options={"xatol": 1e-10},
        )  # fmt: skip
        confidence[half == side] = special.softmax(np.exp(found.x) * scores[half == side], axis=1).max(axis=1)
    error = 0.0
    for m in range(15):
        chosen = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if chosen.any():
            hits = scores[chosen].argmax(axis=1) == labels[chosen]
            error += chosen.mean() * abs(hits.mean() - confidence[chosen].mean())
    return error


@pytest.mark.parametrize("pooling", list(Pooling))
def test_calibration_error_equals_scipy(pooling):
    split = classed(n=400, each=3, pooling=pooling)
    data = aligned(split)
    scores = data.class_scores(np.arange(400)).astype(np.float64)
    half = np.arange(400) % 2
    measured = measure("ece", data)
    assert measured.value == pytest.approx(calibration_error(scores, split.labels, half), rel=1e-5)
    assert len(measured.jackknife) == 100


def test_calibration_error_of_published_embeddings_equals_scipy():
    source = published()
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 10)  # ten images a class text, one of them its own
    split = EmbeddedSplit(
        images=(unit(source.images) + unit(source.captions.rows)[labels * 10] * rng.random((500, 1))).astype(np.float32),
        fingerprint="p", classes=tuple(map(str, range(50))), labels=labels,
        prompts=Texts(rows=source.captions.rows[::10], owner=np.arange(50)),
    )  # fmt: skip
    data = aligned(in_file_order(split))
    scores = data.class_scores(np.arange(500)).astype(np.float64)
    half = np.arange(500) % 2
    assert measure("ece", data).value == pytest.approx(calibration_error(scores, labels, half), rel=1e-5)
    own = scores[np.arange(500), labels]
    others = [np.delete(row, label).max() for row, label in zip(scores, labels, strict=True)]
    np.testing.assert_allclose(measure("margin", data).outcomes, own - others, rtol=1e-5, atol=1e-7)


class Classes:
    """A scored split with nothing but scores of classes."""

    def __init__(self, scores, labels):
        self.classes = tuple(range(scores.shape[1]))
        self.texts = np.zeros(scores.shape[::-1])
        self.n_images, self.labels = len(labels), labels
        self.order, self.groups = np.arange(len(labels)), np.arange(len(labels)) % 100
        self._scores = scores.astype(np.float32)

    def class_scores(self, rows):
        return self._scores[rows]

    def once(self, name, compute):
        return compute()


def drawn_from_their_scores(n, scale, seed=1):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 6))
    gumbel = rng.gumbel(size=(n, 6))
    return Classes(scores, (scale * scores + gumbel).argmax(axis=1))  # labels from softmax(scale * scores)


def test_scores_that_tell_true_probabilities_are_calibrated_at_any_scale():
    data = drawn_from_their_scores(5000, scale=2.0)
    measured = measure("ece", data)
    assert measured.value < 0.025
    low, high = interval(measured)
    assert low < measured.value < high < 0.05
    for factor in (1e-3, 1e3):
        stretched = Classes(factor * data._scores, data.labels)
        assert measure("ece", stretched).value == pytest.approx(measured.value, rel=1e-4)
        assert measure("margin", stretched).value == pytest.approx(factor * measure("margin", data).value, rel=1e-5)


def test_no_image_judges_its_own_temperature():
    data = drawn_from_their_scores(40, scale=2.0)
    half = np.arange(40) % 2
    data.labels = np.where(half, data._scores.argmax(axis=1), data._scores.argmin(axis=1))
    # Each half finds the temperature of the other: sure of what is always wrong, at a loss where all is right.
    assert measure("ece", data).value == pytest.approx((1 + 5 / 6) / 2, abs=0.02)


def test_the_jackknife_of_the_calibration_error_leaves_groups_out_at_fixed_temperatures():
    data = drawn_from_their_scores(300, scale=2.0)
    measured = measure("ece", data)
    assert measured.jackknife.mean() == pytest.approx(measured.value, abs=0.01)
    assert 0 < np.ptp(measured.jackknife) < 0.1


def test_scores_without_an_order_have_the_confidence_of_a_guess():
    labels = np.repeat([0, 1, 2, 3], [70, 10, 10, 10])
    assert measure("ece", Classes(np.zeros((100, 4)), labels)).value == pytest.approx(0.7 - 0.25)
    assert measure("margin", Classes(np.zeros((100, 4)), labels)).value == 0


def test_one_class_or_one_image_cannot_be_calibrated():
    with pytest.raises(NotMeasurable, match="two classes"):
        measure("ece", Classes(np.zeros((10, 1)), np.zeros(10, int)))
    with pytest.raises(NotMeasurable, match="two images"):
        measure("ece", Classes(np.zeros((1, 3)), np.zeros(1, int)))


# -- grouping ---------------------------------------------------------------------------------------------------


def pooled(split):
    """What is clustered where the sample holds every item: rows and their classes."""
    data = aligned(split)
    rows = np.concatenate([data.sample.images, data.sample.texts])
    return data, rows, np.concatenate([data.sample.labels, data.sample.text_labels])


@pytest.mark.parametrize("split", [captioned(n=90, gap=0.2), captioned(n=90, gap=3.0), classed(n=120, each=2)])
def test_agreement_of_clusters_equals_scikit_learn(split):
    data, rows, classes = pooled(split)
    k = len(np.unique(classes))
    clusters = KMeans(k, n_init=1, max_iter=100, random_state=0).fit_predict(rows)
    assert measure("v-measure", data).value == pytest.approx(v_measure_score(classes, clusters), rel=1e-9)
    assert measure("ari", data).value == pytest.approx(adjusted_rand_score(classes, clusters), rel=1e-9)
    geometric = normalized_mutual_info_score(classes, clusters, average_method="geometric")
    assert measure("nmi", data).value == pytest.approx(geometric, rel=1e-9)


def test_a_gap_makes_clusters_follow_the_modality():
    near, far = (measure("v-measure", aligned(captioned(n=200, d=32, gap=gap))).value for gap in (0.0, 5.0))
    assert near > 0.9
    assert far < 0.7


def test_labels_that_chance_drew_agree_with_no_cluster():
    split = captioned(n=400, d=16)
    random = EmbeddedSplit(
        images=split.images, fingerprint="r", classes=split.classes, captions=split.captions,
        labels=np.random.default_rng(5).permutation(split.labels),
    )  # fmt: skip
    assert measure("ari", aligned(random)).value == pytest.approx(0, abs=0.03)


def test_of_many_texts_each_class_is_drawn_as_often_as_any_other():
    from gapbench.builtin.metrics.grouping import spread_over_classes

    labels = np.repeat(np.arange(30), np.arange(30) + 1)
    counts = np.bincount(labels[spread_over_classes(labels, 200)], minlength=30)
    assert counts.sum() == 200
    full = np.arange(30) + 1 > counts.max() - 1
    assert set(counts[full]) <= {counts.max(), counts.max() - 1}
    np.testing.assert_array_equal(counts[~full], (np.arange(30) + 1)[~full])


# -- transfer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(120, 8), (40, 64)])
@pytest.mark.parametrize("classes", [2, 5])
def test_transfer_between_class_texts_and_images_equals_scikit_learn(n, d, classes):
    split = classed(n=n, d=d, classes=classes, each=4, pooling=Pooling.NEAREST)
    x, t, owner = unit(split.images), unit(split.prompts.rows), split.prompts.owner
    expected = RidgeClassifier(alpha=1.0).fit(t, owner).predict(x) == split.labels
    np.testing.assert_array_equal(measure("text-to-image-transfer", aligned(split)).outcomes, expected)
    expected = RidgeClassifier(alpha=1.0).fit(x, split.labels).predict(t) == owner
    np.testing.assert_array_equal(measure("image-to-text-transfer", aligned(split)).outcomes, expected)


@pytest.mark.parametrize("source", ["text", "image"])
def test_transfer_between_captions_and_images_never_scores_an_item_that_was_fitted_on(source):
    split = captioned(n=80, each=1, gap=0.3)
    x = unit(split.images)
    t = unit(split.captions.rows)[np.argsort(split.captions.owner)]
    fit, score = (t, x) if source == "text" else (x, t)
    half, expected = np.arange(80) % 2, np.empty(80, bool)
    for side in (0, 1):
        head = RidgeClassifier(alpha=1.0).fit(fit[half != side], split.labels[half != side])
        expected[half == side] = head.predict(score[half == side]) == split.labels[half == side]
    other = "image" if source == "text" else "text"
    measured = measure(f"{source}-to-{other}-transfer", aligned(split))
    np.testing.assert_array_equal(measured.outcomes, expected)
    assert expected.mean() > 0.6


@pytest.mark.parametrize("name", ["v-measure", "ari", "nmi", "text-to-image-transfer", "image-to-text-transfer"])
def test_what_needs_classes_is_left_out_without_them_and_with_one(name):
    split = captioned()
    bare = EmbeddedSplit(images=split.images, fingerprint="b", captions=split.captions)
    with pytest.raises(NotMeasurable, match="needs classes"):
        measure(name, aligned(bare))
    with pytest.raises(NotMeasurable, match="two classes"):
        measure(name, aligned(captioned(classes=1)))


# -- robustness -------------------------------------------------------------------------------------------------


def disturbed(x, level):
    noise = np.random.default_rng(1).standard_normal(x.shape, dtype=np.float32).astype(np.float64)
    moved = x + level * noise / np.linalg.norm(noise, axis=1, keepdims=True) * np.linalg.norm(x, axis=1, keepdims=True)
    return unit(moved)


@pytest.mark.parametrize("level", [0.05, 0.5])
def test_noise_flips_what_numpy_flips(level):
    split = classed(each=3, pooling=Pooling.NEAREST)
    x, t, owner = unit(split.images), unit(split.prompts.rows), split.prompts.owner
    expected = owner[(x @ t.T).argmax(axis=1)] != owner[(disturbed(x, level) @ t.T).argmax(axis=1)]
    np.testing.assert_array_equal(measure("flip-rate-noise", aligned(split), level=level).outcomes, expected)
    assert expected.any()


class Doubled(Identity):
    def images(self, x):
        return 2 * x


def test_noise_is_the_same_for_all_aligners_and_comes_before_alignment():
    split = published()
    x, t = unit(split.images), unit(split.captions.rows)
    expected = (x @ t.T).argmax(axis=1) != (disturbed(x, 0.5) @ t.T).argmax(axis=1)
    one, two = (measure("flip-rate-noise", aligned(split, aligner)) for aligner in (Identity(), Doubled()))
    np.testing.assert_array_equal(one.outcomes, expected)
    np.testing.assert_array_equal(two.outcomes, expected)
    assert measure("flip-rate-noise", aligned(split), level=0.0).value == 0


class Moved(Identity):
    def images(self, x):
        return x + np.linspace(0.3, -0.3, x.shape[1], dtype=np.float32)


def test_noise_keeps_the_norm_of_a_row_so_that_what_is_added_later_weighs_the_same():
    split = classed(n=300)
    x, t = unit(split.images), unit(split.prompts.rows)
    moved = [rows + np.linspace(0.3, -0.3, 8) for rows in (x, disturbed(x, 1.0))]
    expected = (moved[0] @ t.T).argmax(axis=1) != (moved[1] @ t.T).argmax(axis=1)
    np.testing.assert_array_equal(measure("flip-rate-noise", aligned(split, Moved()), level=1.0).outcomes, expected)


def test_raw_rows_are_turned_as_unit_rows_are():
    split = classed()
    longer = EmbeddedSplit(
        images=split.images * np.linspace(0.1, 9, 150, dtype=np.float32)[:, None], fingerprint="l",
        classes=split.classes, labels=split.labels, prompts=split.prompts, keys=split.keys,
    )  # fmt: skip
    raw = AlignerSpec(**{f: getattr(spec(), f) for f in spec().__dataclass_fields__} | {"raw": True})
    outcomes = measure("flip-rate-noise", scored(Identity(), raw, longer, captioned=False)).outcomes
    x, t = split.images.astype(np.float64), split.prompts.rows.astype(np.float64)
    expected = (unit(x) @ t.T).argmax(axis=1) != (disturbed(unit(x), 0.5) @ t.T).argmax(axis=1)
    np.testing.assert_array_equal(outcomes, expected)


class Biased:
    def text_bias(self, t):
        return t[:, 0] / 2

    def image_bias(self, x):
        return np.zeros(len(x), np.float32)


def int8(rows):
    steps = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.round(rows / steps).astype(np.int8) * steps


@pytest.mark.parametrize(("aligner", "acts_on"), [(Identity(), ActsOn.BOTH), (Biased(), ActsOn.SCORES)])
def test_quantisation_flips_what_numpy_flips_with_biases_as_they_were(aligner, acts_on):
    split = captioned(n=300, d=4, each=2)
    x, t = unit(split.images), unit(split.captions.rows)
    bias = Biased().text_bias(t) if acts_on is ActsOn.SCORES else 0
    expected = (x @ t.T + bias).argmax(axis=1) != (int8(x) @ int8(t).T + bias).argmax(axis=1)
    np.testing.assert_array_equal(measure("flip-rate-int8", aligned(split, aligner, acts_on)).outcomes, expected)
    assert expected.any()


def test_equal_captions_are_one_answer():
    split = captioned(n=300, each=1)
    rows = unit(split.captions.rows).astype(np.float32)
    rounding = 1e-7 * np.random.default_rng(0).standard_normal(rows.shape, dtype=np.float32)
    twice = Texts(
        rows=np.concatenate([rows, rows + rounding]),
        owner=np.concatenate([split.captions.owner] * 2),
    )
    data = aligned(EmbeddedSplit(images=split.images, fingerprint="t", captions=twice, keys=split.keys))
    once = measure("flip-rate-noise", aligned(split))
    np.testing.assert_array_equal(measure("flip-rate-noise", data).outcomes, once.outcomes)


# -- all of them ------------------------------------------------------------------------------------------------


class Point:
    """All images one point, or all rows."""

    def __init__(self, *, texts):
        self._texts = texts

    def images(self, x):
        return np.ones_like(x)

    def texts(self, t):
        return np.ones_like(t) if self._texts else t


def half_precision(split):
    texts = split.captions or split.prompts
    rows = Texts(rows=texts.rows.astype(np.float16).astype(np.float32), owner=texts.owner)
    kind = "captions" if split.captions else "prompts"
    images = split.images.astype(np.float16).astype(np.float32)
    return EmbeddedSplit(images=images, fingerprint="h", classes=split.classes, labels=split.labels, **{kind: rows})


CELLS = {
    "captions": captioned(),
    "one caption": captioned(n=30, each=1),
    "more dimensions than items": captioned(n=10, d=64, each=2, classes=2),
    "two items": captioned(n=2, each=2, classes=2),
    "one item": captioned(n=1, each=1, classes=1),
    "half precision": half_precision(captioned(d=2)),
    "prompts": classed(),
    "nearest of several prompts": classed(each=3, pooling=Pooling.NEAREST),
    "one image": classed(n=1),
    "one class": classed(classes=1),
    "equal rows": EmbeddedSplit(
        images=np.ones((9, 4), np.float32), fingerprint="e", captions=Texts(rows=np.ones((18, 4), np.float32), owner=np.arange(18) // 2),
        classes=("a", "b"), labels=np.arange(9) % 2,
    ),
}  # fmt: skip
ALIGNERS = {
    "identity": (Identity(), ActsOn.NOTHING),
    "images in a point": (Point(texts=False), ActsOn.BOTH),
    "all in a point": (Point(texts=True), ActsOn.BOTH),
    "scores": (Biased(), ActsOn.SCORES),
}


@pytest.mark.parametrize("aligner", ALIGNERS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_metric_is_finite_and_within_its_range_or_not_measurable(cell, aligner):
    data = aligned(CELLS[cell], *ALIGNERS[aligner])
    for name, metric in SPECS.items():
        if metric.needs - {Need.CAPTIONS if data.captioned else Need.LABELS}:
            continue
        try:
            measured = measure(name, data)
        except NotMeasurable:
            continue
        assert np.isfinite(measured.value)
        if metric.unit in ("share", "ratio"):
            assert -1e-12 <= measured.value <= 1 + 1e-12
        if measured.outcomes is not None:
            assert measured.outcomes.mean() == pytest.approx(measured.value, abs=1e-12)
            assert measured.outcomes.dtype != np.bool_ or len(measured.outcomes) == measured.n
        if measured.jackknife is not None:
            assert np.isfinite(measured.jackknife).all()
        found = interval(measured)
        assert found is None or found[0] <= measured.value + 1e-9
        assert found is None or found[1] >= measured.value - 1e-9


@pytest.mark.parametrize("name", SPECS)
def test_a_metric_gives_the_same_number_each_time_and_the_spec_is_sound(name):
    check_spec(Kind.METRIC, SPECS[name])
    split = classed() if Need.LABELS in SPECS[name].needs else captioned()
    one, two = measure(name, aligned(split)), measure(name, aligned(split))
    assert one.value == two.value
    assert SPECS[name].family is MetricFamily.TASK
    assert (SPECS[name].better is Better.NEITHER) == (name == "same-modality-share@10")


def test_few_of_them_are_columns_of_every_table():
    assert {name for name, metric in SPECS.items() if metric.default} == {"mixed-ndcg@10", "same-modality-share@10"}
