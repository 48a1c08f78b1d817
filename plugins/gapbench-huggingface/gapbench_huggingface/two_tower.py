"""The family ``hf:ORG/NAME``: models of transformers with one tower for pictures and one for texts."""

from __future__ import annotations

import json
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from gapbench import Encoder, FitContext
from gapbench.errors import DataError, GapbenchError, MissingAssetError, UsageError
from gapbench_huggingface.reading import TextReader, rows_of
from gapbench_huggingface.repository import Repository, digests, library, no_progress_bars, read_json, text_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from gapbench import Context, Missing
    from gapbench.components import Float32

DTYPES = ("float32", "bfloat16", "float16")

#: Models whose functions have the right names and give something else than a row for a picture and a row for a text.
OTHERS = {
    "xclip": "it encodes videos",
    "clap": "it encodes sound",
    "clvp": "it encodes speech",
    "flava": "it gives a row for each patch and each word",
    "owlvit": "it finds objects in pictures",
    "owlv2": "it finds objects in pictures",
    "blip-2": "its rows are many for a picture",
}

PROCESSORS = ("processor_config.json", "preprocessor_config.json")
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")

#: The class of BLIP's retrieval checkpoints, whose rows have no functions of their own.
BLIP_RETRIEVAL = "BlipForImageTextRetrieval"


class TwoTower(Encoder):
    """A two-tower model; nothing is loaded before the first ``encode`` call.

    Texts are padded and cut and pictures resized as the model's own processor does it. Rows are the projected features
    that the model compares, as the library gives them.

    Parameters
    ----------
    context
        Device, compute dtype, and whether anything may be fetched.
    argument
        A folder, or ``ORG/NAME`` on the Hugging Face Hub.
    revision
        Branch, tag or commit.

    Raises
    ------
    UsageError
        An unknown dtype, or no such folder.
    """

    def __init__(self, context: Context, argument: str, *, revision: str = "") -> None:
        if context.dtype not in DTYPES:
            raise UsageError(f"--dtype {context.dtype!r} is not known; choose {', '.join(DTYPES)}.")
        self.context = context
        self.repository = Repository(argument, revision)
        self._lock = Lock()

    @property
    def _name(self) -> str:
        return f"hf:{self.repository.argument}"

    # -- what it is ---------------------------------------------------------------------------------------------

    def missing(self) -> Missing | None:
        """Return what of configuration, weights, processor and tokenizer is not here."""
        folder = self.repository.folder
        wanted = {
            "configuration": folder and (folder / "config.json").is_file(),
            "weights": folder and self.repository.weights(folder),
            "processor": folder and any((folder / name).is_file() for name in PROCESSORS),
            "tokenizer": folder and any((folder / name).is_file() for name in TOKENIZERS),
        }
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
        return [] if self.missing() else [*self.repository.weights(self._folder), *text_files(self._folder)]

    @cached_property
    def _identity(self) -> dict[str, Any]:
        folder, config = self._folder, self._config
        return {
            "library": library("transformers"),
            "model": config.get("model_type"),
            "architectures": config.get("architectures"),
            "weights": digests(self.repository.weights(folder), folder),
            "files": digests(text_files(folder), folder),
            "dtype": self.context.dtype,
        }

    def identity(self) -> dict[str, Any]:
        """Weights, configuration, processor and tokenizer by content; dtype; version of transformers."""
        found: dict[str, Any] = json.loads(json.dumps(self._identity))
        return found

    @cached_property
    def _config(self) -> dict[str, Any]:
        path = self._folder / "config.json"
        config = read_json(path)
        kind = str(config.get("model_type") or "")
        if why := OTHERS.get(kind):
            raise UsageError(
                f"{self._name} is a model of the kind {kind!r}: {why}, so it is no encoder of this family."
            )
        if not kind or "auto_map" in config:
            raise UsageError(
                f"{self._name} brings code of its own (or no model_type), which is not run. Where you trust it, write an "
                "encoder around it: gapbench new encoder NAME."
            )
        return config

    # -- what it does -------------------------------------------------------------------------------------------

    @property
    def _loaded(self) -> tuple[Any, Any, TextReader]:
        """Model, image processor and reader of texts; loaded once, by whichever thread comes first."""
        with self._lock:
            return self._load_once

    @cached_property
    def _load_once(self) -> tuple[Any, Any, TextReader]:
        folder, config = self._folder, self._config
        device = FitContext(device=self.context.device).torch_device()
        try:
            with no_progress_bars():
                return self._read(folder, config, device)
        except GapbenchError:
            raise
        except Exception as error:
            cause = " ".join(str(error).split())[:300]
            raise DataError(f"{self._name} cannot be loaded ({type(error).__name__}: {cause}).") from error

    def _read(self, folder: Path, config: dict[str, Any], device: Any) -> tuple[Any, Any, TextReader]:
        """Load from the folder alone; the library is never given the name of a repository."""
        import torch
        import transformers

        kind: Any = transformers.AutoModel
        if BLIP_RETRIEVAL in (config.get("architectures") or ()):
            kind = transformers.BlipForImageTextRetrieval
        with torch.random.fork_rng(devices=[]):  # what is missing would be drawn; it is refused below
            model, told = kind.from_pretrained(
                folder,
                dtype=getattr(torch, self.context.dtype),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        if lacking := sorted(told["missing_keys"]):
            raise DataError(
                f"The weights of {self._name} lack {len(lacking)} of the model's ({lacking[0]}, ...), which would be "
                f"random. They are of another model than {type(model).__name__}."
            )
        if kind is transformers.AutoModel and not hasattr(model, "get_image_features"):
            raise UsageError(
                f"{self._name} is a {type(model).__name__}, which has no two towers (get_image_features and "
                "get_text_features)."
            )
        processors: Any = transformers.AutoProcessor
        processor = processors.from_pretrained(folder, local_files_only=True)
        if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
            raise DataError(
                f"{self._name} has no processor of both pictures and texts, only {type(processor).__name__}."
            )
        return model.eval().to(device), processor.image_processor, TextReader(processor, model.config)

    def prepare(self, image: Image) -> Any:
        """Resize, crop and normalise one picture as the model's processor does it: arrays by name."""
        found = self._loaded[1](images=[image], return_tensors="pt")
        return {name: values[0] for name, values in found.items()}

    def encode_images(self, batch: Sequence[Any]) -> Float32:
        """Encode prepared pictures: raw rows ``(len(batch), d)``."""
        import torch

        model = self._loaded[0]
        inputs = {name: torch.stack([one[name] for one in batch]).to(model.device) for name in batch[0]}
        with torch.inference_mode():
            floats = {name: value.to(model.dtype) for name, value in inputs.items() if value.is_floating_point()}
            return rows_of(image_features(model, inputs | floats))

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: raw rows ``(len(texts), d)``."""
        import torch

        model, _, reader = self._loaded
        inputs = {name: value.to(model.device) for name, value in reader.read(texts).items()}
        with torch.inference_mode():
            return rows_of(text_features(model, inputs))

    def cut_texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Return the tokens that are read of each text that has more; empty for the others."""
        return self._loaded[2].cut(texts)


def image_features(model: Any, inputs: dict[str, Any]) -> Any:
    """Return the projected features of pictures, as the library gives them."""
    if hasattr(model, "get_image_features"):
        return model.get_image_features(**inputs)
    return _unit(model.vision_proj(model.vision_model(**inputs).last_hidden_state[:, 0]))


def text_features(model: Any, inputs: dict[str, Any]) -> Any:
    """Return the projected features of texts, as the library gives them."""
    if hasattr(model, "get_text_features"):
        return model.get_text_features(**inputs)
    return _unit(model.text_proj(model.text_encoder(**inputs).last_hidden_state[:, 0]))


def _unit(rows: Any) -> Any:
    """Normalise, as BLIP's retrieval model does before it compares."""
    from torch.nn.functional import normalize

    return normalize(rows, dim=-1)
