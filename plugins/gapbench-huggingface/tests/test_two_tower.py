"""Rows of two-tower models are those of the library, whatever the batch."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from gapbench_huggingface.two_tower import TwoTower
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_models import LENGTH, MAKERS

from gapbench import Context
from gapbench.errors import DataError, MissingAssetError, UsageError

KINDS = pytest.mark.parametrize("kind", MAKERS)
TEXTS = ("a red square", "blue", "", "a photo of a very long text " * 30, "something green on the left")


def pictures(n=5):
    rng = np.random.default_rng(0)
    sizes = [(16, 16), (40, 20), (9, 31), (64, 64), (3, 50)]
    return [Image.fromarray(rng.integers(0, 255, (*sizes[i % 5], 3), dtype=np.uint8)) for i in range(n)]


def encoder(folder, tmp_path, dtype="float32", **more):
    return TwoTower(Context(data_root=tmp_path, device="cpu", dtype=dtype, offline=True), str(folder), **more)


def encoded(one, images):
    return one.encode_images([one.prepare(image) for image in images])


def library_model(folder, kind):
    cls = transformers.BlipForImageTextRetrieval if kind == "blip-retrieval" else transformers.AutoModel
    return cls.from_pretrained(folder, dtype=torch.float32).eval()


def library_rows(folder, kind):
    """Ask the library itself, with the arguments that its documentation names for each model."""
    model, processor = library_model(folder, kind), transformers.AutoProcessor.from_pretrained(folder)
    said = {
        "siglip": {"padding": "max_length", "max_length": LENGTH, "truncation": True},
        "siglip2": {},
        "align": {"truncation": True},
        "altclip": {"padding": True, "truncation": True, "max_length": LENGTH},
    }.get(kind, {"padding": True, "truncation": True})
    texts = processor(text=list(TEXTS), return_tensors="pt", **said)
    images = processor.image_processor(images=pictures(), return_tensors="pt")
    with torch.inference_mode():
        if kind == "blip-retrieval":
            return retrieval_rows(model, images, texts)
        return [
            found.pooler_output.numpy()
            for found in (model.get_image_features(**images), model.get_text_features(**texts))
        ]


def retrieval_rows(model, images, texts):
    """What the model's own scores are products of."""
    from torch.nn.functional import normalize

    x = normalize(model.vision_proj(model.vision_model(**images).last_hidden_state[:, 0]), dim=-1)
    t = normalize(model.text_proj(model.text_encoder(**texts).last_hidden_state[:, 0]), dim=-1)
    scores = model(**texts, **images, use_itm_head=False).itm_score
    np.testing.assert_allclose(scores, x @ t.T, atol=1e-6)
    return x.numpy(), t.numpy()


@KINDS
def test_rows_are_those_of_the_library(model_folder, tmp_path, kind):
    folder = model_folder(kind)
    images, texts = library_rows(folder, kind)
    one = encoder(folder, tmp_path)
    assert np.ptp(images, axis=0).max() > 1e-3
    assert np.ptp(texts, axis=0).max() > 1e-3
    np.testing.assert_allclose(encoded(one, pictures()), images, atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(one.encode_texts(TEXTS), texts, atol=1e-6, rtol=1e-5)


@KINDS
def test_rows_do_not_depend_on_the_batch(model_folder, tmp_path, kind):
    one = encoder(model_folder(kind), tmp_path)
    texts = one.encode_texts(TEXTS)
    alone = np.concatenate([one.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(texts, alone, atol=1e-5, rtol=1e-4)
    images = encoded(one, pictures())
    np.testing.assert_allclose(images[::-1], encoded(one, pictures()[::-1]), atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(images[:1], encoded(one, pictures()[:1]), atol=1e-5, rtol=1e-4)


@KINDS
def test_texts_are_cut_where_the_model_stops_reading(model_folder, tmp_path, kind):
    one = encoder(model_folder(kind), tmp_path)
    length = one._loaded[2].length
    assert length == {"siglip2": 64, "align": 64}.get(kind, LENGTH)
    short, long, other = "abc", "a b c d " * 40, "a b c d " * 39 + "x y"
    read = one.cut_texts([short, long, other])
    assert read[0] == ""
    assert read[1] == read[2] != ""
    np.testing.assert_array_equal(*one.encode_texts([long, other]))
    assert len(read[1].split()) == length


def test_siglip_reads_padding_as_part_of_a_text(model_folder, tmp_path):
    """The test that its rows are the library's would pass without padding only if padding did not matter."""
    folder = model_folder("siglip")
    one = encoder(folder, tmp_path)
    processor, model = transformers.AutoProcessor.from_pretrained(folder), library_model(folder, "siglip")
    with torch.inference_mode():
        bare = model.get_text_features(**processor(text=["blue"], return_tensors="pt")).pooler_output.numpy()
    assert np.abs(bare - one.encode_texts(["blue"])).max() > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_other_types_are_computed_in_and_told_apart(model_folder, tmp_path, dtype):
    folder = model_folder("clip")
    full, half = encoder(folder, tmp_path), encoder(folder, tmp_path, dtype)
    assert half._loaded[0].dtype == getattr(torch, dtype)
    rows = encoded(half, pictures())
    assert rows.dtype == np.float32
    difference = np.abs(rows - encoded(full, pictures())).max()
    assert 0 < difference < 0.1
    assert half.identity() != full.identity()


def test_a_checkpoint_in_half_precision_is_computed_in_what_was_asked_for(model_folder, tmp_path):
    model, folder = library_model(model_folder("clip"), "clip"), tmp_path / "half"
    model.half().save_pretrained(folder)
    transformers.AutoProcessor.from_pretrained(model_folder("clip")).save_pretrained(folder)
    one = encoder(folder, tmp_path)
    assert one._loaded[0].dtype == torch.float32
    assert encoded(one, pictures()).dtype == np.float32


def copied(folder, target):
    shutil.copytree(folder, target)
    return target


def changed(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_identity_is_what_changes_rows(model_folder, tmp_path):
    folder = copied(model_folder("clip"), tmp_path / "copy")
    before = encoder(model_folder("clip"), tmp_path).identity()
    assert encoder(folder, tmp_path).identity() == before  # the name of the folder is not part of it
    changed(folder / "config.json", transformers_version="0.1", _name_or_path="elsewhere")
    (folder / "older").mkdir()
    (folder / "older" / "config.json").write_text("{}")
    assert encoder(folder, tmp_path).identity() == before
    assert before["library"]["transformers"] == ".".join(transformers.__version__.split(".")[:2])
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        other = copied(model_folder("clip"), tmp_path / f"other-{name}")
        changed(other / name, something=1)
        assert encoder(other, tmp_path).identity() != before
    other = copied(model_folder("clip"), tmp_path / "weights")
    weights = load_file(other / "model.safetensors")
    weights["logit_scale"] = weights["logit_scale"] + 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    assert encoder(other, tmp_path).identity() != before


def test_the_files_are_those_that_identity_reads(model_folder, tmp_path):
    names = {path.name for path in encoder(model_folder("clip"), tmp_path).files()}
    assert {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"} <= names


def test_weights_in_several_files(model_folder, tmp_path):
    folder = copied(model_folder("clip"), tmp_path / "shards")
    (folder / "model.safetensors").unlink()
    library_model(model_folder("clip"), "clip").save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    one = encoder(folder, tmp_path)
    whole = encoder(model_folder("clip"), tmp_path)
    np.testing.assert_array_equal(one.encode_texts(TEXTS), whole.encode_texts(TEXTS))
    assert set(shards) < set(one.files())
    shards[0].unlink()
    assert "weights" in encoder(folder, tmp_path).missing().what


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        ("config.json", "configuration"),
        ("model.safetensors", "weights"),
        ("processor_config.json", "processor"),
        ("tokenizer.json", "tokenizer"),
    ],
)
def test_what_is_not_there_is_named(model_folder, tmp_path, gone, what):
    folder = copied(model_folder("clip"), tmp_path / "copy")
    for path in folder.glob(gone):
        path.unlink()
    for path in folder.glob("vocab.json" if what == "tokenizer" else "nothing"):
        path.unlink()
    one = encoder(folder, tmp_path)
    assert what in one.missing().what
    assert "save_pretrained" in one.missing().how
    assert list(one.files()) == []
    with pytest.raises(MissingAssetError, match=what):
        one.encode_texts(["a"])


def test_pickles_are_refused_with_the_way_out(model_folder, tmp_path):
    folder = copied(model_folder("clip"), tmp_path / "copy")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"only pickles \(pytorch_model\.bin\).*save_pretrained"):
        encoder(folder, tmp_path).missing()


def test_weights_of_another_model_are_refused_and_not_drawn(model_folder, tmp_path):
    folder = copied(model_folder("clip"), tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lack 1 of the model's \(text_projection\.weight.*random"):
        encoder(folder, tmp_path).encode_texts(["a"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "xclip"}, "encodes videos"),
        ({"model_type": "owlvit"}, "finds objects"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "brings code of its own"),
        ({"model_type": None}, "brings code of its own"),
    ],
)
def test_models_of_another_kind_are_refused(model_folder, tmp_path, fields, said):
    folder = copied(model_folder("clip"), tmp_path / "copy")
    changed(folder / "config.json", **fields)
    with pytest.raises(UsageError, match=said):
        encoder(folder, tmp_path).identity()


def test_a_model_of_one_tower_is_refused(model_folder, tmp_path):
    folder = copied(model_folder("chinese-clip"), tmp_path / "copy")
    config = transformers.BertConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    transformers.BertModel(config).save_pretrained(folder)
    with pytest.raises(UsageError, match="BertModel, which has no two towers"):
        encoder(folder, tmp_path).encode_texts(["a"])


def test_what_is_no_folder_and_no_repository(tmp_path):
    for argument in ("/nowhere/at/all", "./nothing", "a/b/c", "a//b"):
        with pytest.raises(UsageError, match=r"There is no folder.*ORG/NAME"):
            encoder(argument, tmp_path).missing()
    with pytest.raises(UsageError, match="no name of a repository"):
        encoder("some/in valid", tmp_path).missing()
    with pytest.raises(UsageError, match="--dtype 'int8'"):
        encoder("a/b", tmp_path, "int8")


def test_a_folder_has_no_revisions(model_folder, tmp_path):
    with pytest.raises(UsageError, match="leave out revision="):
        encoder(model_folder("clip"), tmp_path, revision="main").missing()


def test_a_repository_is_fetched_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    one = encoder("some/thing", tmp_path)
    assert one.missing().what == "the model some/thing"
    assert "--download" in one.missing().how
    for more in ({"offline": True, "download": True}, {"offline": False, "download": False}):
        with pytest.raises(MissingAssetError, match="only with --download, not offline"):
            TwoTower(Context(data_root=tmp_path, **more), "some/thing").download()


def test_a_snapshot_in_the_cache_of_the_library_is_read(model_folder, tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    snapshot = cache / "models--some--thing" / "snapshots" / ("0" * 40)
    shutil.copytree(model_folder("clip"), snapshot)
    (cache / "models--some--thing" / "refs").mkdir()
    (cache / "models--some--thing" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    one = encoder("some/thing", tmp_path)
    assert one.missing() is None
    folder = encoder(model_folder("clip"), tmp_path)
    assert one.identity() == folder.identity()
    np.testing.assert_array_equal(one.encode_texts(TEXTS), folder.encode_texts(TEXTS))
