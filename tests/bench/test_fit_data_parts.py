"""What fit data hold besides rows: blocks, names, strings, context."""

import dataclasses

import numpy as np
import pytest

import gapbench
from gapbench.bench import fitdata
from gapbench.bench.fitdata import FitRows, GuardedFitData
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import DataError, UndeclaredData
from gapbench.specs import Need
from gapbench.testing import two_cones

SPEC = gapbench.AlignerSpec(
    name="reads", factory="x:y", summary="", family="mean", needs=frozenset(Need), acts_on=gapbench.ActsOn.IMAGES
)


def data_of(split, needs=frozenset(Need)):
    rows = FitRows(split, captioned=split.captions is not None, raw=False)
    spec = dataclasses.replace(SPEC, needs=frozenset(needs))
    return GuardedFitData(spec, rows, np.random.default_rng(0), validation=rows)


@pytest.mark.parametrize("mode", ["captions", "prompts"])
def test_blocks_are_the_whole_in_the_same_order(mode, monkeypatch):
    monkeypatch.setattr(fitdata, "BLOCK_ROWS", 7)
    data = data_of(getattr(two_cones(33, 5), mode)())
    assert np.array_equal(np.concatenate(list(data.image_blocks())), data.images)
    assert np.array_equal(np.concatenate(list(data.text_blocks())), data.texts)
    for side in (0, 1):
        assert np.array_equal(np.concatenate([pair[side] for pair in data.pair_blocks()]), data.pairs[side])
    assert max(len(block) for block in data.image_blocks()) == 7
    assert np.array_equal(np.concatenate(list(data.validation.image_blocks())), data.validation.images)


@pytest.mark.parametrize(
    ("read", "need"),
    [
        (lambda data: next(data.image_blocks()), "UNPAIRED_IMAGES"),
        (lambda data: next(data.text_blocks()), "UNPAIRED_TEXTS"),
        (lambda data: next(data.pair_blocks()), "PAIRS"),
        (lambda data: data.class_names, "CLASS_NAMES"),
        (lambda data: data.caption_strings, "CAPTION_STRINGS"),
    ],
)
def test_each_part_has_to_be_declared(read, need):
    with pytest.raises(UndeclaredData, match=rf"add Need\.{need} to"):
        read(data_of(two_cones().captions(), needs=set(Need) - {Need[need]}))


def test_strings_go_with_the_rows():
    cones = two_cones(30, 5)
    names = [f"caption {row}" for row in range(30)]
    rows = EmbeddedSplit(
        images=cones.images,
        fingerprint="x",
        captions=Texts(rows=cones.texts, owner=np.arange(30), strings=names),
        classes=cones.names,
        labels=cones.labels,
    )
    data = data_of(rows)
    assert data.class_names == cones.names
    unit = cones.texts / np.linalg.norm(cones.texts, axis=1, keepdims=True)
    for string, row in zip(data.caption_strings, data.texts, strict=True):
        assert np.allclose(unit[int(string.split()[1])], row, atol=1e-6)
    with pytest.raises(DataError, match="have no strings"):
        _ = data_of(cones.captions()).caption_strings


class Reader:
    """Reads all that is new, in a process of its own, and notes it."""

    def fit(self, data):
        blocks = np.concatenate(list(data.image_blocks()))
        self.read = {
            "device": data.context.device,
            "dtype": data.context.dtype,
            "torch": str(data.context.torch_device()),
            "blocks": bool(np.array_equal(blocks, data.images)),
            "dims": f"{data.image_dim} {data.text_dim} {data.dim}",
            "first": data.caption_strings[0],
            "captions": len(data.caption_strings),
        }
        return self

    def images(self, x):
        return x + np.float32(0.1)

    def notes(self):
        return self.read


class Plugin:
    @staticmethod
    @gapbench.hookimpl
    def gapbench_aligners():
        needs = frozenset({Need.UNPAIRED_IMAGES, Need.CAPTION_STRINGS})
        return [dataclasses.replace(SPEC, factory="tests.bench.test_fit_data_parts:Reader", needs=needs)]


@pytest.mark.parametrize("in_process", [False, True])
def test_all_of_it_reaches_a_room(tmp_path, in_process):
    rng = np.random.default_rng(0)
    path, n = tmp_path / "e.npz", 40
    arrays = {side: rng.standard_normal((n, 6)).astype("f4") for side in ("image", "text")}
    np.savez(path, **arrays, pair=np.arange(n), names=np.array([f"caption {row}" for row in range(n)]))
    options = {"datasets": [f"embeddings:{path}"], "metrics": ["centroid-l2"], "plugins": [Plugin], "device": "cpu"}
    found = gapbench.run(aligners=["identity", "reads"], in_process=in_process, **options)
    assert not found.failed, [record.reason for record in found.failed]
    notes = found.records[1].notes
    assert (notes["device"], notes["dtype"], notes["torch"], notes["blocks"]) == ("cpu", "float32", "cpu", True)
    assert (notes["dims"], notes["captions"]) == ("6 6 6", 20)
    assert notes["first"].startswith("caption ")


def test_captions_are_wanted_where_class_prompts_are_scored():
    found = gapbench.run(datasets=["digits"], aligners=["identity", "reads"], prompts=["photo"], plugins=[Plugin])
    assert any("captions themselves, but class prompts are scored" in reason for _, reason in found.skipped)
