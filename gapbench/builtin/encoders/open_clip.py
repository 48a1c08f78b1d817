"""The family ``open_clip:MODEL/PRETRAINED``: every model that open_clip can load.

``MODEL/TAG``
    Weights that open_clip knows by name, such as ``ViT-B-32-quickgelu/openai``.
``MODEL/PATH``
    A local checkpoint of that model.
``hf-hub:ORG/REPO``, ``local-dir:PATH``
    A repository or a folder with its own ``open_clip_config.json``.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.builtin.encoders import open_clip_registry as registry
from gapbench.components import Encoder, Missing
from gapbench.embeddings.fingerprint import hash_file
from gapbench.errors import DataError, MissingAssetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from gapbench.components import Context, Float32

CONFIG = "open_clip_config.json"
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}

#: open_clip's defaults where neither tag nor folder says anything.
TRANSFORM = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


class OpenClip(Encoder):
    """An open_clip model; nothing is loaded before the first ``encode`` call.

    Parameters
    ----------
    context
        Device, compute dtype, and whether anything may be fetched.
    argument
        What follows ``open_clip:``.

    Raises
    ------
    UsageError
        An unknown model or tag, or weights trained with another activation than the model's (QuickGELU).
    """

    def __init__(self, context: Context, argument: str) -> None:
        self.context = context
        self.argument = argument
        self._folder: Path | None = None
        self._repository = ""
        self._tag: dict[str, Any] | None = None
        self._path: Path | None = None
        self._model_name = ""
        self._lock = Lock()
        if argument.startswith("local-dir:"):
            self._folder = Path(argument.removeprefix("local-dir:")).expanduser()
        elif argument.startswith("hf-hub:"):
            self._repository = argument.removeprefix("hf-hub:")
        else:
            self._named(argument)
        if context.dtype not in PRECISIONS:
            raise UsageError(f"--dtype {context.dtype!r} is not known; choose {', '.join(PRECISIONS)}.")

    def _named(self, argument: str) -> None:
        model, slash, pretrained = argument.partition("/")
        if not slash or not pretrained:
            raise UsageError(f"open_clip:{argument} lacks its weights; write open_clip:{argument.strip('/')}/TAG_OR_FILE.")
        config = registry.model_config(model)
        self._model_name = model
        path = Path(pretrained).expanduser()
        self._tag = registry.tag_config(model, pretrained)
        if self._tag is None:
            if not path.is_file():
                known = registry.tags(model)
                raise UsageError(
                    f"{pretrained!r} is neither a file nor a tag of {model}. Tags: {', '.join(known) or 'none'}."
                )
            self._path = path
        elif bool(self._tag.get("quick_gelu")) != bool(config.get("quick_gelu")):
            raise UsageError(_mismatch(model, pretrained, quick=bool(self._tag.get("quick_gelu"))))
        else:
            self._repository = str(self._tag.get("hf_hub", "")).rstrip("/")

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def _home(self) -> Path | None:
        """Folder with configuration and weights, for models that bring their own."""
        if self._folder is None and not self._model_name:
            config = registry.cached_file(self._repository, (CONFIG,))
            return None if config is None else config.parent
        return self._folder

    def _weights(self) -> Path | None:
        """Find the weight file on this machine."""
        if self._path is not None:
            return self._path
        if self._model_name:
            if self._repository:
                return registry.cached_file(self._repository, registry.WEIGHT_FILES)
            name = str((self._tag or {}).get("url", "")).rpartition("/")[2]
            path = Path("~/.cache/clip").expanduser() / name  # where open_clip keeps what it fetches by address
            return path if name and path.is_file() else None
        home = self._home
        found = [] if home is None else [home / name for name in registry.WEIGHT_FILES if (home / name).is_file()]
        return found[0] if found else None

    def missing(self) -> Missing | None:
        """Say which weights are not here."""
        if self._folder is not None and not (self._folder / CONFIG).is_file():
            raise DataError(f"{self._folder} has no {CONFIG}; it is no folder of an open_clip model.")
        if self._weights() is not None:
            return None
        how = "run again with --download"
        if self._model_name:
            how += f", or give a local checkpoint: -e open_clip:{self._model_name}/PATH"
        source = self._repository or str((self._tag or {}).get("url", self.argument))
        return Missing(what=f"weights of {self.argument} ({source})", size=registry.SIZES.get(self._repository), how=how)

    def download(self) -> None:
        """Fetch the weights through open_clip."""
        try:
            if self._model_name:
                registry.pretrained_table().download_pretrained(self._tag)
            else:
                from huggingface_hub import snapshot_download

                snapshot_download(self._repository, allow_patterns=["*.json", "*.txt", *registry.WEIGHT_FILES])
        except Exception as error:
            raise MissingAssetError(
                f"Weights of {self.argument} could not be fetched ({type(error).__name__}: {error}). "
                "Check the network, or give a local checkpoint: -e open_clip:MODEL/PATH"
            ) from error

    def files(self) -> Sequence[Path]:
        """Give the weight file, and the configuration that comes with it."""
        weights, home = self._weights(), None if self._model_name else self._home
        found = [] if weights is None else [weights]
        return (*found, home / CONFIG) if home is not None else tuple(found)

    @cached_property
    def _config(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the model's configuration and its image transform."""
        if self._model_name:
            given = {key: self._tag[key] for key in TRANSFORM if key in self._tag} if self._tag else {}
            return registry.model_config(self._model_name), {**TRANSFORM, **given}
        home = self._home
        assert home is not None
        config = json.loads((home / CONFIG).read_text(encoding="utf-8"))
        return config["model_cfg"], {**TRANSFORM, **config.get("preprocess_cfg", {})}

    def identity(self) -> dict[str, Any]:
        """Architecture with its activation, weights by content, transform, tokenizer, dtype."""
        weights = self._need_weights()
        model, transform = self._config
        digest = hash_file(weights)
        if self._path is not None and digest == registry.openai_hash(self._model_name) and not model.get("quick_gelu"):
            raise UsageError(_mismatch(self._model_name, str(self._path), quick=True))
        text = model.get("text_cfg", {})
        return {
            "library": "open_clip",
            "architecture": {**model, "quick_gelu": bool(model.get("quick_gelu"))},
            "weights": digest,
            "transform": json.loads(json.dumps({**transform, "size": model["vision_cfg"].get("image_size")})),
            "tokenizer": {
                "name": text.get("hf_tokenizer_name") or ("siglip" if "siglip" in self._model_name.lower() else "clip-bpe"),
                "context_length": text.get("context_length", 77),
                "options": text.get("tokenizer_kwargs", {}),
            },
            "dtype": self.context.dtype,
        }

    def _need_weights(self) -> Path:
        weights = self._weights()
        if weights is None:
            missing = self.missing()
            assert missing is not None
            raise MissingAssetError(f"Missing: {missing.what}. To supply it: {missing.how}.")
        return weights

    # -- what it does -------------------------------------------------------------------------------------------

    @property
    def _loaded(self) -> tuple[Any, Any, Any, Any]:
        """Model, transform, tokenizer and device; loaded once, by whichever thread comes first."""
        with self._lock:
            return self._load_once

    @cached_property
    def _load_once(self) -> tuple[Any, Any, Any, Any]:
        """Load model, transform and tokenizer, and choose the device."""
        import open_clip
        from open_clip.transform import PreprocessCfg, image_transform_v2

        weights = self._need_weights()
        device = _device(self.context.device)
        name = self._model_name or f"local-dir:{self._home}"
        try:
            model = open_clip.create_model(
                name,
                pretrained=str(weights) if self._model_name else None,
                precision=PRECISIONS[self.context.dtype],
                device=device,
                force_preprocess_cfg=self._config[1],
                require_pretrained=True,
            )
        except Exception as error:
            raise DataError(f"{weights} cannot be loaded into {name}: {type(error).__name__}: {error}") from error
        model.eval()
        transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
        dtype = open_clip.get_input_dtype(PRECISIONS[self.context.dtype]) or next(model.parameters()).dtype
        return model, transform, open_clip.get_tokenizer(name), (device, dtype)

    def prepare(self, image: Image) -> Any:
        """Resize, crop and normalise one picture, as the model was trained."""
        return self._loaded[1](image)

    def encode_images(self, batch: Sequence[Any]) -> Float32:
        """Encode prepared pictures: raw rows ``(len(batch), d)``."""
        import torch

        model, _, _, (device, dtype) = self._loaded
        with torch.inference_mode():
            return _rows(model.encode_image(torch.stack(list(batch)).to(device=device, dtype=dtype)))

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: raw rows ``(len(texts), d)``."""
        import torch

        model, _, tokenizer, (device, _) = self._loaded
        with torch.inference_mode():
            return _rows(model.encode_text(tokenizer(list(texts)).to(device)))


def _rows(tensor: Any) -> Float32:
    return np.asarray(tensor.float().cpu().numpy())


def _device(name: str) -> Any:
    """Choose a device: what was asked for, or the best that there is."""
    import torch

    if name == "auto":
        best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        raise UsageError(
            f"--device {name!r} cannot be used here ({' '.join(str(error).split())[:120]}). Leave it out, or use --device cpu."
        ) from error
    return device


def _mismatch(model: str, pretrained: str, *, quick: bool) -> str:
    """Explain a QuickGELU mismatch: it changes the embeddings without any sign of it."""
    plain = model.removesuffix("-quickgelu")
    right, trained = (f"{plain}-quickgelu", "QuickGELU") if quick else (plain, "GELU")
    return f"QuickGELU mismatch: {pretrained!r} was trained with {trained}, {model} uses the other. Use {right}/{pretrained}."

