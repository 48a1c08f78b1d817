"""Pictures from their encoded bytes: decoded on access, hashed as they lie there."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image

#: Modes whose values do not fit into 8 bits: Pillow would cut them off.
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def digest(content: bytes) -> str:
    """SHA-256 of a picture's encoded bytes."""
    return hashlib.sha256(content).hexdigest()


class Pictures:
    """RGB pictures, decoded on access.

    Parameters
    ----------
    names
        One a picture, for messages.
    read
        Returns the encoded bytes of the picture at a position.
    upright
        Whether a picture is turned as its EXIF data say.
    """

    def __init__(self, names: Sequence[str], read: Callable[[int], bytes], *, upright: bool = False) -> None:
        self.names = names
        self.read = read
        self.upright = upright

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, item: int) -> Image:
        from PIL import Image as Pillow
        from PIL import ImageOps

        name = self.names[item]
        try:
            with Pillow.open(io.BytesIO(self.read(item))) as picture:
                if picture.mode in _DEEP:
                    raise DataError(
                        f"{name} is a grey picture of more than 8 bits. Write it with 8 bits, or leave it out."
                    )
                turned = ImageOps.exif_transpose(picture) if self.upright else picture
                return turned.convert("RGB")
        except Pillow.DecompressionBombError as error:
            raise DataError(
                f"{name} is too large to be decoded ({error}). Make it smaller, or leave it out."
            ) from error
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{name} cannot be read as a picture ({error}). Leave it out, or replace it.") from error
