"""Split folders: which folder of a dataset is scored, and which is fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.tree import listing, tree
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

#: Names of splits as people write them, in any case; of those that are not for fitting, the first that is there is scored.
TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "eval", "evaluation", "val", "valid", "validation", "dev")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The folder that is scored, the one that is fitted on (None: none of its own), and the split folders not read."""

    scored: Path
    fitted: Path | None = None
    unused: tuple[Path, ...] = ()

    @property
    def roots(self) -> dict[str, Path]:
        """Folders by the names of splits."""
        return {**({} if self.fitted is None else {"train": self.fitted}), "test": self.scored}


def parts_of(root: Path, wanted: str = "") -> Parts:
    """Tell split folders from class folders.

    They are split folders where each of them is called like a split and holds class folders; a class may be called "train"
    beside others.

    Parameters
    ----------
    root
        The dataset's folder.
    wanted
        The split that is to be scored; empty: the first of `HELD_OUT`, else the only one that is there.

    Raises
    ------
    DataError
        No such folder, no such split, split folders without class folders, or two of one name.
    """
    if not root.is_dir():
        raise DataError(f"There is no folder {str(root)!r}. Check the path after 'folder:'.")
    named = _named(root)
    if not named:
        if wanted:
            raise DataError(f"{root} has no split {wanted!r}: it has no folders called train, val, test or the like.")
        return Parts(scored=root)
    scored = wanted.lower() or next((name for name in (*HELD_OUT, *TRAIN) if name in named), "")
    if scored not in named:
        raise DataError(f"{root} has no split {wanted!r}; it has {', '.join(path.name for path in named.values())}.")
    fitted = next((name for name in TRAIN if name in named and name != scored), "")
    unused = tuple(path for name, path in named.items() if name not in (scored, fitted))
    return Parts(scored=named[scored], fitted=named.get(fitted), unused=unused)


def _named(root: Path) -> dict[str, Path]:
    """Split folders by their names in lower case; empty where the folders are classes."""
    inside = listing(root)
    named: dict[str, Path] = {}
    for folder in inside.folders:
        name = folder.name.lower()
        if name in TRAIN or name in HELD_OUT:
            if name in named:
                raise DataError(
                    f"{named[name]} and {folder} are one split by their names. Rename or remove one of them."
                )
            named[name] = folder
        elif tree(folder).pictures:
            return {}
    if not named:
        return {}
    flat = [folder for folder in named.values() if listing(folder).pictures]
    if flat:
        raise DataError(
            f"{flat[0]} is called like a split and holds pictures, but no class folders. Put the pictures of each class "
            "into a folder of its own."
        )
    return named
