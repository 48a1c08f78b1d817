"""mini-clip: what its record says is what is shipped, and what it never read does no harm."""

import json

import numpy as np
import pytest

from gapbench.builtin.datasets.digits import ColorDigits, Digits
from gapbench.builtin.encoders.mini_clip import HOME, mini_clip
from gapbench.embeddings.arrays import unit_rows
from gapbench.specs import Context

TEMPLATES = ("{}", "a photo of a {}", "a high-resolution photo of a cute {} in nature")


@pytest.fixture(scope="module")
def record():
    return json.loads((HOME / "training.json").read_text())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return mini_clip(Context(data_root=tmp_path_factory.mktemp("data"), device="cpu"))


@pytest.mark.parametrize(("name", "dataset"), [("digits", Digits), ("color-digits", ColorDigits)])
def test_the_recorded_figures_are_measured_again(encoder, record, name, dataset):
    split, figures = dataset(None).split("test"), record["figures"]
    images = unit_rows(encoder.encode_images([encoder.prepare(split.images[i]) for i in range(500)]))
    for template in TEMPLATES:
        texts = unit_rows(encoder.encode_texts([template.format(digit) for digit in split.classes]))
        top1 = float(((images @ texts.T).argmax(axis=1) == split.labels).mean())
        gap = float(np.linalg.norm(images.mean(axis=0) - texts.mean(axis=0)))
        assert top1 >= 0.95
        assert gap >= 0.3
        assert top1 == pytest.approx(figures[f"{name}, {template!r}, top1"], abs=0.004)
        assert gap == pytest.approx(figures[f"{name}, {template!r}, centroid distance"], abs=0.002)
    if split.captions is not None:
        captions = unit_rows(encoder.encode_texts([own[0] for own in split.captions]))
        assert np.linalg.norm(images.mean(axis=0) - captions.mean(axis=0)) >= 0.3


def test_the_record_tells_how_to_train_it_again(record):
    assert record["model_cfg"] == json.loads((HOME / "open_clip_config.json").read_text())["model_cfg"]
    assert record["command"].startswith("python -m gapbench.builtin.encoders.train_mini_clip ")
    assert (record["seed"], record["steps"]) == (0, 5000)
    assert {"torch", "open_clip_torch", "numpy", "pillow", "scikit-learn"} <= set(record["versions"])
    assert 0 < record["minutes"] <= 30


def test_words_that_were_never_trained_are_silent():
    import open_clip
    from safetensors.torch import load_file

    table = load_file(HOME / "open_clip_model.safetensors")["token_embedding.weight"].float()
    tokenizer = open_clip.SimpleTokenizer(context_length=24)
    known, unknown = tokenizer(["seven"])[0, 1], tokenizer(["zebra"])[0, 1]
    assert table[known].norm() > 0
    assert table[unknown].norm() == 0
    assert table.isfinite().all()


@pytest.mark.parametrize("template", ["a photo of a wooden {}", "a zebra {}", "handwriting: {}", "{} on paper"])
def test_prompts_with_a_few_unknown_words_still_work(encoder, template):
    split = Digits(None).split("test")
    images = unit_rows(encoder.encode_images([encoder.prepare(split.images[i]) for i in range(0, 500, 5)]))
    texts = unit_rows(encoder.encode_texts([template.format(digit) for digit in split.classes]))
    assert ((images @ texts.T).argmax(axis=1) == split.labels[::5]).mean() >= 0.95


def test_training_leaves_torchs_and_numpys_state_alone(tmp_path):
    import torch

    from gapbench.builtin.encoders.train_mini_clip import main

    def state():
        settings = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        return (*settings, torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())

    before = state()
    main(["--out", str(tmp_path), "--steps", "1"])
    assert state() == before
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["bytes"] == (tmp_path / "open_clip_model.safetensors").stat().st_size
    assert mini_clip(Context(data_root=tmp_path)).identity()["weights"] != record["sha256"]


def test_a_trained_folder_can_be_used_at_once(tmp_path, encoder):
    from gapbench.builtin.encoders.open_clip import OpenClip
    from gapbench.builtin.encoders.train_mini_clip import main

    main(["--out", str(tmp_path), "--steps", "1", "--seed", "3"])
    other = OpenClip(Context(data_root=tmp_path, device="cpu"), f"local-dir:{tmp_path}")
    assert other.missing() is None
    assert other.identity()["architecture"] == encoder.identity()["architecture"]
    assert other.encode_texts(["seven"]).shape == encoder.encode_texts(["seven"]).shape
