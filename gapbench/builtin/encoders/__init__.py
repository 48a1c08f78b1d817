"""Built-in encoders: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import EncoderSpec, Param

_DIM = Param(
    default=0,
    low=0,
    high=1_000_000,
    doc="leading dimensions that are kept, for encoders trained so that these stand alone (matryoshka); 0: all",
)

SPECS = (
    EncoderSpec(
        name="mini-clip",
        factory="gapbench.builtin.encoders.mini_clip:mini_clip",
        summary="small dual encoder for digits that ships with gapbench (32 px, 64 dimensions)",
        params={"dim": _DIM},
    ),
    EncoderSpec(
        name="open_clip",
        factory="gapbench.builtin.encoders.open_clip:OpenClip",
        summary="any open_clip model: a pretrained tag, a checkpoint file, or open_clip:hf-hub:ORG/REPO",
        argument="MODEL/PRETRAINED",
        params={"dim": _DIM},
    ),
)
