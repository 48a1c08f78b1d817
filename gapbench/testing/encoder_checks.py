"""What every encoder must do."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.host.registry import Kind
from gapbench.specs import Missing
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.guards import no_global_changes
from gapbench.testing.toys import ToyDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from gapbench.components import Float32

TEXTS = ("a red square", "a photo of something green", "blue", "a yellow square on the left of two others")

#: What embeddings may differ by where rows are batched otherwise, relative to the largest value.
CLOSE = 1e-3


def pictures() -> list[Image]:
    """Give eight small pictures."""
    return list(ToyDataset().split("test").images)[:8]


def here(subject: Subject) -> Any:
    """Build the encoder; without its weights nothing else can be checked."""
    encoder = subject.build()
    missing = getattr(encoder, "missing", lambda: None)()
    if missing is not None:
        raise DoesNotApplyError(f"{missing.what} is not on this machine: {missing.how}")
    return encoder


def prepared(encoder: Any, images: Sequence[Image]) -> list[Any]:
    """Prepare pictures as a run does."""
    prepare = getattr(encoder, "prepare", lambda picture: picture)
    return [prepare(picture) for picture in images]


def encoded(encoder: Any, images: Sequence[Image]) -> Float32:
    """Encode pictures as one batch."""
    rows: Float32 = encoder.encode_images(prepared(encoder, images))
    return rows


def close(one: Float32, other: Float32, what: str) -> None:
    """Hold rows to each other, but for rounding."""
    difference = float(np.abs(one - other).max()) / max(float(np.abs(one).max()), 1e-30)
    assert difference <= CLOSE, f"{what}: embeddings differ by {difference:.2g} of the largest value"


@check("builds without loading a model", Kind.ENCODER)
def cheap(subject: Subject) -> None:
    """Building does not import torch: plans and `gapbench plan` build encoders, too."""
    loaded = set(sys.modules)
    subject.build()
    assert "torch" not in set(sys.modules) - loaded, (
        "building it imports torch; do that in encode_images and encode_texts"
    )


@check("says what is missing", Kind.ENCODER)
def says_missing(subject: Subject) -> None:
    """``missing()`` gives None, or what is missing and how to supply it."""
    missing = getattr(subject.build(), "missing", lambda: None)()
    assert missing is None or (isinstance(missing, Missing) and missing.what and missing.how), (
        f"missing() gives {missing!r}; it must give None or a gapbench.Missing"
    )


@check("has an identity that JSON can hold", Kind.ENCODER)
def identity(subject: Subject) -> None:
    """``identity()`` is a mapping of JSON values with something in it, and two builds have the same."""
    here(subject)
    one, other = (subject.build().identity() for _ in range(2))
    assert one, "identity() is empty: other weights would be taken for the same encoder"
    try:
        assert json.dumps(one, sort_keys=True, allow_nan=False) == json.dumps(other, sort_keys=True), (
            "two builds have different identities"
        )
    except (TypeError, ValueError) as error:
        raise AssertionError(f"identity() holds what JSON cannot: {error}") from error


@check("gives finite float32 rows of one space", Kind.ENCODER)
def shapes(subject: Subject) -> None:
    """Images and texts give finite float32 rows with the same number of dimensions."""
    encoder = here(subject)
    images, texts = encoded(encoder, pictures()), encoder.encode_texts(TEXTS)
    for what, rows, n in (("encode_images", images, 8), ("encode_texts", texts, len(TEXTS))):
        assert isinstance(rows, np.ndarray), f"{what} gives {type(rows).__name__}; it must give a NumPy array"
        assert rows.ndim == 2 and len(rows) == n, f"{what} gives shape {rows.shape} for {n} items"  # noqa: PLR2004, PT018
        assert rows.dtype == np.float32, f"{what} gives {rows.dtype}; it must give float32"
        assert np.isfinite(rows).all(), f"{what} gives NaN or infinity"
    assert images.shape[1] == texts.shape[1], f"images have {images.shape[1]} dimensions, texts {texts.shape[1]}"


@check("tells items apart", Kind.ENCODER)
def tells_apart(subject: Subject) -> None:
    """Different pictures and different texts have different rows."""
    encoder = here(subject)
    for what, rows in (("pictures", encoded(encoder, pictures())), ("texts", encoder.encode_texts(TEXTS))):
        assert len(np.unique(rows, axis=0)) == len(rows), f"different {what} have the same row"


@check("encodes item by item", Kind.ENCODER)
def batches(subject: Subject) -> None:
    """An item's row depends neither on its batch nor on the order."""
    encoder = here(subject)
    images = pictures()
    whole = encoded(encoder, images)
    parts = np.concatenate([encoded(encoder, images[:3]), encoded(encoder, images[3:])])
    close(whole, parts, "pictures in two batches")
    close(whole[::-1], encoded(encoder, images[::-1]), "pictures in another order")
    texts = encoder.encode_texts(TEXTS)
    close(texts, np.concatenate([encoder.encode_texts([text]) for text in TEXTS]), "texts one by one")


@check("gives the same twice", Kind.ENCODER)
def repeatable(subject: Subject) -> None:
    """The same batch twice gives the same rows, bit by bit: no dropout, no random crop."""
    encoder = here(subject)
    assert np.array_equal(encoded(encoder, pictures()), encoded(encoder, pictures())), "pictures encoded twice differ"
    assert np.array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS)), "texts encoded twice differ"


@check("takes odd texts", Kind.ENCODER)
def odd_texts(subject: Subject) -> None:
    """An empty text, a very long one and one in another script give finite rows."""
    rows = here(subject).encode_texts(["", "very " * 400 + "long", "猫の写真", "\U0001f408"])
    assert np.isfinite(rows).all(), "an odd text gives NaN or infinity"


@check("tells which texts it cuts", Kind.ENCODER)
def cut_texts(subject: Subject) -> None:
    """``cut_texts`` names each text of which the end is not read, and no other."""
    encoder = here(subject)
    start = "very " * 2000
    texts = [*TEXTS, f"{start}red square", f"{start}yellow cat"]
    read = list(encoder.cut_texts(texts)) if hasattr(encoder, "cut_texts") else [""] * len(texts)
    assert len(read) == len(texts), f"cut_texts gives {len(read)} strings for {len(texts)} texts"
    for text in (text for text, cut in zip(TEXTS, read, strict=False) if cut):  # a tokenizer of letters cuts them, too
        assert np.array_equal(*encoder.encode_texts([text, f"{text} and more"])), (
            f"cut_texts says that short texts are cut, and what follows {text!r} makes a difference"
        )
    rows = [encoder.encode_texts([text])[0] for text in texts[-2:]]
    cut = bool(read[-1]) and read[-1] == read[-2]
    if cut:
        assert np.array_equal(*rows), "cut_texts says that the same is read of two texts, and their rows differ"
    else:
        assert not np.array_equal(*rows), "of a long text the end is not read, and cut_texts does not say so"


@check("leaves pictures unchanged", Kind.ENCODER)
def inputs(subject: Subject) -> None:
    """Preparing and encoding change no picture."""
    encoder, images = here(subject), pictures()
    before = [picture.tobytes() for picture in images]
    encoded(encoder, images)
    assert before == [picture.tobytes() for picture in images], "a picture has changed"


@check("prepares in threads", Kind.ENCODER)
def threads(subject: Subject) -> None:
    """Pictures prepared in threads give the same rows."""
    encoder, images = here(subject), pictures()
    prepare = getattr(encoder, "prepare", lambda picture: picture)
    with ThreadPoolExecutor(4) as pool:
        ready = list(pool.map(prepare, images))
    close(encoded(encoder, images), encoder.encode_images(ready), "pictures prepared in threads")


@check("leaves global state alone", Kind.ENCODER)
def global_state(subject: Subject) -> None:
    """Random generators, torch's flags and the environment are as before."""
    encoder = here(subject)
    encoded(encoder, pictures()[:1])  # the first call loads the model, and what that imports is not watched
    with no_global_changes():
        encoded(encoder, pictures())
        encoder.encode_texts(TEXTS)
