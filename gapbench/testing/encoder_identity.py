"""Whether an encoder's rows and its identity go together, and whether it reads all kinds of pictures and texts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.encoder_checks import TEXTS, close, encoded, here, pictures, prepared

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pictures of one batch that is larger than most.
MANY = 130

#: Width and height of pictures: square, wide, tall, tiny, large.
SIZES = ((8, 8), (64, 48), (31, 200), (300, 20), (1, 1), (2, 7), (224, 224), (33, 32))

#: Pairs of words of one length, of which an encoder may know one alone: some know digits or colours and nothing else.
PAIRS_OF_WORDS = (("cat", "dog"), ("three", "seven"), ("green", "black"))

#: Words of a text of which each is exchanged in turn.
WORDS = 12


def mixed_pictures(n: int = MANY) -> list[Image]:
    """Draw pictures of mixed sizes."""
    from PIL import Image

    rng = np.random.default_rng(3)
    found = []
    for number in range(n):
        width, height = SIZES[number % len(SIZES)]
        pixels = np.clip(rng.integers(0, 256, 3) + rng.integers(-40, 41, (height, width, 3)), 0, 255)
        found.append(Image.fromarray(pixels.astype(np.uint8)))
    return found


@check("encodes many pictures of mixed sizes", Kind.ENCODER)
def many(subject: Subject) -> None:
    """A batch of 130 pictures gives 130 rows, those that smaller batches give."""
    encoder, images = here(subject), mixed_pictures()
    whole = encoded(encoder, images)
    assert whole.shape[0] == MANY, f"for {MANY} pictures it gives {len(whole)} rows"
    assert np.isfinite(whole).all(), "a picture of an odd size gives NaN or infinity"
    parts = np.concatenate([encoded(encoder, images[start : start + 33]) for start in range(0, MANY, 33)])
    close(whole, parts, f"{MANY} pictures in smaller batches")


@check("encodes many texts", Kind.ENCODER)
def many_texts(subject: Subject) -> None:
    """A batch of 130 texts gives 130 rows, those that the texts have by themselves, whatever was read before."""
    encoder = here(subject)
    texts = [f"{TEXTS[number % len(TEXTS)]} number {number}" for number in range(MANY)]
    whole = encoder.encode_texts(texts)
    assert whole.shape[0] == MANY, f"for {MANY} texts it gives {len(whole)} rows"
    few = list(range(0, MANY, 13))
    alone = here(subject)
    close(whole[few], np.concatenate([alone.encode_texts([texts[i]]) for i in few]), "texts one by one")


@check("reads every word", Kind.ENCODER)
def words(subject: Subject) -> None:
    """Texts that differ in one word have different rows, wherever it stands, unless ``cut_texts`` says otherwise."""
    encoder = here(subject)
    known = [pair for pair in PAIRS_OF_WORDS if not np.array_equal(*encoder.encode_texts(pair))]
    assert known, (
        f"it tells no word from another: {', '.join(' and '.join(pair) for pair in PAIRS_OF_WORDS)} are the same"
    )
    one, other = known[0]
    cut_texts = getattr(encoder, "cut_texts", lambda texts: [""] * len(texts))
    plain = " ".join([one] * WORDS)
    for place in range(WORDS):
        changed = " ".join([*[one] * place, other, *[one] * (WORDS - place - 1)])
        read = cut_texts([plain, changed])
        if read[0] and read[0] == read[1]:
            continue
        rows = encoder.encode_texts([plain])[0], encoder.encode_texts([changed])[0]
        assert not np.array_equal(*rows), f"word {place + 1} of {WORDS} makes no difference to a text"


@check("reads every part of a picture", Kind.ENCODER)
def parts_of_pictures(subject: Subject) -> None:
    """A picture with another middle, or another colour channel, has another row."""
    from PIL import Image

    encoder = here(subject)
    grey = np.full((64, 64, 3), 120, dtype=np.uint8)
    changed = []
    for color in ((220, 120, 120), (120, 171, 120), (120, 120, 250)):  # red and green look the same in grey
        other = grey.copy()
        other[16:48, 16:48] = color
        changed.append(other)
    upper, lower = grey.copy(), grey.copy()
    upper[16:32, 16:48] = 250
    lower[32:48, 16:48] = 250
    rows = encoded(encoder, [Image.fromarray(pixels) for pixels in (grey, *changed, upper, lower)])
    names = ("nothing", "red", "green", "blue", "the upper half of the middle", "the lower half of the middle")
    for one in range(4):
        for two in range(one + 1, 4):
            assert not np.array_equal(rows[one], rows[two]), f"{names[one]} and {names[two]} changed give the same row"
    for which in (4, 5):
        assert not np.array_equal(rows[0], rows[which]), f"a change of {names[which]} makes no difference to a picture"


@check("changes its identity with its rows, and with nothing else", Kind.ENCODER)
def goes_with_rows(subject: Subject) -> None:
    """Where rows change in another dtype the identity does; device and folder of data do not change it."""
    encoder = here(subject)
    mine, identity = _rows(encoder), encoder.identity()
    elsewhere = dataclasses.replace(subject.context, data_root=Path("/nowhere/at/all"), device="auto", offline=False)
    there = dataclasses.replace(subject, context=elsewhere).build()
    if getattr(there, "missing", lambda: None)() is None:
        assert there.identity() == identity, (
            "its identity depends on the device, the folder of data or whether it is offline: rows would be encoded again"
        )
    for dtype in ("float16", "bfloat16"):
        other = _other(subject, dtype)
        if other is None:
            continue
        rows, theirs = other
        if np.array_equal(rows, mine):
            # Nothing is demanded: that a few rows are equal does not prove that all are, and an identity that changes
            # without need costs time, and no number.
            continue
        assert theirs != identity, (
            f"in {dtype} it gives other rows and has the same identity: they would be taken for one"
        )


def _other(subject: Subject, dtype: str) -> tuple[Any, Any] | None:
    try:
        encoder = dataclasses.replace(subject, context=dataclasses.replace(subject.context, dtype=dtype)).build()
        return _rows(encoder), encoder.identity()
    except (GapbenchError, RuntimeError, NotImplementedError, TypeError):  # it has no such dtype, or not on this device
        return None


def _rows(encoder: Any) -> Any:
    return np.concatenate([encoder.encode_images(prepared(encoder, pictures())), encoder.encode_texts(TEXTS)])


@check("has the same identity before and after its work", Kind.ENCODER)
def steady(subject: Subject) -> None:
    """``identity()`` is the same before anything was encoded, after it, and from another instance."""
    encoder = here(subject)
    before = encoder.identity()
    encoded(encoder, pictures())
    encoder.encode_texts(TEXTS)
    assert encoder.identity() == before, "once it has encoded something its identity is another one"
    assert here(subject).identity() == before, "another instance has another identity"


@check("is told apart from itself with other parameters", Kind.ENCODER)
def parameters(subject: Subject) -> None:
    """Where a value of a parameter gives other rows, it gives another identity."""
    from gapbench.testing.parameter_checks import single_changes

    if not subject.spec.params:
        raise DoesNotApplyError("it has no parameters")
    encoder = here(subject)
    mine, identity = _rows(encoder), encoder.identity()
    for name, value in single_changes(subject):
        try:
            other = subject.build({name: value})
            theirs, rows = other.identity(), _rows(other)
        except GapbenchError:
            continue
        same = rows.shape == mine.shape and np.array_equal(rows, mine)
        assert same or theirs != identity, f"with {name}={value} it gives other rows and has the same identity"
