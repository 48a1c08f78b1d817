"""Rows of sentence-transformers' models are those of the library."""

import importlib.util
import shutil

import numpy as np
import pytest
from gapbench_huggingface.sentence import SentenceEncoder
from test_two_tower import TEXTS, pictures

from gapbench import Context
from gapbench.errors import DataError, MissingAssetError, PluginError


def encoder(argument, tmp_path, **more):
    return SentenceEncoder(Context(data_root=tmp_path, device="cpu", offline=True), str(argument), **more)


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch):
    kept = importlib.util.find_spec
    monkeypatch.setattr(
        "gapbench_huggingface.sentence.find_spec", lambda name: None if name == "sentence_transformers" else kept(name)
    )
    with pytest.raises(PluginError, match=r"pip install 'gapbench-huggingface\[sentence-transformers\]'"):
        encoder("clip-ViT-B-32", tmp_path)


def test_rows_are_those_of_the_library(sentence_folder, tmp_path):
    from sentence_transformers import SentenceTransformer

    model, one = SentenceTransformer(str(sentence_folder), device="cpu"), encoder(sentence_folder, tmp_path)
    np.testing.assert_allclose(one.encode_texts(TEXTS), model.encode(list(TEXTS)), atol=1e-6)
    rows = one.encode_images([one.prepare(picture) for picture in pictures()])
    np.testing.assert_allclose(rows, model.encode(pictures()), atol=1e-6)
    assert np.ptp(np.linalg.norm(rows, axis=1)) > 1e-3  # raw


def test_its_identity_is_that_of_its_files(sentence_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(sentence_folder, copy)
    before = encoder(sentence_folder, tmp_path).identity()
    assert encoder(copy, tmp_path).identity() == before
    with (copy / "modules.json").open("a") as file:
        file.write("\n")
    assert encoder(copy, tmp_path).identity() != before


def test_what_is_not_there_is_named(sentence_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(sentence_folder, copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(DataError, match="only pickles"):
        encoder(copy, tmp_path).missing()
    (copy / "pytorch_model.bin").unlink()
    assert "weights" in encoder(copy, tmp_path).missing().what
    with pytest.raises(MissingAssetError, match="weights"):
        encoder(copy, tmp_path).identity()
    assert encoder("some-name", tmp_path).repository.argument == "sentence-transformers/some-name"


def test_texts_are_cut_where_the_model_stops_reading(sentence_folder, tmp_path):
    one = encoder(sentence_folder, tmp_path)
    read = one.cut_texts(["abc", "a b c d " * 40, "a b c d " * 39 + "x"])
    assert read[0] == ""
    assert read[1] == read[2] != ""
