"""The family ``folder:PATH``: one folder of pictures a class, optionally below ``train/`` and ``test/``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.datasets.pictures import SUFFIXES, PictureFiles
from gapbench.components import Dataset, Split
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.specs import Context


class ImageFolder(Dataset):
    """Class folders; their names, with spaces for underscores, are the class names.

    Parameters
    ----------
    context
        Not used.
    path
        A folder with class folders, or with ``train/`` and ``test/`` that have the same class folders.
    """

    def __init__(self, context: Context, path: str) -> None:
        del context
        self.root = Path(path).expanduser()

    def splits(self) -> Mapping[str, int]:
        """Give ``train`` (where there is one) and ``test``."""
        return {name: len(pictures) for name, (pictures, _) in self._found.items()}

    def files(self) -> Sequence[Path]:
        """Give all pictures."""
        return [path for paths, _ in self._found.values() for path in paths]

    @cached_property
    def _roots(self) -> dict[str, Path]:
        if not self.root.is_dir():
            raise DataError(f"There is no folder {str(self.root)!r}. Check the path after 'folder:'.")
        if (self.root / "test").is_dir():
            return {name: self.root / name for name in ("train", "test") if (self.root / name).is_dir()}
        return {"test": self.root}

    @cached_property
    def _classes(self) -> list[str]:
        names = sorted(folder.name for folder in self._roots["test"].iterdir() if folder.is_dir())
        if not names:
            raise DataError(f"{self._roots['test']} has no class folders; put the pictures of each class into its own.")
        return names

    @cached_property
    def _found(self) -> dict[str, tuple[list[Path], list[int]]]:
        return {name: self._scan(root) for name, root in self._roots.items()}

    def _scan(self, root: Path) -> tuple[list[Path], list[int]]:
        extra = sorted(folder.name for folder in root.iterdir() if folder.is_dir() and folder.name not in self._classes)
        if extra:
            raise DataError(f"{root / extra[0]} is a class that {self._roots['test']} does not have.")
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(self._classes):
            own = sorted(path for path in (root / name).rglob("*") if path.suffix.lower() in SUFFIXES)
            if not own:
                raise DataError(f"{root / name} has no pictures ({', '.join(sorted(SUFFIXES))}); fill or remove it.")
            paths += own
            labels += [label] * len(own)
        return paths, labels

    def split(self, name: str) -> Split:
        """Read one split."""
        paths, labels = self._found[name]
        pictures = PictureFiles(paths)
        return Split(
            images=pictures,  # type: ignore[arg-type]
            item_hashes=pictures.hashes(),
            classes=[name.replace("_", " ") for name in self._classes],
            labels=np.asarray(labels, dtype=np.int64),
        )
