"""`digits` and `color-digits`: real handwritten digits that come with scikit-learn.

The 1,797 glyphs of 8 x 8 pixels are scikit-learn's copy of the test part of *Optical Recognition of Handwritten Digits*
(Alpaydin and Kaynak, UCI, 1998, CC BY 4.0). `color-digits` draws the same glyphs in a colour on a ground of another
colour, with two captions a picture, so that retrieval has something to tell apart. Both have one fixed split,
stratified by class: 1,297 items to fit on and 500 to score.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.components import Split
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from gapbench.components import Int64
    from gapbench.specs import Context, Missing

    Pixels = NDArray[np.uint8]

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

#: Side of a picture in pixels; a glyph is enlarged three times and set in the middle.
SIDE = 32
TEST_ITEMS = 500

#: Names that nobody confuses, and their RGB values.
COLORS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (220, 20, 30),
    "green": (20, 150, 50),
    "blue": (30, 60, 220),
    "yellow": (250, 225, 30),
    "orange": (255, 135, 0),
    "purple": (130, 30, 160),
    "pink": (255, 150, 200),
    "brown": (120, 70, 20),
}


@cache
def glyphs() -> tuple[NDArray[np.float32], Int64]:
    """Give all glyphs ``(1797, 8, 8)`` with ink in 0..1, and their classes ``(1797,)``."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _frozen((bunch.images / 16).astype(np.float32)), _frozen(bunch.target.astype(np.int64))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Guard what is cached against its users."""
    array.flags.writeable = False
    return array


@cache
def split_rows(name: str) -> Int64:
    """Rows of ``train`` or ``test``: within each class the same share, by a fixed shuffle.

    Raises
    ------
    UsageError
        There is no such split.
    """
    if name not in {"train", "test"}:
        raise UsageError(f"The digits have no split {name!r}; they have train and test.")
    labels = glyphs()[1]
    order = np.random.default_rng(1998).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    # Every k-th item of the list sorted by class: stratified to within one item.
    test = by_class[np.floor(np.linspace(0, len(labels), TEST_ITEMS, endpoint=False)).astype(np.int64)]
    rows = np.sort(test) if name == "test" else np.setdiff1d(np.arange(len(labels)), test)
    return _frozen(rows)


def enlarge(ink: NDArray[np.float32], *, dx: int = 0, dy: int = 0) -> NDArray[np.float32]:
    """Draw one glyph ``(8, 8)`` three times as large on ``(SIDE, SIDE)``, moved by whole pixels."""
    from PIL import Image as Pictures

    large = Pictures.fromarray(ink).resize((24, 24), Pictures.Resampling.BICUBIC)
    canvas = np.zeros((SIDE, SIDE), dtype=np.float32)
    canvas[4 + dy : 28 + dy, 4 + dx : 28 + dx] = np.clip(np.asarray(large), 0, 1)
    return canvas


def paint(ink: NDArray[np.float32], color: str, ground: str) -> Pixels:
    """Blend a colour over a ground by the amount of ink: ``(SIDE, SIDE, 3)`` bytes."""
    over, under = np.array(COLORS[color], dtype=np.float32), np.array(COLORS[ground], dtype=np.float32)
    mixed = ink[..., None] * over + (1 - ink[..., None]) * under
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def contrasting() -> list[tuple[str, str]]:
    """Pairs of colour and ground whose brightness differs enough to read the glyph."""

    def brightness(name: str) -> float:
        red, green, blue = COLORS[name]
        return 0.299 * red + 0.587 * green + 0.114 * blue

    return [(a, b) for a in COLORS for b in COLORS if abs(brightness(a) - brightness(b)) > 70]  # noqa: PLR2004


def colors_of(row: int) -> tuple[str, str]:
    """Colour and ground of the glyph in a row: fixed, and spread evenly by a hash."""
    pairs = contrasting()
    digest = hashlib.sha256(f"color-digits {row}".encode()).digest()
    return pairs[int.from_bytes(digest[:8]) % len(pairs)]


class _Drawn:
    """Pictures drawn on access."""

    def __init__(self, pixels: Sequence[Pixels]) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, item: int) -> Image:
        from PIL import Image as Pictures

        return Pictures.fromarray(self._pixels[item])


class Digits:
    """White digits on black, ten classes, no captions."""

    def __init__(self, context: Context) -> None:
        del context  # nothing to look up: the data come with scikit-learn

    def files(self) -> Sequence[Path]:
        """Give this module and scikit-learn's data file: what is read from them stays as long as they do."""
        from importlib.util import find_spec

        spec = find_spec("sklearn")
        assert spec is not None
        assert spec.origin is not None
        return (Path(__file__), Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz")

    def missing(self) -> Missing | None:
        """Nothing is ever missing."""
        return None

    def download(self) -> None:
        """Nothing to fetch."""

    def split(self, name: str) -> Split:
        """Read ``train`` or ``test``."""
        return _split(name, lambda _row, ink: (paint(ink, "white", "black"), None))


class ColorDigits(Digits):
    """The same glyphs in colours on coloured grounds, with two captions each."""

    def split(self, name: str) -> Split:
        """Read ``train`` or ``test``."""

        def draw(row: int, ink: NDArray[np.float32]) -> tuple[Pixels, tuple[str, ...]]:
            color, ground = colors_of(row)
            digit = CLASSES[glyphs()[1][row]]
            captions = (f"a {color} {digit} on a {ground} ground", f"the digit {digit} in {color} on {ground}")
            return paint(ink, color, ground), captions

        return _split(name, draw)


def _split(name: str, draw: Callable[[int, NDArray[np.float32]], tuple[Pixels, tuple[str, ...] | None]]) -> Split:
    images, labels = glyphs()
    rows = split_rows(name)
    drawn = [draw(int(row), enlarge(images[row])) for row in rows]
    captions = [own for _, own in drawn if own is not None]
    return Split(
        images=_Drawn([pixels for pixels, _ in drawn]),  # type: ignore[arg-type]
        item_hashes=[hashlib.sha256(pixels.tobytes()).hexdigest() for pixels, _ in drawn],
        classes=CLASSES,
        labels=labels[rows],
        captions=captions or None,
    )
