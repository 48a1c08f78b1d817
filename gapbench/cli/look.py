"""The look at the data in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from gapbench.intake import skipped_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from gapbench.bench.look import Look, PromptsLook, SplitLook

#: Of pictures that cannot be read, so many are listed; JSON has all.
MOST_LISTED = 50


def show_look(look: Look, out: Console) -> None:
    """Print what was understood of the data, a paragraph for each split and prompt strategy."""
    for split in look.splits:
        _paragraph(out, f"{split.dataset}, split {split.split}", _lines(split))
    for prompts in look.prompts:
        _paragraph(out, f"prompts {prompts.prompts} on {prompts.dataset}", _prompt_lines(prompts))
    for name in look.unread:
        _paragraph(out, name, ["not read yet: gapbench plan --check opens every file"])
    for name, cause in look.faults:
        _paragraph(out, name, [f"refused: {cause}"])


def _paragraph(out: Console, head: str, lines: Iterator[str] | list[str]) -> None:
    out.print(Text(head, style="bold"))
    for line in lines:
        out.print(Text(f"  {line}"), soft_wrap=True)


def _plural(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _lines(split: SplitLook) -> Iterator[str]:
    parts = [_plural(split.images, "image", "images")]
    if split.classes:
        parts.append(_plural(split.classes, "class", "classes"))
    if split.captions:
        parts.append(_plural(split.captions, "caption", "captions"))
    yield ", ".join(parts) + (f" (read as {split.intake.read_as})" if split.intake.read_as else "")
    if split.fewest and split.most:
        yield f"images of a class: {split.fewest[1]:,} ({split.fewest[0]}) to {split.most[1]:,} ({split.most[0]})"
    if split.repeated:
        yield f"{split.repeated:,} images occur more than once, bit by bit"
    if split.blank_texts:
        yield f"{_plural(split.blank_texts, 'caption has', 'captions have')} neither letter nor digit"
    if split.repeated_texts:
        yield f"{split.repeated_texts:,} captions occur more than once"
    yield from filter(None, [skipped_sentence(split.intake.skipped), *split.intake.notices])
    if split.unreadable is not None:
        yield from _unreadable(split.unreadable)


def _unreadable(faults: Sequence[str]) -> Iterator[str]:
    if not faults:
        yield "all pictures were opened and can be read"
        return
    yield f"{_plural(len(faults), 'picture', 'pictures')} cannot be read (a run leaves them out with --skip-unreadable):"
    yield from (f"  {fault}" for fault in faults[:MOST_LISTED])
    if len(faults) > MOST_LISTED:
        yield f"  and {len(faults) - MOST_LISTED:,} more; --json lists all"


def _prompt_lines(prompts: PromptsLook) -> Iterator[str]:
    yield f"{_plural(prompts.texts, 'text', 'texts')}, the first one: {prompts.first!r}"
    for encoder, n in prompts.cut.items():
        yield f"{_plural(n, 'text is', 'texts are')} longer than {encoder} reads: the end is cut off"
