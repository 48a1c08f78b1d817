"""Every aligner keeps the contract, and no import costs more than it must."""

import os
import subprocess
import sys

import numpy as np
import pytest
from toy import SPECS, build, captions, classes, fitted, noisy_classes, unit

from gapbench.bench.mapping import Maps
from gapbench.host.registry import Kind
from gapbench.host.validate import check_spec
from gapbench.specs import ActsOn, Need

D = 8


def test_specs_import_neither_numpy_nor_torch_and_implementations_no_torch():
    factories = [spec.factory.split(":") for spec in SPECS.values()]
    code = f"""
import sys, importlib, gapbench_adapters
assert len(gapbench_adapters.gapbench_aligners()) == {len(SPECS)}
assert not {{"numpy", "torch"}} & set(sys.modules)
for module, attribute in {factories}:
    getattr(importlib.import_module(module), attribute)()
assert "torch" not in sys.modules
"""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SPECS)
def test_the_factory_takes_every_declared_parameter_with_the_declared_default(name):
    spec = SPECS[name]
    check_spec(Kind.ALIGNER, spec)
    module, _, attribute = spec.factory.partition(":")
    plain = vars(getattr(__import__(module, fromlist=[attribute]), attribute)())
    for key, param in spec.params.items():
        assert plain[key] == param.default
        for value in (*param.choices, *param.grid, *(v for v in (param.low, param.high) if v is not None)):
            assert vars(build(name, **{key: value}))[key] == value


def test_a_parameter_that_is_none_is_refused():
    with pytest.raises(TypeError, match="epoch"):
        build("linear-adapter", epoch=3)


def same_rows():
    images, labels, texts = noisy_classes(d=D)
    return np.tile(images[:1], (len(images), 1)), labels, texts


def one_class():
    images, _, texts = noisy_classes(d=D)
    return images, np.zeros(len(images), dtype=np.int64), texts[:1]


def one_image():
    images, labels, texts = noisy_classes(d=D)
    return images[:1], labels[:1], texts


def as_float16():
    images, labels, texts = noisy_classes(d=D)
    return images.astype(np.float16).astype(np.float32), labels, texts.astype(np.float16).astype(np.float32)


def same_texts():
    images, labels, texts = noisy_classes(d=D)
    return images, labels, np.tile(texts[:1], (len(texts), 1))


def flat():
    images, labels, texts = noisy_classes(d=D)
    images[:, 3:], texts[:, 3:] = 0, 0
    return unit(images), labels, unit(texts)


KINDS = {
    "plain": lambda: noisy_classes(d=D),
    "fewer-rows-than-dimensions": lambda: noisy_classes(n=7, d=D * 8),
    "two-dimensions": lambda: noisy_classes(d=2),
    "many-dimensions": lambda: noisy_classes(n=12, n_classes=3, d=4096),
    "same-images": same_rows,
    "same-texts": same_texts,
    "one-class": one_class,
    "one-image": one_image,
    "rank-deficient": flat,
    "float16": as_float16,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SPECS)
def test_maps_are_finite_row_by_row_and_leave_their_input_alone(name, kind):
    images, labels, texts = KINDS[kind]()
    split = classes(images, labels, texts)
    params = {"epochs": 2} if "epochs" in SPECS[name].params else {}
    aligner = fitted(name, split, validation=split, test=split, **params)
    maps = Maps(aligner, SPECS[name])  # checks shape, type, finiteness and that the input is as it was
    x, t = images[:20], texts[:5]
    if SPECS[name].acts_on is ActsOn.SCORES:
        outs = [(x, lambda rows: maps.scores(rows, t)), (t, lambda rows: maps.scores(x, rows).T)]
    else:
        outs = [(x, lambda rows: maps.rows("images", rows)), (t, lambda rows: maps.rows("texts", rows))]
    for rows, out_of in outs:
        out = out_of(rows)
        np.testing.assert_allclose(np.concatenate([out_of(row[None]) for row in rows]), out, atol=1e-5)
    if SPECS[name].acts_on is ActsOn.IMAGES:
        assert aligner.texts(t) is t
    if SPECS[name].acts_on is ActsOn.TEXTS:
        assert aligner.images(x) is x


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if Need.CLASS_TEXTS not in spec.needs])
def test_captions_will_do_where_no_classes_are_needed(name):
    images, labels, texts = noisy_classes()
    split = captions(images, texts[labels])
    out = fitted(name, split, validation=split).images(images)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_the_same_generator_gives_the_same_bits_and_notes(name):
    images, labels, texts = noisy_classes()
    split = classes(images, labels, texts)
    limit = {"tip-adapter": {"shots": 2}, "decap-memory": {"memory": 3}}.get(name, {})

    def once():
        aligner = fitted(name, split, validation=split, test=split, seed=5, **limit)
        out = (
            aligner.scores(images, texts) if name == "tip-adapter" else aligner.images(images) @ aligner.texts(texts).T
        )
        return out.tobytes(), aligner.notes()

    assert once() == once()
