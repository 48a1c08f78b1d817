"""Numbers whose spread is easily told too small: small classes, gains near the edges, shared captions, two seeds."""

from types import SimpleNamespace

import numpy as np
import pytest

from gapbench.builtin.metrics.grouping import AdjustedRand, NormalisedInformation, VMeasure
from gapbench.builtin.metrics.mixed_search import SameModalityShare
from gapbench.builtin.metrics.neighbourhoods import MutualNeighbours
from gapbench.builtin.metrics.tasks import MeanPerClassRecall
from gapbench.components import EmbeddedSplit, Measurement, Texts
from gapbench.joint import joint, p_of_all
from gapbench.stats import interval, paired_p
from gapbench.testing.metric_checks import scored


def per_class(right, labels):
    answers = np.where(right, labels, -1)[:, None]
    return MeanPerClassRecall().measure(SimpleNamespace(labels=labels, top_classes=lambda _k: answers))


def test_means_over_classes_have_the_unbiased_spread_within_classes():
    labels = np.repeat(np.arange(4), (3, 8, 20, 9))
    right = np.random.default_rng(0).random(40) < 0.7
    found = per_class(right, labels)
    own = [right[labels == c].astype(float) for c in range(4)]
    assert found.value == pytest.approx(np.mean([one.mean() for one in own]))
    assert found.outcomes.mean() == pytest.approx(found.value)
    variance = sum(one.var(ddof=1) / len(one) for one in own) / 16  # of a stratified mean
    assert np.sum((found.outcomes - found.value) ** 2) / 40**2 == pytest.approx(variance)


def test_classes_of_one_image_are_no_certainty():
    labels = np.concatenate([np.arange(30), [0]])
    right = np.arange(31) % 2 == 0
    found = per_class(right, labels)
    assert found.outcomes.mean() == pytest.approx(found.value)
    low, high = interval(found, "share")
    assert 0.2 < high - low < 0.5  # that of thirty tosses of a coin is 0.35 wide
    alone = per_class(np.array([True, True, False, True, True]), np.array([0, 0, 0, 0, 1]))
    assert alone.outcomes.mean() == pytest.approx(alone.value) == 0.875


def test_few_differing_images_of_small_classes_are_no_certainty():
    labels = np.concatenate([np.arange(100), np.repeat(np.arange(100, 120), 3)])
    base = np.random.default_rng(0).random(160) < 0.7
    other = base.copy()
    other[np.flatnonzero(~base)[:4]] = True
    assert paired_p(per_class(base, labels), per_class(other, labels)) > 0.02  # four tosses alike have 0.125


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_gains_that_are_all_alike_have_an_interval(edge):
    found = Measurement(value=edge, n=250, outcomes=np.full(250, edge))
    low, high = interval(found, "ratio")
    assert 0.01 < high - low < 0.03  # three in 250 are 0.012
    assert low - 1e-12 <= edge <= high + 1e-12


def test_clusters_have_neither_interval_nor_test():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    centres = rng.normal(size=(3, 8))
    split = EmbeddedSplit(
        images=(centres[labels] + 0.3 * rng.normal(size=(60, 8))).astype(np.float32),
        fingerprint="f",
        classes=("a", "b", "c"),
        labels=labels,
        prompts=Texts(rows=centres.astype(np.float32), owner=np.arange(3)),
    )
    for metric in (VMeasure(), NormalisedInformation(), AdjustedRand()):
        found = metric.measure(scored(split))
        assert 0.5 < found.value <= 1
        assert found.outcomes is found.jackknife is found.ci95 is None


def pairs(n=120, seed=0):
    rng = np.random.default_rng(seed)
    core = rng.normal(size=(n, 6))
    images = (core + 0.5 * rng.normal(size=(n, 6)) + 0.5).astype(np.float32)
    texts = (np.repeat(core, 2, axis=0) + 0.5 * rng.normal(size=(2 * n, 6)) - 0.5).astype(np.float32)
    return EmbeddedSplit(images=images, fingerprint="f", captions=Texts(rows=texts, owner=np.repeat(np.arange(n), 2)))


@pytest.mark.parametrize("metric", [MutualNeighbours(), SameModalityShare()])
def test_items_that_are_each_others_candidates_are_left_out_on_both_sides(metric):
    """The jackknife's values are those of smaller worlds, measured anew."""
    split = pairs()
    data = scored(split)
    found = metric.measure(data)
    groups = data.groups if isinstance(metric, MutualNeighbours) else data.groups % 25
    assert len(found.jackknife) == groups.max() + 1
    for group in (0, 7):
        rows = np.flatnonzero(groups != group)
        kept = np.isin(split.captions.owner, rows)
        owner = np.searchsorted(rows, split.captions.owner[kept])
        smaller = EmbeddedSplit(
            images=split.images[rows], fingerprint="g", captions=Texts(rows=split.captions.rows[kept], owner=owner)
        )
        assert found.jackknife[group] == pytest.approx(metric.measure(scored(smaller)).value, abs=1e-9)


def test_two_seeds_that_agree_by_chance_are_no_certainty():
    """Shares of captions lie on a lattice, as counts do: differences of two seeds are often equal."""
    rng = np.random.default_rng(0)
    n, each = 50, 2
    rows = []
    for share in (0.5, 0.6):
        row = []
        for _ in range(2):
            right = np.zeros(n * each, dtype=bool)
            right[rng.permutation(n * each)[: round(share * n * each)]] = True  # each seed finds as many
            outcomes = right.reshape(n, each).mean(axis=1)
            row.append(Measurement(value=float(outcomes.mean()), n=n * each, outcomes=outcomes))
        rows.append(row)
    together = joint(rows, shared=True)
    assert together.counted == n * each
    assert np.diag(together.fits).tolist() == [0.0, 0.0]
    assert p_of_all(rows, shared=True)[0, 1] > 0.05
    real = [[Measurement(value=one.value + 1e-3, n=one.n, outcomes=one.outcomes + 1e-3) for one in row] for row in rows]
    assert joint(real, shared=True).counted == 0


@pytest.mark.parametrize("seed", range(4))
def test_captions_that_images_share_are_ranked_alike_in_any_order(seed):
    rng = np.random.default_rng(seed)
    split = pairs(40, seed)
    rows = split.captions.rows.copy()
    rows[1:57:4] = rows[4:60:4]  # some captions are word for word those of another image
    rows[3:60:8] = rows[20]
    split = EmbeddedSplit(images=split.images, fingerprint="f", captions=Texts(rows=rows, owner=split.captions.owner))
    images, texts = rng.permutation(40), rng.permutation(80)
    place = np.argsort(images)
    other = EmbeddedSplit(
        images=split.images[images],
        fingerprint="f",
        captions=Texts(rows=rows[texts], owner=place[split.captions.owner[texts]]),
    )
    one, two = scored(split), scored(other)
    np.testing.assert_array_equal(one.image_to_text_ranks()[images], two.image_to_text_ranks())
    np.testing.assert_array_equal(one.text_to_image_ranks()[texts], two.text_to_image_ranks())
    np.testing.assert_array_equal(one.own_caption_ranks()[texts], two.own_caption_ranks())
