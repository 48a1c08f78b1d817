"""Texts as a model's own processor reads them: padding, length, and what is cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import Float32

#: Models that were trained on texts of one length, and read them from the last place: padding is part of the text.
PADDED = frozenset({"siglip", "siglip2"})

#: Text towers that count places from the one after their padding token.
_COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "altclip_text_model"})


class TextReader:
    """Turns strings into tokens as the model's processor does.

    Parameters
    ----------
    processor
        The processor, with its tokenizer.
    config
        The model's configuration.
    """

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor = processor
        defaults = _text_defaults(processor)
        fixed = config.model_type in PADDED or defaults.get("padding") == "max_length"
        lengths = (defaults.get("max_length"), processor.tokenizer.model_max_length, _places(config.text_config))
        self.length = min(int(length) for length in lengths if length)
        self.padding: bool | str = "max_length" if fixed else True

    def read(self, texts: Sequence[str]) -> Mapping[str, Any]:
        """Return the model's input: ``(len(texts), length)`` tensors by name."""
        found: Mapping[str, Any] = self.processor(
            text=list(texts), return_tensors="pt", padding=self.padding, truncation=True, max_length=self.length
        )
        return found

    def cut(self, texts: Sequence[str]) -> list[str]:
        """Return the tokens that are read of each text that has more; empty for the others."""
        tokenizer = self.processor.tokenizer
        whole = tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        read = tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"]
        return ["" if len(a) == len(b) else " ".join(map(str, b)) for a, b in zip(whole, read, strict=True)]


def _text_defaults(processor: Any) -> Mapping[str, Any]:
    """Return what a processor's class says of texts; releases of the library keep it in one of two places."""
    own = getattr(type(processor), "text_kwargs", None)
    if isinstance(own, Mapping):
        return own
    declared = getattr(getattr(type(processor), "valid_processor_kwargs", None), "_defaults", None) or {}
    found: Mapping[str, Any] = declared.get("text_kwargs", {})
    return found


def _places(config: Any) -> int | None:
    """Return how many tokens a text tower has places for; None where it does not say."""
    places: int | None = getattr(config, "max_position_embeddings", None)
    if places and config.model_type in _COUNT_FROM_PADDING:
        return places - (config.pad_token_id or 0) - 1
    return places


def rows_of(found: Any) -> Float32:
    """Return features as raw float32 rows, from a tensor or from what the library wraps it in.

    Raises
    ------
    DataError
        They are not one row an item.
    """
    tensor = getattr(found, "pooler_output", found)
    if tensor is None or tensor.ndim != 2:  # noqa: PLR2004
        raise DataError(f"The model gives {getattr(tensor, 'shape', None)} instead of one row an item.")
    return np.asarray(tensor.float().cpu().numpy())
