"""Every closed-form aligner against an independent implementation or a transcription of its equation, in float64.

On random pairs, on classes with prompts, and on real embeddings where they are at hand.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from helpers import caption_pairs, caption_split, class_split, fitted
from places import CLIP
from sklearn.covariance import shrunk_covariance
from sklearn.cross_decomposition import CCA, PLSSVD
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

SOURCES = ("random", "few", "real")


def pairs(source):
    if source == "real":
        if not CLIP.is_file():
            pytest.skip("mind_the_gap_clip.npz is not beside this checkout (../shared/data)")
        data = np.load(CLIP)
        rows = [data[name].astype(np.float64) for name in ("image", "text")]
        return [(each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32) for each in rows]
    return caption_pairs(n=200, d=12) if source == "random" else caption_pairs(n=9, d=12)


@pytest.fixture(params=SOURCES)
def both(request):
    return pairs(request.param)


def wide(*arrays):
    return [array.astype(np.float64) for array in arrays]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def agree(out, expected, rel=1e-5):
    """Relative to the size of the row, which is what scores see."""
    error = np.linalg.norm(out.astype(np.float64) - expected, axis=1)
    assert (error <= rel * np.linalg.norm(expected, axis=1) + 1e-7).all(), error.max()


def spread(rows, share=0.0):
    return shrunk_covariance(np.cov(rows.T, bias=True), share)


def root(matrix, sign=1):
    """By Schur (SciPy), not by eigenvectors."""
    out = np.real(scipy.linalg.sqrtm(matrix))
    return out if sign > 0 else np.linalg.inv(out)


def test_shift_to_mean(both):
    x, y = wide(*both)
    split = caption_split(*both)
    step = 0.7 * (x.mean(0) - y.mean(0))
    agree(fitted("shift-to-mean", split, amount=0.7).texts(both[1]), y + step)
    agree(fitted("shift-to-mean", split, amount=0.7, side="images", renormalise=True).images(both[0]), unit(x - step))
    assert fitted("shift-to-mean", split).images(both[0]) is both[0]


def test_gap_projection(both):
    x, y = wide(*both)
    split = caption_split(*both)
    g = x.mean(0) - y.mean(0)
    keep = np.eye(x.shape[1]) - np.outer(g, g) / (g @ g)
    agree(fitted("gap-projection", split).images(both[0]), unit(x @ keep))
    common = fitted("gap-projection", split, common=True)
    agree(common.texts(both[1]), unit(y @ keep - (x @ keep).mean(0)))
    np.testing.assert_allclose((x @ keep).mean(0), (y @ keep).mean(0), atol=1e-12)


def test_dn(both):
    x, y = wide(*both)
    aligner = fitted("dn", caption_split(*both), strength=0.3)
    agree(aligner.images(both[0]), x - 0.3 * x.mean(0))
    agree(aligner.texts(both[1]), y - 0.3 * y.mean(0))


def test_role_center_fuses_before_it_centres(both):
    x, y = wide(*both)
    aligner = fitted("role-center", caption_split(*both))
    fused = 0.3 * y + 0.7 * x
    agree(aligner.fused(both[0], both[1], 0.3), unit(fused - 0.3 * y.mean(0) - 0.7 * x.mean(0)))
    agree(aligner.images(both[0]), fitted("mean-center", caption_split(*both)).images(both[0]).astype(np.float64))


def test_drop_gap_dims(both):
    x, y = wide(*both)
    order = sorted(range(x.shape[1]), key=lambda j: -abs(x[:, j].mean() - y[:, j].mean()))
    kept = sorted(order[4:])
    aligner = fitted("drop-gap-dims", caption_split(*both), k=4)
    agree(aligner.images(both[0]), unit(x[:, kept]))
    agree(aligner.texts(both[1]), unit(y[:, kept]))


def test_z_score_is_scikit_learns(both):
    aligner = fitted("z-score", caption_split(*both))
    agree(aligner.images(both[0]), unit(StandardScaler().fit_transform(both[0].astype(np.float64))))
    agree(aligner.texts(both[1]), unit(StandardScaler().fit_transform(both[1].astype(np.float64))))


def test_realign(both):
    x, y = wide(*both)
    s = np.sqrt(np.trace(np.cov(x.T)) / np.trace(np.cov(y.T)))
    u = unit(x.mean(0) + s * (y - y.mean(0)))
    agree(fitted("realign", caption_split(*both)).texts(both[1]), unit(u - u.mean(0) + x.mean(0)))


@pytest.mark.parametrize("scope", ["modality", "pooled"])
def test_all_but_the_top_is_scikit_learns_pca(both, scope):
    x, y = wide(*both)
    aligner = fitted("abtt", caption_split(*both), directions=3, scope=scope)
    for rows, out in ((x, aligner.images(both[0])), (y, aligner.texts(both[1]))):
        centred = rows - rows.mean(0)
        if scope == "modality":
            top = PCA(3, svd_solver="full").fit(rows).components_
        else:
            top = PCA(3, svd_solver="full").fit(np.vstack([x - x.mean(0), y - y.mean(0)])).components_
        agree(out, unit(centred - centred @ top.T @ top))


@pytest.mark.parametrize("scope", ["modality", "pooled"])
def test_whitening(both, scope):
    x, y = wide(*both)
    split = caption_split(*both)
    for rows, side, given in ((x, "images", both[0]), (y, "texts", both[1])):
        own = spread(rows, 0.3) if scope == "modality" else (spread(x, 0.3) + spread(y, 0.3)) / 2
        centred = rows - rows.mean(0)
        zca = getattr(fitted("whiten-zca", split, shrinkage=0.3, scope=scope), side)(given)
        agree(zca, unit(centred @ root(own, -1)))


def test_pca_whitening_is_zca_whitening_in_another_basis(both):
    split = caption_split(*both)
    plain, turned = (
        fitted(name, split, shrinkage=0.3, renormalise=False, **own)
        for name, own in (("whiten-zca", {"scope": "pooled"}), ("whiten-pca", {}))
    )
    rows = [np.vstack([w.images(both[0]), w.texts(both[1])]).astype(np.float64) for w in (plain, turned)]
    np.testing.assert_allclose(rows[0] @ rows[0].T, rows[1] @ rows[1].T, rtol=1e-4, atol=1e-3)
    for part in (rows[1][: len(both[0])], rows[1][len(both[0]) :]):
        assert np.abs(part.mean(axis=0)).max() < 1e-4


def test_pca_whitening_without_shrinkage_is_scikit_learns():
    x, y = caption_pairs(n=200, d=12)
    aligner = fitted("whiten-pca", caption_split(x, y), shrinkage=0.0, components=5, renormalise=False)
    centred = np.vstack([rows - rows.mean(axis=0) for rows in wide(x, y)])
    expected = PCA(5, whiten=True, svd_solver="full").fit_transform(centred) * np.sqrt(400 / 399)
    found = np.vstack([aligner.images(x), aligner.texts(y)])
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-4, atol=1e-5)


def test_no_spectral_method_takes_more_directions_than_the_rows_have():
    """Six class texts span five directions of forty, sixty images all; asking for more is asking for these."""
    x, _ = caption_pairs(n=60, d=40)
    split = class_split(n_classes=6, d=40, n=60)
    split = replace(split, images=x)
    texts = split.prompts.rows.astype(np.float64)
    centred = texts - texts.mean(0)
    top = np.linalg.svd(centred)[2]
    few = fitted("abtt", split, directions=30)
    assert few.notes() == {"image_directions": 30, "text_directions": 3}
    agree(few.texts(split.prompts.rows), unit(centred - centred @ top[:3].T @ top[:3]))
    images = np.linalg.svd(x - x.astype(np.float64).mean(0))[2]
    whole = fitted("subspace-alignment", split, k=40)
    assert whole.notes() == {"image_dimensions": 40, "text_dimensions": 5}
    agree(whole.texts(split.prompts.rows), unit(centred @ top[:5].T @ top[:5] @ images.T @ images))
    agree(fitted("subspace-alignment", split, k=7).texts(split.prompts.rows), unit(centred @ images[:7].T @ images[:7]))


@pytest.mark.parametrize("recenter", ["zero", "target"])
def test_coral(both, recenter):
    x, y = wide(*both)
    d = x.shape[1]
    aligner = fitted("coral", caption_split(*both), ridge=0.7, recenter=recenter)
    a, b = (np.cov(v.T, bias=True) for v in (y, x))
    a, b = (v + 0.7 * np.trace(v) / d * np.eye(d) for v in (a, b))
    moved = (y - y.mean(0)) @ root(a, -1) @ root(b)
    agree(aligner.texts(both[1]), unit(moved + (x.mean(0) if recenter == "target" else 0)))
    if recenter == "target":
        assert aligner.images(both[0]) is both[0]
    else:
        agree(aligner.images(both[0]), unit(x - x.mean(0)))


def test_gaussian_ot_is_pots(both):
    ot = pytest.importorskip("ot")
    x, y = wide(*both)
    aligner = fitted("gaussian-ot", caption_split(*both), shrinkage=0.3, recenter="target", renormalise=False)
    matrix, offset = ot.gaussian.bures_wasserstein_mapping(y.mean(0), x.mean(0), spread(y, 0.3), spread(x, 0.3))
    agree(aligner.texts(both[1]), y @ np.real(matrix) + np.real(offset), rel=2e-5)


def test_gaussian_ot_matches_the_target_covariance():
    x, y = caption_pairs(n=200, d=12)
    out = fitted("gaussian-ot", caption_split(x, y), shrinkage=0.0, renormalise=False).texts(y)
    np.testing.assert_allclose(np.cov(out.T, bias=True), np.cov(x.T.astype(np.float64), bias=True), atol=1e-6)


def test_subspace_alignment(both):
    x, y = wide(*both)
    k = 5
    target, source = (PCA(k, svd_solver="full").fit(v).components_.T for v in (x, y))
    moved = (y - y.mean(0)) @ source @ (source.T @ target) @ target.T
    split = caption_split(*both)
    agree(fitted("subspace-alignment", split, k=k, recenter="target").texts(both[1]), unit(moved + x.mean(0)))
    agree(fitted("subspace-alignment", split, k=k, renormalise=False).texts(both[1]), moved)


@pytest.mark.parametrize("shrinkage", ["optimal", "fixed"])
def test_leace_is_the_authors(both, shrinkage):
    leace = pytest.importorskip("concept_erasure")
    import torch

    x, y = wide(*both)
    rows, side = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    aligner = fitted("leace", caption_split(*both), shrinkage=shrinkage, share=0.0, renormalise=False)
    reference = leace.LeaceEraser.fit(
        torch.from_numpy(rows), torch.from_numpy(side), shrinkage=shrinkage == "optimal", svd_tol=1e-10
    )
    if shrinkage == "fixed" and len(rows) <= 2 * rows.shape[1]:
        pytest.skip("without shrinkage the pooled covariance is singular here, and the two pseudo-inverses differ")
    expected = reference(torch.from_numpy(rows)).numpy()
    agree(np.vstack([aligner.images(both[0]), aligner.texts(both[1])]), expected)


def test_unbalanced_leace_counts_rows_as_the_authors_do():
    leace = pytest.importorskip("concept_erasure")
    import torch

    split = class_split(n_classes=5, d=4, n=80)
    x, y = wide(split.images, split.prompts.rows)
    reference = leace.LeaceEraser.fit(torch.from_numpy(np.vstack([x, y])), torch.from_numpy(np.repeat([0, 1], [80, 5])))
    aligner = fitted("leace", split, balance=False, renormalise=False)
    agree(aligner.images(split.images), reference(torch.from_numpy(x)).numpy())


def test_oracle_leace_is_the_authors():
    oracle = pytest.importorskip("concept_erasure.oracle")
    import torch

    x, y = caption_pairs()
    rows, side = np.vstack(wide(x, y)), np.repeat([0, 1], [60, 60])
    fitter = oracle.OracleEraser.fit(torch.from_numpy(rows), torch.from_numpy(side))
    expected = fitter(torch.from_numpy(rows), torch.from_numpy(side)).numpy()
    aligner = fitted("oracle-leace", caption_split(x, y), renormalise=False)
    agree(np.vstack([aligner.images(x), aligner.texts(y)]), expected)


@pytest.mark.parametrize("side", ["images", "texts"])
def test_robust_procrustes(both, side):
    source, target = wide(*(both if side == "images" else both[::-1]))
    rotation = scipy.linalg.orthogonal_procrustes(source, target)[0]
    for _ in range(5):
        weights = 1 / (np.linalg.norm(target - source @ rotation, axis=1) + 1e-3)
        scale = np.sqrt(weights / weights.max())[:, None]
        rotation = scipy.linalg.orthogonal_procrustes(source * scale, target * scale)[0]
    aligner = fitted("procrustes", caption_split(*both), side=side, rounds=5, tie_break="none")
    if len(source) < source.shape[1]:
        pytest.skip("fewer pairs than dimensions: the open part of the rotation is arbitrary")
    given = both[0] if side == "images" else both[1]
    agree((aligner.images if side == "images" else aligner.texts)(given), given @ rotation)


def test_robust_procrustes_shrugs_off_bad_pairs():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    x = unit(rng.standard_normal((100, 6))).astype(np.float32)
    y = (x @ turn).astype(np.float32)
    y[:25] = unit(rng.standard_normal((25, 6)))
    split = caption_split(x, y)
    wrong = {r: np.linalg.norm(fitted("procrustes", split, rounds=r).images(x) - x @ turn) for r in (0, 20)}
    assert wrong[20] < 0.1 * wrong[0]


def test_procrustes_of_low_rank_keeps_the_leading_directions(both):
    x, y = wide(*both)
    u, _, v = scipy.linalg.svd(x.T @ y, lapack_driver="gesvd")
    agree(fitted("procrustes", caption_split(*both), rank=3).images(both[0]), x @ u[:, :3] @ v[:3])


@pytest.mark.parametrize("side", ["images", "texts"])
def test_ols_and_ridge_are_scikit_learns(both, side):
    source, target = wide(*(both if side == "images" else both[::-1]))
    given, kept = both if side == "images" else both[::-1]
    for name, model, params in (
        ("ols", LinearRegression(), {}),
        ("ridge", Ridge(alpha=0.3, solver="svd"), {"alpha": 0.3}),
    ):
        aligner = fitted(name, caption_split(*both), side=side, renormalise=False, **params)
        model.fit(source, target)
        mapped, stays = (aligner.images, aligner.texts) if side == "images" else (aligner.texts, aligner.images)
        agree(mapped(given), model.predict(source) - target.mean(0), rel=3e-5)
        agree(stays(kept), target - target.mean(0))


def test_ridge_identity_solves_its_own_least_squares(both):
    x, y = wide(*both)
    x, y, d = x - x.mean(0), y - y.mean(0), x.shape[1]
    # ||XW - Y||^2 + l ||W - I||^2 as one stacked least-squares problem
    stacked = np.linalg.lstsq(np.vstack([x, np.sqrt(2.0) * np.eye(d)]), np.vstack([y, np.sqrt(2.0) * np.eye(d)]))[0]
    agree(fitted("ridge-identity", caption_split(*both), alpha=2.0, renormalise=False).images(both[0]), x @ stacked)


def test_cca_without_shrinkage_is_scikit_learns():
    x, y = caption_pairs(n=300, d=6)
    k = 3
    model = CCA(k, max_iter=5000, tol=1e-12).fit(x.astype(np.float64), y.astype(np.float64))
    a, b = model.transform(x.astype(np.float64), y.astype(np.float64))
    aligner = fitted("cca", caption_split(x, y), k=k, shrinkage=0.0, renormalise=False)
    out = aligner.images(x).astype(np.float64), aligner.texts(y).astype(np.float64)
    for mine, theirs in zip(out, (a, b), strict=True):
        for j in range(k):
            assert abs(np.corrcoef(mine[:, j], theirs[:, j])[0, 1]) == pytest.approx(1, abs=1e-4)
    expected = [np.corrcoef(a[:, j], b[:, j])[0, 1] for j in range(k)]
    np.testing.assert_allclose([np.mean(out[0][:, j] * out[1][:, j]) for j in range(k)], expected, rtol=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_regularised_cca_is_the_generalised_eigenproblem(both, weight):
    x, y = wide(*both)
    a, b = spread(x, 0.4), spread(y, 0.4)
    x, y, k = x - x.mean(0), y - y.mean(0), 3
    cross = x.T @ y / len(x)
    values, vectors = scipy.linalg.eigh(cross @ np.linalg.inv(b) @ cross.T, a)
    u, rho = vectors[:, ::-1][:, :k], np.sqrt(values[::-1][:k])
    v = np.linalg.inv(b) @ cross.T @ u / rho
    aligner = fitted("cca", caption_split(*both), k=k, shrinkage=0.4, weight=weight, renormalise=False)
    mine = aligner.images(both[0]).astype(np.float64) @ aligner.texts(both[1]).astype(np.float64).T
    expected = (x @ u * rho ** (2 * weight)) @ (y @ v).T
    np.testing.assert_allclose(mine, expected, atol=1e-5 * np.abs(expected).max())


def test_csa_weighs_the_terms_of_the_inner_product_by_their_correlation(both):
    split = caption_split(*both)
    np.testing.assert_array_equal(
        fitted("csa", split, k=4).images(both[0]), fitted("cca", split, k=4, weight=0.5).images(both[0])
    )


def test_pls_svd_is_scikit_learns(both):
    x, y = wide(*both)
    k = 3
    model = PLSSVD(k, scale=False).fit(x, y)
    a, b = model.transform(x, y)
    aligner = fitted("pls-svd", caption_split(*both), k=k, renormalise=False)
    mine = aligner.images(both[0]).astype(np.float64) @ aligner.texts(both[1]).astype(np.float64).T
    np.testing.assert_allclose(mine, a @ b.T, atol=1e-5 * np.abs(a @ b.T).max())


def test_logit_bias_takes_out_the_mean_score(both):
    x, y = wide(*both)
    aligner = fitted("logit-bias", caption_split(*both))
    np.testing.assert_allclose(aligner.text_bias(both[1]), -(x @ y.T).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(aligner.image_bias(both[0]), -(x @ y.T).mean(axis=1), atol=1e-6)


def test_gda_clip_adds_scikit_learns_discriminant():
    split = class_split(n_classes=4, d=6, n=200)
    x, t = wide(split.images, split.prompts.rows)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2).fit(x, split.labels)
    aligner = fitted("gda-clip", split, alpha=3.0, shrinkage=0.2)
    expected = x @ t.T + 3.0 / 100 * model.decision_function(x)
    np.testing.assert_allclose(aligner.scores(split.images, split.prompts.rows), expected, atol=1e-5)


def test_gda_clip_leaves_an_unseen_class_last():
    split = class_split(n_classes=3, d=6)
    seen = split.labels != 2
    from dataclasses import replace

    part = replace(split, images=split.images[seen], labels=split.labels[seen])
    scores = fitted("gda-clip", part, alpha=100.0).scores(split.images, split.prompts.rows)
    plain = split.images @ split.prompts.rows.T
    assert np.isfinite(scores).all()
    added = scores - plain
    np.testing.assert_allclose(added[:, 2], added[:, :2].min(axis=1), atol=1e-5)


def test_shuffled_pairs_learn_nothing_and_collapse_closes_everything(both):
    split = caption_split(*both)
    x, y = both
    collapsed = fitted("collapse-to-mean", split)
    middle = (x.astype(np.float64).mean(0) + y.astype(np.float64).mean(0)) / 2
    agree(collapsed.images(x), np.tile(middle, (len(x), 1)))
    np.testing.assert_array_equal(collapsed.images(x)[0], collapsed.texts(y)[0])
    turned = fitted("shuffled-pairs", split, seed=3).images(x)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(x, axis=1), rtol=1e-5)
    if len(x) > x.shape[1]:
        known = fitted("procrustes", split).images(x)
        assert np.mean(np.sum(turned * y, axis=1)) < np.mean(np.sum(known * y, axis=1)) - 0.01
