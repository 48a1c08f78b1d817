"""What was encoded of one encoder and one dataset, as the arrays of an embedding file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.bench.isolation import calling
from gapbench.bench.materials import prompt_set
from gapbench.bench.plan import needed_splits
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import Cell, Plan
    from gapbench.components import EmbeddedSplit


def only_cell(plan: Plan) -> Cell:
    """Return what all cells of a plan have in common: encoder, dataset and prompts.

    Raises
    ------
    UsageError
        They are of several.
    """
    different = {(cell.source.encoder_name, cell.source.dataset_name, cell.prompts_name): cell for cell in plan.cells}
    if len(different) > 1:
        shown = "; ".join(" / ".join(names) for names in list(different)[:5])
        raise UsageError(
            f"One file holds one encoder, one dataset and one set of texts, and this names {len(different)}: {shown}"
            f"{'; ...' if len(different) > 5 else ''}. Name one of each with -e, -d and -p."  # noqa: PLR2004
        )
    (cell,) = different.values()
    return cell


def encoded(cell: Cell, materials: Materials, progress: Progress | None = None) -> dict[str, EmbeddedSplit]:
    """Return the splits of a cell's source by name, after encoding what the store does not have."""
    encoder, dataset = cell.source.encoder, cell.source.dataset
    splits = needed_splits(cell.source, cell.protocol)
    if encoder is None:
        with calling(dataset):
            return {split: materials.precomputed(dataset).embedded(split) for split in splits}
    for split in splits:
        materials.encode(encoder, dataset, split, progress)
    manifests = {split: materials.known_manifest(dataset, split) for split in splits}
    written = None
    strings = [text for manifest in manifests.values() for text in manifest.caption_strings]
    if cell.prompts is not None:
        written = prompt_set(cell.prompts, manifests["test"].classes, dataset)
        strings += written.prompts
    materials.encode_strings(encoder, dataset, strings, progress)
    if written is not None:
        materials.check_prompts(encoder, dataset, written)
    return {split: materials.embedded(encoder, dataset, written, split) for split in splits}


def words_of(cell: Cell, test: EmbeddedSplit) -> dict[str, str]:
    """Return what a file says of itself."""
    words = {"dataset": cell.source.dataset_name}
    if cell.source.encoder is not None:
        words["encoder"] = cell.source.encoder_name
    if not cell.captioned:
        words |= {"prompts": cell.prompts_name, "pooling": str(test.pooling)}
    return words
