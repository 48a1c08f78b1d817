"""Tip-Adapter against its equation, written out in float64."""

import math

import numpy as np
import pytest
from gapbench_adapters import tip
from toy import classes, fitted, noisy_classes, published


def by_the_equation(x, t_of_class, keys, key_labels, alpha, beta):
    """Give the paper's logits over 100, class by class."""
    x, t_of_class, keys = (rows.astype(np.float64) for rows in (x, t_of_class, keys))
    out = np.zeros((len(x), len(t_of_class)))
    for i, row in enumerate(x):
        for c, text in enumerate(t_of_class):
            votes = sum(
                math.exp(-beta * (1 - float(row @ key))) for key, of in zip(keys, key_labels, strict=True) if of == c
            )
            out[i, c] = (100 * float(row @ text) + alpha * votes) / 100
    return out


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 5.5), (10.0, 1.0), (0.0, 3.0)])
def test_scores_are_the_equations(alpha, beta):
    images, labels, texts = noisy_classes()
    aligner = fitted("tip-adapter", classes(images, labels, texts), shots=0, alpha=alpha, beta=beta)
    x = noisy_classes(seed=1)[0][:15]
    expected = by_the_equation(x, texts, images, labels, alpha, beta)
    np.testing.assert_allclose(aligner.scores(x, texts), expected, rtol=1e-5, atol=1e-6)
    if alpha == 0:
        np.testing.assert_allclose(aligner.scores(x, texts), x @ texts.T, atol=1e-6)


def test_scores_on_real_embeddings_are_the_equations():
    images, texts = published()
    labels = np.arange(200) % 40
    aligner = fitted("tip-adapter", classes(images[:200], labels, texts[:40]), shots=0)
    expected = by_the_equation(images[200:220], texts[:40], images[:200], labels, 1.0, 5.5)
    np.testing.assert_allclose(aligner.scores(images[200:220], texts[:40]), expected, rtol=1e-5)


def test_a_text_has_the_votes_of_the_class_whose_text_is_nearest():
    images, labels, texts = noisy_classes()
    aligner = fitted("tip-adapter", classes(images, labels, texts))
    prompts = texts[[2, 2, 0]] * np.float32(0.7)
    votes = aligner.scores(images, texts) - images @ texts.T
    np.testing.assert_allclose(aligner.scores(images, prompts) - images @ prompts.T, votes[:, [2, 2, 0]], atol=1e-6)


def test_a_class_without_images_keeps_its_zero_shot_score():
    images, labels, texts = noisy_classes(n_classes=4)
    kept = labels % 2 == 1
    aligner = fitted("tip-adapter", classes(images[kept], labels[kept], texts))
    scores = aligner.scores(images, texts)
    np.testing.assert_allclose(scores[:, [0, 2]], (images @ texts.T)[:, [0, 2]], atol=1e-6)
    expected = by_the_equation(images[:5], texts, *keys_of(aligner, images, labels), 1.0, 5.5)
    np.testing.assert_allclose(scores[:5], expected, rtol=1e-5, atol=1e-6)


def keys_of(aligner, images, labels):
    """Give the cached rows and, from the data alone, their classes."""
    of = {row.tobytes(): label for row, label in zip(images, labels, strict=True)}
    keys = aligner._keys
    return keys, [of[key.tobytes()] for key in keys]


def test_shots_are_drawn_in_each_class_and_counted():
    images, labels, texts = noisy_classes(n=100, n_classes=3)
    kept = (labels > 0) | (np.cumsum(labels == 0) <= 5)
    images, labels = images[kept], labels[kept]
    split = classes(images, labels, texts)
    drawn = [keys_of(fitted("tip-adapter", split, shots=8, seed=seed), images, labels) for seed in (0, 1)]
    for keys, key_labels in drawn:
        assert np.bincount(key_labels).tolist() == [5, 8, 8]
        assert len({key.tobytes() for key in keys}) == len(keys)
    assert drawn[0][0].tobytes() != drawn[1][0].tobytes()
    assert fitted("tip-adapter", split, shots=8).notes() == {"keys": 21, "classes_with_keys": 3}


def test_all_shots_are_capped(monkeypatch):
    monkeypatch.setattr(tip, "MAX_KEYS", 30)
    images, labels, texts = noisy_classes()
    split = classes(images, labels, texts)
    assert (
        fitted("tip-adapter", split, shots=0).notes()["keys"] == fitted("tip-adapter", split, shots=99).notes()["keys"]
    )
    assert np.bincount(keys_of(fitted("tip-adapter", split, shots=0), images, labels)[1]).tolist() == [5] * 6


def test_votes_help_where_texts_say_little():
    images, labels, texts = noisy_classes(n=400, noise=0.15)
    wrong = texts[[1, 0, 2, 3, 4, 5]]  # two classes have each other's text
    aligner = fitted("tip-adapter", classes(images[:200], labels[:200], wrong), alpha=100.0)
    x, own = images[200:], labels[200:]
    zero_shot = ((x @ wrong.T).argmax(axis=1) == own).mean()
    assert (aligner.scores(x, wrong).argmax(axis=1) == own).mean() > zero_shot + 0.2


def test_blocks_do_not_show():
    images, labels, texts = noisy_classes(n=3000, d=4)
    aligner = fitted("tip-adapter", classes(images, labels, texts), shots=0)
    some = [0, 1391, 1392, 1393, 2999]
    np.testing.assert_allclose(aligner.scores(images, texts)[some], aligner.scores(images[some], texts), atol=1e-6)
