"""Everything in a leaderboard's folder that its records give: the same records, the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.errors import UsageError
from gapbench.leaderboard.exports import to_csv, to_latex
from gapbench.leaderboard.markdown import markdown
from gapbench.leaderboard.table import build_tables
from gapbench.results import journal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gapbench.bench.study import Study
    from gapbench.specs import MetricSpec

RECORDS = "records.jsonl"


#: How a folder's results were made, where that is not the name of a study.
COMMAND = "command.txt"


def pages(folder: Path, study: Study, specs: Mapping[str, MetricSpec]) -> dict[str, str]:
    """Give the files that records alone determine, by name: README.md, table.csv and table.tex.

    Figures that lie in the folder are linked.

    Raises
    ------
    UsageError
        There are no records.
    DataError
        A line of the records is damaged.
    """
    records = journal.read(folder / RECORDS)
    if not records:
        raise UsageError(f"{folder} has no {RECORDS} with results; run `gapbench run --out {folder}` first.")
    tables = build_tables(records, folder, specs, study.reference)
    return {
        "README.md": markdown(tables, folder, study, specs, command=_command(folder, study)),
        "table.csv": to_csv(tables),
        "table.tex": to_latex(tables, specs),
    }


def build(folder: Path, study: Study, specs: Mapping[str, MetricSpec]) -> list[Path]:
    """Write `pages`, each at once or not at all."""
    written = []
    for name, text in pages(folder, study, specs).items():
        path = folder / name
        temporary = path.with_name(f"{name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        written.append(path)
    return written


def stale(folder: Path, study: Study, specs: Mapping[str, MetricSpec]) -> list[str]:
    """Name the files that are not what the records give."""
    found = []
    for name, text in pages(folder, study, specs).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    return found


def _command(folder: Path, study: Study) -> str:
    """Give the command that makes the results."""
    noted = folder / COMMAND
    return noted.read_text(encoding="utf-8").strip() if noted.is_file() else f"gapbench run --study {study.name}"
