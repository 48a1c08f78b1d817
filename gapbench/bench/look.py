"""A look at the data before a run: what was understood of each split, and what is odd about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gapbench.bench.isolation import calling
from gapbench.bench.materials import optional, prompt_set
from gapbench.bench.plan import needed_splits
from gapbench.embeddings.readable import unreadable
from gapbench.errors import GapbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress

    from gapbench.bench.manifest import Manifest
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import Cell, Plan, Source
    from gapbench.components import Intake


@dataclass(frozen=True, kw_only=True)
class SplitLook:
    """One split of a dataset.

    Parameters
    ----------
    dataset, split
        Which.
    images, classes, captions
        Numbers of them.
    fewest, most
        A class with the fewest and one with the most images, each with their number; None without classes.
    repeated
        Images that occur more than once, bit by bit.
    blank_texts, repeated_texts
        Captions without a letter, and captions that occur more than once.
    intake
        What the dataset noticed.
    unreadable
        Why each picture that cannot be read cannot; None where they were not opened.
    """

    dataset: str
    split: str
    images: int
    classes: int
    captions: int
    fewest: tuple[str, int] | None
    most: tuple[str, int] | None
    repeated: int
    blank_texts: int
    repeated_texts: int
    intake: Intake
    unreadable: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PromptsLook:
    """The prompts of one strategy for one dataset: their number, the first one, and how many each encoder cuts off."""

    dataset: str
    prompts: str
    texts: int
    first: str
    cut: dict[str, int]


@dataclass(kw_only=True)
class Look:
    """What was found; ``faults`` are what would stop a run, each with its source."""

    splits: list[SplitLook] = field(default_factory=list)
    prompts: list[PromptsLook] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


def look_at(plan: Plan, materials: Materials, *, check: bool, progress: Progress | None = None) -> Look:
    """Look at the sources of a plan.

    Parameters
    ----------
    plan, materials
        What would run.
    check
        Whether to open every picture, and to ask encoders which texts they cut. Data that are named by a path are described
        all the same; of others, what is remembered of earlier readings is shown.
    progress
        Shows how far the pictures are.
    """
    look, seen, written = Look(), set[tuple[str, str]](), dict[tuple[str, str], PromptsLook]()
    for source in plan.sources:
        cells = [cell for cell in plan.cells if cell.source is source]
        for split in needed_splits(source, cells[0].protocol):
            if (source.dataset_name, split) not in seen:
                seen.add((source.dataset_name, split))
                try:
                    _look_at_split(look, source, split, materials, check=check, progress=progress)
                except GapbenchError as error:
                    look.faults.append((f"{source.dataset_name}, split {split!r}", str(error)))
        for name, cell in {cell.prompts_name: cell for cell in cells if cell.prompts is not None}.items():
            try:
                _look_at_prompts(written, source, name, cell, materials, check=check)
            except GapbenchError as error:
                look.faults.append((f"prompts {name} on {source.dataset_name}", str(error)))
    look.prompts = list(written.values())
    return look


def _look_at_split(
    look: Look, source: Source, split: str, materials: Materials, *, check: bool, progress: Progress | None
) -> None:
    if source.encoder is None:
        look.splits.append(_of_embeddings(source, split, materials))
        return
    manifest = materials.manifest(source.dataset, split, read=check or source.dataset.argument is not None)
    if manifest is None:
        look.unread.append(f"{source.dataset_name}, split {split!r}")
        return
    faults = None
    if check:
        with calling(source.dataset):
            pictures = materials.pictures(source.dataset, split).images
            faults = tuple(unreadable(pictures, progress=progress).values())
    look.splits.append(_of_manifest(source.dataset_name, split, manifest, faults))


def _of_manifest(dataset: str, split: str, manifest: Manifest, faults: tuple[str, ...] | None) -> SplitLook:
    strings = manifest.caption_strings
    fewest, most = _extremes(manifest.classes, manifest.labels)
    return SplitLook(
        dataset=dataset,
        split=split,
        images=manifest.n,
        classes=len(manifest.classes),
        captions=len(strings),
        fewest=fewest,
        most=most,
        repeated=_repeated(manifest.item_keys.tolist()),
        blank_texts=sum(not any(map(str.isalnum, text)) for text in strings),
        repeated_texts=_repeated(strings),
        unreadable=faults,
        intake=manifest.intake,
    )


def _of_embeddings(source: Source, split: str, materials: Materials) -> SplitLook:
    with calling(source.dataset):
        found = materials.precomputed(source.dataset).embedded(split)
    labels = None if found.labels is None else found.labels.tolist()
    fewest, most = _extremes(found.classes, labels)
    strings = [] if found.captions is None else list(found.captions.strings)
    return SplitLook(
        dataset=source.dataset_name,
        split=split,
        images=len(found.images),
        classes=len(found.classes),
        captions=0 if found.captions is None else len(found.captions.rows),
        fewest=fewest,
        most=most,
        repeated=0 if found.keys is None else _repeated(found.keys.tolist()),
        blank_texts=0,
        repeated_texts=_repeated(strings),
        intake=found.intake,
    )


def _extremes(
    classes: Sequence[str], labels: Sequence[int] | None
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    if labels is None or not classes:
        return None, None
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(classes))
    low, high = int(counts.argmin()), int(counts.argmax())
    return (classes[low], int(counts[low])), (classes[high], int(counts[high]))


def _repeated(things: Sequence[object]) -> int:
    return sum(count for count in Counter(things).values() if count > 1)


def _look_at_prompts(
    written: dict[tuple[str, str], PromptsLook],
    source: Source,
    name: str,
    cell: Cell,
    materials: Materials,
    *,
    check: bool,
) -> None:
    """Write the prompts of a strategy, and count those that the encoder reads only in part."""
    assert cell.prompts is not None
    assert source.encoder is not None
    manifest = materials.manifest(source.dataset, "test", read=check or source.dataset.argument is not None)
    if manifest is None:
        return
    texts = prompt_set(cell.prompts, manifest.classes, source.dataset).prompts
    key = (source.dataset_name, name)
    if key not in written:
        written[key] = PromptsLook(dataset=source.dataset_name, prompts=name, texts=len(texts), first=texts[0], cut={})
    if check:
        with calling(source.encoder):
            encoder = materials.encoder(source.encoder)
            cut = optional(encoder, "cut_texts", None, texts)
        if cut is not None and (n := sum(map(bool, cut))):
            written[key].cut[source.encoder_name] = n
