"""The family ``embeddings:PATH``: embeddings that somebody else computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.embeddings.files import EmbeddingFile

if TYPE_CHECKING:
    from gapbench.specs import Context


def embedding_file(context: Context, path: str) -> EmbeddingFile:
    """Open a file or a folder of embeddings.

    PATH is an ``.npz`` or ``.safetensors`` file, a folder of ``.npy`` files, a clip-retrieval folder, a ``.parquet`` file,
    or a folder that ``datasets`` saved.

    Arrays by class: ``image (N, d)``, ``text (M, e)``, ``label (N,)``, and where classes have several prompts
    ``owner (M,)``, the class of each; optional ``weight (M,)`` of the prompts, ``names`` of the classes, ``pooling`` (mean
    or nearest).

    Arrays of pairs: ``image``, ``text``, ``pair (M,)``, the image of each text; optional ``names (M,)``, the captions, and
    ``class (N,)`` with ``class_names``.

    A training split has the same names with ``_train`` behind them: ``image_train`` and ``label_train``, or ``image_train``,
    ``text_train`` and ``pair_train``. ``gapbench embed`` writes such files.
    """
    del context
    return EmbeddingFile(Path(path).expanduser())
