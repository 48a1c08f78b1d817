"""Materials: what is kept, and what is encoded again, when the code of an encoder or a dataset changes."""

from types import MappingProxyType

import numpy as np
import pytest
from helpers import ToyMaterials

from gapbench.bench import agreement
from gapbench.errors import DataError, GapbenchWarning
from gapbench.host.registry import Component, Kind
from gapbench.host.selection import Selected
from gapbench.specs import EncoderSpec
from gapbench.testing.toys import ToyDataset, ToyEncoder

OLD, NEW, NEWER = "a" * 64, "b" * 64, "d" * 64

EITHER = "its code or that of the dataset"


class Counting(ToyEncoder):
    """Counts what it encodes; its images can be off by a factor, its texts by a shift."""

    def __init__(self, factor=1.0, shift=0.0):
        super().__init__()
        self.factor, self.shift, self.images, self.texts = factor, shift, 0, 0

    def encode_images(self, batch):
        self.images += len(batch)
        return super().encode_images(batch) * np.float32(self.factor)

    def encode_texts(self, texts):
        self.texts += len(texts)
        return super().encode_texts(texts) + np.float32(self.shift)


class Many(ToyDataset):
    """Has more pictures than a sample."""

    sizes = MappingProxyType({"train": 60, "test": 60})


def embedded(root, encoder, code):
    return ToyMaterials(root, encoder, Many(), code=code).embed()


def test_what_other_code_made_is_kept_where_a_sample_agrees(tmp_path):
    before = embedded(tmp_path, Counting(), OLD)
    encoder = Counting()
    with pytest.warns(GapbenchWarning) as told:
        after = embedded(tmp_path, encoder, NEW)
    texts = len(set(before.captions.strings))
    assert (encoder.images, encoder.texts) == (32, texts)
    assert [str(one.message) for one in told] == [
        f"Encoder toy: {EITHER} changed; 32 pictures of toys (test) encoded again are equal, and 60 stored embeddings are kept.",
        f"Encoder toy: its code changed; {texts} texts encoded again are equal, and {texts} stored embeddings are kept.",
    ]
    np.testing.assert_array_equal(after.images[:], before.images[:])


def test_that_a_sample_agreed_is_remembered(tmp_path):
    embedded(tmp_path, Counting(), OLD)
    with pytest.warns(GapbenchWarning):
        embedded(tmp_path, Counting(), NEW)
    for code in (OLD, NEW):
        encoder = Counting()
        embedded(tmp_path, encoder, code)  # and nothing is told: a warning is an error here
        assert (encoder.images, encoder.texts) == (0, 0)


@pytest.mark.parametrize(("change", "images", "texts"), [({"factor": -1}, True, False), ({"shift": 0.1}, False, True)])
def test_what_other_code_made_differently_is_encoded_again(tmp_path, change, images, texts):
    embedded(tmp_path, Counting(), OLD)
    with pytest.warns(GapbenchWarning) as told:
        after = embedded(tmp_path, Counting(**change), NEW)
    (tmp_path / "fresh").mkdir()
    true = embedded(tmp_path / "fresh", Counting(**change), NEW)
    np.testing.assert_array_equal(after.images[:], true.images[:])
    np.testing.assert_array_equal(after.captions.rows[:], true.captions.rows[:])
    sentences = [str(one.message) for one in told]
    assert ["all 60 are encoded again" in sentences[0], "are encoded again" in sentences[1]] == [images, texts]


def test_the_rows_of_the_old_code_stay_for_the_old_code(tmp_path):
    before = np.array(embedded(tmp_path, Counting(), OLD).images[:])
    with pytest.warns(GapbenchWarning):
        embedded(tmp_path, Counting(factor=2), NEW)
    encoder = Counting()
    np.testing.assert_array_equal(embedded(tmp_path, encoder, OLD).images[:], before)
    assert encoder.images == 0


@pytest.mark.parametrize(("factor", "kept"), [(1 + 1e-6, True), (1 + 1e-3, False)])
def test_equal_means_equal_up_to_rounding(tmp_path, factor, kept):
    embedded(tmp_path, Counting(), OLD)
    encoder = Counting(factor=factor)
    with pytest.warns(GapbenchWarning):
        embedded(tmp_path, encoder, NEW)
    assert encoder.images == (32 if kept else 32 + 60)


def test_unknown_code_is_sampled_at_every_run_and_remembers_nothing(tmp_path):
    before = embedded(tmp_path, Counting(), "")
    assert not (tmp_path / "store" / "memo").exists()
    for _ in range(2):
        encoder = Counting()
        with pytest.warns(GapbenchWarning, match="code .*cannot be told"):
            embedded(tmp_path, encoder, "")
        assert encoder.images == 32
    with pytest.warns(GapbenchWarning) as told:
        after = embedded(tmp_path, Counting(factor=2), "")
    assert "all 60 are encoded again" in str(told[0].message)
    np.testing.assert_array_equal(after.images[:], 2 * before.images[:])


def test_a_dataset_whose_code_changed_is_read_again(tmp_path):
    class Turned(Many):
        def split(self, name):
            split = super().split(name)
            split.labels[:] = np.roll(split.labels, 1)
            return split

    before = embedded(tmp_path, Counting(), OLD)
    with pytest.warns(GapbenchWarning):
        after = ToyMaterials(tmp_path, Counting(), Turned(), code=NEW).embed()
    assert after.labels.tolist() == np.roll(before.labels, 1).tolist()
    assert after.fingerprint != before.fingerprint


def test_other_labels_need_no_other_embeddings(tmp_path):
    embedded(tmp_path, Counting(), OLD)
    dataset, encoder = Many(), Counting()
    plain = dataset.split
    dataset.split = lambda name: _relabelled(plain(name))
    (tmp_path / "source").write_text("changed")
    ToyMaterials(tmp_path, encoder, dataset, code=OLD).embed()
    assert encoder.images == 0


def _relabelled(split):
    split.labels[:] = np.roll(split.labels, 1)
    return split


def test_a_split_that_changed_unnoticed_is_an_error_once(tmp_path):
    dataset = Many()
    materials = ToyMaterials(tmp_path, Counting(), dataset, code=OLD)
    materials.known_manifest(materials.toy_dataset, "test")
    plain = dataset.split
    dataset.split = lambda name: _relabelled(plain(name))
    with pytest.raises(DataError, match="is not what it was when it was read before; run again"):
        materials.embed()
    ToyMaterials(tmp_path, Counting(), dataset, code=OLD).embed()


def test_two_encoders_of_one_identity_share_what_is_stored(tmp_path):
    embedded(tmp_path, Counting(), OLD)
    twin = Counting()
    materials = ToyMaterials(tmp_path, twin, Many(), code=OLD)
    materials.toys["twin"] = twin
    spec = EncoderSpec(name="twin", factory="toys:Encoder", summary="Toy.")
    materials.toy_encoder = Selected(Component(Kind.ENCODER, spec, materials.origin))
    materials.embed()
    assert (twin.images, twin.texts) == (0, 0)


def test_rows_of_another_width_differ():
    assert "have another shape" in agreement.sentence(
        "toy", "texts", [agreement.Comparison(_Entry, 3, float("inf"), agrees=False)], NEWER
    )


class _Entry:
    n, code = 3, OLD
