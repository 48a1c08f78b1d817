"""What a number was made with: versions and machine, once a run; no host or user name."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gapbench import __version__

LIBRARIES = ("numpy", "scipy", "scikit-learn", "faiss-cpu", "torch", "torchvision", "open_clip_torch")


@cache
def environment() -> dict[str, Any]:
    """Describe this machine and its libraries without importing them."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "gapbench": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "libraries": libraries,
    }
