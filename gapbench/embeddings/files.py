"""Embeddings that somebody else computed: `readers` say how they are read, `schema` says what they must hold."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from gapbench.embeddings.readers import read
from gapbench.embeddings.schema import splits_of
from gapbench.errors import DataError
from gapbench.specs import Offer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.components import EmbeddedSplit
    from gapbench.specs import Missing


class EmbeddingFile:
    """Implements `gapbench.components.PrecomputedDataset` for a path.

    Parameters
    ----------
    path
        One of `gapbench.embeddings.readers.FORMS`. Nothing is read before it is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> Sequence[Path]:
        """Return the file, or all files of the folder."""
        if not self.path.is_dir():
            return (self.path,)
        return tuple(sorted(path for path in self.path.rglob("*") if path.is_file()))

    def missing(self) -> Missing | None:
        """Nothing can be fetched: a path that is not there is an error."""
        if not self.path.exists():
            raise DataError(
                f"There is no embedding file or folder {str(self.path)!r}. Check the path after 'embeddings:'."
            )
        return None

    def offers(self) -> frozenset[Offer]:
        """Labels in class mode, captions in caption mode, and labels beside them where images have classes."""
        test = self._splits["test"]
        captions = frozenset() if test.captions is None else frozenset({Offer.CAPTIONS})
        return captions | (frozenset() if test.labels is None else frozenset({Offer.LABELS}))

    def splits(self) -> Mapping[str, int]:
        """Return ``test``, and ``train`` where there is one, with their numbers of images."""
        return {name: len(split.images) for name, split in self._splits.items()}

    def dims(self) -> tuple[int, int]:
        """Return the number of dimensions of images and of texts."""
        return self._splits["test"].dims

    def embedded(self, name: str) -> EmbeddedSplit:
        """Return one split."""
        return self._splits[name]

    @cached_property
    def _splits(self) -> dict[str, EmbeddedSplit]:
        return splits_of(read(self.path))
