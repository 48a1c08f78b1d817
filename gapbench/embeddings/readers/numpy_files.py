"""Reading ``.npz`` files, and folders of ``.npy`` files, of which the names are those of the arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapbench.embeddings.impostors import refuse_impostor
from gapbench.embeddings.npz import open_npy, open_npz
from gapbench.embeddings.readers.found import WORDS, Found
from gapbench.embeddings.readers.refused import TORCH
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

#: How CLIP_benchmark's linear probe names what it keeps, after conversion from ``.pt``.
FEATURE_CACHE = {
    "features_test": "image",
    "targets_test": "label",
    "features_train": "image_train",
    "targets_train": "label_train",
}
_VALIDATION = ("features_val", "targets_val")


def read_npz(path: Path) -> Found:
    """Read an ``.npz`` file, as `gapbench.embeddings.npz.open_npz`."""
    arrays = open_npz(path)
    return Found(path=path, read_as=".npz file", words=_words(arrays, path), arrays=arrays)


def read_npy_folder(path: Path) -> Found:
    """Read a folder of ``.npy`` files: an unpacked ``.npz`` file, or the features that CLIP_benchmark keeps, converted.

    Raises
    ------
    DataError
        One of them is not whole, is a pointer of Git LFS, or stands twice, under both names.
    """
    arrays: dict[str, Any] = {}
    places: dict[str, str] = {}
    skipped: dict[str, int] = {}
    for file in sorted(path.glob("*.npy")):
        if file.stem in _VALIDATION:
            skipped["arrays of a validation split"] = skipped.get("arrays of a validation split", 0) + 1
            continue
        name = FEATURE_CACHE.get(file.stem, file.stem)
        if name in arrays:
            raise DataError(f"{path} has both {places[name]} and {file.name} for {name!r}. Remove one of them.")
        refuse_impostor(file)
        arrays[name], places[name] = open_npy(file), str(file)
    if torch := [one for one in path.iterdir() if one.suffix.lower() in TORCH]:
        skipped["files of torch.save"] = len(torch)
    cache = "features_test" in {file.stem for file in path.glob("*.npy")}
    read_as = "features as CLIP_benchmark keeps them" if cache else "folder of .npy files"
    return Found(path=path, read_as=read_as, arrays=arrays, places=places, words=_words(arrays, path), skipped=skipped)


def _words(arrays: dict[str, Any], path: Path) -> dict[str, str]:
    """Take what the source says of itself out of the arrays: strings without a dimension."""
    words = {}
    for name in WORDS:
        if (array := arrays.pop(name, None)) is not None:
            if array.dtype.kind != "U" or array.size != 1:
                raise DataError(
                    f"{path}, array {name!r}, is {array.dtype} of shape {array.shape}; it must be one string."
                )
            words[name] = str(array.reshape(-1)[0])
    return words
