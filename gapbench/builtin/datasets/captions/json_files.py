"""Caption files in JSON: COCO's, Karpathy's, BLIP's, lists and lines of objects, and one object of pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gapbench.builtin.datasets.captions.columns import find_columns, no_columns, several
from gapbench.builtin.datasets.captions.reading import Reading, shown
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gapbench.builtin.datasets.captions.columns import Wanted

FORMS = (
    "COCO captions (images, annotations), Karpathy (images with sentences), a list of objects with image and caption"
)


def read_json(path: Path, text: str, wanted: Wanted) -> Reading:
    """Read a JSON file of one of the known forms, or one object a line.

    Raises
    ------
    DataError
        No JSON, or none of these forms: says what was found, and where.
    """
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return _read_lines(path, text, wanted)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text[error.pos :].startswith("{"):
            return _read_lines(path, text, wanted)
        raise _no_json(path, error.lineno, f"{error.msg}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _no_json(path, 1, str(error)) from error
    if isinstance(content, list):
        return _read_objects(path, content, wanted, "object", range(1, len(content) + 1))
    if isinstance(content, dict):
        images = content.get("images")
        if isinstance(images, list) and "annotations" in content:
            return _read_coco(path, images, content["annotations"])
        if isinstance(images, list) and images and isinstance(images[0], dict) and "sentences" in images[0]:
            return _read_karpathy(path, images)
        if content and all(isinstance(value, str | list) for value in content.values()) and images is None:
            return _read_mapping(path, text)
        keys = ", ".join(map(shown, list(content)[:8])) or "no keys"
        raise DataError(f"{path} is no caption file that is known: the object has {keys}. Known: {FORMS}.")
    raise DataError(f"{path} is no caption file that is known: it holds {content!r:.40}. Known: {FORMS}.")


def _no_json(path: Path, line: int, why: str) -> DataError:
    return DataError(f"{path}, line {line:,}: this is no valid JSON ({why}). Is the file complete?")


def _read_coco(path: Path, images: Sequence[Any], annotations: Any) -> Reading:
    reading = Reading(path, "COCO-captions JSON", "image")
    names: dict[str, Any] = {}
    for number, image in enumerate(images, 1):
        key, name = _fields(reading, number, image, "id", "file_name")
        if names.setdefault(str(key), name) != name:
            raise DataError(
                f"{path}, image {number:,}: the id {key!r:.60} is that of {names[str(key)]!r:.100} as well."
            )
        reading.add(name, [], number)
    reading.unit = "annotation"
    if not isinstance(annotations, list):
        raise DataError(f"{path}: 'annotations' is no list, so it is no COCO-captions file.")
    for number, note in enumerate(annotations, 1):
        if isinstance(note, dict) and "caption" not in note and "bbox" in note:
            raise DataError(f"{path} holds boxes, not captions; COCO has these in captions_*.json.")
        key, caption = _fields(reading, number, note, "image_id", "caption")
        if str(key) not in names:
            raise DataError(f"{path}, annotation {number:,}: there is no image {key!r:.100}.")
        reading.add(names[str(key)], caption, number)
    return reading


def _read_karpathy(path: Path, images: Sequence[Any]) -> Reading:
    reading = Reading(path, "Karpathy JSON", "image")
    for number, image in enumerate(images, 1):
        name, sentences, split = _fields(reading, number, image, "filename", "sentences", "split")
        folder = image.get("filepath") or ""
        if not isinstance(sentences, list):
            raise DataError(f"{path}, image {number:,}: 'sentences' is no list.")
        try:
            captions = [sentence["raw"] for sentence in sentences]
        except (KeyError, TypeError):
            captions = [_fields(reading, number, sentence, "raw")[0] for sentence in sentences]
        reading.add(f"{folder}/{name}" if folder else name, captions, number, split)
    return reading


def _fields(reading: Reading, number: int, thing: Any, *keys: str) -> list[Any]:
    """Return fields of an object."""
    if not isinstance(thing, dict):
        raise DataError(f"{reading.path}, {reading.unit} {number:,}: {thing!r:.40} is no object; it lacks {keys[0]!r}.")
    if lacks := [key for key in keys if key not in thing]:
        raise DataError(
            f"{reading.path}, {reading.unit} {number:,}: {reading.form} has {lacks[0]!r} here, and this has "
            f"{', '.join(map(shown, list(thing)[:8])) or 'nothing'}."
        )
    return [thing[key] for key in keys]


def _read_lines(path: Path, text: str, wanted: Wanted) -> Reading:
    objects, numbers = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            objects.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise _no_json(path, number, str(error)) from error
        numbers.append(number)
    return _read_objects(path, objects, wanted, "line", numbers)


def _read_objects(path: Path, objects: Sequence[Any], wanted: Wanted, unit: str, numbers: Sequence[int]) -> Reading:
    reading = Reading(path, "", unit, has_columns=True)
    keys: dict[str, None] = {}
    for number, one in zip(numbers, objects, strict=True):
        if not isinstance(one, dict):
            raise DataError(f"{path}, {unit} {number:,}: {one!r:.40} is no object with a picture and its captions.")
        keys |= dict.fromkeys(one)
    names = list(keys)
    if not objects:
        raise DataError(f"{path} names no pictures.")
    columns = find_columns(names, wanted, str(path))
    if columns is None:
        raise no_columns(names, wanted, str(path))
    form = "JSON lines" if unit == "line" else "JSON list"
    blip = unit == "object" and {"image", "caption"} <= set(names)
    reading.form = "BLIP JSON" if blip and not wanted.caption else f"{form} ({columns.said})"
    split = None if columns.split is None else names[columns.split]
    for number, one in zip(numbers, objects, strict=True):
        captions = []
        for position in columns.captions:
            found = several(one.get(names[position]))
            captions += found if isinstance(found, list) else [found]
        reading.add(one.get(names[columns.image]), captions, number, "" if split is None else one.get(split))
    return reading


def _read_mapping(path: Path, text: str) -> Reading:
    """Read one object that maps pictures to captions; a picture that stands in it twice has both."""
    reading = Reading(path, "JSON object of pictures", "entry")
    for number, (name, captions) in enumerate(json.loads(text, object_pairs_hook=list), 1):
        reading.add(name, captions, number)
    return reading
