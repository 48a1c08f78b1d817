"""How large weights are, before anybody asked a server: the parameters of each of open_clip's models, times four bytes.

The table is written by ``python -m gapbench.builtin.encoders.open_clip_sizes``, which builds each model without allocating
its weights. Models whose text tower is described on a hub alone are not in it. Files in half precision are half as large.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("open_clip_sizes.json")
_BYTES = 4


@cache
def _table() -> dict[str, int]:
    read: dict[str, int] = json.loads(TABLE.read_text(encoding="utf-8"))
    return read


def weight_bytes(model: str) -> int | None:
    """Return about how many bytes the weights of one of open_clip's models take in float32; None where that is not known."""
    parameters = _table().get(model)
    return None if parameters is None else parameters * _BYTES


def count_parameters(model: str) -> int | None:
    """Build a model of open_clip on torch's device ``meta`` and count; None where its text tower is described on a hub."""
    import open_clip
    import torch

    config = open_clip.get_model_config(model)
    if not config or config["text_cfg"].get("hf_model_name"):
        return None
    with torch.device("meta"):
        built = open_clip.create_model(model, pretrained=None, device="meta", load_weights=False)
    return sum(int(parameter.numel()) for parameter in built.parameters())


def write_table() -> None:
    """Count the parameters of all models that have published weights."""
    import open_clip

    models = sorted({model for model, _ in open_clip.list_pretrained()})
    counted = {model: count for model in models if (count := count_parameters(model)) is not None}
    TABLE.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_table()
