"""Pickles, and files of ``torch.save``, which are such: never loaded, since loading can run code; how to convert them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TORCH = (".pt", ".pth", ".bin", ".ckpt")
PICKLES = (".pkl", ".pickle")
_PROTOCOL = 0x80
_NEWEST = 5


def refuse_pickle(path: Path) -> None:
    """Refuse a file of ``torch.save`` or ``pickle``, by its name or by its first bytes.

    Raises
    ------
    DataError
        Says what it is, and shows a script that makes an ``.npz`` file of it.
    """
    if not path.is_file():
        return
    suffix = path.suffix.lower()
    if suffix in TORCH or _is_torch(path):
        raise DataError(
            f"{path} is a file of torch.save: a pickle, which can run code when it is loaded, so it is never loaded here. "
            "Convert it once; PyTorch from 2.6 on loads tensors of such files and refuses code:\n"
            'import numpy, torch; assert torch.__version__ >= "2.6"\n'
            f"numpy.savez({str(path.with_suffix('.npz'))!r}, **{{name: rows.numpy() for name, rows in "
            f"torch.load({str(path)!r}, map_location='cpu').items()}})\n"
            "A file that is one tensor belongs into a folder, as image.npy or the like, with numpy.save."
        )
    if suffix in PICKLES or _is_pickle(path):
        raise DataError(
            f"{path} is a pickle, which can run code when it is loaded, so it is never loaded here. If you trust who made "
            "it, convert it once:\n"
            "import numpy, pickle\n"
            f"numpy.savez({str(path.with_suffix('.npz'))!r}, **pickle.load(open({str(path)!r}, 'rb')))"
        )


def refuse_pickles_in(folder: Path) -> None:
    """Refuse a folder that has such files and nothing that is read, as caches of features do.

    Raises
    ------
    DataError
        Names them, and shows a script that makes ``.npy`` files of them.
    """
    found = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TORCH)
    if found:
        raise DataError(
            f"{folder} has files of torch.save ({', '.join(found[:6])}): pickles, which can run code when they are loaded, "
            "so they are never loaded here. Convert them once; PyTorch from 2.6 on loads tensors of such files and refuses "
            "code:\n"
            'import numpy, pathlib, torch; assert torch.__version__ >= "2.6"\n'
            f"for file in pathlib.Path({str(folder)!r}).glob('*.pt'): "
            "numpy.save(file.with_suffix('.npy'), torch.load(file, map_location='cpu').numpy())\n"
            "Then put the rows of the class texts beside them, as text.npy; or make one .npz file of all, with image, text "
            "and label."
        )
    for path in sorted(folder.iterdir()):
        refuse_pickle(path)


def _is_torch(path: Path) -> bool:
    """Whether it is a zip archive as ``torch.save`` writes it."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return False


def _is_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError:
        return False
    return len(start) > 1 and start[0] == _PROTOCOL and 1 < start[1] <= _NEWEST
