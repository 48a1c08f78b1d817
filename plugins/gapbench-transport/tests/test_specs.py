"""What is registered is sound, costs nothing to list, and matches the implementations."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from gapbench_transport import SPECS

from gapbench.host.registry import Kind
from gapbench.host.validate import check_spec
from gapbench.specs import Need


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_factory_takes_every_declared_parameter_with_the_declared_default(spec):
    check_spec(Kind.ALIGNER, spec)
    module, _, attribute = spec.factory.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    defaults = {key: param.default for key, param in spec.params.items()}
    assert vars(factory(**spec.options)) == {**spec.options, **defaults}
    for key, param in spec.params.items():
        for value in (*param.choices, *param.grid, *(v for v in (param.low, param.high) if v is not None)):
            assert vars(factory(**spec.options, **{key: value}))[key] == value


def test_listing_imports_no_solver():
    code = (
        "import sys, gapbench_transport as t; assert len(list(t.gapbench_aligners())) == 4;"
        "print([m for m in ('numpy', 'ot', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pot_is_imported_without_a_warning():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import ot"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("d", [2, 16, 700])
def test_every_aligner_keeps_the_contract(spec, d, classified, fitted):
    rng = np.random.default_rng(d)
    texts = rng.standard_normal((5, d))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    labels = np.arange(40) % 5
    images = (texts[labels] + 0.5 * rng.standard_normal((40, d)) / np.sqrt(d) + 0.3).astype(np.float16)
    split = classified(images, labels, texts)
    aligner = fitted(spec.name, split, test=split)
    x, t = split.images, split.prompts.rows
    for rows in (x, t):
        rows.flags.writeable = False
    if Need.TEST_IMAGES in spec.needs:
        bias = aligner.text_bias(t)
        assert bias.shape == (5,)
        assert bias.dtype == np.float32
        np.testing.assert_array_equal(aligner.text_bias(t[2:3]), bias[2:3])
    else:
        for rows, method in ((x, aligner.images), (t, aligner.texts)):
            out = method(rows)
            assert out.shape == rows.shape
            assert out.dtype == np.float32
            assert np.isfinite(out).all()
            np.testing.assert_allclose(np.concatenate([method(rows[:1]), method(rows[1:])]), out, atol=1e-6)
    assert all(isinstance(value, bool | int | float | str) for value in aligner.notes().values())
