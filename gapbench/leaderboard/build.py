"""Everything in a leaderboard's folder that its records give: the same records, the same bytes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from gapbench.errors import UsageError
from gapbench.leaderboard.across import index
from gapbench.leaderboard.assemble import build_tables, published_only
from gapbench.leaderboard.command import shell_command, study_command
from gapbench.leaderboard.exports import to_csv, to_latex
from gapbench.leaderboard.kept import kept_study
from gapbench.leaderboard.markdown import markdown
from gapbench.leaderboard.page import page
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare
from gapbench.results.folder import PAGES, write_pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.embeddings.memo import Memos
    from gapbench.leaderboard.table import Table
    from gapbench.model.study import Study
    from gapbench.results.answers import Answer
    from gapbench.specs import MetricSpec


def tables_of(
    folder: Path,
    specs: Mapping[str, MetricSpec],
    study: Study | None = None,
    memos: Memos | None = None,
    found: Sequence[Answer] | None = None,
) -> list[Table]:
    """Make the tables of a folder of results, from all its records files.

    Parameters
    ----------
    folder, specs, study
        The results, the known metrics, and the study whose published numbers are shown.
    memos
        Where p values are remembered; without it, all tests are made.
    found
        The answers of the records, where they are at hand.

    Raises
    ------
    UsageError
        There are no records, and no published numbers either.
    DataError
        A line of the records is damaged.
    """
    found = answers(journal.read_folder(folder)) if found is None else found
    if not found and not (study and study.reference):
        raise UsageError(
            f"{folder} has no results (no records/*.jsonl with records); run `gapbench run --out {folder}` first."
        )
    tables = build_tables(compare(found, memos), specs, study)
    return [*tables, *(published_only(study, tables) if study else [])]


def pages(
    folder: Path, study: Study, specs: Mapping[str, MetricSpec], tables: Sequence[Table] | None = None
) -> dict[str, str]:
    """Give the files that records alone determine, by name: README.md, page.html, table.csv and table.tex.

    Figures that lie in the folder are linked, or put into the page.

    Parameters
    ----------
    folder, study, specs
        The results, the study that they are of, and the known metrics.
    tables
        Those of `tables_of`, where they are at hand.

    Raises
    ------
    UsageError
        There are no records.
    DataError
        A line of the records is damaged.
    """
    tables = tables_of(folder, specs, study) if tables is None else tables
    command = _command(folder, study)
    return {
        "README.md": markdown(tables, folder, study, specs, command=command),
        "page.html": page(tables, folder, study, specs, command=command),
        "table.csv": to_csv(tables),
        "table.tex": to_latex(tables, specs),
    }


def build(
    folder: Path, study: Study, specs: Mapping[str, MetricSpec], tables: Sequence[Table] | None = None
) -> list[Path]:
    """Write `pages`, each at once or not at all, under the lock of the folder, and none over a file of somebody else."""
    with journal.locked(folder) if (folder / journal.FOLDER).is_dir() else nullcontext():  # published numbers alone
        texts = pages(folder, study, specs, tables)
        return write_pages(folder, {name: text.encode() for name, text in texts.items()})


def build_index(root: Path, studies: Sequence[tuple[Study, Sequence[Table]]], specs: Mapping[str, MetricSpec]) -> Path:
    """Write the page across studies, ``README.md`` of the folder that theirs lie in."""
    (path,) = write_pages(root, {"README.md": index(studies, specs).encode()})
    return path


def stale(
    folder: Path, study: Study, specs: Mapping[str, MetricSpec], tables: Sequence[Table] | None = None
) -> list[str]:
    """Name the files that are not what the records give, byte by byte; what is no plain file is stale as well."""
    found = []
    try:
        given = pages(folder, study, specs, tables)
    except OSError:  # a figure that is to go into the page cannot be read
        return list(PAGES)
    for name, text in given.items():
        path = folder / name
        try:
            if path.is_symlink() or not path.is_file() or path.read_bytes() != text.encode():
                found.append(name)
        except OSError:
            found.append(name)
    return found


def _command(folder: Path, study: Study) -> str:
    """Return the command that makes the results."""
    kept = kept_study(folder)
    return shell_command(kept.request) if kept is not None and kept.study == study else study_command(study)
