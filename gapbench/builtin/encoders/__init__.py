"""Built-in encoders: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import EncoderSpec

SPECS = (
    EncoderSpec(
        name="mini-clip",
        factory="gapbench.builtin.encoders.mini_clip:mini_clip",
        summary="small dual encoder for digits that ships with gapbench (32 px, 64 dimensions)",
    ),
    EncoderSpec(
        name="open_clip",
        factory="gapbench.builtin.encoders.open_clip:OpenClip",
        summary="any open_clip model: a pretrained tag, a checkpoint file, or open_clip:hf-hub:ORG/REPO",
        argument="MODEL/PRETRAINED",
    ),
)
