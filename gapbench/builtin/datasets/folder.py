"""The family ``folder:PATH``: one folder of pictures a class, optionally below split folders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gapbench.builtin.datasets.class_names import FOLDERS, LISTS, ClassNames, Names
from gapbench.builtin.datasets.parts import Parts, parts_of
from gapbench.builtin.datasets.pictures import SUFFIXES, PictureFiles, chosen, said_of_deep
from gapbench.builtin.datasets.tree import Tree, listing, tree
from gapbench.components import Dataset, Intake, Split
from gapbench.errors import DataError, first_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.specs import Context


@dataclass
class Part:
    """Pictures of one split with the names of their class folders, and what else lay there."""

    paths: list[Path] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)


class ImageFolder(Dataset):
    """Class folders; their names, with spaces for underscores, are the class names.

    Parameters
    ----------
    context
        Not used.
    path
        A folder with class folders, or with split folders (``train``, ``val``, ``test`` and the like, in any case) that
        have class folders.
    split
        The split that is scored; empty: test, else val.
    names
        A file with the names of the classes; ``folders`` for those of the folders; empty: a list beside the folders, if
        there is one, else the folders' names.
    limit
        Number of pictures of each split that are read; 0: all.
    white
        The value that is white in grey pictures of more than 8 bits (`PictureFiles`).
    """

    def __init__(
        self, context: Context, path: str, *, split: str = "", names: str = "", limit: int = 0, white: float = 0
    ) -> None:
        del context
        self.root = Path(path).expanduser()
        self.wanted = split
        self.given_names = names
        self.limit = limit
        self.white = white

    def splits(self) -> Mapping[str, int]:
        """Return ``train`` (where there is one) and ``test``."""
        return {name: len(part.paths) for name, part in self._found.items()}

    def files(self) -> Sequence[Path]:
        """Return all pictures, and the list of class names."""
        lists = [Path(self.given_names).expanduser()] if self.given_names not in ("", FOLDERS) else []
        lists += [root / name for root in self._list_roots for name in LISTS if (root / name).is_file()]
        return [*(path for part in self._found.values() for path in part.paths), *lists]

    def split(self, name: str) -> Split:
        """Read one split."""
        part = self._found[name]
        pictures = PictureFiles(part.paths, white=self.white)
        hashes, deep = pictures.hashes_and_deep()
        names = self._names
        position = {folder: row for row, folder in enumerate(names.names)}
        return Split(
            images=pictures,  # type: ignore[arg-type]
            item_hashes=hashes,
            classes=list(names.names.values()),
            labels=np.asarray([position[folder] for folder in part.folders], dtype=np.int64),
            intake=Intake(
                read_as=self._read_as(name),
                skipped=dict(part.skipped),
                notices=[*part.notices, *([names.said] if names.said else []), *said_of_deep(deep, self.white)],
            ),
        )

    def _read_as(self, name: str) -> str:
        where = self._parts.roots[name]
        return "class folders" if where == self.root else f"class folders below {where.name}/"

    @cached_property
    def _parts(self) -> Parts:
        return parts_of(self.root, self.wanted)

    @cached_property
    def _list_roots(self) -> list[Path]:
        """Folders in which a list of class names may lie."""
        return list(dict.fromkeys([self.root, *self._parts.roots.values()]))

    @cached_property
    def _names(self) -> Names:
        folders = {folder.name for root in self._parts.roots.values() for folder in listing(root).folders}
        return ClassNames(sorted(folders & self._with_pictures), self._list_roots, self.given_names)

    @cached_property
    def _with_pictures(self) -> set[str]:
        return {name for trees in self._trees.values() for name, one in trees.items() if one.pictures}

    @cached_property
    def _trees(self) -> dict[str, dict[str, Tree]]:
        """What each class folder of each split holds."""
        found = {
            name: {folder.name: tree(folder) for folder in listing(root).folders}
            for name, root in self._parts.roots.items()
        }
        for name, root in self._parts.roots.items():
            if not found[name]:
                raise DataError(f"{root} has no class folders; put the pictures of each class into its own.")
            self._refuse_nested(root, found[name])
        return found

    @staticmethod
    def _refuse_nested(root: Path, trees: Mapping[str, Tree]) -> None:
        """Refuse class folders that hold only folders: they are no classes."""
        nested = [name for name, one in trees.items() if one.deeper and not one.own]
        if nested:
            raise DataError(
                f"{root} has folders that hold folders, and no pictures: {first_of(nested)}. "
                f"If they are no classes, give one of them: folder:{root / nested[0]}. If they are, move their pictures up."
            )

    @cached_property
    def _found(self) -> dict[str, Part]:
        empty = {name for trees in self._trees.values() for name in trees} - self._with_pictures
        if bad := sorted(empty - set(self._names.names)):
            raise DataError(
                f"{self.root}: the class folder {bad[0]} has no pictures ({', '.join(sorted(SUFFIXES))}) in any split; fill "
                "or remove it."
            )
        return {name: self._part(name) for name in self._parts.roots}

    def _part(self, name: str) -> Part:
        root = self._parts.roots[name]
        inside = listing(root)
        part = Part(skipped=Counter(inside.skipped))
        for list_name in LISTS:  # it is read
            if root in self._list_roots and (root / list_name).is_file():
                suffix = f"{Path(list_name).suffix} files"
                part.skipped[suffix] -= 1
        deeper = 0
        for folder, one in sorted(self._trees[name].items()):
            part.paths += one.pictures
            part.folders += [folder] * len(one.pictures)
            part.skipped += one.skipped
            deeper += len(one.deeper)
        part.skipped["pictures outside class folders"] = len(set(inside.pictures).difference(part.paths))
        part.skipped = +part.skipped
        if deeper:
            part.notices.append(
                f"{deeper:,} pictures lie in folders inside class folders, and belong to these classes."
            )
        if lacking := sorted(set(self._names.names) - set(part.folders)):
            part.notices.append(
                f"{len(lacking):,} of {len(self._names.names):,} classes have no picture here: {first_of(lacking)}."
            )
        if name == "test":
            part.notices += [f"{path.name}/ is not read; [split={path.name}] scores it." for path in self._parts.unused]
        return self._limited(part, root)

    def _limited(self, part: Part, root: Path) -> Part:
        if not self.limit or len(part.paths) <= self.limit:
            return part
        rows = chosen((path.relative_to(root).as_posix() for path in part.paths), self.limit)
        part.notices.append(f"{self.limit:,} of {len(part.paths):,} pictures are read, chosen by their names.")
        part.paths = [part.paths[row] for row in rows]
        part.folders = [part.folders[row] for row in rows]
        return part
