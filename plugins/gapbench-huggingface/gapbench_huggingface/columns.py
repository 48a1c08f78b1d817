"""Which columns hold pictures, labels and captions: told by the types of the features, or named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names of columns of captions; columns of strings with other names may hold paths, addresses or anything else.
CAPTIONS = re.compile(r"(raw_|alt_?|image_|en_)?(captions?|texts?|sentences?|descriptions?|prompts?)(_?\d+|_en|_raw)?")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns that are read; ``label`` empty and ``captions`` none where there are none."""

    image: str
    label: str
    captions: tuple[str, ...]
    skipped: tuple[str, ...]


def find_columns(features: Mapping[str, Any], image: str, label: str, caption: str, where: str) -> Columns:
    """Find the columns of a dataset.

    Parameters
    ----------
    features
        The types of the columns, of the library.
    image, label, caption
        Names that were given; empty: by type. ``caption`` may be a glob.
    where
        The dataset, for messages.

    Raises
    ------
    DataError
        A column that is not there or of another type, none that fits, or several.
    """
    from datasets import ClassLabel, Image

    kinds = {name: _kind(feature) for name, feature in features.items()}
    for role, name in (("image", image), ("label", label)):
        if name and name not in features:
            raise DataError(f"{where} has no column {name!r} ({role}=); it has {', '.join(features)}.")
    pictures = [image] if image else [name for name, feature in features.items() if isinstance(feature, Image)]
    if not pictures or kinds[pictures[0]] != "pictures":
        raise DataError(f"{where} has no column of pictures{f' {image!r}' if image else ''}; it has {_listed(kinds)}.")
    _one(pictures, "pictures", "image", where)
    labels = [label] if label else [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    if label and kinds[label] not in ("class labels", "strings", "whole numbers"):
        raise DataError(f"{where}: column {label!r} holds {kinds[label]}, which are no labels.")
    _one(labels, "class labels", "label", where)
    captions = _captions(kinds, caption, label, where)
    if not labels and not captions:
        raise DataError(
            f"{where} has neither a column of class labels nor one that is called like captions; it has {_listed(kinds)}. "
            "Name one, [label=COLUMN] or [caption=COLUMN]."
        )
    read = {pictures[0], *labels, *captions}
    return Columns(
        image=pictures[0],
        label=labels[0] if labels else "",
        captions=captions,
        skipped=tuple(name for name in features if name not in read),
    )


def _kind(feature: Any) -> str:
    """Name what a column holds."""
    from datasets import ClassLabel, Image, Value

    if isinstance(feature, Image):
        return "pictures"
    if isinstance(feature, ClassLabel):
        return "class labels"
    if isinstance(feature, Value):
        if feature.dtype in ("string", "large_string", "string_view"):
            return "strings"
        return "whole numbers" if "int" in feature.dtype else feature.dtype
    inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    if inner is not None:
        return f"lists of {_kind(inner)}"
    return type(feature).__name__ if not isinstance(feature, dict) else "records"


def _captions(kinds: Mapping[str, str], caption: str, label: str, where: str) -> tuple[str, ...]:
    fit = [name for name, kind in kinds.items() if kind in ("strings", "lists of strings")]
    if caption:
        named = [name for name in kinds if name == caption or fnmatchcase(name, caption)]
        if not named:
            raise DataError(f"{where} has no column {caption!r} (caption=); it has {', '.join(kinds)}.")
        if other := [name for name in named if name not in fit]:
            raise DataError(f"{where}: column {other[0]!r} holds {kinds[other[0]]}, which are no captions.")
        return tuple(named)
    named = [name for name in fit if name != label and CAPTIONS.fullmatch(name.lower())]
    stems = {re.sub(r"_?\d+$", "", name) for name in named}
    if len(stems) > 1:
        raise DataError(
            f"{where} has several columns that are called like captions: {', '.join(named)}. Name one, "
            f"[caption={named[0]}], or several by a glob, [caption=caption_*]."
        )
    return tuple(named)


def _one(names: list[str], what: str, parameter: str, where: str) -> None:
    if len(names) > 1:
        raise DataError(
            f"{where} has several columns of {what}: {', '.join(names)}. Name one, [{parameter}={names[0]}]."
        )


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
