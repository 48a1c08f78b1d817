"""The family ``embeddings:PATH``: embeddings that somebody else computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.embeddings.files import EmbeddingFile

if TYPE_CHECKING:
    from gapbench.specs import Context


def embedding_file(context: Context, path: str) -> EmbeddingFile:
    """Open a file or a folder of embeddings."""
    del context
    return EmbeddingFile(Path(path).expanduser())
