"""``gapbench leaderboard``: build it from its records, and check that it is what they give."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.compare import command as compare
from gapbench.cli.console import console, echo, echo_json
from gapbench.cli.options import plugin_options, registry_from
from gapbench.errors import UsageError
from gapbench.model.names import folder_below, path_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gapbench.bench.materials import Materials
    from gapbench.leaderboard.table import Table
    from gapbench.model.study import Study
    from gapbench.results.add import Added
    from gapbench.specs import MetricSpec


@click.group("leaderboard")
@click.pass_context
def command(context: click.Context) -> None:
    """Build, verify, extend and compare leaderboards, each a folder with records and the outcomes of every item."""
    context.with_resource(_without_collection())


command.add_command(compare)

ROOT = Path("leaderboards")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hold the garbage collector back: records are many, and in no cycles, so that it would look at them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is left goes with the process, which is about to end
        if enabled:
            gc.enable()


def _where(study: str, out: Path | None) -> tuple[Path, Study]:
    """Find the folder of a study, and the study itself where gapbench knows it; a folder of results stands for itself."""
    from gapbench.leaderboard.kept import study_of_folder
    from gapbench.model.study import load_study, study_names

    if study in study_names() or study.endswith(".toml"):
        found = load_study(study)
        return out or folder_below(ROOT, found.name, "The study"), found
    below_root = Path(study).name == study != ".." and (ROOT / study).is_dir()
    if out is None and not below_root and (Path(study) / "records").is_dir():
        return Path(study), study_of_folder(Path(study))
    folder = out or folder_below(ROOT, study, "The study")
    return folder, study_of_folder(folder, path_name(study, "The study"))


def _none_there(folder: Path, study: Study) -> UsageError:
    """Say that there is no such leaderboard, and what to do."""
    from gapbench.errors import did_you_mean
    from gapbench.model.study import study_names

    known = study.name in study_names()
    way_out = "gapbench run" + (f" --study {study.name}" if known else "")
    if not known or folder != ROOT / study.name:
        way_out += f" --out {folder}"
    if folder.is_dir():
        return UsageError(f"{folder} has no results; `{way_out}` makes them.")
    hint = "" if known else did_you_mean(folder.name, _all_studies())
    return UsageError(f"There is no leaderboard {folder}.{hint or f' `{way_out}` makes it.'}")


def _all_studies() -> list[str]:
    """Name the studies that have a folder below leaderboards/; ``local`` is no study."""
    from gapbench.model.study import LOCAL, study_names

    there = {path.name for path in ROOT.iterdir() if path.is_dir()} if ROOT.is_dir() else set()
    known = {name for name in study_names() if name in there}
    return sorted(known | {name for name in there if (ROOT / name / "records").is_dir() and name != LOCAL})


def _built(folder: Path, study: Study, specs: Mapping[str, MetricSpec]) -> tuple[list[Table], list[Path], bool]:
    """Make the tables of a leaderboard, and write its figures and then its pages, which show them.

    A figure that cannot be drawn costs a line; the last value says whether all could.
    """
    from gapbench.figures.draw import draw_again
    from gapbench.figures.style import failures_told
    from gapbench.leaderboard.build import build, tables_of
    from gapbench.results import journal

    if not (folder / journal.FOLDER).is_dir():
        return tables_of(folder, specs, study), build(folder, study, specs), True
    with journal.locked(folder), failures_told() as failed:  # whoever adds next builds from what is there then
        tables = tables_of(folder, specs, study)
        drawn = draw_again(folder, specs, tables)
        written = build(folder, study, specs, tables)
    for name, cause in failed:
        echo(f"warning: the figure {name} could not be drawn: {cause}", err=True)
    return tables, [*written, *drawn], not failed


@command.command("build")
@click.argument("study", required=False, shell_complete=complete.studies)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder, if not leaderboards/STUDY.")
@plugin_options
def build_command(study: str | None, out: Path | None, **options: Any) -> int:
    """Write README.md, page.html, tables and figures of STUDY again, from its records alone.

    Without STUDY: of all studies below leaderboards/, and the page across them. Ends with 1 where a figure could not be
    drawn.
    """
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    studies = [study] if study is not None else _all_studies()
    if not studies:
        raise UsageError(f"There are no leaderboards below {ROOT}/. `gapbench run --study NAME` makes one.")
    if study is None and out is not None:
        raise UsageError("--out is the folder of one study; name the study as well.")

    from gapbench.leaderboard.build import build_index

    specs = registry.metric_specs()
    made: list[tuple[Study, list[Table]]] = []
    whole = True
    try:
        for name in studies:
            folder, found = _where(name, out)
            if not folder.is_dir() and not found.reference:
                raise _none_there(folder, found)
            tables, files, drawn = _built(folder, found, specs)
            whole = whole and drawn
            made.append((found, tables))
            for path in files:
                echo(str(path))
        if study is None:
            echo(str(build_index(ROOT, made, specs)))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written ({error.strerror}).") from error
    return 0 if whole else 1


@command.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "study",
    metavar="STUDY",
    help="The leaderboard  [default: the study that the records name]",
    shell_complete=complete.studies,
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder, if not leaderboards/STUDY.")
@click.option("--sign", "key", type=click.Path(path_type=Path), metavar="KEY", help="Sign with a key of OpenSSH.")
@plugin_options
def add_command(file: Path, study: str | None, out: Path | None, key: Path | None, **options: Any) -> int:
    """Add the records of FILE.jsonl, with the outcomes beside it, to a leaderboard; then build it again.

    Each record is checked first. A cell that is there already counts as reproduced where the values agree, and as a
    conflict where they do not. Adding twice changes nothing, and completes what was interrupted. Ends with 1 where a line
    was left out, or where --sign was given and nothing was signed.
    """
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])

    from gapbench.host.installed import Installed
    from gapbench.leaderboard.membership import outside, study_of
    from gapbench.model.study import LOCAL
    from gapbench.results.add import add

    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    name = study or study_of(file)
    if name in (None, LOCAL):
        raise UsageError(f"{file} names no study of its own; say which leaderboard it is for: --to STUDY.")
    try:
        path_name(str(name), "--to" if study else f"{file}: the study")
    except UsageError as error:
        raise error if study else UsageError(f"{error} Or say which leaderboard it is for: --to STUDY.") from None
    folder, found = _where(str(name), out)
    if not folder.is_dir() and out is None and found == type(found)(name=found.name):
        raise _none_there(folder, found)
    try:
        added = add(file, folder, lambda record: outside(record, found), installed=Installed(registry), key=key)
        _tell_added(file, added, key)
        if added.path is not None or added.known:
            _built(folder, found, registry.metric_specs())
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written ({error.strerror}).") from error
    return 1 if added.refused or (key is not None and added.signed is None) else 0


def _tell_added(file: Path, added: Added, key: Path | None) -> None:
    for line, reason in added.refused:
        echo(f"{file}, line {line}, was left out: {reason}", err=True)
    if added.path is not None:
        echo(f"{len(added.records)} records added as {added.path}")
    if added.known:
        echo(f"{added.known} records were there already")
    if added.signed is not None:
        echo(f"{added.signed} was signed")
    elif key is not None:
        echo("nothing was signed: no unsigned submission has exactly these records", err=True)


@command.command("verify")
@click.argument("study", shell_complete=complete.studies)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The folder, if not leaderboards/STUDY.")
@click.option("--json", "as_json", is_flag=True, help="One entry a record, with all that was checked.")
@click.option("--recompute", is_flag=True, help="Compute all values again from embeddings, where these are at hand.")
@click.option("--figures", is_flag=True, help="Draw the pictures of pairs again as well (seconds each).")
@click.option(
    "--signers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Allowed signers, as ssh-keygen reads them  [default: {ROOT}/allowed_signers]",
)
@plugin_options
def verify_command(
    study: str,
    out: Path | None,
    as_json: bool,
    recompute: bool,
    figures: bool,
    signers: Path | None,
    **options: Any,
) -> int:
    """Check every record of STUDY, or of a folder: against itself, its outcomes, the other rows, and the study.

    Then whether pages, tables and figures are what the records give. Ends with 1 where anything is not. With --recompute,
    each cell runs again whose encoder, data and aligner are on this machine, so that gap metrics are checked as well.
    """
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    folder, found = _where(study, out)

    from gapbench.cli.verified import as_json as in_full
    from gapbench.cli.verified import show
    from gapbench.host.installed import Installed
    from gapbench.results import journal
    from gapbench.results.signatures import SIGNERS
    from gapbench.verification.board import verify

    if not any(journal.files(folder)) and not found.reference:
        raise _none_there(folder, found)
    signers = signers or (ROOT / SIGNERS if (ROOT / SIGNERS).is_file() else None)
    materials = _materials() if recompute else None
    result = verify(folder, found, Installed(registry), materials=materials, signers=signers, figures=figures)
    if as_json:
        echo_json(in_full(result))
    else:
        show(result, console())
    return 0 if result.ok else 1


def _materials() -> Materials:
    """Return what is at hand, without any download."""
    from gapbench.bench.materials import Materials
    from gapbench.cli.options import context_from
    from gapbench.embeddings.store import Store, default_root
    from gapbench.model.request import Request

    return Materials(Store(default_root()), context_from(Request(offline=True, device="cpu")))
