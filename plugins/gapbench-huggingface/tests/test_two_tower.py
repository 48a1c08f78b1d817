"""Rows of two-tower models are those of the library, whatever the batch."""

import numpy as np
import pytest
import torch
import transformers
from gapbench_huggingface.two_tower import TwoTower
from PIL import Image
from tiny_models import LENGTH, MAKERS

from gapbench import Context

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
        "altclip": {"padding": True, "truncation": True, "max_length": LENGTH - 0},
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
