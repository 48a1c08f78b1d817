"""One look for all figures: readable, and safe for colour-blind readers."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

#: Two columns of a paper, in inches; letters that can be read and searched there.
PAPER_WIDTH = 6.9
PAPER_RC: Any = {
    "font.size": 7,
    "axes.titlesize": 7,
    "figure.titlesize": 8,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "lines.markersize": 3,
    "savefig.bbox": None,  # the width is exact; what lies outside would be cut off, and the layout leaves nothing there
    "pdf.fonttype": 42,
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


@dataclass(frozen=True, kw_only=True)
class Output:
    """How figures are written: the formats, and whether for the page of a paper (two columns wide, 7 pt)."""

    formats: tuple[str, ...] = ("png", "svg")
    paper: bool = False


SCREEN = Output()

_output: ContextVar[Output] = ContextVar("_output", default=SCREEN)


@contextmanager
def written_as(output: Output) -> Iterator[None]:
    """Write the figures of this block otherwise than as PNG and SVG for the screen."""
    token = _output.set(output)
    try:
        yield
    finally:
        _output.reset(token)


def letters(size: float) -> float:
    """Give the size of letters in points: smaller on paper."""
    return 0.72 * size if _output.get().paper else size


def columns(count: int, most: int) -> int:
    """Give the number of columns of a legend, at most ``most``: fewer on paper, which is narrower."""
    return min(count, most, 4 if _output.get().paper else most)


def new_figure(width: float, height: float) -> Figure:
    """Make a figure that belongs to no global state; for paper it keeps its shape."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = PAPER_WIDTH / width if _output.get().paper else 1.0
    figure = Figure(figsize=(scale * width, scale * height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawn(path: Path, source: str, draw: Callable[[], Figure]) -> list[Path]:
    """Write a figure in all formats that are asked for, the same bytes for the same data.

    ``source`` (see `source_of`) is kept in each file; one that was drawn from the same is not drawn again. A file is
    written at once or not at all.
    """
    import matplotlib as mpl

    output = _output.get()
    source = source_of(source, "paper") if output.paper else source
    files = [path.with_name(f"{path.name}.{name}") for name in output.formats]
    old = [file for file in files if not (file.is_file() and source.encode() in file.read_bytes())]
    if old:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context({**RC, **(PAPER_RC if output.paper else {})}):
            figure = draw()
            for file in old:
                temporary = file.with_name(f"{file.stem}.tmp{file.suffix}")
                figure.savefig(temporary, dpi=300 if output.paper else 150, metadata=_metadata(file.suffix, source))
                temporary.replace(file)
    return files


def _metadata(suffix: str, source: str) -> dict[str, Any]:
    """Tell where a figure comes from, and nothing that changes from day to day."""
    if suffix == ".png":
        return {"Software": None, "Source": source}
    if suffix == ".svg":
        return {"Date": None, "Source": source}
    return {"CreationDate": None, "Creator": None, "Producer": None, "Keywords": source}


def source_of(*parts: object) -> str:
    """Give a hash of what a figure shows (arrays, and what `repr` tells in full) and of what draws it."""
    digest = hashlib.sha256(f"gapbench {__version__}, matplotlib {version('matplotlib')}".encode())
    for part in parts:
        content = part.tobytes() + str(part.shape).encode() if isinstance(part, np.ndarray) else repr(part).encode()
        digest.update(hashlib.sha256(content).digest())
    return f"sha256:{digest.hexdigest()}"
