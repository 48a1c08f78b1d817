"""The family ``st:NAME``: models of sentence-transformers that read pictures and texts."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import Encoder, FitContext
from gapbench.errors import DataError, GapbenchError, MissingAssetError, PluginError, UsageError
from gapbench_huggingface.repository import Repository, digests, library, no_progress_bars, text_files
from gapbench_huggingface.two_tower import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from gapbench import Context, Missing
    from gapbench.components import Float32

#: Names without an organisation are the library's own models.
OWN = "sentence-transformers"

#: Folders of a repository with the same weights in other formats, which are not read.
OTHER_FORMATS = ("onnx", "openvino")


class SentenceEncoder(Encoder):
    """A model of sentence-transformers; nothing is loaded before the first ``encode`` call.

    Parameters
    ----------
    context
        Device, compute dtype, and whether anything may be fetched.
    argument
        A folder, ``ORG/NAME``, or the name of one of the library's own models.
    revision
        Branch, tag or commit.

    Raises
    ------
    UsageError
        An unknown dtype, or no such folder.
    PluginError
        sentence-transformers is not installed.
    """

    def __init__(self, context: Context, argument: str, *, revision: str = "") -> None:
        if find_spec("sentence_transformers") is None:
            raise PluginError(
                f"st:{argument} needs the package sentence-transformers, which is not installed. "
                "Run: pip install 'gapbench-huggingface[sentence-transformers]'"
            )
        if context.dtype not in DTYPES:
            raise UsageError(f"--dtype {context.dtype!r} is not known; choose {', '.join(DTYPES)}.")
        self.context = context
        self.argument = argument
        self.revision = revision
        self._lock = Lock()

    @cached_property
    def repository(self) -> Repository:
        """Where the model's files are."""
        from pathlib import Path

        plain = "/" not in self.argument and not Path(self.argument).expanduser().is_dir()
        return Repository(f"{OWN}/{self.argument}" if plain else self.argument, self.revision, "st")

    @property
    def _weights(self) -> list[Path]:
        """All weights that are here; modules have folders of their own."""
        folder = self.repository.folder
        found = [] if folder is None else sorted(folder.rglob("*.safetensors"))
        return [path for path in found if not set(OTHER_FORMATS) & set(path.parts)]

    def missing(self) -> Missing | None:
        """Return what of the list of modules and weights is not here."""
        folder = self.repository.folder
        wanted = {"modules.json": folder and (folder / "modules.json").is_file(), "weights": self._weights}
        return self.repository.missing([name for name, found in wanted.items() if not found])

    def download(self) -> None:
        """Fetch the repository: safetensors and text files, no pickles and no code."""
        self.repository.download(self.context)

    @property
    def _folder(self) -> Path:
        if (missing := self.missing()) is not None:
            raise MissingAssetError(f"Missing: {missing.what}. To supply it: {missing.how}.")
        assert self.repository.folder is not None
        return self.repository.folder

    def files(self) -> Sequence[Path]:
        """Return the files that the identity is read from."""
        return [] if self.missing() else [*self._weights, *text_files(self._folder, below=True)]

    @cached_property
    def _identity(self) -> dict[str, Any]:
        folder = self._folder
        return {
            "library": {**library("sentence-transformers"), **library("transformers")},
            "weights": digests(self._weights, folder),
            "files": digests(text_files(folder, below=True), folder),
            "dtype": self.context.dtype,
        }

    def identity(self) -> dict[str, Any]:
        """Weights, modules and their configuration by content; dtype; versions of the libraries."""
        found: dict[str, Any] = json.loads(json.dumps(self._identity))
        return found

    @property
    def _model(self) -> Any:
        with self._lock:
            return self._load_once

    @cached_property
    def _load_once(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        device = FitContext(device=self.context.device).torch_device()
        options = {"dtype": getattr(torch, self.context.dtype), "use_safetensors": True}
        try:
            with no_progress_bars():
                model = SentenceTransformer(
                    str(self._folder),
                    device=str(device),
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs=options,
                )
        except GapbenchError:
            raise
        except Exception as error:
            cause = " ".join(str(error).split())[:300]
            raise DataError(f"st:{self.argument} cannot be loaded ({type(error).__name__}: {cause}).") from error
        return model.eval()

    def _rows(self, items: list[Any]) -> Float32:
        rows = self._model.encode(
            items, batch_size=len(items), convert_to_tensor=True, normalize_embeddings=False, show_progress_bar=False
        )
        return np.asarray(rows.float().cpu().numpy())

    def encode_images(self, batch: Sequence[Image]) -> Float32:
        """Encode pictures: rows ``(len(batch), d)``, raw unless the model has a module that normalises.

        Raises
        ------
        UsageError
            The model reads texts alone.
        """
        self._check_pictures()
        return self._rows(list(batch))

    def _check_pictures(self) -> None:
        reads = getattr(self._model, "modalities", None)
        if reads is not None and "image" not in reads:
            raise UsageError(f"st:{self.argument} reads {', '.join(reads)} and no pictures, so it is no encoder here.")

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: rows ``(len(texts), d)``, raw unless the model has a module that normalises."""
        return self._rows(list(texts))

    def cut_texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Return the tokens that are read of each text that has more; empty for the others."""
        model = self._model
        length = model.max_seq_length
        tokenizer = getattr(model.tokenizer, "tokenizer", model.tokenizer)
        whole = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        length = min(length or tokenizer.model_max_length, tokenizer.model_max_length)
        read = tokenizer(list(texts), truncation=True, max_length=length)["input_ids"]
        return ["" if len(a) == len(b) else " ".join(map(str, b)) for a, b in zip(whole, read, strict=True)]
