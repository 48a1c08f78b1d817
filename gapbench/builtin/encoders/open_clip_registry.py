"""open_clip's own tables of models and weights, read without importing torch.

A plan must say what an encoder is and what it lacks within a fraction of a second, but ``import open_clip`` brings
torch with it. Model configurations are JSON files in its package; the table of weights is one module that needs torch
only through safetensors, which it can do without.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import types
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names of weight files in a folder or a hub repository: the first that exists is taken, as open_clip does. Not
#: ``model.safetensors``, which in many of these repositories holds the image tower alone.
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def package() -> Path:
    """Give open_clip's folder."""
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise PluginError("The package 'open_clip_torch' is not installed. Run: pip install open_clip_torch")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def pretrained_table() -> Any:
    """Give open_clip's module ``pretrained``, imported under another name beside the real package."""
    shadow = "_gapbench_open_clip"
    if "open_clip.pretrained" in sys.modules:
        return sys.modules["open_clip.pretrained"]
    parent = types.ModuleType(shadow)
    parent.__path__ = [str(package())]
    hidden = "safetensors.torch"
    before = sys.modules.get(hidden)
    sys.modules[shadow] = parent
    sys.modules[hidden] = None  # type: ignore[assignment]  # makes the import fail, which the module is prepared for
    try:
        return importlib.import_module(f"{shadow}.pretrained")
    finally:
        if before is None:
            del sys.modules[hidden]
        else:
            sys.modules[hidden] = before


def model_config(model: str) -> dict[str, Any]:
    """Give a model's configuration.

    Raises
    ------
    UsageError
        There is no such model; says which one may be meant.
    """
    folder = package() / "model_configs"
    path = folder / f"{model}.json"
    if not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.json"))
        raise UsageError(f"open_clip has no model {model!r}.{did_you_mean(model, names)}")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def tag_config(model: str, tag: str) -> dict[str, Any] | None:
    """Give what is known of a tag of weights; None where the model has no such tag."""
    config = pretrained_table().get_pretrained_cfg(model, tag)
    return dict(config) if config else None


def tags(model: str) -> list[str]:
    """Give all tags of a model."""
    return list(pretrained_table().list_pretrained_tags_by_model(model))


def did_you_mean_tag(model: str, tag: str) -> str:
    """Give a hint that ends a message about an unknown tag."""
    return did_you_mean(tag, tags(model))


def counterpart(model: str, *, quick: bool) -> str | None:
    """Give the name of the same architecture with the other activation; None where open_clip has none."""
    name = f"{model.removesuffix('-quickgelu')}-quickgelu" if quick else model.removesuffix("-quickgelu")
    return name if name != model and (package() / "model_configs" / f"{name}.json").is_file() else None


@cache
def _published() -> list[tuple[str, dict[str, Any]]]:
    """Hashes, whole or their beginning, that stand in the addresses of weight files."""
    found = []
    table = pretrained_table()
    for model, tag in table.list_pretrained():
        config = table.get_pretrained_cfg(model, tag)
        folder, _, name = str(config.get("url", "")).rpartition("/")
        parts = (folder.rpartition("/")[2], Path(name).stem.rpartition("-")[2])
        found += [(part, dict(config)) for part in parts if re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", part)]
    return found


def recognise(digest: str) -> dict[str, Any]:
    """Give what is known of the weight file with this SHA-256; empty where it is not in open_clip's table."""
    return next((config for beginning, config in _published() if digest.startswith(beginning)), {})


def shared_transform(model: str, keys: Iterable[str]) -> dict[str, Any]:
    """Give the image transform that all weights of a model share; empty where they differ, or there are none."""
    wanted = list(keys)
    known = [{key: tag_config(model, tag).get(key) for key in wanted} for tag in tags(model)]  # type: ignore[union-attr]
    return known[0] if known and all(other == known[0] for other in known) else {}
