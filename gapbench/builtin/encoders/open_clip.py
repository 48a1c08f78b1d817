"""The family ``open_clip:MODEL/PRETRAINED``: every model that open_clip can load.

``MODEL/TAG``
    Weights that open_clip knows by name, such as ``ViT-B-32-quickgelu/openai``.
``MODEL/PATH``
    A local checkpoint of that model, ``.safetensors`` or a torch file without code.
``MODEL/hf-hub:ORG/REPO``
    Weights of that model from a hub repository.
``hf-hub:ORG/REPO``, ``local-dir:PATH``
    A repository or a folder with its own ``open_clip_config.json``.
"""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, is_zipfile

import numpy as np

from gapbench.builtin.encoders.open_clip_files import TEXT_FILES
from gapbench.builtin.encoders.open_clip_registry import package
from gapbench.builtin.encoders.open_clip_sizes import weight_bytes
from gapbench.builtin.encoders.open_clip_source import parse
from gapbench.builtin.fetching import cause, is_absent, told
from gapbench.components import Encoder
from gapbench.devices import torch_device
from gapbench.embeddings.fingerprint import fingerprint, hash_file
from gapbench.embeddings.impostors import refuse_impostor
from gapbench.errors import DataError, GapbenchError, MissingAssetError, UsageError
from gapbench.specs import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from gapbench.builtin.encoders.open_clip_files import Asset
    from gapbench.components import Float32
    from gapbench.specs import Context

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class OpenClip(Encoder):
    """An open_clip model; nothing is loaded before the first ``encode`` call.

    Parameters
    ----------
    context
        Device, compute dtype, and whether anything may be fetched.
    argument
        What follows ``open_clip:``.
    dim
        Leading dimensions that are kept, for models trained so that these stand alone (Kusupati et al., Matryoshka
        Representation Learning, NeurIPS 2022, arXiv 2205.13147); 0: all.
    quick_gelu, image_size
        Overrides of the architecture, as open_clip's ``force_quick_gelu`` and ``force_image_size``.

    Raises
    ------
    UsageError
        An unknown model or tag, or weights trained with another activation than the model's (QuickGELU).
    """

    def __init__(
        self,
        context: Context,
        argument: str,
        *,
        dim: int = 0,
        quick_gelu: bool | None = None,
        image_size: int | None = None,
    ) -> None:
        if context.dtype not in PRECISIONS:
            raise UsageError(f"--dtype {context.dtype!r} is not known; choose {', '.join(PRECISIONS)}.")
        given = {"quick_gelu": quick_gelu, "image_size": image_size}
        self.context = context
        self.argument = argument
        self.dim = dim
        self.source = parse(argument, {key: value for key, value in given.items() if value is not None})
        self._lock = Lock()

    # -- what it is ---------------------------------------------------------------------------------------------

    def missing(self) -> Missing | None:
        """Say which files are not here or are damaged, how large the weights are, and how to supply them."""
        away, damaged, packages = self.source.lacking(), self.source.damaged(), self.source.packages()
        if not (away or damaged or packages):
            return None
        weights, what = self.source.weights, []
        if weights in away:
            what.append(f"weights of {self._name} ({weights})")
        elif away:
            what.append(f"text files of {self._name} ({away[0]})")
        what += [f"an undamaged file of {self._name} ({why})" for why in damaged.values()]
        what += [f"the package {name!r}, which {self._name} needs" for name in packages]
        fetched = next((asset for asset in (*away, *damaged) if asset.folder is None), None)
        return Missing(
            what=" and ".join(what),
            size=weight_bytes(self.source.model) if weights in away or weights in damaged else None,
            how=self._how(packages, files=bool(away or damaged)),
            folder=None if fetched is None else fetched.home,
        )

    @property
    def _name(self) -> str:
        return f"open_clip:{self.argument}"

    def _how(self, packages: Sequence[str], *, files: bool) -> str:
        """Say how to supply files and packages."""
        install = f"run: pip install {' '.join(packages)}" if packages else ""
        if not files:
            return install
        if self.source.weights.folder is not None and self.source.weights.locate() is None:
            fetch = f"put {self.source.weights.names[0]} there"
        else:
            other = f"open_clip:{self.source.model}/PATH" if self.source.model else "open_clip:local-dir:PATH"
            fetch = f"run again with --download, or give files that you have: -e {other}"
        return f"{install}; then {fetch}" if install else fetch

    def download(self) -> None:
        """Fetch what is missing or damaged, safetensors rather than pickles where the repository has both."""
        if self.context.offline or not self.context.download:
            raise MissingAssetError(f"{self._name} may be fetched only with --download, not offline.")
        first = [asset for asset in (self.source.config, self.source.weights) if asset is not None]
        for asset in first:
            self._fetch(asset)
        for asset in self.source.text_assets:  # known once the configuration is here
            self._fetch(asset)
        self.__dict__.pop("_identity", None)
        if (missing := self.missing()) is not None:
            raise MissingAssetError(f"Missing after the download: {missing.what}. To supply it: {missing.how}.")

    def _fetch(self, asset: Asset) -> None:
        """Fetch a file unless it is here and whole; say what to do where that fails."""
        if asset.locate() is not None and not asset.damage():
            return
        try:
            with told(f"{asset} for {self._name}") as bar:
                self.source.fetch(asset, bar)
        except Exception as error:
            if asset is self.source.config and self.source.model and is_absent(error):
                return  # a model by name needs none
            why = cause(error, page=asset.page, files=", ".join(asset.names), folder=asset.home)
            other = f"open_clip:{self.source.model}/PATH" if self.source.model else "open_clip:local-dir:PATH"
            raise MissingAssetError(
                f"{asset} for {self._name} could not be fetched. {why} Files that you have can be given: -e {other}"
            ) from error

    def files(self) -> Sequence[Path]:
        """Give the files that the identity rests on; none while some are missing."""
        found = [asset.locate() for asset in self.source.assets()]
        if None in found:
            return ()
        own = self.source.config.locate() if self.source.config is not None else None
        model = package() / "model_configs" / f"{self.source.model}.json"
        return tuple(dict.fromkeys(path for path in (*found, own, model if self.source.model else None) if path))

    @cached_property
    def _identity(self) -> dict[str, Any]:
        if (missing := self.missing()) is not None:
            raise MissingAssetError(f"Missing: {missing.what}. To supply it: {missing.how}.")
        self.source.check_activation(content=True)
        architecture = self.source.architecture
        if self.dim > architecture["embed_dim"]:
            raise UsageError(
                f"open_clip:{self.argument} has {architecture['embed_dim']} dimensions, so dim cannot be {self.dim}."
            )
        text, folders = architecture["text_cfg"], self._text_folders
        files = {path.name: hash_file(path) for folder in folders for path in _text_files(folder)}
        if not text.get("hf_tokenizer_name"):
            vocabulary = package() / "bpe_simple_vocab_16e6.txt.gz"
            files[vocabulary.name] = hash_file(vocabulary)
        return {
            "library": "open_clip",
            "architecture": architecture,
            "weights": self.source.digest,
            "transform": {**self.source.transform, "size": architecture["vision_cfg"].get("image_size")},
            "tokenizer": {
                "name": text.get("hf_tokenizer_name") or "clip-bpe",
                "context_length": text.get("context_length", 77),
                "options": text.get("tokenizer_kwargs", {}),
                "files": files,
            },
            "dtype": self.context.dtype,
            **({"dim": self.dim} if self.dim else {}),
        }

    def identity(self) -> dict[str, Any]:
        """Architecture with its activation, weights by content, transform, tokenizer, dtype."""
        found: dict[str, Any] = json.loads(json.dumps(self._identity))  # a copy, of JSON types only
        return found

    @property
    def _text_folders(self) -> list[Path]:
        """Folders of the tokenizer's and the text tower's files, all of them here."""
        return [path.parent for asset in self.source.text_assets if (path := asset.locate()) is not None]

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

        self.identity()  # says what is missing or does not fit, before anything heavy
        weights, precision = self.source.weights.locate(), PRECISIONS[self.context.dtype]
        assert weights is not None
        device, tokenizer = torch_device(self.context.device), self._tokenizer()
        try:
            with TemporaryDirectory(prefix="gapbench-") as scratch:
                # Neither tags nor repositories are named to open_clip, only files: it then has nothing to fetch. Its
                # own default refuses pickles with code in them.
                model = open_clip.create_model(
                    self._registered(Path(scratch)),
                    pretrained=str(self._readable(weights, Path(scratch))),
                    precision=precision,
                    device=device,
                    force_preprocess_cfg=self.source.transform,
                    require_pretrained=True,
                )
        except GapbenchError:
            raise
        except Exception as error:
            refuse_impostor(weights)
            cause = " ".join(str(error).split())[:300]
            name = self.source.model or self.argument
            raise DataError(f"{weights} cannot be loaded into {name}: {type(error).__name__}: {cause}") from error
        model.eval()
        transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
        dtype = open_clip.get_input_dtype(precision) or next(model.parameters()).dtype
        return model, transform, tokenizer, (device, dtype)

    def _registered(self, scratch: Path) -> str:
        """Make open_clip know exactly the architecture that the identity describes; gives its name."""
        import open_clip

        config = deepcopy(self.source.architecture)
        if config["text_cfg"].get("hf_model_name"):  # from the folder found above, not by name from the hub
            config["text_cfg"]["hf_model_name"] = str(self._text_folders[-1])
        path = scratch / f"gapbench-{fingerprint(config)[:16]}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        open_clip.add_model_config(path)
        return path.stem

    def _readable(self, weights: Path, scratch: Path) -> Path:
        """Give a file that open_clip can read: OpenAI's own are TorchScript archives and are rewritten.

        Such an archive holds a program, so that only those known by their hash are opened.
        """
        if not is_zipfile(weights):
            return weights
        with ZipFile(weights) as archive:
            if not any("/code/" in name for name in archive.namelist()):
                return weights
        if not self.source.recognised and not self.source.tag:
            raise DataError(
                f"{weights} is a TorchScript archive that is not in open_clip's table. "
                "Save its state dict as .safetensors and give that."
            )
        import torch
        from safetensors.torch import save_file

        with warnings.catch_warnings():  # deprecated, but nothing else reads what OpenAI published
            warnings.filterwarnings("ignore", message=".*torch.jit.load", category=FutureWarning)
            state = torch.jit.load(str(weights), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
        for name in ("input_resolution", "context_length", "vocab_size"):
            state.pop(name, None)
        path = scratch / "weights.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, path)
        return path

    def _tokenizer(self) -> Any:
        """Make the tokenizer, from files on this machine."""
        from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

        text = self.source.architecture["text_cfg"]
        length, options = text.get("context_length", 77), dict(text.get("tokenizer_kwargs", {}))
        if not text.get("hf_tokenizer_name"):
            return SimpleTokenizer(context_length=length, **options)
        mode, folder = text.get("tokenizer_mode"), str(self._text_folders[0])
        return HFTokenizer(folder, context_length=length, tokenizer_mode=mode, **options)

    def prepare(self, image: Image) -> Any:
        """Resize, crop and normalise one picture, as the model was trained."""
        return self._loaded[1](image)

    def encode_images(self, batch: Sequence[Any]) -> Float32:
        """Encode prepared pictures: raw rows ``(len(batch), d)``."""
        import torch

        model, _, _, (device, dtype) = self._loaded
        with torch.inference_mode():
            return self._rows(model.encode_image(torch.stack(list(batch)).to(device=device, dtype=dtype)))

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: raw rows ``(len(texts), d)``."""
        import torch

        model, _, tokenizer, (device, _) = self._loaded
        with torch.inference_mode():
            return self._rows(model.encode_text(tokenizer(list(texts)).to(device)))

    def _rows(self, tensor: Any) -> Float32:
        return np.asarray(tensor[:, : self.dim or None].float().cpu().numpy())

    def cut_texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Return the tokens of each string that has more of them than the model reads; empty for the others."""
        tokenizer = self._loaded[2]
        length = tokenizer.context_length
        read = tokenizer(list(texts)).numpy()
        longer = tokenizer([*texts, ""], context_length=length + 1).numpy()
        cut = (longer[:-1, :length] != read).any(axis=1) | (longer[:-1, length] != longer[-1, length])
        return [" ".join(map(str, row)) if long else "" for row, long in zip(read.tolist(), cut.tolist(), strict=True)]


def _text_files(folder: Path) -> list[Path]:
    return [folder / name for name in TEXT_FILES if (folder / name).is_file()]
