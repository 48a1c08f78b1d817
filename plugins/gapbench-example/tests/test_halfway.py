"""The aligner does what its docstring says."""

from types import SimpleNamespace

import numpy as np
from gapbench_example import Halfway


def test_half_of_the_gap_is_closed():
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(50, 4)).astype("float32") + 1, rng.normal(size=(30, 4)).astype("float32")
    moments = SimpleNamespace(images=SimpleNamespace(mean=images.mean(0)), texts=SimpleNamespace(mean=texts.mean(0)))
    moved = Halfway().fit(SimpleNamespace(moments=moments)).images(images)
    before, after = images.mean(0) - texts.mean(0), moved.mean(0) - texts.mean(0)
    np.testing.assert_allclose(after, before / 2, atol=1e-6)
    assert moved.dtype == np.float32
