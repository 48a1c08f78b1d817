"""Each method against its equation in float64, against one another, and on real pairs."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from gapbench_hubness import SPECS, sums, transductive
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.bench.scored import AlignedSplit
from gapbench.builtin.aligners.controls import Identity
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import DataError, UndeclaredData

BY_NAME = {spec.name: spec for spec in SPECS}
CLIP = Path(__file__).parents[4] / "shared" / "data" / "mind_the_gap_clip.npz"


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def toy(n=60, m=50, d=8, seed=0):
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((n, d)) + 0.6), unit(rng.standard_normal((m, d)) - 0.3)


def pairs(x, y):
    return EmbeddedSplit(images=x, fingerprint="f", captions=Texts(rows=y, owner=np.arange(len(y))))


def fitted(name, fit, test=None, **params):
    spec = BY_NAME[name]
    module, _, attribute = spec.factory.partition(":")
    values = {key: param.default for key, param in spec.params.items()} | params
    aligner = getattr(importlib.import_module(module), attribute)(**values)
    rows, held = (FitRows(split, captioned=True, raw=False) for split in (fit, test or fit))
    return aligner.fit(GuardedFitData(spec, rows, np.random.default_rng(0), test=held))


@pytest.fixture(params=["random", "real"])
def four(request):
    """Bank images and texts, test images and texts."""
    if request.param == "random":
        return *toy(seed=0, m=60), *toy(seed=1, m=60)
    if not CLIP.is_file():
        pytest.skip("mind_the_gap_clip.npz is not beside the checkout")
    data = np.load(CLIP)
    rows = [unit(data[name].astype(np.float64)) for name in ("image", "text")]
    return rows[0][:90], rows[1][:90], rows[0][90:160], rows[1][90:160]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_nnn_is_the_mean_of_the_highest_bank_scores(four, k):
    bx, by, x, y = (rows.astype(np.float64) for rows in four)
    aligner = fitted("nnn", pairs(*four[:2]), k=k, alpha=0.6)
    for bias, bank, candidates in ((aligner.text_bias(four[3]), bx, y), (aligner.image_bias(four[2]), by, x)):
        close(bias, [-0.6 * np.mean(sorted(bank @ r, reverse=True)[:k]) for r in candidates])


@given(seed=st.integers(0, 500), strength=st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_nnn_with_the_whole_bank_ranks_as_dn_without_renormalising(seed, strength):
    bx, by = toy(seed=seed, m=60)
    x, y = (rows.astype(np.float64) for rows in toy(seed=seed + 1))
    mean_x, mean_y = bx.astype(np.float64).mean(0), by.astype(np.float64).mean(0)
    dn = (x - strength * mean_x) @ (y - strength * mean_y).T
    nnn = x @ y.T + fitted("nnn", pairs(bx, by), k=10_000, alpha=strength).text_bias(y.astype(np.float32))
    np.testing.assert_allclose(np.ptp(dn - nnn, axis=1), 0, atol=1e-6)


def test_inverted_softmax_is_its_ratio_in_logarithms(four):
    bx, _, x, y = (rows.astype(np.float64) for rows in four)
    aligner = fitted("inverted-softmax", pairs(*four[:2]), beta=15.0)
    ratio = np.exp(15 * x @ y.T) / np.exp(15 * bx @ y.T).sum(axis=0)
    close(x @ y.T + aligner.text_bias(four[3]), np.log(ratio) / 15)


def test_a_large_beta_does_not_overflow():
    bias = fitted("inverted-softmax", pairs(*toy(m=60)), beta=1e4).text_bias(toy()[1])
    assert np.isfinite(bias).all()


@pytest.mark.parametrize("k", [1, 3])
def test_qb_norm_changes_the_queries_that_fall_for_a_hub_and_no_other(four, k):
    bx, by, x, y = (rows.astype(np.float64) for rows in four)
    aligner = fitted("qb-norm", pairs(*four[:2]), beta=20.0, k=k)
    for queries, gallery, bank, found in (
        (x, y, bx, aligner.scores(four[2], four[3])),
        (y, x, by, aligner.text_scores(four[3], four[2])),
    ):
        hubs = {int(c) for b in bank for c in np.argsort(-(gallery @ b), kind="stable")[:k]}
        expected = queries @ gallery.T
        for row in range(len(queries)):
            if int(np.argmax(queries[row] @ gallery.T)) in hubs:
                expected[row] -= np.log(np.exp(20 * bank @ gallery.T).sum(axis=0)) / 20
        close(found, expected)


def test_scores_do_not_depend_on_how_queries_are_cut(four):
    for name in ("qb-norm", "dbsn"):
        aligner = fitted(name, pairs(*four[:2]))
        whole = aligner.scores(four[2], four[3])
        close(np.concatenate([aligner.scores(four[2][:5], four[3]), aligner.scores(four[2][5:], four[3])]), whole)
        other = aligner.scores(four[2], four[3][:9])  # another gallery, of other size
        assert other.shape == (len(four[2]), 9)


def plan(scores, tau, iterations):
    """Sinkhorn's own two lines, on the kernel itself."""
    kernel = np.exp((scores - 1) / tau)
    n, m = kernel.shape
    u, v = np.ones(n), np.ones(m)
    for _ in range(iterations):
        u = 1 / n / (kernel @ v)
        v = 1 / m / (kernel.T @ u)
    return u, v


def test_sinkhorn_biases_are_the_dual_potentials_up_to_a_constant(four):
    x, y = (rows.astype(np.float64) for rows in four[2:])
    aligner = fitted("sinkhorn-norm", pairs(*four[:2]), pairs(*four[2:]), tau=0.05, iterations=7)
    u, v = plan(x @ y.T, 0.05, 7)
    np.testing.assert_allclose(np.ptp(aligner.text_bias(four[3]) - 0.05 * np.log(v)), 0, atol=1e-5)
    kernel = np.exp((x @ y.T - 1) / 0.05)
    half_a_step_on = 1 / len(x) / (kernel @ v)
    np.testing.assert_allclose(np.ptp(aligner.image_bias(four[2]) - 0.05 * np.log(half_a_step_on)), 0, atol=1e-5)
    del u


def test_a_converged_plan_has_uniform_marginals():
    ot = pytest.importorskip("ot")
    x, y = (rows.astype(np.float64) for rows in toy(n=30, m=30))
    f, g = sums.potentials(x @ y.T, 0.1, 2000)
    found = np.exp((x @ y.T + f[:, None] + g) / 0.1)
    expected = ot.sinkhorn(np.full(30, 1 / 30), np.full(30, 1 / 30), 1 - x @ y.T, 0.1, numItermax=5000, stopThr=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), 1 / 30, rtol=1e-6)


def test_dbsn_is_the_transport_from_both_banks(four):
    bx, by, x, y = (rows.astype(np.float64) for rows in four)
    aligner = fitted("dbsn", pairs(*four[:2]), tau=0.05, iterations=6)
    _, v = plan(np.vstack([bx, by]) @ y.T, 0.05, 6)
    np.testing.assert_allclose(
        np.ptp(aligner.scores(four[2], four[3]) - x @ y.T - 0.05 * np.log(v), axis=1), 0, atol=1e-5
    )
    _, v = plan(np.vstack([by, bx]) @ x.T, 0.05, 6)
    back = aligner.text_scores(four[3], four[2]) - y @ x.T
    np.testing.assert_allclose(np.ptp(back - 0.05 * np.log(v), axis=1), 0, atol=1e-5)


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_csls_ranks_as_its_formula(four, k):
    x, y = (rows.astype(np.float64) for rows in four[2:])
    aligner = fitted("csls", pairs(*four[:2]), pairs(*four[2:]), k=k)
    scores = x @ y.T
    near_q = np.sort(scores, axis=1)[:, -k:].mean(axis=1)
    near_r = np.sort(scores, axis=0)[-k:].mean(axis=0)
    formula = 2 * scores - near_q[:, None] - near_r
    close(2 * (scores + aligner.text_bias(four[3])) - near_q[:, None], formula)
    close(2 * (scores.T + aligner.image_bias(four[2])) - near_r[:, None], formula.T)


def test_blocks_change_nothing(monkeypatch, four):
    before = {name: fitted(name, pairs(*four[:2])).text_bias(four[3]) for name in ("nnn", "inverted-softmax")}
    hubs = fitted("qb-norm", pairs(*four[:2])).scores(four[2], four[3])
    monkeypatch.setattr(sums, "BLOCK_SCORES", 100)
    monkeypatch.setattr("gapbench_hubness.gallery.BLOCK_SCORES", 100)
    for name, bias in before.items():
        close(fitted(name, pairs(*four[:2])).text_bias(four[3]), bias)
    close(fitted("qb-norm", pairs(*four[:2])).scores(four[2], four[3]), hubs)


def test_too_many_test_scores_are_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(transductive, "MOST_SCORES", 100)
    with pytest.raises(DataError, match="Use nnn or dbsn"):
        fitted("sinkhorn-norm", pairs(*toy(m=60)))


def test_transductive_methods_say_so():
    for name, spec in BY_NAME.items():
        reads_test = name in ("csls", "sinkhorn-norm")
        assert any(need.value.startswith("test") for need in spec.needs) == reads_test
        rows = FitRows(pairs(*toy(m=60)), captioned=True, raw=False)
        data = GuardedFitData(spec, rows, np.random.default_rng(0))
        with pytest.raises(UndeclaredData):
            _ = data.images if reads_test else data.test_images


#: Published figures on the same 500 pairs: recall@1 image to text, text to image.
PUBLISHED = [
    ("nnn", {"k": 16, "alpha": 0.75}, 65.1, 64.9),
    ("csls", {"k": 10}, 68.6, 66.8),
    ("sinkhorn-norm", {"tau": 0.01}, 76.9, 75.9),
]


@pytest.mark.skipif(not CLIP.is_file(), reason="mind_the_gap_clip.npz is not beside the checkout")
@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row[0])
def test_recall_on_halves_of_real_pairs_is_the_published_one(row):
    name, params, *published = row
    data = np.load(CLIP)
    runs = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(500)
        for fit, test in ((order[:250], order[250:]), (order[250:], order[:250])):
            splits = [pairs(data["image"][part], data["text"][part]) for part in (fit, test)]
            aligner = fitted(name, *splits, **params)
            rows = FitRows(splits[1], captioned=True, raw=False)
            scored = AlignedSplit(rows, aligner, BY_NAME[name], np.random.default_rng(0))
            runs.append([np.mean(scored.image_to_text_ranks() == 0), np.mean(scored.text_to_image_ranks() == 0)])
    means, errors = 100 * np.mean(runs, axis=0), 100 * np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    for mean, error, theirs in zip(means, errors, published, strict=True):
        assert abs(mean - theirs) <= 3 * np.sqrt(2) * error, f"{means} +- {errors}"


def test_a_hub_loses_its_first_places():
    """A text near to everybody is everybody's first; nnn gives the places back."""
    rng = np.random.default_rng(0)
    x = unit(rng.standard_normal((200, 16)) + 1.0)
    y = unit(x + 0.5 * rng.standard_normal((200, 16)))
    y[0] = unit(np.ones((1, 16)))[0]
    plain = FitRows(pairs(x, y), captioned=True, raw=False)
    counts = {}
    for name in ("identity", "nnn"):
        aligner = Identity() if name == "identity" else fitted("nnn", pairs(x, y), k=16)
        data = AlignedSplit(plain, aligner, BY_NAME["nnn"], np.random.default_rng(0))
        hub = int(np.flatnonzero(data.sample.index == 0)[0])
        counts[name] = np.sum(data.sample.ranked("images").argmax(axis=1) == hub)
    assert counts["nnn"] < counts["identity"] / 2
