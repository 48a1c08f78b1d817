"""What a shell can complete: components with their parameters, studies, kinds, paths. It is asked while somebody types.

So each function here imports what it needs when it is called, and none raises or prints: a plugin that does costs its names.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click
    from click.shell_completion import CompletionItem

    from gapbench.host.registry import Component, Registry
    from gapbench.model.request import Option
    from gapbench.specs import Param

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
    #: What may be written, and a line of help.
    Offer = tuple[str, str]


def completer(offers: Callable[[click.Context, str], Iterable[Offer]]) -> Completer:
    """Make a completion for click of a function that gives all that may be written, whatever was begun."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        del parameter
        from click.shell_completion import CompletionItem

        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), contextlib.suppress(Exception):
            return [CompletionItem(text, help=told) for text, told in offers(context, begun) if text.startswith(begun)]
        return []

    return complete


def paths(*, folders: bool = False) -> Completer:
    """Let the shell complete a path."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        del context, parameter
        from click.shell_completion import CompletionItem

        return [CompletionItem(begun, type="dir" if folders else "file")]

    return complete


def components(kind: str) -> Completer:
    """Complete components of a kind as they are selected."""
    return completer(lambda context, begun: _selections(_registry(context), kind, begun))


def option(declared: Option) -> Completer:
    """Complete what a declared option takes."""
    from gapbench.model.values import Choice

    if isinstance(declared.values, Choice):
        names = declared.values.names
        return completer(lambda context, begun: ((name, "") for name in names))  # noqa: ARG005 - click's signature
    return OPTIONS.get(declared.name, completer(lambda context, begun: ()))  # noqa: ARG005


def _study_or_file(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete a study; where none begins so, a file."""
    return studies(context, parameter, begun) or paths()(context, parameter, begun)


def _studies(context: click.Context, begun: str) -> Iterator[Offer]:
    del context, begun
    from gapbench.model.study import study_names

    yield from ((name, "") for name in study_names())


def _kinds(context: click.Context, begun: str) -> Iterator[Offer]:
    del context, begun
    from gapbench.host.registry import Kind

    yield from ((kind, "") for kind in Kind)


def _plugins(context: click.Context, begun: str) -> Iterator[Offer]:
    del begun
    registry = _registry(context)
    origins = [plugin.origin for plugin in registry.plugins] + [broken.origin for broken in registry.broken]
    yield from ((origin.handle, "") for origin in origins if origin.entry_point != "builtin")


def _names(context: click.Context, begun: str) -> Iterator[Offer]:
    """Return what NAME stands for: a component of the KIND that is written before it, or of any kind."""
    from gapbench.cli.options import kind_named
    from gapbench.host.registry import Kind

    registry = _registry(context)
    if "kind" in context.params:
        yield from _selections(registry, kind_named(context.params["kind"]), begun)
    else:
        yield from ((name, part.spec.summary) for kind in Kind for name, part in registry.components(kind).items())


def _registry(context: click.Context) -> Registry:
    from gapbench.host.discovery import discover

    given = context.params
    return discover(plugin_files=given.get("plugins") or (), blocked=given.get("no_plugin") or ())


def _selections(registry: Registry, kind: str, begun: str) -> Iterator[Offer]:
    """Return names, families, and inside of brackets the parameters."""
    from gapbench.host.registry import Kind

    known = registry.components(Kind(kind))
    head, bracket, inside = begun.rpartition("[")
    if bracket and (component := known.get(head.partition(":")[0])):
        yield from _parameters(component, f"{head}[", inside)
        return
    for name, component in known.items():
        summary, argument = component.spec.summary, component.spec.argument
        # Of a family both, so that the shell stops after the colon: an only candidate would be followed by a space.
        yield from ((f"{name}:{end}", summary) for end in ("", argument)) if argument else ((name, summary),)


def _parameters(component: Component, head: str, inside: str) -> Iterator[Offer]:
    """Return names of parameters and their values; a name that is the only one with its values, for the same reason."""
    from gapbench.host.selection import params_of

    declared = params_of(component)
    *done, last = inside.split(",")
    head += "".join(f"{part}," for part in done)
    used = {part.partition("=")[0]: number for number, part in enumerate(done) if "=" in part}
    key, equals, _ = last.partition("=")
    if equals:
        yield from _with_values(head, key, declared[key])
        return
    if used:  # another value of the last one
        latest, since = list(used.items())[-1]
        given = {part.rpartition("=")[2] for part in done[since:]}
        param = declared[latest]
        yield from ((f"{head}{value}]", param.doc) for value in _values(param) if value not in given)
    names = [name for name in declared if name.startswith(key) and name not in used]
    for name in names:
        if len(names) == 1 and not used:
            yield from _with_values(head, name, declared[name])
        else:
            yield f"{head}{name}=", declared[name].doc


def _with_values(head: str, key: str, param: Param) -> Iterator[Offer]:
    yield from ((f"{head}{key}={value}]", param.doc) for value in _values(param))


def _values(param: Param) -> list[str]:
    """Return values that a parameter may have, as they are written."""
    known: tuple[Any, ...] = param.choices or ((True, False) if isinstance(param.default, bool) else param.grid)
    values = [str(one).lower() if isinstance(one, bool) else str(one) for one in known or (param.default,)]
    return [*values, "auto"] if param.grid else values


kinds = completer(_kinds)
names = completer(_names)
studies = completer(_studies)

#: How each option of a request is completed; one that takes one of some names needs nothing here.
OPTIONS: dict[str, Completer] = {
    "study": _study_or_file,
    "encoders": components("encoder"),
    "datasets": components("dataset"),
    "prompts": components("prompts"),
    "aligners": components("aligner"),
    "metrics": components("metric"),
    "device": completer(lambda context, begun: ((name, "") for name in ("auto", "cpu", "cuda", "mps"))),  # noqa: ARG005
    "data_root": paths(folders=True),
    "out": paths(folders=True),
    "plugins": paths(),
    "no_plugin": completer(_plugins),
}
