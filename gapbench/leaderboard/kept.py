"""The study behind a folder of results, kept beside them where gapbench does not ship it.

A study file lies somewhere on one machine, and a run without one has no file at all; title, text and published numbers
must be there whenever the pages are built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gapbench.embeddings.disk import read_regular
from gapbench.errors import DataError
from gapbench.leaderboard.membership import study_of
from gapbench.model.study import LOCAL, Study, load_study, study_names
from gapbench.results import journal
from gapbench.results.folder import STUDY as FILE
from gapbench.results.folder import remove_page, write_pages

if TYPE_CHECKING:
    from pathlib import Path


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study, and the command that ran it."""

    study: Study
    command: str


def ships(study: Study) -> bool:
    """Whether a study comes with gapbench, as it is."""
    return study.name in study_names() and study == load_study(study.name)


def keep_study(folder: Path, study: Study, command: str) -> None:
    """Keep the study of a run and its command; one that ships with gapbench is not kept.

    Parameters
    ----------
    folder
        The results.
    study, command
        What ran, and the shell command that ran it.
    """
    if ships(study):
        remove_page(folder, FILE)
        return
    content = msgspec.json.format(msgspec.json.encode(Kept(study=study, command=command)), indent=1)
    write_pages(folder, {FILE: content + b"\n"})


def kept_study(folder: Path) -> Kept | None:
    """Return what is kept beside results; None where nothing is.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(read_regular(path), type=Kept)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise DataError(f"{path} is no study ({error}); run again, or remove it.") from error


def study_of_folder(folder: Path, name: str = LOCAL) -> Study:
    """Return the study that a folder's results are of: the one that is kept, or else the one that its records name.

    Raises
    ------
    DataError
        The kept study is damaged.
    """
    kept = kept_study(folder)
    if kept is not None:
        return kept.study
    told = study_of(journal.run_file(folder))
    if told in study_names():
        return load_study(str(told))
    return Study(name=name, title="Local run") if name == LOCAL else Study(name=name)
