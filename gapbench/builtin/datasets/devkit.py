"""Labels of ImageNet's validation pictures where all lie in one folder, from the development kit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

#: The kit's folder, and the files in it that are read.
KIT = "ILSVRC2012_devkit_t12"
TRUTH, META = "data/ILSVRC2012_validation_ground_truth.txt", "data/meta.mat"

_PICTURE = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+", re.IGNORECASE)


@dataclass(frozen=True)
class Flat:
    """Pictures by the codes of their classes, and the files that say so."""

    by_code: dict[str, list[Path]]
    files: tuple[Path, Path]


def labelled(pictures: Sequence[Path], places: Iterable[Path]) -> Flat:
    """Label pictures that are called ``ILSVRC2012_val_00000001.JPEG`` and so on.

    Parameters
    ----------
    pictures
        At least one.
    places
        Folders in which the kit may lie.

    Raises
    ------
    DataError
        No kit, files that are not as they should be, or a picture that has no label.
    """
    tried = list(dict.fromkeys(places))
    kit = next((place / KIT for place in tried if (place / KIT).is_dir()), None)
    where = pictures[0].parent
    if kit is None:
        raise DataError(
            f"{where} has pictures and no class folders, and the development kit with their labels was not found: unpack "
            f"{KIT}.tar.gz so that {tried[0] / KIT} is there (looked into {', '.join(map(str, tried))})."
        )
    codes, truth = _codes(kit / META), _truth(kit / TRUTH)
    by_code: dict[str, list[Path]] = {}
    for path in pictures:
        match = _PICTURE.fullmatch(path.name)
        number = int(match[1]) if match else 0
        if not 0 < number <= len(truth):
            raise DataError(
                f"{path} has no label: pictures are called ILSVRC2012_val_00000001.JPEG and so on, and {kit / TRUTH} labels "
                f"{len(truth):,}. Remove it, or put the pictures into class folders."
            )
        if (code := codes.get(truth[number - 1])) is None:
            raise DataError(
                f"{kit / TRUTH}, line {number}: {truth[number - 1]} is no class of {kit / META}. Unpack the kit anew."
            )
        by_code.setdefault(code, []).append(path)
    return Flat(by_code, (kit / TRUTH, kit / META))


def _truth(path: Path) -> list[int]:
    """Read one number of a class a line."""
    try:
        return [int(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise DataError(f"The labels {path} cannot be read ({error}). Unpack the kit anew.") from error


def _codes(path: Path) -> dict[int, str]:
    """Read the codes of the classes by the kit's own numbers, which are not in the order of the codes."""
    from scipy.io import loadmat

    try:
        synsets: Any = loadmat(path, squeeze_me=True)["synsets"]
        rows = zip(synsets["ILSVRC2012_ID"], synsets["WNID"], synsets["num_children"], strict=True)
        return {int(number): str(code) for number, code, children in rows if int(children) == 0}
    except Exception as error:  # the reader of another library on any file whatever
        raise DataError(f"The classes {path} cannot be read ({error}). Unpack the kit anew.") from error
