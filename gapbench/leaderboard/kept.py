"""The study behind a folder of results, kept beside them where gapbench does not ship it.

A study file lies somewhere on one machine, and a run without one has no file at all; title, text and published numbers
must be there whenever the pages are built. What is kept is held to the same rules as a study file and the options of a
run, so that no file can have other words shown as the command of a study.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.embeddings.disk import read_regular, reason
from gapbench.errors import DataError, UsageError
from gapbench.leaderboard.membership import study_of
from gapbench.model.request import OPTIONS, Request
from gapbench.model.study import LOCAL, Study, fields_of_study, load_study, study_from_fields, study_names
from gapbench.results import journal
from gapbench.results.folder import STUDY as FILE
from gapbench.results.folder import remove_page, write_pages

if TYPE_CHECKING:
    from pathlib import Path


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: a study and a request by the names of their fields, without what has its default."""

    study: dict[str, Any]
    request: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A study, and the request that ran it."""

    study: Study
    request: Request


def ships(study: Study) -> bool:
    """Whether a study comes with gapbench, as it is."""
    return study.name in study_names() and study == load_study(study.name)


def keep_study(folder: Path, study: Study, request: Request) -> None:
    """Keep the study of a run and its request; a study that ships with gapbench is not kept.

    Parameters
    ----------
    folder
        The results.
    study, request
        What ran, and what asked for it.
    """
    if ships(study):
        remove_page(folder, FILE)
        return
    asked = {name: value for name, declared in OPTIONS.items() if (value := getattr(request, name)) != declared.unset}
    content = msgspec.json.encode(_Written(fields_of_study(study), asked), enc_hook=str)  # of paths
    write_pages(folder, {FILE: msgspec.json.format(content, indent=1) + b"\n"})


def kept_study(folder: Path) -> Kept | None:
    """Return what is kept beside results; None where nothing is.

    Raises
    ------
    DataError
        The file is damaged, a link, or says what no study or no option takes.
    """
    path = folder / FILE
    try:
        written = msgspec.json.decode(read_regular(path), type=_Written)
        study = study_from_fields(written.study, str(path))
        return Kept(study=study, request=Request.from_python(_known(written.request), str(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError, UsageError) as error:
        raise DataError(f"{path} is no study ({reason(error)}); run again, or remove it.") from error


def _known(asked: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(asked.keys() - OPTIONS.keys()):
        raise UsageError(f"there is no option {', '.join(unknown)}")
    return asked


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
