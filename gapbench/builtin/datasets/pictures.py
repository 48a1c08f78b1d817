"""Pictures in files: opened on access, hashed by content, errors with the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.fingerprint import hash_bytes
from gapbench.embeddings.impostors import refuse_impostor
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from PIL.Image import Image

#: Names of picture files; HEIC and AVIF where Pillow, or the package pillow-heif, can read them.
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff"),
        *(".gif", ".jp2", ".avif", ".heic", ".heif"),
    }
)

#: Modes of grey pictures whose values do not fit into 8 bits, with the value that is white where the file does not say.
_DEEP = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I;16N": 65535.0, "I": None, "F": 1.0}
_PNG, _PNG_DEPTH, _DEEP_PNG = b"\x89PNG\r\n\x1a\n", 24, 16


class PictureFiles:
    """RGB pictures from files, decoded on access.

    Parameters
    ----------
    paths
        The files.
    white
        The value that is white in grey pictures of more than 8 bits; 0: the largest one of 16 bits, and 1 in pictures of
        floating-point numbers.
    """

    def __init__(self, paths: Sequence[Path], *, white: float = 0) -> None:
        self.paths = list(paths)
        self.white = white

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> Image:
        from PIL import Image as Pictures

        path = self.paths[item]
        if path.suffix.lower() in (".heic", ".heif"):
            _register_heif()
        try:
            with Pictures.open(path) as picture:
                return _scaled(picture, self.white) if picture.mode in _DEEP else picture.convert("RGB")
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except Pictures.DecompressionBombError as error:
            raise DataError(f"{path} is too large to be decoded ({error}). Make it smaller, or remove it.") from error
        except (OSError, ValueError, SyntaxError) as error:
            refuse_impostor(path)
            raise DataError(f"{path} cannot be read as a picture ({_cause(error)}). Remove or replace it.") from error

    def hashes(self) -> list[str]:
        """SHA-256 of each file, and of the value that is white where one is given."""
        return [self._hashed(path)[0] for path in self.paths]

    def hashes_and_deep(self) -> tuple[list[str], int]:
        """Hashes, and the number of PNG files of 16 bits; each file is read once."""
        found = [self._hashed(path) for path in self.paths]
        return [digest for digest, _ in found], sum(deep for _, deep in found)

    def _hashed(self, path: Path) -> tuple[str, bool]:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}). Remove or replace it.") from error
        deep = content.startswith(_PNG) and content[_PNG_DEPTH : _PNG_DEPTH + 1] == bytes([_DEEP_PNG])
        return hash_bytes(content + f"white={self.white:g}".encode() if self.white else content), deep


def said_of_deep(deep: int, white: float) -> list[str]:
    """Return what a run tells of PNG pictures of 16 bits; ``deep`` is their number."""
    top = f"{white:g}" if white else "65535"
    return [f"{deep:,} PNG pictures have 16 bits; in grey ones {top} is white."] if deep else []


def _cause(error: Exception) -> str:
    """Return what went wrong, without the path that the message names anyway."""
    return "no picture that Pillow knows" if "cannot identify image file" in str(error) else str(error)


def _register_heif() -> None:
    """Teach Pillow HEIC, where the package for it is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


def _scaled(picture: Image, white: float) -> Image:
    """Scale a grey picture of 16 bits, 32 bits or floating-point numbers to 0..255.

    Raises
    ------
    DataError
        It has values outside 0..white, or nothing says what is white.
    """
    from PIL import Image as Pictures

    known = 65535.0 if picture.mode == "I" and picture.format == "PNG" else _DEEP[picture.mode]
    top = white or known
    if top is None:
        raise DataError("its values have 32 bits, and it does not say which of them is white. Give it, [white=65535].")
    values = np.asarray(picture, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):
        raise DataError(
            f"its values go from {low:g} to {high:g}, and {top:g} is taken for white. Give the right one, such as "
            f"[white={max(high, 1):g}]; values below 0 are not read."
        )
    return Pictures.fromarray(np.rint(values * (255 / top)).astype(np.uint8)).convert("RGB")


def chosen(names: Iterable[str], limit: int) -> list[int]:
    """Positions of ``limit`` names, in order: the same ones whatever the order of the names, as good as random."""
    from gapbench.embeddings.items import string_keys

    keys = string_keys(names)
    return sorted(np.argsort(keys, kind="stable")[:limit].tolist()) if limit else list(range(len(keys)))
