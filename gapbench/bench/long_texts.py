"""Texts that are longer than an encoder reads: which they are, and whether they still tell classes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import Bools, PromptSet


def cut_of(read: Sequence[str]) -> Bools:
    """``(M,)`` texts of which the end was not read, from what was read of each (`Store.cut_texts`)."""
    return np.array([bool(one) for one in read], dtype=np.bool_)


def check_classes(prompts: PromptSet, classes: Sequence[str], read: Sequence[str], encoder: str) -> None:
    """Hold the texts of classes apart as far as the encoder reads them.

    Classes that are given the same texts are another matter: they are no fault of the encoder.

    Parameters
    ----------
    prompts, classes
        Strings with their owners, and the names of the owners.
    read
        For each string of which the end was not read, what was read of it; empty for the others.
    encoder
        Its name.

    Raises
    ------
    DataError
        Two classes have different texts and the same is read of both.
    """
    if not any(read):
        return
    written: list[list[str]] = [[] for _ in classes]
    seen: list[list[str]] = [[] for _ in classes]
    for text, owner, known in zip(prompts.prompts, prompts.owner, read, strict=True):
        written[owner].append(f"={text}")
        seen[owner].append(known or f"={text}")
    first: dict[tuple[str, ...], int] = {}
    for c in range(len(classes)):
        other = first.setdefault(tuple(sorted(seen[c])), c)
        if sorted(written[other]) != sorted(written[c]):
            raise DataError(
                f"Classes {classes[other]!r} and {classes[c]!r} cannot be told apart: encoder {encoder!r} reads only the "
                "beginning of long texts, and there theirs are the same. Choose shorter prompts (--prompts), or class "
                "names that differ early."
            )
