"""The files of a leaderboard besides its records: whether figures are what the records give, and what else lies there."""

from __future__ import annotations

import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.errors import DataError
from gapbench.figures.draw import FOLDER, draw_both, draw_tables, kept_pair
from gapbench.leaderboard.table import PRIMARY
from gapbench.model.plain import one_line
from gapbench.results import journal
from gapbench.results.answers import BASELINE
from gapbench.results.folder import LOCK, PAGES, STUDY, WRITTEN, is_own
from gapbench.verification.svg import active_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench.figures.pair import PairData
    from gapbench.leaderboard.table import Table
    from gapbench.specs import MetricSpec

#: Pictures of pairs, which are drawn from data kept beside them; the two projections.
_PAIRS = ("umap-", "pca-")

_DRAWN_BY = re.compile(rb"Matplotlib v([\w.+-]+)")


def check_files(
    folder: Path, specs: Mapping[str, MetricSpec], tables: Sequence[Table], *, pairs: bool = False
) -> tuple[list[str], list[str]]:
    """Hold figures against what the records give, and tell what else lies in a leaderboard's folder.

    Parameters
    ----------
    folder, specs, tables
        The results, the known metrics, and the tables of all records.
    pairs
        Whether the pictures of pairs are drawn again from their data as well, which takes seconds each.

    Returns
    -------
    failures, remarks
        Figures that are not what is drawn again, byte by byte, or that hold more than a drawing; and what was not checked.
    """
    failures: list[str] = []
    remarks = [
        f"{path.name} is no part of a leaderboard"
        for path in sorted(_entries(folder))
        if path.name not in _KNOWN and not path.name.startswith(".")
    ]
    if (folder / STUDY).is_file() and not is_own(folder / STUDY):
        failures.append(f"{STUDY} is not as gapbench wrote it")
    place = folder / FOLDER
    failures += [f"{path.name} is a link" for path in _entries(folder) if path.name in _KNOWN and path.is_symlink()]
    if not place.is_dir() or place.is_symlink():
        return failures, remarks
    with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
        expected = {path.name: path for path in draw_tables(tables, specs, Path(scratch))}
        of_pairs = _pairs(place, tables, Path(scratch) if pairs else None, failures, remarks)
        expected |= {name: path for name, path in of_pairs.items() if path is not None}
        for path in sorted(_entries(place)):
            if path.is_symlink() or not path.is_file():
                failures.append(f"{FOLDER}/{path.name} is no plain file")
            elif path.suffix == ".svg" and (parts := active_parts(path)):
                failures.append(f"{FOLDER}/{path.name} holds more than a drawing: {', '.join(parts)}")
            elif path.name in expected:
                _compare(path, expected[path.name], failures, remarks)
            elif path.name not in of_pairs and path.suffix != ".npz" and path.name not in (WRITTEN, LOCK):
                remarks.append(f"{FOLDER}/{path.name} is no figure of these records")
        missing = [name for name in expected if not (place / name).exists()]
    failures += [f"{FOLDER}/{name} is missing" for name in missing]
    unchecked = sorted({name.rpartition(".")[0] for name, path in of_pairs.items() if path is None})
    if unchecked:
        remarks.append(f"{len(unchecked)} pictures of pairs were not drawn again; --figures does")
    return failures, remarks


_KNOWN = frozenset({*PAGES, STUDY, WRITTEN, FOLDER, journal.FOLDER})


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _pairs(
    place: Path, tables: Sequence[Table], scratch: Path | None, failures: list[str], remarks: list[str]
) -> dict[str, Path | None]:
    """Name the pictures of the pairs whose data is kept, each with what it is when drawn again."""
    found: dict[str, Path | None] = {}
    for path in sorted(place.glob("pair-*.npz")):
        stem = path.stem.removeprefix("pair-")
        found |= dict.fromkeys(f"{method}{stem}.{kind}" for method in _PAIRS for kind in ("png", "svg"))
        if path.is_symlink() or not path.is_file():
            continue  # told with the other files
        try:
            data = kept_pair(path)
            if scratch is not None:
                found |= {one.name: one for one in draw_both(data, scratch, stem)}
        except (DataError, OSError) as error:
            failures.append(str(error))
            continue
        except Exception as error:  # what is no data of a figure in a way that only drawing it shows
            failures.append(f"{FOLDER}/{path.name} cannot be drawn ({one_line(str(error))})")
            continue
        told = _told(data, tables)
        if told is None:
            remarks.append(f"{FOLDER}/{path.name} is of no table of these records")
        failures += [f"{FOLDER}/{path.name} says {score!r}, which no record gives" for score in told or ()]
    return found


def _told(data: PairData, tables: Sequence[Table]) -> list[str] | None:
    """Return the scores that a picture of a pair says and no run of its rows gives; None where there is no such table."""
    mine = [table for table in tables if f"{table.encoder}, {table.dataset}, {table.prompts}" == data.title]
    if not mine:
        return None
    wrong = []
    for label, score in zip((BASELINE, data.after), data.scores, strict=True):
        given = [
            f"{name} {100 * run.record.metrics[name].value:.1f} %"
            for table in mine
            for row in table.rows
            for one in row.compared
            for run in one.answer.runs
            for name in PRIMARY
            if run.record.label == label and name in run.record.metrics
        ]
        if score and score not in given:
            wrong.append(score)
    return wrong


def _compare(path: Path, drawn: Path, failures: list[str], remarks: list[str]) -> None:
    content = path.read_bytes()
    if content == drawn.read_bytes():
        return
    here, svg = version("matplotlib"), path.with_suffix(".svg")
    told = _DRAWN_BY.search(svg.read_bytes() if svg.is_file() else content)
    if told is not None and told[1].decode() != here:
        remarks.append(
            f"{FOLDER}/{path.name} says it was drawn by matplotlib {told[1].decode()}, here is {here}: not compared"
        )
    else:
        failures.append(f"{FOLDER}/{path.name} is not what the records give; `gapbench leaderboard build` draws it")
