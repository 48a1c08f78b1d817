"""The family ``wds:PATTERN``: pictures with classes or captions in WebDataset archives."""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import Dataset, Intake, Offer, Split
from gapbench.errors import DataError
from gapbench_huggingface.choices import HELD_OUT, TRAIN, Chosen, choose, drawn
from gapbench_huggingface.pictures import Pictures, digest
from gapbench_huggingface.rows import spoken
from gapbench_huggingface.tars import PICTURES, Place, Sample, archives, index, natural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench import Context

CLASSES, TEMPLATES, COUNT = "classnames.txt", "zeroshot_classification_templates.txt", "nshards.txt"

#: Fields of a sample's JSON that hold its label or its captions; the first that is there.
JSON_LABELS, JSON_CAPTIONS = ("cls", "label", "class"), ("caption", "captions", "text", "txt")


class WebDataset(Dataset):
    """Archives with a picture and its class (``.cls``), captions (``.txt``, one a line) or both (``.json``) for each key.

    Parameters
    ----------
    context
        Not used.
    pattern
        A folder with archives, or with split folders that hold them (``train``, ``test`` and the like, each possibly with
        ``nshards.txt``; ``classnames.txt`` beside); or archives by a path, a glob or a pattern with braces.
    split
        The split that is scored; empty: test, else validation, else the only one.
    classes
        A file with the name of a class a line; empty: ``classnames.txt`` beside the archives, if it is there.
    limit
        Number of items of each split that are read; 0: all.
    """

    def __init__(self, context: Context, pattern: str, *, split: str = "", classes: str = "", limit: int = 0) -> None:
        del context
        self.pattern, self.wanted, self.limit = pattern, split, limit
        self.root = Path(pattern).expanduser()
        self.given_classes = classes
        self.where = f"wds:{pattern}"

    # -- where it is --------------------------------------------------------------------------------------------

    @cached_property
    def _parts(self) -> Mapping[str, list[Path]]:
        """The archives of each split, by the source's own names."""
        if not self.root.is_dir():
            return {"test": archives(self.pattern)}
        folders = {path.name: path for path in sorted(self.root.iterdir()) if path.name.lower() in (*HELD_OUT, *TRAIN)}
        inside = {name: _archives_in(path) for name, path in folders.items() if path.is_dir()}
        if inside := {name: paths for name, paths in inside.items() if paths}:
            return inside
        return _by_name(_archives_in(self.root)) or {"test": archives(f"{self.pattern}/*.tar")}

    @cached_property
    def _chosen(self) -> Chosen:
        return choose(list(self._parts), self.wanted, self.where)

    @cached_property
    def _class_file(self) -> Path | None:
        if self.given_classes:
            path = Path(self.given_classes).expanduser()
            if not path.is_file():
                raise DataError(f"There is no file of class names {self.given_classes!r} (classes=).")
            return path
        return next((path for path in self._beside(CLASSES)), None)

    def _beside(self, name: str) -> list[Path]:
        """Return files of a name beside the archives, or beside their folder."""
        folder = next(iter(self._parts.values()))[0].parent
        roots = dict.fromkeys([self.root, folder, folder.parent] if self.root.is_dir() else [folder, folder.parent])
        return [root / name for root in roots if (root / name).is_file()]

    def files(self) -> Sequence[Path]:
        """Return the archives that are read, and the file of class names."""
        own = [path for name in self._chosen.names.values() for path in self._parts[name]]
        return [*own, *([self._class_file] if self._class_file else [])]

    # -- what it holds ------------------------------------------------------------------------------------------

    @cached_property
    def _indexed(self) -> Mapping[str, tuple[list[Sample], Counter[str], list[str]]]:
        return {name: index(self._parts[own]) for name, own in self._chosen.names.items()}

    @cached_property
    def _texts(self) -> Mapping[str, list[tuple[str | None, list[str]]]]:
        """For each split and sample its label and its captions, before any is left out."""
        return {name: [_labelled(sample) for sample in samples] for name, (samples, _, _) in self._indexed.items()}

    def offers(self) -> frozenset[Offer]:
        """Return which of labels and captions the scored samples have."""
        found = self._texts["test"]
        there = {
            Offer.LABELS: any(label is not None for label, _ in found),
            Offer.CAPTIONS: any(own for _, own in found),
        }
        return frozenset(offer for offer, is_there in there.items() if is_there)

    def splits(self) -> Mapping[str, int]:
        """Return ``train`` (where there is one) and ``test``."""
        return {name: len(self._drawn(name, self._fit(name)[0])) for name in self._chosen.names}

    @cached_property
    def _classes(self) -> list[str]:
        """Names of the classes: of the file, else what the labels of all splits are."""
        if self._class_file is not None:
            try:
                lines = self._class_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{self._class_file} cannot be read as class names ({error}).") from error
            return [line.strip() for line in lines if line.strip()]
        found = {label for texts in self._texts.values() for label, _ in texts if label is not None}
        return sorted(found, key=lambda name: natural(Path(name)))

    def _fit(self, name: str) -> tuple[list[int], Counter[str]]:
        """Return the rows of the samples that can be read, and what is left out by kind."""
        samples, skipped, _ = self._indexed[name]
        skipped, rows, offers = Counter(skipped), [], self.offers()
        for row, (sample, (label, captions)) in enumerate(zip(samples, self._texts[name], strict=True)):
            if sample.picture is None:
                skipped["samples without a picture"] += 1
            elif Offer.LABELS in offers and label is None:
                skipped["pictures without a label"] += 1
            elif Offer.CAPTIONS in offers and not captions:
                skipped["pictures without a caption"] += 1
            else:
                rows.append(row)
        if not rows or not offers:
            raise DataError(
                f"{self.where} has no pictures ({', '.join(PICTURES)}) with a class (.cls, .json) or captions (.txt, .json)."
            )
        return rows, skipped

    def _drawn(self, name: str, rows: list[int]) -> list[int]:
        samples = self._indexed[name][0]
        limit = self.limit if self.limit < len(rows) else 0
        return [rows[place] for place in drawn((samples[row].name for row in rows), limit)]

    def split(self, name: str) -> Split:
        """Read one split.

        Raises
        ------
        DataError
            No such split, an archive that cannot be read, or a label outside the class names.
        """
        if name not in self._chosen.names:
            raise DataError(f"{self.where} has no split {name!r}; it has {', '.join(self._chosen.names)}.")
        fit, skipped = self._fit(name)
        rows = self._drawn(name, fit)
        samples, texts = self._indexed[name][0], self._texts[name]
        places = [place for row in rows if (place := samples[row].picture) is not None]
        offers, classes = self.offers(), self._classes if Offer.LABELS in self.offers() else []
        labels = [self._position(texts[row][0], samples[row]) for row in rows] if classes else None
        return Split(
            images=Pictures([samples[row].name for row in rows], lambda item: places[item].read()),  # type: ignore[arg-type]
            item_hashes=[digest(place.read()) for place in places],
            classes=spoken(classes),
            labels=None if labels is None else np.asarray(labels, dtype=np.int64),
            captions=[texts[row][1] for row in rows] if Offer.CAPTIONS in offers else None,
            intake=Intake(
                read_as=self._read_as(name),
                skipped=dict(+skipped),
                notices=self._notices(name, len(fit), classes),
            ),
        )

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._classes)}

    def _position(self, label: str | None, sample: Sample) -> int:
        """Return the position of a label: its number where names are in a file, else its name's."""
        assert label is not None
        if self._class_file is not None and label.isdigit() and int(label) < len(self._classes):
            return int(label)
        if label not in self._positions:
            raise DataError(
                f"{sample.name}: label {label!r} is none of the {len(self._classes):,} in {self._class_file}."
            )
        return self._positions[label]

    def _read_as(self, name: str) -> str:
        names = (
            f", class names of {self._class_file.name}" if self._class_file and Offer.LABELS in self.offers() else ""
        )
        return f"WebDataset, {len(self._parts[self._chosen.names[name]]):,} archives{names}"

    def _notices(self, name: str, fit: int, classes: Sequence[str]) -> list[str]:
        found = list(self._indexed[name][2])
        if 0 < self.limit < fit:
            found.append(f"{self.limit:,} of {fit:,} samples are read, drawn by their keys.")
        if name != "test":
            return found
        found += self._chosen.notices
        if classes and self._class_file is None and all(label.isdigit() for label in classes):
            found.append("The classes have no names but numbers; give a file of names, [classes=FILE].")
        if spoken(classes) != list(classes):
            found.append("Underscores in class names are read as spaces.")
        for path in self._beside(TEMPLATES):
            found.append(f"{path.name} is not read; with {{}} for {{c}} it is a file of prompts, -p file:{path}.")
        return found


def _archives_in(folder: Path) -> list[Path]:
    """Return the archives of a folder in their order, all of those that it says it has."""
    found = sorted(folder.glob("*.tar"), key=natural)
    count = folder / COUNT
    if count.is_file():
        wanted = count.read_text(encoding="utf-8").strip()
        if wanted != str(len(found)):
            raise DataError(
                f"{folder} has {len(found):,} archives, {COUNT} says {wanted}. Fetch those that are not there."
            )
    return found


def _by_name(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Group archives that are all called after a split, such as ``train-000.tar``."""
    parts: dict[str, list[Path]] = {}
    for path in paths:
        name = path.stem.replace("_", "-").partition("-")[0].lower()
        if name not in (*HELD_OUT, *TRAIN):
            return {"test": list(paths)}
        parts.setdefault(name, []).append(path)
    return parts


def _labelled(sample: Sample) -> tuple[str | None, list[str]]:
    """Return a sample's label and captions; those of its own files go before those in its JSON."""
    fields = _fields(sample)
    label = _text(sample.parts["cls"], sample).strip() if "cls" in sample.parts else _first(fields, JSON_LABELS)
    if "txt" in sample.parts:
        captions: Any = _text(sample.parts["txt"], sample).splitlines()
    else:
        captions = _first(fields, JSON_CAPTIONS) or []
    captions = [captions] if isinstance(captions, str) else captions
    label = None if label is None or str(label).strip() == "" else str(label).strip()
    return label, [str(text).strip() for text in captions if str(text).strip()]


def _fields(sample: Sample) -> dict[str, Any]:
    if "json" not in sample.parts or {"cls", "txt"} <= sample.parts.keys():
        return {}
    try:
        found = json.loads(sample.parts["json"].read())
    except ValueError as error:
        raise DataError(f"{sample.name}.json is no JSON ({error}).") from error
    return found if isinstance(found, dict) else {}


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _text(place: Place, sample: Sample) -> str:
    try:
        return place.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{sample.name} has a text that is not in UTF-8 ({error}).") from error
