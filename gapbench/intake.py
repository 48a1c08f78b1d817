"""Intake in words: what was understood of a source, and what it held besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.components import Intake


def skipped_sentence(skipped: Mapping[str, int]) -> str:
    """Return how many things were not read, by kind, as a sentence; empty where there are none."""
    parts = [f"{kind} ({count:,})" for kind, count in sorted(skipped.items()) if count]
    return f"Not read: {', '.join(parts)}." if parts else ""


def intake_sentences(name: str, intake: Intake) -> list[str]:
    """Return what a run tells of a source."""
    said = [skipped_sentence(intake.skipped), *intake.notices]
    return [f"{name}: {sentence}" for sentence in said if sentence]
