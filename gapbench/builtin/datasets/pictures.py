"""Pictures in files: opened on access, hashed by content, errors with the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.embeddings.fingerprint import hash_file
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff", ".gif"}


class PictureFiles:
    """RGB pictures from files, decoded on access."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> Image:
        from PIL import Image as Pictures

        path = self.paths[item]
        try:
            with Pictures.open(path) as picture:
                return picture.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{path} cannot be read as a picture ({error}). Remove or replace it.") from error

    def hashes(self) -> list[str]:
        """SHA-256 of each file."""
        return [hash_file(path) for path in self.paths]
