"""Adapters learn what is there to learn, stop when they should, and leave PyTorch as it was."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_contrastive import plain_loss
from toy import build, captions, classes, fitted, noisy_classes, published, unit

from gapbench.errors import DataError

BOTH = pytest.mark.parametrize("name", ["linear-adapter", "mlp-adapter"])
SIDES = pytest.mark.parametrize("side", ["images", "texts", "both"])


def turned(n=1000, d=16, seed=0):
    """Give images that are their texts turned and moved, so that a linear map is the answer."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(np.eye(d) + 0.6 * rng.standard_normal((d, d)) / np.sqrt(d))[0]
    texts = unit(rng.standard_normal((n, d)))
    return unit(texts @ rotation + 0.05 * rng.standard_normal((n, d)) + 0.1), texts


def thirds(images, texts):
    cut = len(images) // 3
    return [captions(images[a : a + cut], texts[a : a + cut]) for a in (0, cut, 2 * cut)]


def recall(images, texts):
    return float(((images @ texts.T).argmax(axis=1) == np.arange(len(images))).mean())


@BOTH
@SIDES
def test_no_epoch_is_the_identity(name, side):
    images, texts = turned()
    fit, validation, _ = thirds(images, texts)
    aligner = fitted(name, fit, validation=validation, side=side, epochs=0)
    np.testing.assert_allclose(aligner.images(images), images, atol=1e-6)
    np.testing.assert_allclose(aligner.texts(texts), texts, atol=1e-6)
    if side != "both":
        rows = texts if side == "images" else images
        assert (aligner.texts if side == "images" else aligner.images)(rows) is rows


@BOTH
@SIDES
def test_a_turned_and_moved_copy_is_found_again(name, side):
    fit, validation, test = thirds(*turned())
    params = {"alpha": 0.5, "hidden": 64} if name == "mlp-adapter" else {}
    aligner = fitted(name, fit, validation=validation, side=side, tau=0.05, lr=1e-2, **params)
    texts = test.captions.rows
    before, after = recall(test.images, texts), recall(aligner.images(test.images), aligner.texts(texts))
    assert after > before + 0.3
    assert after > 0.8
    assert aligner.notes()["chosen_epoch"] > 0


@BOTH
def test_class_prompts_that_have_changed_places_are_learnt(name):
    images, labels, texts = noisy_classes(n=600, noise=0.15)
    wrong = texts[[1, 2, 0, 3, 4, 5]]
    parts = [classes(images[a : a + 200], labels[a : a + 200], wrong) for a in (0, 200, 400)]
    aligner = fitted(name, parts[0], validation=parts[1], lr=1e-2)
    before, after = (rows @ wrong.T for rows in (parts[2].images, aligner.images(parts[2].images)))
    own = parts[2].labels
    assert (after.argmax(axis=1) == own).mean() > (before.argmax(axis=1) == own).mean() + 0.3


@BOTH
def test_learning_wrong_pairs_is_stopped_by_validation_pairs(name):
    _, texts = turned()
    images = texts + np.float32(0.3) * np.random.default_rng(0).standard_normal(texts.shape, dtype=np.float32)
    wrong, patience = captions(images[:300], np.roll(texts[:300], 1, axis=0)), 4
    aligner = fitted(name, wrong, validation=captions(images[300:600], texts[300:600]), lr=1e-2, patience=patience)
    assert aligner.notes()["chosen_epoch"] == 0
    assert aligner.notes()["epochs"] == patience
    np.testing.assert_allclose(aligner.images(texts), texts, atol=1e-6)


@BOTH
def test_the_noted_losses_are_those_of_the_validation_pairs_before_and_after(name):
    fit, validation, _ = thirds(*turned(n=300))
    aligner = fitted(name, fit, validation=validation, tau=0.1, patience=3, epochs=40)
    x, t = validation.images, validation.captions.rows
    before, after = (aligner.notes()[f"{which}_validation_loss"] for which in ("first", "least"))
    assert before == pytest.approx(plain_loss(x, t, 0.1), rel=1e-5)
    assert after == pytest.approx(plain_loss(aligner.images(x), t, 0.1), rel=1e-5)
    assert after < before
    notes = aligner.notes()
    assert notes["epochs"] in (40, notes["chosen_epoch"] + 3)
    assert notes["pairs_fitted"] == len(fit.images)


@BOTH
def test_real_pairs_do_not_get_worse_on_what_the_epoch_is_chosen_by(name):
    images, texts = published()
    fit, validation, _ = thirds(images, texts)
    aligner = fitted(name, fit, validation=validation)
    x, t = validation.images, validation.captions.rows
    assert plain_loss(aligner.images(x), t, 0.01) < plain_loss(x, t, 0.01)


@BOTH
@pytest.mark.parametrize("what", ["one class", "one pair", "one validation pair"])
def test_where_nothing_can_be_told_apart_nothing_is_changed(name, what):
    images, labels, texts = noisy_classes()
    split = captions(images, texts[labels])
    one = captions(images[:1], texts[:1])
    fit, validation = {
        "one class": (classes(images, labels * 0, texts[:1]),) * 2,
        "one pair": (one, split),
        "one validation pair": (split, one),
    }[what]
    aligner = fitted(name, fit, validation=validation)
    np.testing.assert_allclose(aligner.images(images), images, atol=1e-6)
    assert aligner.notes()["nothing_to_tell_apart"]


@BOTH
def test_a_training_that_diverges_gives_its_best_epoch(name):
    fit, validation, test = thirds(*turned())
    aligner = fitted(name, fit, validation=validation, lr=1.0, tau=1e-4)
    assert np.isfinite(aligner.images(test.images)).all()
    before, after = (aligner.notes()[f"{which}_validation_loss"] for which in ("first", "least"))
    assert after <= before


@BOTH
def test_no_pairs_at_all_is_said(name):
    class NoPairs:
        rng, dim = np.random.default_rng(0), 4
        pairs = (np.zeros((0, 4), dtype=np.float32),) * 2

    with pytest.raises(DataError, match=f"{name}.* no pairs"):
        build(name).fit(NoPairs())


@BOTH
def test_pytorch_is_left_as_it_was(name):
    fit, validation, _ = thirds(*turned(n=120))
    torch.manual_seed(3)

    def state():
        switches = (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype())
        return (torch.get_rng_state().tolist(), torch.are_deterministic_algorithms_enabled(), *switches)

    before = state()
    expected = fitted(name, fit, validation=validation, epochs=3).images(fit.images)
    assert state() == before
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            before = state()
            out = fitted(name, fit, validation=validation, epochs=3).images(fit.images)
            assert state() == before
        np.testing.assert_array_equal(out, expected)


def test_two_processes_learn_the_same_bits_and_another_seed_other_ones():
    code = f"""
import hashlib, sys
sys.path[:0] = {[*sys.path]!r}
from test_adapters import fitted, thirds, turned
fit, validation, test = thirds(*turned(n=900))
for name in ("linear-adapter", "mlp-adapter"):
    for seed in (1, 2):
        rows = fitted(name, fit, validation=validation, seed=seed, epochs=5, batch=64).images(test.images)
        print(hashlib.sha256(rows.tobytes()).hexdigest())
"""
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    hashes = runs[0].split()
    assert len(set(hashes)) == len(hashes) == 4
