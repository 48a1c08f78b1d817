"""The family ``captions:PATH``: pictures with captions, from a COCO-captions JSON or a CSV."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.pictures import PictureFiles
from gapbench.components import Dataset, Split
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.specs import Context


class CaptionFile(Dataset):
    """Pictures named in a file, each with one or more captions.

    Parameters
    ----------
    context
        Not used.
    path
        A ``.json`` file as COCO's captions (``images`` with ``id`` and ``file_name``, ``annotations`` with ``image_id`` and
        ``caption``), or a ``.csv`` file with the columns ``image`` and ``caption``. Pictures lie beside it, or, as COCO has
        it, in a folder beside it or beside its folder.
    """

    def __init__(self, context: Context, path: str) -> None:
        del context
        self.path = Path(path).expanduser()

    def splits(self) -> Mapping[str, int]:
        """One set, called ``test``."""
        return {"test": len(self._captions)}

    def files(self) -> Sequence[Path]:
        """Give the caption file and all pictures."""
        return [self.path, *self._captions]

    @cached_property
    def _captions(self) -> dict[Path, list[str]]:
        if not self.path.is_file():
            raise DataError(f"There is no caption file {str(self.path)!r}. Check the path after 'captions:'.")
        found = self._read_json() if self.path.suffix.lower() == ".json" else self._read_csv()
        if not found:
            raise DataError(f"{self.path} names no pictures.")
        return found

    def _read_csv(self) -> dict[Path, list[str]]:
        try:
            return self._read_rows()
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise DataError(f"{self.path} is no CSV file in UTF-8 ({error}).") from error

    def _read_rows(self) -> dict[Path, list[str]]:
        found: dict[Path, list[str]] = {}
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not {"image", "caption"} <= set(rows.fieldnames or ()):
                raise DataError(f"{self.path}, line 1: the header must have the columns 'image' and 'caption'.")
            for row in rows:
                where = f"{self.path}, line {rows.line_num}"
                if not row["image"] or not row["caption"]:
                    raise DataError(f"{where}: image or caption is empty.")
                found.setdefault(self._picture(row["image"], where), []).append(row["caption"])
        return found

    def _read_json(self) -> dict[Path, list[str]]:
        try:
            content = json.loads(self.path.read_bytes())
            names = {str(image["id"]): str(image["file_name"]) for image in content["images"]}
            captions = [(str(note["image_id"]), str(note["caption"])) for note in content["annotations"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{self.path} is no COCO-captions file ({type(error).__name__}: {error}).") from error
        found: dict[Path, list[str]] = {}
        for number, (image, caption) in enumerate(captions):
            where = f"{self.path}, annotation {number}"
            if image not in names:
                raise DataError(f"{where}: there is no image {image}.")
            found.setdefault(self._picture(names[image], where), []).append(caption.strip())
        return found

    @cached_property
    def _folders(self) -> list[Path]:
        here = self.path.parent
        beside = sorted(folder for root in (here, here.parent) for folder in root.iterdir() if folder.is_dir())
        return [here, *beside]

    def _picture(self, name: str, where: str) -> Path:
        for folder in self._folders:
            with suppress(OSError, ValueError):  # no name of a file: too long, say
                if (folder / name).is_file():
                    return folder / name
        raise DataError(f"{where}: there is no picture {name!r} beside the file or in a folder beside it.")

    def split(self, name: str) -> Split:
        """Read the set."""
        assert name == "test"
        pictures = PictureFiles(list(self._captions))
        return Split(
            images=pictures,  # type: ignore[arg-type]
            item_hashes=pictures.hashes(),
            captions=list(self._captions.values()),
        )
