"""One look for all figures: readable, and safe for colour-blind readers."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

#: Ten colours that stay apart for most readers (Tol 2021, "muted" with one of "bright"); shapes tell them apart as well.
COLORS = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933",
    "#DDCC77", "#CC6677", "#882255", "#AA4499", "#EE7733",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")

RC: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "svg.hashsalt": "gapbench",
}


def color(number: int) -> str:
    """Give the colour of a class."""
    return COLORS[number % len(COLORS)]


def shape(number: int) -> str:
    """Give a shape that differs from its neighbours', for points that colour alone should not tell apart."""
    return MARKERS[number % len(MARKERS)]


def marker(number: int) -> str:
    """Give the shape of a class: it changes when the colours are used up."""
    return MARKERS[(number // len(COLORS)) % len(MARKERS)]


def new_figure(width: float, height: float) -> Figure:
    """Make a figure that belongs to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawn(path: Path, source: str, draw: Callable[[], Figure]) -> list[Path]:
    """Write a figure as PNG and SVG, the same bytes for the same data.

    ``source`` (see `source_of`) is kept in both files; where they were drawn from the same one, nothing is drawn again.
    """
    import matplotlib as mpl

    png, svg = files = [path.with_name(f"{path.name}{suffix}") for suffix in (".png", ".svg")]
    if all(file.is_file() and source.encode() in file.read_bytes() for file in files):
        return files
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):
        figure = draw()
        figure.savefig(png, dpi=150, metadata={"Software": None, "Source": source})
        figure.savefig(svg, metadata={"Date": None, "Source": source})
    return files


def source_of(*parts: object) -> str:
    """Give a hash of what a figure shows (arrays, and what `repr` tells in full) and of what draws it."""
    digest = hashlib.sha256(f"gapbench {__version__}, matplotlib {version('matplotlib')}".encode())
    for part in parts:
        content = part.tobytes() + str(part.shape).encode() if isinstance(part, np.ndarray) else repr(part).encode()
        digest.update(hashlib.sha256(content).digest())
    return f"sha256:{digest.hexdigest()}"
