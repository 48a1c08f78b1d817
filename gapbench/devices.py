"""Devices: what encoders compute on."""

from __future__ import annotations

import re
from typing import Any

from gapbench.errors import UsageError

#: What a device is called.
NAMES = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def torch_device(name: str) -> Any:
    """Choose a device: what was asked for, or the best that there is.

    Raises
    ------
    UsageError
        It is not there.
    """
    import torch

    if name == "auto":
        best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        raise UsageError(
            f"The device {name!r} cannot be used here ({' '.join(str(error).split())[:120]}). "
            "Leave it out, or take the device cpu."
        ) from error
    return device


def check_device(name: str) -> None:
    """See to it that a device that was asked for is there, whether anything is left to encode or not.

    Raises
    ------
    UsageError
        There is no such device, here or anywhere.
    """
    if not NAMES.fullmatch(name):
        raise UsageError(f"There is no device {name!r}; there are auto, cpu, cuda, cuda:N and mps.")
    if name not in ("auto", "cpu"):  # the others need torch to be asked, which takes seconds
        torch_device(name)
