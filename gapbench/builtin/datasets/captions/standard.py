"""The usual test sets for retrieval: ``coco-5k``, ``coco-1k``, ``flickr30k-1k``, ``flickr8k-1k``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.captions.dataset import CaptionFile
from gapbench.builtin.datasets.captions.reading import shown
from gapbench.errors import DataError

if TYPE_CHECKING:
    from gapbench.builtin.datasets.captions.dataset import Item
    from gapbench.specs import Context

#: Captions a picture.
CAPTIONS = 5

#: A file without splits is one of test pictures where its name says so.
TEST_IN_NAME = re.compile(r"(?<![a-z])test(?![a-z])")


class StandardSet(CaptionFile):
    """Karpathy's test split of a set, with five captions a picture.

    Parameters
    ----------
    context
        Not used.
    path
        Karpathy's JSON, or another caption file with the same splits, or one of the test split alone whose name has the word
        ``test``.
    name
        The name of the set, for errors.
    usual
        Files that have it.
    pictures
        Pictures of the test split.
    folds
        Parts of equal size that the test split is cut into, in the order of the file.
    fold
        Which of them is scored, from 1.
    fit
        As for `CaptionFile`.
    """

    def __init__(
        self,
        context: Context,
        path: str,
        *,
        name: str,
        usual: str,
        pictures: int,
        folds: int = 1,
        fold: int = 1,
        fit: str = "train",
    ) -> None:
        super().__init__(context, path, split="test", fit=fit)
        self.name, self.usual, self.pictures, self.folds, self.fold = name, usual, pictures, folds, fold

    def select(self, name: str, items: list[Item]) -> tuple[list[Item], dict[str, int], list[str]]:
        """Hold the test split to its size, and take five captions of each picture, and the pictures of the fold."""
        if name != "test":
            return super().select(name, items)
        self._check(items)
        notices = []
        if not self._named_splits:
            notices.append(f"The file has no splits; its {len(items):,} pictures are taken for the test split.")
        if self.folds > 1:
            size = len(items) // self.folds
            start = size * (self.fold - 1)
            items = items[start : start + size]
            notices.append(
                f"Fold {self.fold} of {self.folds}: pictures {start + 1:,} to {start + size:,} of the test split, in the "
                "order of the file."
            )
        extra = sum(len(item.captions) - CAPTIONS for item in items)
        items = [replace(item, captions=item.captions[:CAPTIONS]) for item in items]
        return items, {"captions beyond the first five": extra}, notices

    def _check(self, items: list[Item]) -> None:
        """Refuse what is not the test split.

        Raises
        ------
        DataError
            Another number of pictures, too few captions, or a file that does not say which pictures are for tests.
        """
        way_out = f"Give {self.usual}, or score this file as captions:PATH."
        found = self._readings[0].form + (", split test" if self._named_splits else " without splits")
        if len(items) != self.pictures:
            raise DataError(
                f"{self.path} (read as {found}) has {len(items):,} pictures; the test split of {self.name} has "
                f"{self.pictures:,}. {way_out}"
            )
        if not self._named_splits and not TEST_IN_NAME.search(self.path.stem.lower()):
            raise DataError(
                f"{self.path} (read as {found}) has the {self.pictures:,} pictures of {self.name}, but nothing says that "
                f"they are those of its test split: neither a split nor the file's name. {way_out}"
            )
        if few := [item for item in items if len(item.captions) < CAPTIONS]:
            raise DataError(
                f"{self.path}: {len(few):,} pictures have fewer than five captions, the first is {shown(few[0].name)} "
                f"({few[0].place}); {self.name} has five for each. {way_out}"
            )
