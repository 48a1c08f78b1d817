"""Images of one encoder and texts of another: what runs, what does not, and that the numbers are right."""

import numpy as np
import pytest

import gapbench
from gapbench.bench.fitdata import FitRows
from gapbench.bench.scored import UNALIGNED, AlignedSplit
from gapbench.components import EmbeddedSplit, Texts
from gapbench.errors import DataError, NotMeasurable
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.testing.fits import all_scores, fit_aligner

REGISTRY = discover()
BETWEEN = sorted(name for name, one in REGISTRY.components(Kind.ALIGNER).items() if not one.spec.common_space)


def pairs(n=300, image_dim=12, text_dim=8, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 6))
    sides = [hidden @ rng.standard_normal((6, d)) + 0.3 * rng.standard_normal((n, d)) for d in (image_dim, text_dim)]
    return [side.astype(np.float32) for side in sides]


def split_of(images, texts):
    return EmbeddedSplit(images=images, fingerprint="toy", captions=Texts(rows=texts, owner=np.arange(len(texts))))


def scores_of(name, split, **params):
    spec = REGISTRY.components(Kind.ALIGNER)[name].spec
    module, _, attribute = spec.factory.partition(":")
    factory = getattr(__import__(module, fromlist=[attribute]), attribute)
    return all_scores(fit_aligner(factory(**spec.options, **params), spec, split), spec, split)


def run(tmp_path, images, texts, **options):
    path = tmp_path / "two.npz"
    np.savez(path, image=images, text=texts, pair=np.arange(len(texts)))
    return gapbench.run(datasets=[f"embeddings:{path}"], **options)


def test_what_maps_between_spaces_is_what_the_docs_name():
    assert set(BETWEEN) >= {"csa", "cca", "pls-svd", "ridge", "ols"}


def test_methods_between_spaces_run_and_all_others_are_left_out_with_the_reason(tmp_path):
    found = run(tmp_path, *pairs())
    assert {record.label for record in found.records} == set(BETWEEN)
    assert not found.failed
    (reason,) = [reason for what, reason in found.skipped if "identity" in what]
    assert "images and texts are of two encoders (12 and 8 dimensions)" in reason
    assert all(record.metrics["i2t-recall@1"].value > 0.3 for record in found.records)


def test_there_is_no_picture_of_two_spaces(tmp_path, gapbench):
    images, texts = pairs(60)
    np.savez(tmp_path / "two.npz", image=images, text=texts, pair=np.arange(60))
    done = gapbench("run", "-d", "embeddings:two.npz", "-a", "csa", "-a", "cca", "--out", "o")
    assert "warning" not in done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "o/figures").glob("*.png")) == ["gap-accuracy.png"]


def test_metrics_that_compare_with_the_rows_before_say_that_there_are_none(tmp_path):
    found = run(tmp_path, *pairs(), aligners=["csa"], metrics=["*"])
    unmeasured = found.records[0].unmeasured
    assert all(why.status == "not measurable" for why in unmeasured.values()), unmeasured
    assert any("share no space" in why.reason for why in unmeasured.values())
    data = AlignedSplit(
        FitRows(split_of(*pairs(20)), captioned=True, raw=False), None, UNALIGNED, np.random.default_rng(0)
    )
    with pytest.raises(NotMeasurable, match="12 and 8 dimensions"):
        _ = data.before


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("pls-svd", {"k": 5}),
        ("ridge", {"alpha": 2.0}),
        ("ridge", {"side": "texts"}),
        ("cca", {"shrinkage": 0.0, "k": 5}),
    ],
)
def test_a_space_that_is_filled_up_with_zeros_is_the_same_space(name, params):
    """Zeros add nothing to any inner product, so scores between 12 and 8 dimensions are those between 12 and 12."""
    images, texts = pairs()
    filled = np.hstack([texts, np.zeros((len(texts), 4), np.float32)])
    one, other = (scores_of(name, split_of(images, side), **params) for side in (texts, filled))
    assert np.abs(one - other).max() < 1e-4


def test_two_spaces_of_one_size_are_a_common_one_for_gapbench(tmp_path):
    found = run(tmp_path, *pairs(text_dim=12), aligners=["identity", "csa"])
    assert {record.label for record in found.records} == {"identity", "csa"}


def test_a_method_that_asks_for_the_number_of_dimensions_is_told_that_there_are_two():
    spec = REGISTRY.components(Kind.ALIGNER)["csa"].spec

    class Asks:
        def fit(self, data):
            assert (data.image_dim, data.text_dim) == (12, 8)
            return data.dim

    with pytest.raises(DataError, match="12 dimensions and texts 8; read image_dim and text_dim"):
        fit_aligner(Asks(), spec, split_of(*pairs()))
