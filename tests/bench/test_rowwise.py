"""Methods that use the rows around a row are found out while a cell runs, on the side of scores as well."""

import numpy as np
import pytest

from gapbench.bench.fitdata import FitRows
from gapbench.bench.scored import AlignedSplit
from gapbench.errors import AlignerError
from gapbench.specs import ActsOn, AlignerSpec
from gapbench.testing import two_cones


class Images:
    acts = ActsOn.IMAGES

    def images(self, x):
        return x - x.mean(axis=0)


class Texts:
    acts = ActsOn.TEXTS

    def texts(self, t):
        return t * (1 + np.arange(len(t), dtype=np.float32)[:, None])


class TextBias:
    acts = ActsOn.SCORES

    def text_bias(self, t):
        return (t @ t.mean(axis=0)).astype(np.float32)


class ImageBias:
    acts = ActsOn.SCORES

    def image_bias(self, x):
        return np.argsort(x[:, 0]).astype(np.float32)


class Scores:
    acts = ActsOn.SCORES

    def scores(self, x, t):
        found = x @ t.T
        return found - found.mean(axis=0)


class TextScores(Scores):
    def scores(self, x, t):
        return x @ t.T

    def text_scores(self, t, x):
        return t @ x.T - (t @ x.T).max(axis=0)


class Honest:
    acts = ActsOn.SCORES

    def scores(self, x, t):
        found = x @ t.T
        return found - found.mean(axis=1, keepdims=True)


def read(cls):
    spec = AlignerSpec(name="odd", factory="x:y", summary="", family="mean", needs=frozenset(), acts_on=cls.acts)
    rows = FitRows(two_cones(40, 6).captions(), captioned=True, raw=False)
    data = AlignedSplit(rows, cls(), spec, np.random.default_rng(0))
    data.image_to_text_ranks()
    return data.text_to_image_ranks()


@pytest.mark.parametrize("cls", [Images, Texts, TextBias, ImageBias, Scores, TextScores])
def test_what_uses_the_rows_around_a_row_is_an_error(cls):
    method = {"Images": "images", "Texts": "texts", "TextBias": "text_bias", "ImageBias": "image_bias"}.get(
        cls.__name__
    )
    with pytest.raises(AlignerError, match=rf"{method or ''}.*does not work row by row.*is transductive"):
        read(cls)


def test_scores_may_depend_on_the_candidates():
    assert len(read(Honest)) == 40
