"""Protocols: who is fitted on what, and what an aligner may see."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.bench.protocol import copies, depends_on_seed, draw, draw_shots, fit_and_test, halves, subset
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.arrays import unit_rows
from gapbench.errors import DataError, UndeclaredData
from gapbench.model.record import ItemCounts
from gapbench.model.study import Protocol
from gapbench.specs import ActsOn, AlignerSpec, Need
from gapbench.testing.toys import in_file_order


def captioned(n=12, d=3, seed=0):
    rng = np.random.default_rng(seed)
    owner = np.sort(rng.integers(0, n, 2 * n))
    return EmbeddedSplit(
        images=rng.normal(size=(n, d)).astype(np.float32),
        fingerprint=f"f{seed}",
        captions=Texts(rows=rng.normal(size=(2 * n, d)).astype(np.float32), owner=owner),
    )


def classed(n=30, d=4, classes=3):
    rng = np.random.default_rng(1)
    return EmbeddedSplit(
        images=rng.normal(size=(n, d)).astype(np.float32),
        fingerprint="g",
        classes=tuple("abc"[:classes]),
        labels=np.arange(n) % classes,
        prompts=Texts(
            rows=rng.normal(size=(2 * classes, d)).astype(np.float32), owner=np.repeat(np.arange(classes), 2)
        ),
    )


@given(n=st.integers(2, 40), seed=st.integers(0, 5))
@settings(deadline=None)
def test_halves_share_no_image_and_no_caption(n, seed):
    split = captioned(n)
    cut = halves(split, seed)
    fit, test = cut.fit, cut.test
    everything = np.concatenate([fit.images[:], test.images[:]])
    np.testing.assert_array_equal(np.sort(everything, axis=0), np.sort(split.images, axis=0))
    assert len(fit.captions.rows) + len(test.captions.rows) == 2 * n
    for part in (fit, test):
        for row, owner in zip(part.captions.rows[:], part.captions.owner, strict=True):
            original = int(np.flatnonzero((split.captions.rows == row).all(axis=1))[0])
            np.testing.assert_array_equal(
                part.images[np.array([owner])][0], split.images[split.captions.owner[original]]
            )


def test_subsets_depend_on_the_seed_and_on_nothing_else():
    split = classed()
    one, same, other = draw(split, 10, 0), draw(split, 10, 0), draw(split, 10, 1)
    np.testing.assert_array_equal(one.images[:], same.images[:])
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert draw(split, 30, 0) is split


def test_held_out_and_in_sample():
    test, train = classed(), captioned()
    cut = fit_and_test(Protocol(name="held-out"), 0, test, replace(train, images=train.images @ np.eye(3, 4)))
    assert (len(cut.fit.images), len(cut.test.images), cut.seen) == (12, 30, None)
    cut = fit_and_test(Protocol(name="in-sample", fit_size=5), 0, test, None)
    assert (len(cut.fit.images), len(cut.test.images)) == (5, 30)
    assert cut.seen.tolist() == [any((row == fitted).all() for fitted in cut.fit.images[:]) for row in test.images]
    assert not depends_on_seed(Protocol(name="held-out"), 100, has_train=True)
    assert depends_on_seed(Protocol(name="held-out"), None, has_train=False)
    assert depends_on_seed(Protocol(name="held-out", fit_size=50), 100, has_train=True)
    assert not depends_on_seed(Protocol(name="in-sample", fit_size=None), 100, has_train=False)


def with_copies(n=40, seed=3):
    """Forty images, of which 3, 7 and 20 are one, and 5 and 31 another."""
    split = classed(n)
    images, labels = split.images.copy(), split.labels.copy()
    for first, *others in ((3, 7, 20), (5, 31)):
        images[others], labels[others] = images[first], labels[first]
    return replace(split, images=images, labels=labels)


@pytest.mark.parametrize("seed", range(12))
def test_copies_stay_in_one_half_and_are_counted(seed):
    cut = halves(with_copies(), seed)
    fitted, scored = ({row.tobytes() for row in part.images[:]} for part in (cut.fit, cut.test))
    assert not fitted & scored
    assert len(cut.fit.images) + len(cut.test.images) == 40
    assert cut.counts == ItemCounts(
        fitted=len(cut.fit.images),
        scored=len(cut.test.images),
        repeated=5,
        scored_copies=len(cut.test.images) - len(scored),
    )
    assert abs(len(cut.fit.images) - 20) <= 3


def test_pictures_that_are_copies_stay_together_although_their_embeddings_differ_in_a_bit():
    split = replace(classed(40), keys=np.arange(40, dtype=np.uint64))
    split.keys[[8, 30]] = 7
    assert np.unique(copies(split)[[7, 8, 30]]).size == 1
    for seed in range(8):
        cut = halves(split, seed)
        assert sorted(np.isin([7], cut.fit.keys).tolist() + np.isin([7], cut.test.keys).tolist()) == [False, True]
        assert cut.repeated == 3


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_items_decides_nothing(seed):
    split = with_copies()
    order = np.random.default_rng(seed).permutation(40)
    other = replace(split, images=split.images[order], labels=split.labels[order], fingerprint="another order")
    for cut_of in (
        lambda one: halves(one, seed).fit,
        lambda one: halves(one, seed).test,
        lambda one: draw(one, 11, seed),
        lambda one: draw_shots(one, 2, seed),
    ):
        mine, theirs = (sorted(row.tobytes() for row in cut_of(one).images[:]) for one in (split, other))
        assert mine == theirs


def test_without_copies_halves_are_halves():
    for n in (2, 3, 30, 31):
        found = halves(classed(n), 0).counts
        assert (found.fitted, found.scored, found.repeated) == (n // 2, n - n // 2, 0)


def test_an_image_that_is_most_of_a_set_leaves_the_others_to_fit_on():
    split = classed(30)
    images = split.images.copy()
    images[4:] = images[4]
    cut = halves(replace(split, images=images), 0)
    assert {len(cut.fit.images), len(cut.test.images)} <= {4, 26, 27, 28, 29, 1, 2, 3}
    assert min(len(cut.fit.images), len(cut.test.images)) >= 1


def test_images_that_are_all_one_cannot_be_halved():
    split = classed(30)
    with pytest.raises(DataError, match=r"copies of one, bit by bit.*in-sample"):
        halves(replace(split, images=np.ones_like(split.images)), 0)


def test_what_is_scored_leaves_the_fit_split():
    test, train = classed(30), classed(12)
    images = np.random.default_rng(9).normal(size=(12, 4)).astype(np.float32)
    images[[2, 9]] = test.images[[5, 5]]
    images[4] = -0.0 * images[4]
    cut = fit_and_test(Protocol(name="held-out"), 0, test, replace(train, images=images, fingerprint="t"))
    assert cut.counts == ItemCounts(fitted=10, scored=30, left_out=2)
    np.testing.assert_array_equal(cut.fit.images[:], np.delete(images, [2, 9], axis=0))
    with pytest.raises(DataError, match="All 30 images of the training split are scored as well"):
        fit_and_test(Protocol(name="held-out"), 0, test, replace(test, fingerprint="t"))


def test_cut_texts_are_counted_where_they_are_scored():
    split = captioned()
    cut = np.arange(24) % 2 == 0
    captions = replace(split.captions, cut=cut)
    found = halves(replace(split, captions=captions), 0)
    assert found.counts.cut_texts == np.count_nonzero(found.test.captions.cut)
    assert 0 < found.counts.cut_texts < 12
    prompted = classed()
    both = replace(prompted, prompts=replace(prompted.prompts, cut=np.arange(6) < 1), captions=captions)
    assert halves(both, 0).counts.cut_texts == 1  # captions may be fitted on, and are not scored here
    assert halves(classed(), 0).counts.cut_texts == 0


def test_in_sample_copies_of_what_was_fitted_on_are_seen():
    split = with_copies()
    for seed in range(6):
        cut = fit_and_test(Protocol(name="in-sample", fit_size=10), seed, split, None)
        fitted = {row.tobytes() for row in cut.fit.images[:]}
        assert cut.seen.tolist() == [row.tobytes() in fitted for row in split.images]
        assert cut.counts.seen == cut.seen.sum() >= 10


def guarded(*needs, split=None, raw=False, captions=False):
    spec = AlignerSpec(
        name="a", factory="m:A", summary="", family="", needs=frozenset(needs), acts_on=ActsOn.BOTH, raw=raw
    )
    return GuardedFitData(spec, FitRows(split or classed(), captioned=captions, raw=raw), np.random.default_rng(0))


READS = {
    "images": Need.UNPAIRED_IMAGES,
    "texts": Need.UNPAIRED_TEXTS,
    "pairs": Need.PAIRS,
    "labels": Need.LABELS,
    "class_texts": Need.CLASS_TEXTS,
    "validation": Need.VALIDATION,
    "test_images": Need.TEST_IMAGES,
    "test_texts": Need.TEST_TEXTS,
}


@pytest.mark.parametrize("name", READS)
def test_nothing_can_be_read_without_declaring_it(name):
    others = [need for need in Need if need is not READS[name]]
    with pytest.raises(UndeclaredData, match=name):
        getattr(guarded(*others), name)


@pytest.mark.parametrize(
    ("part", "need"),
    [("images", Need.UNPAIRED_IMAGES), ("texts", Need.UNPAIRED_TEXTS), ("pairs", Need.PAIRS), ("classes", Need.LABELS)],
)
def test_moments_obey_the_same_declarations(part, need):
    assert getattr(guarded(need).moments, part) is not None
    with pytest.raises(UndeclaredData, match=part):
        getattr(guarded(*[other for other in Need if other is not need]).moments, part)


def test_what_is_declared_is_given_as_read_only_unit_rows():
    split = in_file_order(classed())
    data = guarded(Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS, Need.PAIRS, Need.LABELS, Need.CLASS_TEXTS, split=split)
    np.testing.assert_allclose(data.images, unit_rows(split.images), atol=1e-7)
    prototypes = unit_rows(unit_rows(split.prompts.rows[:]).reshape(3, 2, 4).mean(axis=1))
    np.testing.assert_allclose(data.texts, prototypes, atol=1e-6)
    np.testing.assert_allclose(data.pairs[1], prototypes[split.labels], atol=1e-6)
    np.testing.assert_allclose(data.moments.pairs.cross, data.pairs[0].T @ data.pairs[1], atol=1e-4)
    for array in (data.images, data.texts, *data.pairs, data.labels, data.class_texts):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_raw_rows_are_those_of_the_encoder():
    split = in_file_order(classed())
    np.testing.assert_array_equal(guarded(Need.UNPAIRED_IMAGES, split=split, raw=True).images, split.images)


def test_pairs_of_captions_follow_their_owners():
    split = in_file_order(captioned())
    images, texts = guarded(Need.PAIRS, split=split, captions=True).pairs
    np.testing.assert_allclose(images, unit_rows(split.images)[split.captions.owner], atol=1e-6)
    np.testing.assert_allclose(texts, unit_rows(split.captions.rows), atol=1e-6)


def test_a_subset_reads_only_its_rows():
    split = classed()
    part = subset(split, np.array([3, 8]))
    np.testing.assert_array_equal(part.images[:], split.images[[3, 8]])
    assert part.labels.tolist() == [0, 2]
