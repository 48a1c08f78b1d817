"""``gapbench new``: begin a plugin."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli import complete
from gapbench.cli.console import echo
from gapbench.cli.options import kind_named, plugin_options, registry_from
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from gapbench.host.registry import Kind

#: Names of distributions (PEP 508), in lower case as gapbench writes names.
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
LONGEST = 40


@click.command("new")
@click.argument("kind", shell_complete=complete.kinds)
@click.argument("name")
@click.option("--single-file", is_flag=True, help="One file to try with --plugin, instead of a distribution.")
@click.option(
    "--licence",
    type=click.Choice(["MIT", "BSD-3-Clause", "Apache-2.0", "none"]),
    default="MIT",
    show_default=True,
    help="Licence of the distribution.",
)
@click.option("--author", default="", metavar="NAME", help="Author of the distribution.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    metavar="DIR",
    help="Where to write.",
)
@plugin_options
def command(kind: str, name: str, folder: Path, *, single_file: bool, licence: str, author: str, **options: Any) -> int:
    """Begin a plugin with one component of KIND (encoder, dataset, prompts, aligner, metric) named NAME.

    Writes the folder gapbench-NAME, a complete distribution: spec, implementation, tests that call the conformance suite,
    README, licence, citation, workflows that test and publish. Nothing is overwritten.
    """
    of_kind = kind_named(kind)
    registry = registry_from(options["plugins"], options["no_plugin"], strict=options["strict"])
    _check_name(name)
    if name in registry.components(of_kind):
        origin = registry.components(of_kind)[name].origin
        raise UsageError(f"The {of_kind} {name!r} exists already, in {origin}. Choose another name.")

    from gapbench import scaffold

    if single_file:
        files, root = scaffold.single_file(of_kind, name), folder
    else:
        _check_free(f"gapbench-{name}")
        files = scaffold.distribution(of_kind, name, licence=licence, author=author)
        root = folder / f"gapbench-{name}"
    _write(files, root, single_file=single_file)
    for path in files:
        echo(root / path)
    echo()
    echo(_next_steps(of_kind, name, root, files, single_file=single_file))
    return 0


def _check_name(name: str) -> None:
    plain = name.replace("-", "_").replace(".", "_")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a distribution; use lower-case letters, digits, '-' and '.', and begin and "
            "end with a letter or digit, such as my-method."
        )
    if len(name) > LONGEST:
        raise UsageError(
            f"{name!r} is longer than {LONGEST} characters; leaderboards have to show it. Choose a shorter name."
        )
    if name.startswith("gapbench"):
        raise UsageError(
            f"gapbench- is put before the name: write {name.removeprefix('gapbench').strip('-.') or 'NAME'!r}."
        )
    if keyword.iskeyword(plain):
        raise UsageError(f"{name!r} is a word of Python's own; choose another name.")


def _check_free(name: str) -> None:
    """Refuse a distribution that would hide one that is installed."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        found = None
    if found is not None:
        raise UsageError(
            f"{name} {found.version} is installed already; the new one would hide it. Choose another name."
        )
    module = name.replace("-", "_").replace(".", "_")
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"There is a module {module!r} already; the new one would hide it. Choose another name.")


def _write(files: dict[str, str], root: Path, *, single_file: bool) -> None:
    """Write the files, or nothing at all."""
    there = [root] if not single_file and root.exists() else [root / path for path in files if (root / path).exists()]
    if there:
        raise UsageError(f"{there[0]} is there already and nothing is overwritten. Choose another name, or --to DIR.")
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{root} cannot be written ({error.strerror}). Choose another folder with --to DIR."
        ) from error


def _next_steps(kind: Kind, name: str, root: Path, files: dict[str, str], *, single_file: bool) -> str:
    from gapbench.scaffold import TRY_IT

    try_it = TRY_IT[kind].format(name=name)
    if single_file:
        file = shlex.quote(str(root / next(iter(files))))
        return f"Next:\n  {try_it} --plugin {file}\n  gapbench check {kind} {name} --plugin {file}"
    return f"Next:\n  cd {shlex.quote(str(root))}\n  pip install -e '.[test]'\n  pytest\n  {try_it}"
