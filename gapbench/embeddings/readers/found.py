"""What a reader finds in a file or folder: arrays by name, and words about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: What a file may say of itself, each as one string.
WORDS = ("encoder", "dataset", "prompts", "pooling")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Named arrays, as they lie in the source.

    Parameters
    ----------
    path
        The file or folder.
    read_as
        What it was taken for.
    arrays
        Each array by its name (`gapbench.embeddings.schema`): of NumPy, or `gapbench.components.Rows` that the reader has
        checked.
    places
        Where an array lies, where that is not the array of this name in ``path``.
    words
        What the source says of itself (`WORDS`).
    row_pairs
        Whether image and text are pairs row by row, so that an image with several captions occurs several times.
    skipped, notices
        As those of `gapbench.components.Intake`.
    """

    path: Path
    read_as: str
    arrays: Mapping[str, Any]
    places: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    row_pairs: bool = False
    skipped: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[str] = ()

    def where(self, name: str) -> str:
        """Name the place of an array, as messages begin."""
        return self.places.get(name, f"{self.path}, array {name!r}")
