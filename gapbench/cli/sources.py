"""Where results are: a study's folder, any folder, a records file, or one of these in a commit."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from gapbench.results.answers import Answer

BOARDS = Path("leaderboards")


def results_in(what: str, scratch: Path) -> dict[str, list[Answer]]:
    """Read results by what a user calls them.

    Parameters
    ----------
    what
        A records file; a folder of results; a study, which stands for ``leaderboards/STUDY``; a folder of such folders; a
        commit, which stands for ``COMMIT:leaderboards``; or ``COMMIT:PATH``.
    scratch
        An empty folder, where the files of a commit are put.

    Returns
    -------
    dict
        For each set of results its name and its answers. In a folder of folders ``local`` is passed over: it is no study.

    Raises
    ------
    UsageError
        There is nothing of that name.
    """
    for path in (Path(what), BOARDS / what):
        if path.exists():
            return _read(path)
    commit, colon, inner = what.partition(":")
    place = inner if colon else str(BOARDS)
    archive = None if commit.startswith("-") else _git("archive", "--format=tar", commit, "--", place)
    if archive is None:
        raise UsageError(
            f"There are no results {what!r}: it is no file, no folder, no study below {BOARDS}/, and no commit that has "
            f"{inner or BOARDS}. Write a records file, a folder, a study, a commit, or COMMIT:PATH."
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(scratch, filter="data")
    return _read(scratch / place)


def _git(*arguments: str) -> bytes | None:
    """Ask git; None where it is not there or knows nothing of it."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607 - no shell
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _read(path: Path) -> dict[str, list[Answer]]:
    from gapbench.model.study import LOCAL
    from gapbench.results import journal
    from gapbench.results.answers import answers

    if path.is_file():
        records = journal.read(path)
        if not records:
            raise DataError(f"{path} has no records.")
        return {path.stem: answers(records)}
    folders = (
        [path]
        if (path / journal.FOLDER).is_dir()
        else [found.parent for found in sorted(path.glob(f"*/{journal.FOLDER}")) if found.parent.name != LOCAL]
    )
    if not folders:
        raise UsageError(f"{path} has no results (no {journal.FOLDER}/*.jsonl).")
    return {folder.name: answers(journal.read_folder(folder)) for folder in folders}
