"""DeCap's projection against its equation, written out in float64."""

import math

import numpy as np
import pytest
from toy import captions, fitted, published, unit

TOLERANCE = 1e-5


def by_the_equation(x, memory, tau, top):
    out = []
    for row in x.astype(np.float64):
        cosines = [float(row @ text) for text in memory.astype(np.float64)]
        order = sorted(range(len(cosines)), key=lambda j: -cosines[j])[: top or None]
        weights = {j: math.exp((cosines[j] - cosines[order[0]]) / tau) for j in order}
        mixed = sum(weight / sum(weights.values()) * memory[j].astype(np.float64) for j, weight in weights.items())
        out.append(mixed / np.linalg.norm(mixed))
    return np.array(out)


def random_rows(n, d, seed):
    return unit(np.random.default_rng(seed).standard_normal((n, d)) + 0.5)


@pytest.mark.parametrize("top", [0, 1, 7, 500])
@pytest.mark.parametrize("tau", [0.01, 0.2])
def test_images_are_rebuilt_as_the_equation_says(tau, top):
    images, texts = random_rows(30, 12, 0), random_rows(40, 12, 1)
    aligner = fitted("decap-memory", captions(texts, texts), tau=tau, top=top)
    np.testing.assert_allclose(aligner.images(images), by_the_equation(images, texts, tau, top), atol=TOLERANCE)


@pytest.mark.parametrize("top", [0, 10])
def test_real_embeddings_are_rebuilt_as_the_equation_says(top):
    images, texts = published()
    aligner = fitted("decap-memory", captions(images[:250], texts[:250]), top=top)
    expected = by_the_equation(images[250:300], texts[:250], 0.01, top)
    np.testing.assert_allclose(aligner.images(images[250:300]), expected, atol=TOLERANCE)


def test_at_a_low_temperature_an_image_becomes_its_nearest_text():
    images, texts = random_rows(30, 12, 0), random_rows(40, 12, 1)
    aligner = fitted("decap-memory", captions(texts, texts), tau=1e-4)
    nearest = texts[(images @ texts.T).argmax(axis=1)]
    assert np.median(np.abs(aligner.images(images) - nearest).max(axis=1)) < TOLERANCE


def test_a_larger_set_of_texts_is_drawn_from_without_repetition():
    texts = random_rows(200, 6, 2)
    kept = {seed: fitted("decap-memory", captions(texts, texts), memory=50, seed=seed) for seed in (0, 1)}
    drawn = [{row.tobytes() for row in aligner._texts} for aligner in kept.values()]
    assert [len(rows) for rows in drawn] == [50, 50]
    assert drawn[0] != drawn[1]
    assert all(np.abs(row - texts).max(axis=1).min() < TOLERANCE for a in kept.values() for row in a._texts)
    assert kept[0].notes() == {"texts_in_memory": 50}


def test_blocks_do_not_show():
    texts, images = random_rows(10_000, 4, 3), random_rows(1000, 4, 4)
    aligner = fitted("decap-memory", captions(texts, texts), top=5)
    some = [0, 418, 419, 420, 838, 999]
    np.testing.assert_allclose(aligner.images(images)[some], aligner.images(images[some]), atol=TOLERANCE)
