"""Writing embeddings as the files that are read (`gapbench.embeddings.schema`): aside, then renamed; whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.disk import reason, remove, sync
from gapbench.errors import UnwritableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gapbench.components import EmbeddedSplit

#: What a clip-retrieval folder holds.
_CLIP_RETRIEVAL = frozenset({"img_emb", "text_emb", "metadata"})


def arrays_of(splits: Mapping[str, EmbeddedSplit], *, captioned: bool) -> dict[str, Any]:
    """Return the arrays of ``test``, and of ``train`` where it is there, by the names that they have in a file.

    Parameters
    ----------
    splits
        By name.
    captioned
        Whether the texts are the captions; else they are the class prompts, which both splits share.
    """
    arrays: dict[str, Any] = {}
    for name, split in splits.items():
        behind = "_train" if name == "train" else ""
        found: dict[str, Any] = {"image": split.images[:], "image_key": split.keys}
        texts = split.captions if captioned else split.prompts
        assert texts is not None, "the plan asks for texts that are there"
        of_texts = {"text": texts.rows[:], "text_key": texts.keys, "text_cut": texts.cut}
        if captioned:
            found |= {**of_texts, "pair": texts.owner, "class": split.labels}
            found["names"] = np.array(texts.strings, dtype=np.str_) if texts.strings else None
        else:
            found["label"] = split.labels
        arrays |= {f"{name}{behind}": array for name, array in found.items() if array is not None}
        if not captioned and not behind:
            more = {**of_texts, "owner": texts.owner, "weight": texts.weights}
            arrays |= {name: array for name, array in more.items() if array is not None}
        if split.classes and not behind and (split.labels is not None):
            arrays["class_names" if captioned else "names"] = np.array(split.classes, dtype=np.str_)
    return arrays


def check_target(path: Path, *, force: bool, captioned: bool | None = None) -> None:
    """Find out before the work whether embeddings can be written to a path.

    Raises
    ------
    UsageError
        Something is there, and ``force`` is false or it is no embeddings; or class texts are to go into a clip-retrieval
        folder.
    """
    is_file = path.suffix in (".npz", ".safetensors")
    if not is_file and path.suffix:
        raise UsageError(
            f"{path}: embeddings are written as .npz, as .safetensors, or into a folder. Choose one of them."
        )
    if not is_file and captioned is False:
        raise UsageError(
            f"{path} would be a clip-retrieval folder, which holds images and captions, and these texts are class prompts. "
            "Write a .safetensors or .npz file."
        )
    if not os.path.lexists(path):
        return
    if is_file and path.is_file() and not path.is_symlink():
        fits = True
    else:
        fits = not is_file and path.is_dir() and {one.name for one in path.iterdir()} <= _CLIP_RETRIEVAL
    if not fits:
        raise UsageError(f"{path} is something else than what is to be written, and stays. Choose another name.")
    if not force:
        raise UsageError(f"{path} is there already, and stays. Choose another name, or replace it with --force.")


def write_embeddings(path: Path, arrays: Mapping[str, Any], words: Mapping[str, str], *, force: bool) -> list[str]:
    """Write arrays by name into a ``.safetensors`` or ``.npz`` file, or pairs into a clip-retrieval folder.

    Parameters
    ----------
    path
        Where; its suffix says in which form, and a name without one is a folder.
    arrays, words
        As `gapbench.embeddings.schema` names them, and what the file says of itself.
    force
        Whether what is there is replaced.

    Returns
    -------
    list of str
        Sentences on what this form does not hold.

    Raises
    ------
    UsageError
        As `check_target`.
    UnwritableError
        The disk does not take it; what was there is there still.
    """
    check_target(path, force=force, captioned="pair" in arrays)
    with _aside(path) as temporary:
        if path.suffix == ".npz":
            with temporary.open("wb") as file:
                named: dict[str, Any] = {**arrays, **{name: np.array(text) for name, text in words.items()}}
                np.savez(file, **named)
            return []
        if path.suffix == ".safetensors":
            _safetensors(temporary, arrays, words)
            return []
        return _clip_retrieval(temporary, arrays)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Yield a path beside the one that is meant; what is there at the end takes its place, and on an error nothing does."""
    temporary, old = (path.with_name(f".gapbench-{path.name}.{end}") for end in ("tmp", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(temporary)
        try:
            yield temporary
            if path.is_dir():  # a folder cannot be replaced in one step
                remove(old)
                path.rename(old)
            temporary.rename(path) if temporary.is_dir() else temporary.replace(path)
            remove(old)
            sync(path.parent)
        except BaseException:
            remove(temporary)
            raise
    except OSError as error:
        raise UnwritableError(
            f"{path} cannot be written ({reason(error)}). Make room, or choose another place."
        ) from error


def _safetensors(path: Path, arrays: Mapping[str, Any], words: Mapping[str, str]) -> None:
    """Write numbers as tensors, and strings into the metadata, which is where this form has them."""
    from safetensors.numpy import save_file

    numbers = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array.dtype.kind != "U"}
    strings = {name: json.dumps(array.tolist()) for name, array in arrays.items() if array.dtype.kind == "U"}
    save_file(numbers, path, metadata={**strings, **words})


def _clip_retrieval(path: Path, arrays: Mapping[str, Any]) -> list[str]:
    """Write one row for each caption, an image as often as it has captions."""
    pair = arrays["pair"]
    for side, rows in (("img_emb", arrays["image"][pair]), ("text_emb", arrays["text"])):
        (path / side).mkdir(parents=True)
        np.save(path / side / f"{side}_0.npy", rows)
    lost = ["what identifies the pictures, so that halves are drawn by the rows instead"]
    if any(name.endswith("_train") for name in arrays):
        lost.append("the training split")
    if "class" in arrays:
        lost.append("the classes of the images")
    if bare := len(arrays["image"]) - len(np.unique(pair)):
        lost.append(f"{bare:,} images without a caption")
    if "names" in arrays:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            lost.append("the captions (the extra 'parquet' writes them)")
        else:
            (path / "metadata").mkdir()
            parquet.write_table(
                pa.table({"caption": arrays["names"].tolist()}), path / "metadata" / "metadata_0.parquet"
            )
    return [f"A clip-retrieval folder does not hold {one}." for one in lost]
