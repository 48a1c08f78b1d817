"""Readers of embeddings, one for each kind of container: a path becomes arrays by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.embeddings.impostors import refuse_impostor
from gapbench.embeddings.readers.refused import refuse_pickle, refuse_pickles_in
from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.embeddings.readers.found import Found

FORMS = (
    "an .npz or .safetensors file, a folder of .npy files, a clip-retrieval folder (img_emb/, text_emb/), a .parquet file, "
    "or a folder that 'datasets' saved"
)


def read(path: Path) -> Found:
    """Read a file or a folder by what it is.

    Raises
    ------
    DataError
        It is none of `FORMS`, or damaged; names the file, and the way out.
    """
    return _read_folder(path) if path.is_dir() else _read_file(path)


def _read_file(path: Path) -> Found:
    refuse_impostor(path)
    refuse_pickle(path)
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        from gapbench.embeddings.readers.tensors import read_safetensors

        return read_safetensors(path)
    if suffix in (".parquet", ".arrow"):
        from gapbench.embeddings.readers.tables import read_table_file

        return read_table_file(path)
    if suffix == ".npy":
        raise DataError(
            f"{path} is one array, and embeddings are several: image.npy, text.npy, and label.npy or pair.npy in one "
            "folder. Name the folder."
        )
    if suffix in (".csv", ".json", ".jsonl", ".tsv", ".txt", ".h5", ".hdf5", ".mat", ".tar", ".zip", ".gz"):
        raise DataError(f"{path} is not read as embeddings. Save its arrays with numpy.savez; what is read: {FORMS}.")
    from gapbench.embeddings.readers.numpy_files import read_npz

    return read_npz(path)


def _read_folder(path: Path) -> Found:
    if (path / "img_emb").is_dir() or (path / "text_emb").is_dir():
        from gapbench.embeddings.readers.clip_retrieval import read_clip_retrieval

        return read_clip_retrieval(path)
    names = sorted(one.name for one in path.iterdir())
    if any(name == "dataset_dict.json" or name.endswith((".arrow", ".parquet")) for name in names):
        from gapbench.embeddings.readers.tables import read_table_folder

        return read_table_folder(path)
    if any(name.endswith(".npy") for name in names):
        from gapbench.embeddings.readers.numpy_files import read_npy_folder

        return read_npy_folder(path)
    refuse_pickles_in(path)
    have = ", ".join(names[:8]) or "nothing"
    raise DataError(
        f"{path} is no folder of embeddings (it has {have}{', ...' if len(names) > 8 else ''}). What is read: {FORMS}."  # noqa: PLR2004
    )
