"""Where the parts of an open_clip model lie: configuration, weights, and whatever its text side needs besides.

Everything here works on names, JSON and hashes: no torch, and no network except in `Source.fetch`, which is called only
with ``--download``.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gapbench.builtin.encoders import open_clip_registry as registry
from gapbench.builtin.encoders.open_clip_files import TEXT_FILES, Asset
from gapbench.embeddings.sums import remembered_sum
from gapbench.errors import DataError, UsageError

CONFIG = "open_clip_config.json"
CHECKPOINTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")

#: open_clip's defaults where neither tag nor folder says anything.
TRANSFORM = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


@dataclass(kw_only=True)
class Source:
    """A model by name, folder or repository, with its weights.

    Parameters
    ----------
    argument
        ``MODEL/TAG``, ``MODEL/PATH``, ``MODEL/hf-hub:ORG/REPO``, ``hf-hub:ORG/REPO`` or ``local-dir:PATH``.
    model
        open_clip's name of the architecture; empty where the folder or repository brings its own.
    weights
        The weight file.
    config
        The ``open_clip_config.json`` that comes with the weights, if any does.
    tag
        What open_clip's table says of the weights.
    overrides
        Changes to the architecture (``quick_gelu``) and its image side (``image_size``).
    """

    argument: str
    model: str
    weights: Asset
    config: Asset | None = None
    tag: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _shipped(self) -> dict[str, Any]:
        """Give the configuration that lies beside the weights; empty where there is none."""
        path = None if self.config is None else self.config.locate()
        if path is None:
            return {}
        try:
            shipped: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if self.model == "" and not {"embed_dim", "vision_cfg", "text_cfg"} <= shipped["model_cfg"].keys():
                raise KeyError("embed_dim, vision_cfg or text_cfg")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is no configuration of an open_clip model ({error!r}).") from error
        return shipped

    @cached_property
    def architecture(self) -> dict[str, Any]:
        """Give the model's configuration after overrides, with the activation that takes effect."""
        config = registry.model_config(self.model) if self.model else deepcopy(self._shipped["model_cfg"])
        config["quick_gelu"] = bool(self.overrides.get("quick_gelu", config.get("quick_gelu")))
        if "image_size" in self.overrides:
            config["vision_cfg"]["image_size"] = self.overrides["image_size"]
        return config

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weight file."""
        path = self.weights.locate()
        assert path is not None, "asked for only where the weights are here"
        return remembered_sum(path)

    @cached_property
    def _known(self) -> dict[str, Any]:
        """Give what open_clip's table says of the weights: by their tag, else by the hash of a local file."""
        return self.tag or (registry.recognise(self.digest) if self.model and self.weights.folder else {})

    @property
    def recognised(self) -> bool:
        """Whether a local file is one that open_clip publishes."""
        return not self.tag and bool(self._known)

    @cached_property
    def transform(self) -> dict[str, Any]:
        """Give the image transform: of the tag, of the file beside the weights, else what all tags of the model share."""
        known = self._known or self._shipped.get("preprocess_cfg") or registry.shared_transform(self.model, TRANSFORM)
        return {**TRANSFORM, **{key: known[key] for key in TRANSFORM if known.get(key) is not None}}

    @property
    def text_assets(self) -> tuple[Asset, ...]:
        """Give the tokenizer's and the text tower's files where they come from Hugging Face, tokenizer first."""
        if not self.model and self.config is not None and self.config.locate() is None:
            return ()
        text = self.architecture["text_cfg"]
        found = []
        for key, name in (("hf_tokenizer_name", "tokenizer_config.json"), ("hf_model_name", "config.json")):
            if text.get(key):
                own = self.config.folder if self.config is not None and not self.model else None
                found.append(Asset(names=(name,), folder=own, repository=text[key], beside=TEXT_FILES))
        return tuple(found)

    def assets(self) -> tuple[Asset, ...]:
        """Give every file that must be here, the weights first."""
        own = (self.config,) if self.config is not None and not self.model else ()
        return (self.weights, *own, *self.text_assets)

    def lacking(self) -> tuple[Asset, ...]:
        """Return the files that are not here."""
        return tuple(asset for asset in self.assets() if asset.locate() is None)

    def damaged(self) -> dict[Asset, str]:
        """Return the files that are here and are not the published ones, with what is wrong with each."""
        config = (self.config,) if self.config is not None else ()
        return {asset: why for asset in dict.fromkeys((*self.assets(), *config)) if (why := asset.damage())}

    def packages(self) -> list[str]:
        """Return the packages that the model needs and that are not installed."""
        if not self.model and (self.config is None or self.config.locate() is None):
            return []
        text, vision = self.architecture["text_cfg"], self.architecture["vision_cfg"]
        needs = {
            "transformers": text.get("hf_tokenizer_name") or text.get("hf_model_name"),
            "timm": vision.get("timm_model_name"),
        }
        return [name for name, needed in needs.items() if needed and find_spec(name) is None]

    def fetch(self, asset: Asset, bar: type[Any] | None = None) -> None:
        """Get a file that is missing or damaged; only ever called with ``--download``."""
        asset.fetch(bar)
        for cached in ("_shipped", "architecture", "transform", "digest", "_known"):  # read of what was here before
            self.__dict__.pop(cached, None)

    def check_activation(self, *, content: bool) -> None:
        """Refuse weights that were trained with another activation than the model's: nothing else would show it.

        With ``content`` a local file is recognised by its hash, too.

        Raises
        ------
        UsageError
            A QuickGELU mismatch; names the model to take instead.
        """
        known = self.tag or (self._known if content else {})
        shipped = self._shipped.get("model_cfg", {}) if self.model else {}
        if not known and not shipped:
            return
        trained, have = bool((known or shipped).get("quick_gelu")), self.architecture["quick_gelu"]
        if trained == have:
            return
        other = registry.counterpart(self.model, quick=trained)
        if other is None and "quick_gelu" not in self.overrides and known:
            return  # the table is silent, and the architecture exists with this activation only
        words = ("QuickGELU", "GELU") if trained else ("GELU", "QuickGELU")
        raise UsageError(
            f"QuickGELU mismatch: {self.weights_name!r} was trained with {words[0]}, "
            f"{self.model or self.argument} computes {words[1]}, which would quietly change every embedding."
            + (f" Use open_clip:{other}/{self.weights_name}" if other else "")
        )

    @property
    def weights_name(self) -> str:
        """What the argument calls the weights."""
        return self.argument.partition("/")[2] if self.model else self.argument


def parse(argument: str, overrides: dict[str, Any]) -> Source:
    """Read what follows ``open_clip:``.

    Raises
    ------
    UsageError
        No such model, tag or file (with the name that may be meant), or a QuickGELU mismatch.
    """
    if argument.startswith("local-dir:"):
        folder = Path(argument.removeprefix("local-dir:")).expanduser()
        if not (folder / CONFIG).is_file():
            raise UsageError(f"{folder} has no {CONFIG}; it is not the folder of an open_clip model.")
        weights = Asset(names=registry.WEIGHT_FILES, folder=folder)
        return Source(
            argument=argument,
            model="",
            weights=weights,
            config=Asset(names=(CONFIG,), folder=folder),
            overrides=overrides,
        )
    if argument.startswith("hf-hub:"):
        weights, config = _hub(argument)
        return Source(argument=argument, model="", weights=weights, config=config, overrides=overrides)
    source = _named(argument, overrides)
    source.check_activation(content=False)
    return source


def _hub(name: str) -> tuple[Asset, Asset]:
    repository = name.removeprefix("hf-hub:").strip("/")
    if len(repository.split("/")) != 2:  # noqa: PLR2004 - owner and name
        raise UsageError(f"{name!r} is no repository; write hf-hub:ORG/REPO.")
    return (
        Asset(names=registry.WEIGHT_FILES, repository=repository),
        Asset(names=(CONFIG,), repository=repository),
    )


def _named(argument: str, overrides: dict[str, Any]) -> Source:
    model, _, pretrained = argument.partition("/")
    if not model or not pretrained:
        what = argument.strip("/") or "MODEL"
        raise UsageError(f"open_clip:{argument} must name a model and its weights; write open_clip:{what}/TAG_OR_FILE.")
    registry.model_config(model)  # complains about an unknown one
    if pretrained.startswith("hf-hub:"):
        weights, config = _hub(pretrained)
        return Source(argument=argument, model=model, weights=weights, config=config, overrides=overrides)
    tag = registry.tag_config(model, pretrained)
    if tag is None:
        # Models of the other activation have tags that this one lacks: that is a mismatch, not an unknown tag.
        other = registry.counterpart(model, quick=not model.endswith("-quickgelu"))
        tag = registry.tag_config(other, pretrained) if other else None
    if tag is not None:
        return Source(argument=argument, model=model, weights=_tagged(tag), tag=tag, overrides=overrides)
    path = Path(pretrained).expanduser()
    if path.is_file():
        weights, config = (Asset(names=(name,), folder=path.parent) for name in (path.name, CONFIG))
        return Source(argument=argument, model=model, weights=weights, config=config, overrides=overrides)
    if path.suffix in CHECKPOINTS or path.parent != Path():
        raise UsageError(f"There is no file {pretrained!r} with weights for {model}.")
    raise UsageError(f"{model} has no weights {pretrained!r}.{registry.did_you_mean_tag(model, pretrained)}")


def _tagged(tag: dict[str, Any]) -> Asset:
    """Give the file that open_clip takes for a tag: from the hub where it can, else from the address."""
    hub = str(tag.get("hf_hub", ""))
    if not hub:
        return Asset(url=str(tag["url"]))
    repository, _, name = hub.rpartition("/")
    if not name:
        return Asset(names=registry.WEIGHT_FILES, repository=repository)
    return Asset(names=(f"{Path(name).stem}.safetensors", name), repository=repository)
