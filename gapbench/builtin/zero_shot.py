"""open_clip's zero-shot metadata: ImageNet's templates and class names as OpenAI published them (MIT)."""

from __future__ import annotations

from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from gapbench.builtin.encoders.open_clip_registry import package


@cache
def zero_shot_metadata() -> Any:
    """Read the module of plain data by its file: importing the package would bring torch."""
    spec = spec_from_file_location("_gapbench_zero_shot_metadata", package() / "zero_shot_metadata.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
