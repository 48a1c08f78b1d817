"""Metrics of gap and geometry against plain loops, SciPy and scikit-learn."""

import numpy as np
import pytest
import scipy.linalg
from helpers import BY_NAME, caption_pairs, caption_split, class_split, fitted, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from places import CLIP
from scipy.spatial.distance import cdist, pdist
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from gapbench.builtin.metrics import SPECS
from gapbench.builtin.metrics.pairwise import PairMeans
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import NotMeasurable
from gapbench.host.build import load
from gapbench.host.registry import Origin
from gapbench.specs import MetricFamily, Need

METRICS = {spec.name: spec for spec in SPECS}
GAP = {name: spec for name, spec in METRICS.items() if spec.family is MetricFamily.GAP}


def measure(name, data):
    spec = METRICS[name]
    return load(spec.factory, Origin("gapbench", "", "", ""))(**spec.options).measure(data)


def aligned(x, y, aligner="identity", **params):
    split = caption_split(x, y)
    return scored(fitted(aligner, split, **params), BY_NAME[aligner], split, captioned=True)


def real():
    if not CLIP.is_file():
        pytest.skip("mind_the_gap_clip.npz is not beside this checkout (../shared/data)")
    data = np.load(CLIP)
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (data["image"][:200], data["text"][:200])]


@pytest.fixture(params=["random", "real"])
def pairs(request):
    return caption_pairs(n=80, d=10) if request.param == "random" else real()


def wide(pairs):
    return [rows.astype(np.float64) for rows in pairs]


def test_distances_of_means_and_pairs(pairs):
    x, y = wide(pairs)
    data = aligned(*pairs)
    a, b = x.mean(0), y.mean(0)
    assert measure("centroid-cos", data).value == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-5)
    assert measure("paired-l2", data).value == pytest.approx(np.linalg.norm(x - y, axis=1).mean(), rel=1e-5)
    assert measure("centroid-gap", data).value == pytest.approx(np.sum((a - b) ** 2), rel=1e-5)
    spread = np.trace(np.cov((x - y).T, bias=True))
    assert measure("distribution-gap", data).value == pytest.approx(spread, rel=1e-5)


@given(seed=st.integers(0, 1000), n=st.integers(3, 40), d=st.integers(2, 8))
@settings(deadline=None, max_examples=25)
def test_both_parts_of_the_paired_gap_are_the_mean_squared_distance(seed, n, d):
    x, y = caption_pairs(n, d, seed)
    data = aligned(x, y)
    whole = np.mean(np.sum((x.astype(np.float64) - y) ** 2, axis=1))
    assert measure("centroid-gap", data).value + measure("distribution-gap", data).value == pytest.approx(
        whole, abs=1e-5
    )


@given(seed=st.integers(0, 1000), n=st.integers(2, 40), d=st.integers(2, 8))
@settings(deadline=None, max_examples=25)
def test_the_cone_is_the_mean_off_diagonal_cosine(seed, n, d):
    x, y = caption_pairs(n, d, seed)
    data = aligned(x, y)
    for name, rows in (("cone-images", x), ("cone-texts", y)):
        cosines = rows.astype(np.float64) @ rows.T.astype(np.float64)
        assert measure(name, data).value == pytest.approx(cosines[~np.eye(n, dtype=bool)].mean(), abs=1e-5)


def test_frechet_is_the_textbook_one(pairs):
    x, y = wide(pairs)
    a, b = np.cov(x.T, bias=True), np.cov(y.T, bias=True)
    root = np.real(scipy.linalg.sqrtm(a + 1e-12 * np.eye(len(a))))
    middle = np.real(scipy.linalg.sqrtm(root @ b @ root + 1e-14 * np.eye(len(a))))
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * middle)
    assert measure("frechet", aligned(*pairs)).value == pytest.approx(expected, rel=1e-3)


def test_mmd_is_the_unbiased_estimate_with_the_bandwidth_of_the_rows_before(pairs):
    x, y = wide(pairs)
    sigma = np.median(pdist(np.vstack([x, y])))

    def reference(x, y):
        n = len(x)
        a, b, c = (np.exp(-(cdist(u, v) ** 2) / (2 * sigma**2)) for u, v in ((x, x), (y, y), (x, y)))
        return (a.sum() + b.sum() - 2 * n) / (n * (n - 1)) - 2 * c.mean()

    assert measure("mmd", aligned(*pairs)).value == pytest.approx(reference(x, y), rel=1e-4, abs=1e-6)
    centred = aligned(*pairs, aligner="mean-center")
    after = reference(centred.sample.images.astype(np.float64), centred.sample.texts.astype(np.float64))
    assert measure("mmd", centred).value == pytest.approx(after, rel=1e-3, abs=1e-5)


def test_uniformity_over_each_kind_of_pair(pairs):
    x, y = wide(pairs)
    data, n = aligned(*pairs), len(x)
    off = ~np.eye(n, dtype=bool)
    both = np.vstack([x, y])
    for name, squares in (
        ("images", pdist(x) ** 2),
        ("texts", pdist(y) ** 2),
        ("pooled", pdist(both) ** 2),
        ("cross", cdist(x, y)[off] ** 2),
    ):
        expected = np.log(np.mean(np.exp(-2 * squares)))
        assert measure(f"uniformity-{name}", data).value == pytest.approx(expected, rel=1e-4)


def test_effective_rank_is_the_entropy_of_singular_values(pairs):
    for side, rows in zip(("images", "texts"), wide(pairs), strict=True):
        p = scipy.linalg.svdvals(rows - rows.mean(0))
        p = p[p > 1e-12] / p.sum()
        expected = np.exp(-np.sum(p * np.log(p)))
        assert measure(f"effective-rank-{side}", aligned(*pairs)).value == pytest.approx(expected, rel=1e-4)


def test_gap_concentration_is_between_one_dimension_and_all():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((400, 8)) * 0.01
    one, all_of_them = base.copy(), base.copy()
    one[:, 0] += 1
    all_of_them += np.sqrt(1 / 8)
    value = [
        measure("gap-concentration", aligned(rows.astype("f4"), -rows.astype("f4"))).value
        for rows in (one, all_of_them)
    ]
    assert value[0] == pytest.approx(1 / 8, rel=0.05)
    assert value[1] == pytest.approx(1, rel=0.05)


def test_class_fisher_is_the_ratio_of_traces():
    split = class_split(n_classes=4, n=60)
    x = split.images.astype(np.float64)
    means = np.stack([x[split.labels == c].mean(0) for c in range(4)])
    within = np.sum((x - means[split.labels]) ** 2)
    between = np.sum((means[split.labels] - x.mean(0)) ** 2)
    data = scored(fitted("identity", split), BY_NAME["identity"], split, captioned=False)
    assert measure("class-fisher", data).value == pytest.approx(between / within, rel=1e-4)


def test_modality_mixing_is_scikit_learns_neighbours(pairs):
    x, y = pairs
    n = len(x)
    both = np.vstack([x, y])
    near = NearestNeighbors(n_neighbors=11).fit(both).kneighbors(both, return_distance=False)[:, 1:]
    share = ((near >= n) != (np.arange(2 * n) >= n)[:, None]).mean()
    assert measure("modality-mixing", aligned(x, y)).value == pytest.approx(share / (n / (2 * n - 1)), abs=2e-3)


def test_mixing_is_none_across_a_wide_gap_and_even_where_there_is_none():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 5)).astype(np.float32)
    y = rng.standard_normal((400, 5)).astype(np.float32)
    assert measure("modality-mixing", aligned(x, y)).value == pytest.approx(1, abs=0.05)
    x[:, 0] += 30
    y[:, 0] -= 30
    assert measure("modality-mixing", aligned(x, y)).value == 0


def test_hubness_counts_occurrences_under_the_scores_that_rank(pairs):
    x, y = wide(pairs)
    data = aligned(*pairs)
    for name, scores in (("i2t", x @ y.T), ("t2i", y @ x.T)):
        near = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        counts = np.bincount(near.ravel(), minlength=len(x))
        assert measure(f"hubness-skew-{name}", data).value == pytest.approx(skew(counts), abs=0.05)
    flat = measure("hubness-skew-i2t", aligned(*pairs, aligner="logit-bias")).value
    assert flat != measure("hubness-skew-i2t", data).value


def test_cka_is_the_unbiased_estimate_by_loops():
    x, y = caption_pairs(n=12, d=4)
    grams = [rows.astype(np.float64) @ rows.T.astype(np.float64) for rows in (x, y)]

    def hsic(a, b):
        n = len(a)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        one = np.mean([a[i, j] * b[i, j] for i, j in pairs])
        two = np.mean([a[i, j] * b[k, m] for i, j in pairs for k, m in pairs if len({i, j, k, m}) == 4])
        three = np.mean([a[i, j] * b[i, k] for i, j in pairs for k in range(n) if k not in (i, j)])
        return one + two - 2 * three

    expected = hsic(*grams) / np.sqrt(hsic(grams[0], grams[0]) * hsic(grams[1], grams[1]))
    assert measure("cka", aligned(x, y)).value == pytest.approx(expected, rel=1e-4)


def test_cka_and_mutual_neighbours_do_not_notice_a_rotation_and_unrelated_texts_score_nothing(pairs):
    plain, turned = aligned(*pairs), aligned(*pairs, aligner="random-rotation")
    for name in ("cka", "mutual-knn"):
        assert measure(name, turned).value == pytest.approx(measure(name, plain).value, abs=2e-3)
    rng = np.random.default_rng(0)
    noise = aligned(*(rng.standard_normal((300, 200)).astype(np.float32) for _ in range(2)))
    assert abs(measure("cka", noise).value) < 0.05  # the biased estimate is about 0.4 here


def test_neighbourhoods_before_and_after(pairs):
    same = aligned(*pairs)
    assert measure("neighbour-preservation", same).value == 1
    assert measure("displacement", same).value == 0
    moved = aligned(*pairs, aligner="mean-center")
    x, y = wide(pairs)
    expected = [
        np.linalg.norm(
            (rows - rows.mean(0)) / np.linalg.norm(rows - rows.mean(0), axis=1, keepdims=True) - rows, axis=1
        )
        for rows in (x, y)
    ]
    assert measure("displacement", moved).value == pytest.approx(np.mean(expected), rel=1e-4)
    kept = []
    drawn = moved.sample.index
    for side, rows in (("images", x[drawn]), ("texts", y[drawn])):
        after = getattr(moved.sample, side).astype(np.float64)
        lists = [
            NearestNeighbors(n_neighbors=11).fit(r).kneighbors(r, return_distance=False)[:, 1:] for r in (rows, after)
        ]
        kept.append([len(set(a) & set(b)) / 10 for a, b in zip(*lists, strict=True)])
    assert measure("neighbour-preservation", moved).value == pytest.approx(np.mean(kept), abs=5e-3)


def test_a_change_of_dimensions_has_no_displacement(pairs):
    with pytest.raises(NotMeasurable, match="dimensions became"):
        measure("displacement", aligned(*pairs, aligner="drop-gap-dims"))


def test_pair_means_leave_groups_out_as_deleting_rows_does():
    rng = np.random.default_rng(0)
    matrix, rows, columns = rng.random((12, 9)), rng.integers(0, 3, 12), np.r_[rng.integers(0, 3, 7), -1, -1]
    skip = np.array([[0, 0], [3, 8], [5, 2]])
    mask = np.ones(matrix.shape, bool)
    mask[tuple(skip.T)] = False
    values = PairMeans(matrix, rows, columns, skip, 3).values
    assert values[0] == pytest.approx(matrix[mask].mean())
    for group in range(3):
        rest = mask & (rows != group)[:, None] & (columns != group)[None]
        assert values[1 + group] == pytest.approx(matrix[rest].mean())


# Of hubs the interval is about the queries; which rows are candidates is taken as given.
@pytest.mark.parametrize("name", [name for name in GAP if not name.startswith("hubness")])
def test_a_jackknife_interval_covers_what_another_sample_says(name):
    values, covered = [], 0
    for seed in range(12):
        try:
            m = measure(name, aligned(*caption_pairs(n=150, d=6, seed=seed)))
        except NotMeasurable:
            return
        values.append(m.value)
        if m.jackknife is not None:
            g = len(m.jackknife)
            error = np.sqrt((g - 1) / g * np.sum((m.jackknife - m.jackknife.mean()) ** 2))
            covered += abs(m.value - np.mean(values[:1])) <= 4 * error + 1e-9
    assert np.isfinite(values).all()
    assert covered in (0, 12) or covered >= 9


def odd_cells():
    x, y = caption_pairs(n=30, d=6)
    yield "two items", caption_split(x[:2], y[:2]), "identity"
    yield "one item", caption_split(x[:1], y[:1]), "identity"
    yield "collapsed", caption_split(x, y), "collapse-to-mean"
    yield "equal rows", caption_split(np.repeat(x[:1], 20, 0), np.repeat(y[:1], 20, 0)), "identity"
    yield "classes", class_split(), "identity"
    yield "one class", class_split(n_classes=1), "identity"
    yield "collapsed classes", class_split(), "collapse-to-mean"
    several = EmbeddedSplit(
        images=x, fingerprint="m", captions=Texts(rows=np.repeat(y, 2, 0), owner=np.repeat(np.arange(30), 2))
    )
    yield "several captions", several, "mean-center"


@pytest.mark.parametrize("name", GAP)
def test_odd_cells_give_a_finite_number_or_a_reason(name):
    for case, split, aligner in odd_cells():
        captioned = split.captions is not None
        if Need.CAPTIONS in GAP[name].needs and not captioned:
            continue
        reason, value = "", np.nan
        try:
            value = measure(name, scored(fitted(aligner, split), BY_NAME[aligner], split, captioned=captioned)).value
        except NotMeasurable as why:
            reason = str(why)
        assert np.isfinite(value) or len(reason) > 10, case
