"""Barycentric maps against POT's own transports, against linear programs, and by what transport must do."""

import numpy as np
import ot
import pytest
import scipy.optimize
from gapbench_transport.plans import solve

from gapbench.errors import DataError

PLANS = {
    "emd": lambda: ot.da.EMDTransport(norm="median"),
    "sinkhorn": lambda: ot.da.SinkhornTransport(
        reg_e=0.1, norm="median", method="sinkhorn_log", tol=1e-12, max_iter=5000, out_of_sample_map="ferradans"
    ),
    "unbalanced": lambda: ot.da.UnbalancedSinkhornTransport(
        reg_e=0.1, reg_m=1.0, norm="median", tol=1e-12, max_iter=5000
    ),
}


def clouds(n=40, m=30, d=6, seed=0):
    rng = np.random.default_rng(seed)
    x, t = rng.standard_normal((n, d)) + 2, rng.standard_normal((m, d)) @ np.diag(np.linspace(0.5, 2, d)) - 1
    return [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (x, t)]


def assert_same_map(aligner, side, plan, x, t, new):
    """Hold a map to POT's own, on the rows of the fit and on others; POT's out-of-sample rows are never its fit rows."""
    x, t = (rows.astype(np.float64) for rows in (x, t))
    source, target = (t, x) if side == "texts" else (x, t)
    mean = source.mean(0)
    own = PLANS[plan]().fit(Xs=source - mean, Xt=target - target.mean(0))
    mapped, kept = (aligner.texts, aligner.images) if side == "texts" else (aligner.images, aligner.texts)
    for rows in (source, new.astype(np.float64)):
        expected = own.transform(Xs=rows - mean)
        np.testing.assert_allclose(mapped(rows.astype(np.float32)), expected, rtol=1e-5, atol=3e-7)
    np.testing.assert_allclose(kept(target.astype(np.float32)), target - target.mean(0), atol=1e-6)


@pytest.mark.parametrize("side", ["texts", "images"])
@pytest.mark.parametrize("plan", PLANS)
def test_maps_are_those_of_pot(plan, side, captioned, fitted):
    x, t = clouds()
    aligner = fitted("ot-barycentric", captioned(x, t), plan=plan, side=side, renormalise=False)
    assert aligner.notes()["converged"]
    assert_same_map(aligner, side, plan, x, t, clouds(seed=1)[0][:10])


@pytest.mark.parametrize("side", ["texts", "images"])
@pytest.mark.parametrize("plan", PLANS)
def test_maps_are_those_of_pot_on_real_embeddings(plan, side, clip, captioned, fitted):
    x, t = clip
    aligner = fitted("ot-barycentric", captioned(x[:300], t[:300]), plan=plan, side=side, renormalise=False)
    assert_same_map(aligner, side, plan, x[:300], t[:300], (t if side == "texts" else x)[300:])


def test_the_exact_plan_of_equal_sets_is_an_assignment(captioned, fitted):
    x, t = clouds(25, 25)
    aligner = fitted("ot-barycentric", captioned(x, t), plan="emd", center=False, renormalise=False)
    cost = ((t[:, None].astype(float) - x[None]) ** 2).sum(-1)
    np.testing.assert_allclose(aligner.texts(t), x[scipy.optimize.linear_sum_assignment(cost)[1]], atol=1e-6)
    assert aligner.images(x) is x


@pytest.mark.parametrize("plan", ["emd", "sinkhorn"])
@pytest.mark.parametrize("side", ["texts", "images"])
def test_a_translated_cloud_is_brought_home(plan, side, captioned, fitted):
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False) + rng.uniform(-0.05, 0.05, 20)
    x = np.stack([np.cos(angles), np.sin(angles), np.full(20, 0.4)], axis=1)
    t = x * [1, 1, -1]  # a gap that is a translation, and rows of one length
    x, t = ((rows / np.linalg.norm(rows[0])).astype(np.float32) for rows in (x, t))
    params = {"plan": plan, "side": side, "center": False, "renormalise": False}
    aligner = fitted("ot-barycentric", captioned(x, t), reg=0.005, **params)
    moved, target = (aligner.texts(t), x) if side == "texts" else (aligner.images(x), t)
    np.testing.assert_allclose(moved, target, atol=1e-6 if plan == "emd" else 1e-2)


@pytest.mark.parametrize("side", ["texts", "images"])
def test_a_gap_changes_no_exact_plan_but_what_is_given_up_where_marginals_are_free(side, captioned, fitted):
    x, t = clouds()
    split = captioned(x, t)
    target, move = (x, lambda aligner: aligner.texts(t)) if side == "texts" else (t, lambda aligner: aligner.images(x))
    for plan, same in (("emd", True), ("unbalanced", False)):
        there, centred = (
            move(fitted("ot-barycentric", split, plan=plan, side=side, center=center, renormalise=False))
            for center in (False, True)
        )
        assert np.allclose(there, centred + target.mean(0, dtype=np.float64), atol=1e-6) == same


def test_class_texts_become_means_of_the_images_they_are_given(classified, fitted):
    rng = np.random.default_rng(0)
    texts = np.eye(4, 8)
    labels = np.repeat(np.arange(4), 10)
    images = texts[labels] + 0.1 * rng.standard_normal((40, 8)) + 0.5
    split = classified(images, labels, texts)
    aligner = fitted("ot-barycentric", split, plan="emd", renormalise=False)
    unit = split.images.astype(np.float64)
    expected = np.stack([unit[labels == c].mean(0) for c in range(4)]) - unit.mean(0)
    np.testing.assert_allclose(aligner.texts(split.prompts.rows), expected, atol=1e-6)


@pytest.mark.parametrize("side", ["texts", "images"])
def test_equal_rows_are_one_point_with_their_masses_added(side, captioned, fitted):
    x, t = clouds(12, 9)
    twice = captioned(x, np.concatenate([t, t, t]))
    one, three = (
        fitted("ot-barycentric", split, plan="emd", side=side, renormalise=False) for split in (captioned(x, t), twice)
    )
    np.testing.assert_allclose(three.texts(t), one.texts(t), atol=1e-6)
    np.testing.assert_allclose(three.images(x), one.images(x), atol=1e-6)
    uneven = captioned(x, np.concatenate([t, t[:1], t[:1]]))
    aligner = fitted("ot-barycentric", uneven, plan="emd", center=False, renormalise=False)
    moved = aligner.texts(uneven.captions.rows)
    np.testing.assert_array_equal(moved[[9, 10]], moved[[0, 0]])
    np.testing.assert_allclose(moved.mean(0), x.mean(0), atol=1e-6)  # mass is neither lost nor made


def test_rows_are_drawn_only_where_there_are_more_than_asked_for(captioned, fitted):
    x, t = clouds(50, 30)
    split = captioned(x, t)
    enough, all_of_it = (fitted("ot-barycentric", split, seed=s, sample=50).texts(t) for s in (0, 1))
    np.testing.assert_array_equal(enough, all_of_it)
    drawn = fitted("ot-barycentric", split, seed=0, sample=20)
    assert drawn.notes()["distinct_images"] == drawn.notes()["distinct_texts"] == 20
    np.testing.assert_array_equal(drawn.texts(t), fitted("ot-barycentric", split, seed=0, sample=20).texts(t))
    assert np.abs(drawn.texts(t) - fitted("ot-barycentric", split, seed=1, sample=20).texts(t)).max() > 1e-3


def test_the_mapped_side_is_of_unit_length_if_wanted(captioned, fitted):
    x, t = clouds()
    aligner = fitted("ot-barycentric", captioned(x, t))
    for rows in (aligner.images(x), aligner.texts(t)):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_the_balanced_plan_is_the_optimum_of_the_linear_program():
    rng = np.random.default_rng(0)
    cost, a, b = rng.uniform(size=(6, 5)), rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))
    rows, columns = np.kron(np.eye(6), np.ones(5)), np.kron(np.ones(6), np.eye(5))
    program = scipy.optimize.linprog(cost.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=np.concatenate([a, b]))
    plan = solve("emd", a, b, cost, reg=0, reg_m=0)
    np.testing.assert_allclose(plan.mass, program.x.reshape(6, 5), atol=1e-9)


@pytest.mark.parametrize("kind", ["sinkhorn", "unbalanced"])
def test_entropic_plans_satisfy_the_conditions_of_their_optimum(kind):
    rng = np.random.default_rng(0)
    cost, a, b = rng.uniform(size=(7, 5)), rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(5))
    plan = solve(kind, a, b, cost, reg=0.2, reg_m=0.7)
    # The derivative of the objective is constant but for potentials; the price of free marginals sets these.
    derivative = cost + 0.2 * np.log(plan.mass / np.outer(a, b))
    if kind == "unbalanced":
        derivative += 0.7 * np.log(plan.mass.sum(1) / a)[:, None] + 0.7 * np.log(plan.mass.sum(0) / b)
        np.testing.assert_allclose(derivative, 0, atol=1e-6)
    else:
        np.testing.assert_allclose(plan.mass.sum(0), b, atol=1e-8)
        np.testing.assert_allclose(plan.mass.sum(1), a, atol=1e-8)
        free = derivative - derivative.mean(0) - derivative.mean(1, keepdims=True) + derivative.mean()
        np.testing.assert_allclose(free, 0, atol=1e-9)
    assert plan.converged


def test_a_solver_that_stops_early_is_said_and_one_that_underflows_is_an_error():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(size=200))
    cost, a = (x[:, None] - rng.uniform(size=200)) ** 2, np.full(200, 1 / 200)
    early = solve("sinkhorn", a, a, cost / np.median(cost), reg=0.005, reg_m=1)
    assert not early.converged
    assert early.error > 1e-6
    far = cost + 1e6 * (np.arange(200) < 100)[:, None]
    assert solve("sinkhorn", a, a, far, reg=0.01, reg_m=1).error < 1e-3  # a constant for a row changes nothing
    with pytest.raises(DataError, match="Raise reg"):
        solve("unbalanced", a, a, far, reg=0.01, reg_m=1)
    across = np.array([[0.0, 9e3], [9e3, 0.0]])
    with pytest.raises(DataError, match="Raise reg"):
        solve("sinkhorn", np.array([0.5, 0.5]), np.array([0.1, 0.9]), across, reg=1.0, reg_m=1)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (5, 1)])
def test_one_row_a_side_is_enough(plan, n, m, captioned, fitted):
    x, t = clouds(n, m)
    aligner = fitted("ot-barycentric", captioned(x, t), plan=plan)
    assert np.isfinite(aligner.texts(t)).all()
    assert np.isfinite(aligner.images(x)).all()


@pytest.mark.parametrize("plan", PLANS)
def test_rows_without_any_variance_are_mapped_to_finite_rows(plan, captioned, fitted):
    x, t = np.tile(clouds(1, 1)[0], (6, 1)), np.tile(clouds(1, 1)[1], (4, 1))
    aligner = fitted("ot-barycentric", captioned(x, t), plan=plan, center=False, renormalise=False)
    np.testing.assert_allclose(aligner.texts(t), x[:4], atol=1e-6)
