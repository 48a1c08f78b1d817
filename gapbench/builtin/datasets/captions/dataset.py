"""The family ``captions:PATH``: pictures with captions, from a file of any of the usual forms."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.builtin.datasets.captions.columns import Wanted
from gapbench.builtin.datasets.captions.forms import read
from gapbench.builtin.datasets.captions.places import Finder, Places, normal, split_name
from gapbench.builtin.datasets.captions.reading import shown, split_named
from gapbench.builtin.datasets.pictures import PictureFiles, chosen, said_of_deep
from gapbench.components import Dataset, Intake, Split
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.builtin.datasets.captions.reading import Reading
    from gapbench.specs import Context

#: Splits that are fitted on together, as is usual for COCO.
TRAIN = ("train", "restval")

#: Pictures that an error names.
SHOWN = 5


@dataclass(frozen=True)
class Item:
    """A picture with its captions.

    Parameters
    ----------
    name, place
        What its file calls it, and where (``line 3``).
    captions
        At least one.
    paths
        Where it may lie: one path where that is sure, none where it is not there.
    """

    name: str
    place: str
    captions: list[str]
    paths: Sequence[Path]


@dataclass(frozen=True)
class Chosen:
    """What one split of the dataset consists of, with what was noticed of it."""

    items: Sequence[Item]
    intake: Intake


class CaptionFile(Dataset):
    """Pictures named in a file, each with one or more captions.

    Parameters
    ----------
    context
        Not used.
    path
        The caption file, or a folder with Hugging Face's ``metadata.jsonl`` or ``metadata.csv``.
    split
        The split of the file that is scored; empty: test, else val, else the only one. ``all``: all
        pictures, as one set.
    fit
        The split of the file that is fitted on; ``none`` halves the scored one instead. ``restval`` belongs to ``train``.
    limit
        Number of pictures of each split that are read, chosen by their names; 0: all.
    image, caption
        Columns of pictures and captions, where they have no usual name.
    white
        The value that is white in grey pictures of more than 8 bits (`PictureFiles`).
    """

    def __init__(
        self,
        context: Context,
        path: str,
        *,
        split: str = "",
        fit: str = "train",
        limit: int = 0,
        image: str = "",
        caption: str = "",
        white: float = 0,
    ) -> None:
        del context
        self.path = Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib raises where there is no such user
        self.scored = split_named(split)
        self.fitted = split_named(fit)
        self.limit = limit
        self.white = white
        self.wanted = Wanted(image.strip(), caption.strip())

    def splits(self) -> Mapping[str, int]:
        """Return ``test``, which is scored, and ``train`` where the file has a split to fit on."""
        return {name: len(part.items) for name, part in self._sets.items()}

    def files(self) -> Sequence[Path]:
        """Return the caption file and all pictures that are used."""
        pictures = [item.paths[0] for part in self._sets.values() for item in part.items]
        read_too = [path for reading in self._readings for path in (reading.path, *reading.also)]
        return [*read_too, *dict.fromkeys(pictures)]

    def split(self, name: str) -> Split:
        """Read one split."""
        part = self._sets[name]
        pictures = PictureFiles([item.paths[0] for item in part.items], white=self.white)
        hashes, deep = pictures.hashes_and_deep()
        notices = [*part.intake.notices, *said_of_deep(deep, self.white)]
        return Split(
            images=pictures,  # type: ignore[arg-type]
            item_hashes=hashes,
            captions=[item.captions for item in part.items],
            intake=replace(part.intake, notices=notices),
        )

    # -- which splits ---------------------------------------------------------------------------------------------

    @cached_property
    def _readings(self) -> list[Reading]:
        return read(self.path, self.wanted)

    @cached_property
    def _named_splits(self) -> dict[str, int]:
        """How many pictures each split of the file names; empty where it has no splits."""
        counts: Counter[str] = Counter()
        for reading in self._readings:
            counts.update(reading.splits)
        return {split: count for split, count in counts.items() if split}

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """Which splits of the file are scored, and which are fitted on."""
        known = self._named_splits
        if not known:
            for parameter, value, usual in (
                ("split", self.scored, ("", "test", "all")),
                ("fit", self.fitted, ("train", "none")),
            ):
                if value not in usual:
                    raise DataError(f"{self.path} has no splits. Leave out [{parameter}={value}].")
            return {"test": [""]}
        if self.scored == "all":
            if self.fitted not in ("train", "none"):
                raise DataError(
                    f"{self.path}: with [split=all] nothing is left to fit on. Leave out [fit={self.fitted}]."
                )
            return {"test": list(known)}
        default = "test" if len(known) > 1 else next(iter(known))
        default = next((split for split in ("test", "val") if split in known), default)
        scored = self._known(self.scored or default, "split")
        parts = {"test": [scored]}
        if self.fitted == "train":
            fitted = [split for split in TRAIN if split in known and split != scored]
        else:
            fitted = [] if self.fitted == "none" else [self._known(self.fitted, "fit")]
        if scored in fitted:
            raise DataError(f"{self.path}: the split {scored!r} cannot be scored and fitted on; [fit=none] halves it.")
        return parts | ({"train": fitted} if fitted else {})

    def _known(self, split: str, parameter: str) -> str:
        known = self._named_splits
        if split in known:
            return split
        other = "val" if "val" in known else next(iter(known))
        listed = ", ".join(f"{name[:40]} ({count:,} pictures)" for name, count in list(known.items())[:12])
        raise DataError(
            f"{self.path} has no split {split!r}. It has {listed}; choose one, as in captions:PATH[{parameter}="
            f"{other}]."
        )

    # -- which pictures -------------------------------------------------------------------------------------------

    @cached_property
    def _sets(self) -> dict[str, Chosen]:
        """The items of both splits; all that is missing is told at once."""
        places = [(reading, self._places(reading)) for reading in self._readings]
        sets = {name: self._choose(name, splits, places) for name, splits in self._parts.items()}
        self._check_places(sets, [found for _, found in places])
        return sets

    def _places(self, reading: Reading) -> Places:
        return Finder(reading.path.parent, alone=reading.alone).find(
            list(dict.fromkeys(name for _, name in reading.pictures))
        )

    def _choose(self, name: str, splits: Sequence[str], places: Sequence[tuple[Reading, Places]]) -> Chosen:
        """Take the pictures of some splits of the file."""
        items: dict[object, Item] = {}
        skipped: Counter[str] = Counter()
        for reading, found in places:
            for split in splits:
                skipped.update(reading.skipped.get(split, {}))
            for one in reading.pictures.values():
                if one.split not in splits:
                    continue
                paths = [found.found[one.name]] if one.name in found.found else found.doubtful.get(one.name, [])
                key = paths[0] if len(paths) == 1 else (reading.path, one.name)
                known = items.setdefault(key, Item(one.name, one.place, [], paths))
                known.captions.extend(one.captions)
        bare = sum(not item.captions for item in items.values())
        skipped["pictures without a caption"] += bare
        kept = [item for item in items.values() if item.captions]
        if not kept:
            raise DataError(f"{self.path} has no picture with a caption{_of(splits)}.")
        kept, dropped, notices = self.select(name, kept)
        again = sum(len(item.captions) - len(set(item.captions)) for item in kept)
        if again:
            notices.append(f"{again:,} captions repeat a caption of the same picture; they are kept.")
        bare_names = [item for item in kept if not split_name(item.name)[0]]
        if outside := [folder for folder in self._folders(bare_names) if folder.startswith("../")]:
            notices.append(
                f"It names no folder of its pictures; they are taken from {' and '.join(outside[:3])}, outside its own."
            )
        if name == "test":
            notices += [notice for reading in self._readings for notice in reading.notices]
        if name == "test" and not self.scored:
            read = {split for part in self._parts.values() for split in part}
            unread = [split for split in self._named_splits if split not in read]
            notices += [f"The split {split} is not read; [split={split}] scores it." for split in unread]
        intake = Intake(
            read_as=self._read_as(splits, kept), skipped=dict(+(skipped + Counter(dropped))), notices=notices
        )
        return Chosen(kept, intake)

    def select(self, name: str, items: list[Item]) -> tuple[list[Item], dict[str, int], list[str]]:
        """Choose among the items of a split: those that are taken, counts of what is left out, and what is to be told."""
        del name
        if not self.limit or len(items) <= self.limit:
            return items, {}, []
        names = [normal(split_name(item.name)[1]) for item in items]
        if len(set(names)) < len(names):  # else the folder makes no difference
            names = [normal("/".join(split_name(item.name))) for item in items]
        rows = chosen(names, self.limit)
        return (
            [items[row] for row in rows],
            {},
            [f"{self.limit:,} of {len(items):,} pictures are read, chosen by their names."],
        )

    def _read_as(self, splits: Sequence[str], items: Sequence[Item]) -> str:
        forms = dict.fromkeys(reading.form for reading in self._readings)
        folders = ["its own folder" if folder == "./" else folder for folder in self._folders(items)]
        more = f" and {len(folders) - 3} more folders" if len(folders) > 3 else ""  # noqa: PLR2004 - as many are named
        return f"{'; '.join(forms)}{_of(splits)}, pictures from {', '.join(folders[:3])}{more}"

    def _folders(self, items: Sequence[Item]) -> list[str]:
        """Return the folders that pictures are in, relative to the file's, those with most first."""
        here = self.path if self.path.is_dir() else self.path.parent
        folders = Counter(item.paths[0].parent for item in items if len(item.paths) == 1)
        return [f"{Path(os.path.relpath(folder, here)).as_posix()}/" for folder, _ in folders.most_common()]

    def _check_places(self, sets: Mapping[str, Chosen], places: Sequence[Places]) -> None:
        """Refuse pictures that are not there, or of which it is not sure which are meant: all at once."""
        items = [item for one in sets.values() for item in one.items]
        faults = []
        if doubtful := [item for item in items if len(item.paths) > 1]:
            both = " and ".join(map(str, doubtful[0].paths[:4]))
            faults.append(
                f"{len(doubtful):,} of {len(items):,} pictures may be any of several files: {shown(doubtful[0].name)} "
                f"({doubtful[0].place}) is {both}. Write the folder before the names in the file, or move the other folder "
                "away."
            )
        if missing := [item for item in items if not item.paths]:
            like = {name: path for one in places for name, path in one.like.items()}
            some = ", ".join(_missing(item, like.get(item.name)) for item in missing[:SHOWN])
            more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
            crowded = [folder for one in places for folder in one.crowded]
            wide = f" Of {crowded[0]} no folder was looked into: it has too many." if crowded else ""
            faults.append(
                f"{len(missing):,} of {len(items):,} pictures are not there: {some}{more}. They are looked for beside the "
                "file, and in folders beside it or beside its folder. Put them there, or a link to their folder (ln -s "
                f"/where/they/are .).{wide}"
            )
            if "train" in sets and all(item.paths for item in sets["test"].items):
                faults.append("All that are scored are there: [fit=none] fits on a half of these instead.")
        if faults:
            raise DataError(f"{self.path}: {' '.join(faults)}")


def _missing(item: Item, like: Path | None) -> str:
    return f"{shown(item.name)} ({item.place}{'' if like is None else f'; {like} is there'})"


def _of(splits: Sequence[str]) -> str:
    if not any(splits):
        return ""
    return f", split{'s' * (len(splits) > 1)} {' and '.join(splits)}"
