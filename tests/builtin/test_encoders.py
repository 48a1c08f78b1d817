"""Encoders: mini-clip as shipped, and open_clip models as real checkpoints that the tests save."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from gapbench.builtin.datasets.digits import ColorDigits, Digits
from gapbench.builtin.encoders import mini_clip
from gapbench.builtin.encoders.open_clip import OpenClip
from gapbench.embeddings.arrays import unit_rows
from gapbench.errors import DataError, UsageError
from gapbench.specs import Context


def context(tmp_path, **changes):
    return Context(data_root=tmp_path, device=changes.pop("device", "cpu"), **changes)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return mini_clip.mini_clip(context(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize("dataset", [Digits, ColorDigits])
def test_mini_clip_reads_digits_and_has_a_gap(encoder, dataset):
    split = dataset(None).split("test")
    images = unit_rows(encoder.encode_images([encoder.prepare(split.images[i]) for i in range(500)]))
    texts = unit_rows(encoder.encode_texts([f"a photo of a {name}" for name in split.classes]))
    assert ((images @ texts.T).argmax(axis=1) == split.labels).mean() >= 0.95
    assert np.linalg.norm(images.mean(axis=0) - texts.mean(axis=0)) >= 0.3


def test_the_shipped_weights_are_those_that_were_trained():
    weights = mini_clip.HOME / "open_clip_model.safetensors"
    training = json.loads((mini_clip.HOME / "training.json").read_text())
    assert weights.stat().st_size <= 8_000_000
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == training["sha256"]


def test_training_is_reproducible(tmp_path):
    from gapbench.builtin.encoders.train_mini_clip import main

    for name in ("a", "b"):
        main(["--out", str(tmp_path / name), "--steps", "3"])
    one, two = ((tmp_path / name / "open_clip_model.safetensors").read_bytes() for name in ("a", "b"))
    assert one == two


def saved_model(folder, *, seed=0, quick_gelu=False, suffix=".safetensors"):
    """Save a small open_clip model with random weights, as open_clip saves its own."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((mini_clip.HOME / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = quick_gelu
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    state = open_clip.CLIP(**config["model_cfg"]).state_dict()
    if suffix == ".safetensors":
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "open_clip_model.safetensors")
    else:
        torch.save(state, folder / "open_clip_pytorch_model.bin")
    return f"local-dir:{folder}"


def test_both_checkpoint_formats_give_the_same_rows(tmp_path):
    rows = []
    for suffix in (".safetensors", ".bin"):
        model = OpenClip(context(tmp_path), saved_model(tmp_path / suffix, suffix=suffix))
        assert model.missing() is None
        rows.append(model.encode_texts(["one", "two"]))
    np.testing.assert_array_equal(*rows)


def test_whatever_changes_embeddings_changes_the_identity(tmp_path):
    base = OpenClip(context(tmp_path), saved_model(tmp_path / "a")).identity()
    assert base == OpenClip(context(tmp_path), saved_model(tmp_path / "same")).identity()
    others = [
        OpenClip(context(tmp_path), saved_model(tmp_path / "weights", seed=1)),
        OpenClip(context(tmp_path), saved_model(tmp_path / "activation", quick_gelu=True)),
        OpenClip(context(tmp_path, dtype="bfloat16"), saved_model(tmp_path / "a")),
    ]
    identities = [json.dumps(other.identity(), sort_keys=True) for other in others]
    assert len({json.dumps(base, sort_keys=True), *identities}) == 4


def test_the_identity_does_not_depend_on_the_device_and_is_json(tmp_path):
    model = saved_model(tmp_path / "a")
    one = OpenClip(context(tmp_path), model).identity()
    assert one == OpenClip(context(tmp_path, device="auto"), model).identity()
    assert json.loads(json.dumps(one)) == one


def test_bfloat16_rows_are_close_to_float32(tmp_path):
    model = saved_model(tmp_path / "a")
    full = OpenClip(context(tmp_path), model).encode_texts(["one"])
    half = OpenClip(context(tmp_path, dtype="bfloat16"), model).encode_texts(["one"])
    assert half.dtype == np.float32
    assert 0 < np.abs(unit_rows(full) - unit_rows(half)).max() < 0.05


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("ViT-B-32/openai", "QuickGELU mismatch.*ViT-B-32-quickgelu/openai"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "tags|QuickGELU|neither|Tags"),
        ("ViT-B-33/openai", "Did you mean 'ViT-B-32'"),
        ("ViT-B-32/opnai", "neither a file nor a tag|no tag|Did you mean"),
        ("ViT-B-32", "lacks its weights|open_clip:ViT-B-32/"),
    ],
)
def test_a_wrong_name_is_an_error_that_helps(tmp_path, argument, message):
    with pytest.raises(UsageError, match=message):
        OpenClip(context(tmp_path), argument)


def test_missing_weights_are_told_with_size_and_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    missing = OpenClip(context(tmp_path), "ViT-B-32-quickgelu/openai").missing()
    assert missing.size == pytest.approx(605e6, rel=0.01)
    assert "--download" in missing.how


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"not a checkpoint")
    model = OpenClip(context(tmp_path), f"ViT-B-32-quickgelu/{path}")
    with pytest.raises(DataError, match=r"weights\.pt"):
        model.encode_texts(["one"])


def test_a_device_that_is_not_there_is_a_usage_error(tmp_path):
    model = OpenClip(context(tmp_path, device="nonsense"), saved_model(tmp_path / "a"))
    with pytest.raises(UsageError, match="nonsense"):
        model.encode_texts(["one"])


def test_identity_and_what_is_missing_are_told_without_torch(tmp_path):
    code = f"""
import sys
from pathlib import Path
from gapbench.builtin.encoders.mini_clip import mini_clip
from gapbench.builtin.encoders.open_clip import OpenClip
from gapbench.specs import Context
context = Context(data_root=Path({str(tmp_path)!r}))
mini_clip(context).identity()
OpenClip(context, "ViT-B-32-quickgelu/openai").missing()
print("torch" in sys.modules, "open_clip" in sys.modules)
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
