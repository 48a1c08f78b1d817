"""Copies of an image: halves stay halves, choices are made on other images, and an image counts once."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import caption_pairs, caption_split, class_split

from gapbench.bench.fitdata import FitRows
from gapbench.bench.fitting import set_apart
from gapbench.bench.protocol import copies, fit_and_test, halves
from gapbench.components import Measurement, Texts
from gapbench.joint import p_of_all
from gapbench.model.study import Protocol
from gapbench.results.outcomes import Block, clustered, pack
from gapbench.stats import interval, wilson


def repeated(split, times):
    rows = np.repeat(np.arange(len(split.images)), times)
    return replace(split, images=split.images[rows], labels=split.labels[rows])


@pytest.mark.parametrize("times", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_a_source_with_copies_is_halved_by_image(times, seed):
    split = repeated(class_split(n=60), times)
    cut = halves(split, seed)
    assert len(cut.fit.images) == len(cut.test.images) == 30 * times
    fitted, scored = (np.unique(part.images[:], axis=0) for part in (cut.fit, cut.test))
    assert len(fitted) == len(scored) == 30
    assert not (fitted[:, None] == scored[None]).all(axis=2).any()
    assert cut.counts.scored_copies == 30 * (times - 1)


def test_the_size_of_a_group_does_not_decide_where_it_goes():
    split = class_split(n=60)
    rows = np.concatenate([np.arange(60), np.repeat(np.arange(10), 4)])  # ten images are there five times
    split = replace(split, images=split.images[rows], labels=split.labels[rows])
    large = split.images[:10]
    found = [
        np.mean([(one == halves(split, seed).test.images[:]).all(axis=1).any() for one in large]) for seed in range(60)
    ]
    assert 0.35 < np.mean(found) < 0.65


def test_images_that_differ_in_their_norm_alone_are_copies():
    split = class_split(n=40)
    both = replace(split, images=np.concatenate([split.images, 2 * split.images]), labels=np.tile(split.labels, 2))
    assert np.array_equal(copies(both)[:40], copies(both)[40:])
    cut = halves(both, 0)
    units = [part.images[:] / np.linalg.norm(part.images[:], axis=1, keepdims=True) for part in (cut.fit, cut.test)]
    assert not np.isclose(units[0][:, None], units[1][None], atol=1e-7).all(axis=2).any()
    train = replace(split, images=4 * split.images[:10], labels=split.labels[:10])
    left = fit_and_test(
        Protocol(name="held-out"),
        0,
        split,
        replace(split, images=np.concatenate([train.images, 1 - split.images]), labels=np.tile(split.labels, 2)[:50]),
    )
    assert left.counts.left_out == 10


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_validation_slice_shares_no_image_with_the_rest(times):
    fit = FitRows(repeated(class_split(n=50), times), captioned=False, raw=False)
    rest, validation = set_apart(fit, 0)
    assert len(validation.split.images) == 10 * times
    assert not (rest.split.images[:][:, None] == validation.split.images[:][None]).all(axis=2).any()


def test_one_large_group_is_not_split_by_validation():
    split = class_split(n=4)
    split = replace(split, images=split.images[[0] * 30 + [1] * 20], labels=np.zeros(50, dtype=np.int64))
    rest, validation = set_apart(FitRows(split, captioned=False, raw=False), 0)
    assert sorted([len(rest.split.images), len(validation.split.images)]) == [20, 30]


def test_captions_stay_with_copies_of_their_image():
    images, texts = caption_pairs(n=30)
    split = caption_split(np.repeat(images, 2, axis=0), np.repeat(texts, 2, axis=0))
    assert isinstance(split.captions, Texts)
    cut = halves(split, 1)
    assert len(cut.test.images) == 30
    assert cut.counts.scored_copies == 15


def test_intervals_and_tests_take_an_image_and_its_copies_for_one():
    """Copies of outcomes that agree give what the images alone give, or nearly: not what so many more images would."""
    rng = np.random.default_rng(0)
    one, other = (
        Measurement(value=float(hits.mean()), n=100, outcomes=hits)
        for hits in (rng.random(100) < 0.7, rng.random(100) < 0.5)
    )
    clusters = np.repeat(np.arange(100), 5)
    many = [Measurement(value=m.value, n=500, outcomes=np.repeat(m.outcomes, 5)) for m in (one, other)]
    found = [clustered(m, clusters) for m in many]
    for m, grouped in zip((one, other), found, strict=True):
        assert len(grouped.outcomes) == 100
        assert grouped.outcomes.mean() == pytest.approx(m.value)
        assert interval(grouped, "share") == pytest.approx(wilson(int(m.outcomes.sum()), 100), abs=0.005)
    p = p_of_all([[m] for m in found], shared=True)[0, 1]
    assert p == pytest.approx(p_of_all([[one], [other]], shared=True)[0, 1], rel=0.5)
    assert p > 20 * p_of_all([[m] for m in many], shared=True)[0, 1]


def test_copies_of_different_number_keep_the_mean():
    outcomes = np.array([True, True, False, True, False, False])
    found = clustered(Measurement(value=0.5, n=6, outcomes=outcomes), np.array([0, 0, 0, 1, 2, 2]))
    assert found.outcomes.tolist() == [1.0, 0.5, 0.0]
    other = Measurement(value=0.5, n=4, outcomes=outcomes[:4])
    assert clustered(other, np.array([0, 0, 1])) is other  # not the outcomes of all images


def test_outcomes_are_kept_image_by_image_and_read_together():
    from gapbench.model.record import MetricValue

    outcomes = np.array([True, False, True, True])
    value = MetricValue(value=0.75, ci95=None, n=4, distribution="gapbench")
    content = pack({"top1": Measurement(value=0.75, n=4, outcomes=outcomes)}, None, None, np.array([0, 0, 1, 2]))
    block = Block(content, "there")
    assert block.bits("top1", 4).tolist() == outcomes.tolist()
    assert block.measurement("top1", value).outcomes.tolist() == [0.75, 0.75, 0.75]
