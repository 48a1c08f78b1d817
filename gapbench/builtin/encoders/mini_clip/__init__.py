"""`mini-clip`: the folder of an open_clip model (configuration and weights), read like any other one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.builtin.encoders.open_clip import OpenClip

if TYPE_CHECKING:
    from gapbench.specs import Context

HOME = Path(__file__).parent


def mini_clip(context: Context, *, dim: int = 0) -> OpenClip:
    """Open the shipped model through the same code as every open_clip model."""
    return OpenClip(context, f"local-dir:{HOME}", dim=dim)
