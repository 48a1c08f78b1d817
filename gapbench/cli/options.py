"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gapbench.cli import complete
from gapbench.cli.console import echo
from gapbench.devices import check_device
from gapbench.errors import UsageError
from gapbench.model.names import folder_below
from gapbench.model.request import OPTIONS
from gapbench.model.values import Choice, Flag, Many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gapbench.host.registry import Kind, Registry
    from gapbench.model.request import Option, Request
    from gapbench.model.study import Study
    from gapbench.specs import Context

    Command = TypeVar("Command", bound=Callable[..., Any])


class Once(click.Option):
    """An option with one value: given twice, it is a mistake, and not the last value in silence."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Count how often it is given."""
        super().add_to_parser(parser, ctx)
        given: list[str] = []
        for name in self.opts:
            known = parser._long_opt if name.startswith("--") else parser._short_opt  # noqa: SLF001 - click has no other way
            option = known[name]
            store = option.process

            def process(value: Any, state: Any, store: Any = store) -> None:
                given.append(str(value))
                if len(given) > 1:
                    told = " and ".join(given)
                    raise click.UsageError(f"{self.opts[0]} is given twice, as {told}; it takes one value.", ctx)
                store(value, state)

            option.process = process


def request_options(command: Command) -> Command:
    """Add the options of the command's request: those that are declared for its name, such as ``run``."""
    return _declared_for(command.__module__.rpartition(".")[2])(command)


def data_options(command: Command) -> Command:
    """Add --data-root."""
    return _declared_for("check")(command)


def plugin_options(command: Command) -> Command:
    """Add --plugin, --no-plugin and --strict."""
    return _declared_for("others")(command)


def _declared_for(name: str) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for declared in reversed(list(OPTIONS.values())):
            if name in declared.commands:
                command = _option(declared)(command)
        return command

    return decorate


def _option(declared: Option) -> Callable[[Command], Command]:
    """Make click's option of a declaration; what it takes is read, and checked, by the declaration."""
    names = declared.values.names if isinstance(declared.values, Choice) else ()
    many = isinstance(declared.values, Many)
    note = "; ".join(part for part in ("repeatable" if many else "", declared.note) if part)

    def read(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
        del context, parameter
        return declared.parse(given)

    return click.option(
        *declared.flags,
        declared.name,
        cls=click.Option if many or isinstance(declared.values, Flag) else Once,
        is_flag=isinstance(declared.values, Flag) or None,
        multiple=many,
        metavar=declared.metavar or (f"[{'|'.join(names)}]" if names else None),
        help=f"{declared.help}  [{note}]" if note else declared.help,
        callback=read,
        shell_complete=complete.option(declared),
    )


def results_folder(request: Request, study: Study) -> Path:
    """Return where the results of a run are, or go."""
    return request.out or folder_below(Path("leaderboards"), study.name, "The study name")


def kind_named(name: str) -> Kind:
    """Read a kind; its plural is understood as well.

    Raises
    ------
    UsageError
        There is no such kind.
    """
    from gapbench.errors import did_you_mean
    from gapbench.host.registry import Kind

    if name.endswith(".py"):
        raise UsageError(f"{name} is a file where a kind is meant; write KIND NAME --plugin {name}.")
    plain = name.lower().rstrip("s")
    for kind in Kind:
        if plain == kind.rstrip("s"):
            return kind
    raise UsageError(f"There is no kind {name!r}.{did_you_mean(name, [str(kind) for kind in Kind])}")


def registry_from(
    plugin_files: Sequence[Path], blocked: Sequence[str], *, strict: bool, computes: bool = False
) -> Registry:
    """Find the plugins; a broken one that is installed gets a line on stderr.

    Raises
    ------
    BrokenPluginError
        One that ``--plugin`` names is broken.
    """
    from gapbench.host.discovery import discover

    registry = discover(plugin_files=plugin_files, blocked=blocked, strict=strict, computes=computes)
    registry.check_named()
    for broken in registry.broken:
        echo(f"warning: plugin {broken.origin} is broken: {broken.cause} {broken.fix}", err=True)
    return registry


def context_from(request: Request) -> Context:
    """Make the context of encoders and datasets, and see to it that nothing is fetched behind its back."""
    check_device(request.device)
    if not request.download:  # the hub's own library would look for newer files by itself
        os.environ["HF_HUB_OFFLINE"] = "1"
    return request.context()


def study_from(request: Request) -> Study:
    """Read the study of a request, and say so where its options make it another one."""
    from gapbench.model.study import chosen_study

    study, changed = chosen_study(request)
    if request.study is not None and changed:
        names = ", ".join(OPTIONS[name].flag for name in changed)
        echo(f"note: this changes the study {request.study!r} ({names}), so its results are local.", err=True)
    return study
