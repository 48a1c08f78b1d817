"""One look for all figures: readable, and safe for colour-blind readers."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench import __version__
from gapbench.errors import GapbenchError
from gapbench.host.validate import describe
from gapbench.model.plain import one_line
from gapbench.results.folder import is_own, write_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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
    "text.parse_math": False,  # names are text, with as many dollar signs as they like
}

#: Letters of a name in a figure.
LONGEST_WORDS = 60

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


_failures: ContextVar[list[tuple[str, str]] | None] = ContextVar("_failures", default=None)


@contextmanager
def failures_told() -> Iterator[list[tuple[str, str]]]:
    """Go on with the other figures where one cannot be drawn; gives the names of those, each with the cause."""
    failed: list[tuple[str, str]] = []
    token = _failures.set(failed)
    try:
        yield failed
    finally:
        _failures.reset(token)


@contextmanager
def attempt(name: str) -> Iterator[None]:
    """Note what goes wrong in this block as the failure of a figure; outside of `failures_told` it is raised."""
    try:
        yield
    except Exception as error:
        failed = _failures.get()
        if failed is None:
            raise
        failed.append((name, str(error) if isinstance(error, GapbenchError) else describe(error)))


def words(text: str) -> str:
    """Write text of others for a figure: one line, not too long, nothing that steers, and nothing that matplotlib hides.

    A legend leaves out names that are empty or begin with an underscore.
    """
    line = one_line(text)
    line = line if len(line) <= LONGEST_WORDS else f"{line[: LONGEST_WORDS - 1]}…"
    return f" {line}" if line.startswith("_") or not line else line


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
    _matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = PAPER_WIDTH / width if _output.get().paper else 1.0
    figure = Figure(figsize=(scale * width, scale * height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def drawn(path: Path, source: str, draw: Callable[[], Figure]) -> list[Path]:
    """Write a figure in all formats that are asked for, the same bytes for the same data, whatever matplotlib is set to.

    ``source`` (see `source_of`) is kept in each file; one that was drawn from the same is not drawn again. A file is
    written at once or not at all, and none over a file of somebody else (`gapbench.results.folder.write_pages`).

    Raises
    ------
    UsageError
        A file of that name is there that gapbench did not write; inside of `failures_told` this and all else that goes
        wrong is noted instead.
    """
    output = _output.get()
    source = source_of(source, "paper") if output.paper else source
    names = [f"{path.name}.{kind}" for kind in output.formats]
    files = [path.with_name(name) for name in names]
    there: list[Path] = []
    with attempt(path.name):
        old = [file for file in files if not (is_own(file) and source.encode() in file.read_bytes())]
        if old:
            write_pages(path.parent, {file.name: content for file, content in _rendered(old, source, draw, output)})
        there += files
    return there


def _rendered(
    files: Sequence[Path], source: str, draw: Callable[[], Figure], output: Output
) -> Iterator[tuple[Path, bytes]]:
    """Draw once, and render for each file."""
    mpl = _matplotlib()
    own = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    with mpl.rc_context({**own, **RC, **(PAPER_RC if output.paper else {})}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font lacks, say: they are boxes
        figure = draw()
        for file in files:
            content = io.BytesIO()
            kind = file.suffix.removeprefix(".")
            dpi = 300 if output.paper else 150
            figure.savefig(content, format=kind, dpi=dpi, metadata=_metadata(file.suffix, source))
            yield file, content.getvalue()


def _matplotlib() -> Any:
    """Import matplotlib without a backend: MPLBACKEND, of a notebook say, may name one that is not here."""
    kept = os.environ.pop("MPLBACKEND", None)
    try:
        return importlib.import_module("matplotlib")
    finally:
        if kept is not None:
            os.environ["MPLBACKEND"] = kept


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
