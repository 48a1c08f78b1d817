"""Keys of items, and the one order in which everything is drawn."""

from dataclasses import replace

import numpy as np
from helpers import ToyMaterials, caption_pairs, caption_split, class_split
from hypothesis import given
from hypothesis import strategies as st

from gapbench.bench.sample import draw
from gapbench.components import Texts
from gapbench.embeddings.items import Items, round_robin, row_keys, string_keys
from gapbench.testing.toys import reordered


def test_a_row_is_known_by_its_values_alone():
    rows, _ = caption_pairs(n=20, d=6)
    keys = row_keys(rows)
    assert len(set(keys.tolist())) == 20
    np.testing.assert_array_equal(row_keys(np.asfortranarray(rows)), keys)
    np.testing.assert_array_equal(row_keys(rows.astype(">f4")), keys)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(row_keys(rows[order]), keys[order])
    np.testing.assert_array_equal(
        row_keys(np.float32([[0.0, 1.0], [-0.0, 1.0]]))[:1], row_keys(np.float32([[-0.0, 1.0]]))
    )
    assert row_keys(np.nextafter(rows[:1], 2))[0] != keys[0]


def test_keys_are_the_same_on_every_machine():
    assert string_keys(["a red square", "é", "\ud800"]).tolist() == [
        1333863485903268386, 14635220546840893743, 4758185216457903464,
    ]  # fmt: skip
    assert row_keys(np.float32([[1, 2, 3]])).tolist() == [5453520352978796354]


@given(seed=st.integers(0, 100), n=st.integers(2, 40))
def test_the_order_follows_the_items_not_the_file(seed, n):
    x, y = caption_pairs(n=n, d=3, seed=seed)
    for split in (caption_split(x, y), class_split(n_classes=2, d=3, n=n, seed=seed)):
        captioned = split.captions is not None
        order = np.random.default_rng(seed).permutation(n)
        other = reordered(split, order)
        one, two = Items(split, captioned=captioned), Items(other, captioned=captioned)
        np.testing.assert_array_equal(split.images[one.order], other.images[two.order])
        texts = [s.captions or s.prompts for s in (split, other)]
        np.testing.assert_array_equal(texts[0].rows[one.text_order], texts[1].rows[two.text_order])
        assert one.fingerprint == two.fingerprint


def test_equal_images_are_told_apart_by_their_captions_or_classes():
    x, y = caption_pairs(n=12, d=3)
    x[:] = x[0]
    order = np.random.default_rng(1).permutation(12)
    split = caption_split(x, y)
    for one, other, rows in (
        (split, reordered(split, order), lambda s, i: s.captions.rows[i]),
        (
            replace(class_split(n_classes=3, d=3, n=12), images=x),
            reordered(replace(class_split(n_classes=3, d=3, n=12), images=x), order),
            lambda s, i: s.labels[i],
        ),
    ):
        captioned = one.captions is not None
        drawn = [rows(s, Items(s, captioned=captioned).order) for s in (one, other)]
        np.testing.assert_array_equal(*drawn)


def test_groups_are_as_even_as_copies_allow():
    keys = np.random.default_rng(0).integers(0, 2**63, 250).astype(np.uint64)
    assert np.bincount(round_robin(keys, 100)).tolist() == [3] * 50 + [2] * 50
    twice = np.concatenate([keys, keys])
    groups = round_robin(twice, 100)
    np.testing.assert_array_equal(groups[:250], groups[250:])
    assert round_robin(keys[:7], 100).max() == 6
    assert round_robin(np.repeat(keys[:2], 50), 100).max() == 1


def test_a_sample_has_one_caption_of_each_image_that_has_any():
    owner = np.array([4, 2, 2, 4, 0])
    found = draw(
        np.array([3, 2, 4, 1, 0]), np.array([3, 2, 0, 1, 4]), owner, None, np.arange(5, dtype=np.uint64), captioned=True
    )
    assert found.index.tolist() == [2, 4, 0]
    assert found.text_index.tolist() == [2, 3, 4]
    assert found.labels is None


def test_pictures_and_strings_are_known_by_their_own_hashes(tmp_path):
    materials = ToyMaterials(tmp_path)
    split = materials.embed()
    hashes = materials.toys["toys"].split("test").item_hashes
    np.testing.assert_array_equal(split.keys, string_keys(hashes))
    np.testing.assert_array_equal(split.captions.keys, string_keys(split.captions.strings))
    again = ToyMaterials(tmp_path)  # from what was remembered
    np.testing.assert_array_equal(again.embed().keys, split.keys)
    other = replace(
        split, captions=Texts(rows=split.captions.rows[:] + 1, owner=split.captions.owner, keys=split.captions.keys)
    )
    moved = replace(other, images=split.images[:] + 1)
    np.testing.assert_array_equal(Items(moved, captioned=True).order, Items(split, captioned=True).order)
