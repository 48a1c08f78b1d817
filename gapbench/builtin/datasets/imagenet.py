"""ImageNet and the sets that are scored with its classes: V2, A, R and Sketch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.class_names import Names, imagenet_codes, imagenet_names
from gapbench.builtin.datasets.devkit import KIT, Flat, labelled
from gapbench.builtin.datasets.folder import ImageFolder
from gapbench.builtin.datasets.parts import Parts
from gapbench.builtin.datasets.tree import Tree, listing, tree
from gapbench.errors import DataError, first_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.specs import Context


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How one of the sets is laid out.

    Parameters
    ----------
    title
        What its authors call it.
    inner
        Start of the name of the folder with the class folders, where it is not the path that was given.
    train
        Whether it has pictures to fit on.
    numbered
        Class folders are called 0 to 999, by the order of the codes, and not by the codes.
    classes
        How many classes it has; 0: all 1,000, whether or not each has a folder.
    codes
        timm's list of them; empty: all.
    """

    title: str
    inner: str
    train: bool = False
    numbered: bool = False
    classes: int = 0
    codes: str = "imagenet_synsets"


VARIANTS = {
    "imagenet": Variant(title="ImageNet", inner="val", train=True),
    "imagenet-v2": Variant(title="ImageNetV2", inner="imagenetv2", numbered=True),
    "imagenet-a": Variant(title="ImageNet-A", inner="imagenet-a", classes=200, codes="imagenet_a_synsets"),
    "imagenet-r": Variant(title="ImageNet-R", inner="imagenet-r", classes=200, codes="imagenet_r_synsets"),
    "imagenet-sketch": Variant(title="ImageNet-Sketch", inner="sketch"),
}


class ImageNet(ImageFolder):
    """One of the sets; classes are called as CLIP's authors call them.

    ImageNet, V2 and Sketch have all 1,000 classes, whether or not a picture of each is there; A and R have 200 of them.

    Parameters
    ----------
    context
        Not used.
    path
        The folder with the class folders, or the one above it. ImageNet's validation pictures may lie in class folders, or
        all in one with the development kit beside it.
    variant
        Which of `VARIANTS` it is.
    limit
        Number of pictures of each split that are read; 0: all.
    """

    def __init__(self, context: Context, path: str, *, variant: str, limit: int = 0) -> None:
        super().__init__(context, path, limit=limit)
        self.variant = VARIANTS[variant]

    def files(self) -> Sequence[Path]:
        """Return all pictures, and the files that label them."""
        return [*super().files(), *(() if self._flat is None else self._flat.files)]

    @cached_property
    def _parts(self) -> Parts:
        title, inner = self.variant.title, self.variant.inner
        if not self.root.is_dir():
            raise DataError(f"There is no folder {str(self.root)!r}. Check the path of {title}.")
        folders = listing(self.root).folders
        found = [one for one in folders if one.name.lower() == inner]
        found = found or [one for one in folders if one.name.lower().startswith(inner)]
        if len(found) > 1:
            raise DataError(
                f"{self.root} holds {', '.join(one.name for one in found)}. Say which of them is to be scored by giving it, "
                f"{found[0]}."
            )
        train = self.root / "train"
        fitted = train if self.variant.train and found and train.is_dir() else None
        return Parts(scored=found[0] if found else self.root, fitted=fitted)

    @cached_property
    def _list_roots(self) -> list[Path]:
        """No list of names is looked for: they are known."""
        return []

    @cached_property
    def _flat(self) -> Flat | None:
        """Validation pictures that all lie in one folder; None where there are class folders."""
        scored = self._parts.scored
        inside = listing(scored)
        beside = [one for one in inside.folders if one.name != KIT]
        if not self.variant.train or beside or not inside.pictures:
            return None
        return labelled(inside.pictures, [self.root, scored, scored.parent, self.root.parent])

    @cached_property
    def _trees(self) -> dict[str, dict[str, Tree]]:
        found = {}
        for name, root in self._parts.roots.items():
            if name == "test" and self._flat is not None:
                found[name] = {code: Tree(paths, [], Counter()) for code, paths in self._flat.by_code.items()}
            else:
                found[name] = {folder.name: tree(folder) for folder in listing(root).folders}
            self._check(root, found[name])
        return found

    def _check(self, root: Path, trees: Mapping[str, Tree]) -> None:
        """Refuse folders that are not those of the set's classes."""
        title, n = self.variant.title, len(trees)
        wanted = "0 to 999" if self.variant.numbered else "codes such as n01440764"
        if not trees:
            raise DataError(f"{root} has no class folders; {title} has them, called {wanted}.")
        if foreign := sorted(set(trees) - set(self._all)):
            raise DataError(
                f"{root} is not {title}: of its {n:,} folders {first_of(foreign)} are none of "
                f"ImageNet's classes, which are called {wanted}. Give its own folder, or read this one with folder:."
            )
        if (whole := self.variant.classes) and n != whole:
            raise DataError(f"{root} is not {title}: it has {n:,} class folders, and {title} has {whole}.")
        for other in VARIANTS.values():
            if self.variant.codes != other.codes and set(trees) == set(imagenet_codes(other.codes)):
                raise DataError(f"{root} is not {title}: its {n:,} classes are those of {other.title}.")

    @cached_property
    def _all(self) -> dict[str, str]:
        """Names of ImageNet's classes by the names of class folders, in the order of the codes."""
        known = imagenet_names()
        return dict(zip(map(str, range(len(known))), known.values(), strict=True)) if self.variant.numbered else known

    @cached_property
    def _names(self) -> Names:
        """All 1,000 classes, or those of the folders."""
        known = self._all
        if self.variant.classes:
            known = {folder: known[folder] for folder in sorted(self._trees["test"])}
        first = next(iter(known))
        said = f"Class names are those of CLIP's authors, {first!r} is {known[first]!r}."
        strange = len(set(known) - set(imagenet_codes(self.variant.codes))) if self.variant.classes else 0
        if strange:
            said += f" {strange} of the {len(known)} classes are not in {self.variant.title} as it was published."
        return Names(known, said)

    def _read_as(self, name: str) -> str:
        what = super()._read_as(name)
        return "pictures in one folder, and the development kit" if name == "test" and self._flat is not None else what
