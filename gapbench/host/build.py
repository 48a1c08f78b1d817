"""Building components: the one place where implementations are imported."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gapbench.errors import GapbenchError, PluginError
from gapbench.host.imports import watched
from gapbench.host.interrupts import by_user
from gapbench.host.registry import Kind
from gapbench.host.validate import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.host.registry import Origin
    from gapbench.host.selection import Selected

#: What the host calls on each kind, whatever else there is.
METHODS = {
    Kind.ENCODER: ("identity", "encode_images", "encode_texts"),
    Kind.DATASET: ("split",),
    Kind.PROMPTS: ("prompts",),
    Kind.ALIGNER: ("fit",),
    Kind.METRIC: ("measure",),
}


def load(reference: str, origin: Origin) -> Any:
    """Import what ``"module:attribute"`` names.

    Raises
    ------
    PluginError
        A module that is not installed (says which and how to get it), an import that raises, no such attribute.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except GapbenchError:
        raise
    except BaseException as error:
        if by_user(error):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name:
            missing = error.name.partition(".")[0]
            if missing == module_name.partition(".")[0]:
                raise PluginError(f"{origin}: there is no module {error.name!r}, which {reference!r} names.") from error
            raise PluginError(f"{origin}: {reference!r} {_needs(missing, origin)}") from error
        raise PluginError(f"{origin}: importing {module_name!r} raises {describe(error)}.") from error
    try:
        for part in attribute.split("."):
            target = getattr(target, part)
    except AttributeError as error:
        raise PluginError(f"{origin}: module {module_name!r} has no {attribute!r}.") from error
    return target


def build(selected: Selected, *arguments: Any, factory: Callable[..., Any] | None = None) -> Any:
    """Build a component: ``factory(*arguments[, argument], **options, **params)``.

    Parameters
    ----------
    factory
        What the spec's reference names, where that is at hand already.

    Raises
    ------
    PluginError
        The factory fails, or what it gives lacks a method of its kind.
    """
    component = selected.component
    spec, origin = component.spec, component.origin
    with watched([origin.distribution]):
        factory = load(spec.factory, origin) if factory is None else factory
    positional = arguments if selected.argument is None else (*arguments, selected.argument)
    try:
        with watched([origin.distribution]):
            built = factory(*positional, **spec.options, **selected.params)
    except GapbenchError:
        raise
    except BaseException as error:
        if by_user(error):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name:
            missing = error.name.partition(".")[0]
            raise PluginError(f"{origin}: {component.kind} {selected.name!r} {_needs(missing, origin)}") from error
        raise PluginError(f"{origin}: building {component.kind} {selected.name!r} raises {describe(error)}.") from error
    methods = ("embedded", "offers", "splits") if getattr(spec, "precomputed", False) else METHODS[component.kind]
    for method in methods:
        try:
            found = callable(getattr(built, method, None))
        except BaseException as error:
            if by_user(error):
                raise
            what = f"{component.kind} {selected.name!r}"
            raise PluginError(
                f"{origin}: {what} raises {describe(error)} where its {method}() is looked up."
            ) from error
        if not found:
            raise PluginError(f"{origin}: {component.kind} {selected.name!r} has no method {method}().")
    return built


def _needs(missing: str, origin: Origin) -> str:
    """Say which package is missing and how to get it: by the plugin's own extra where it has one for it."""
    import re
    from importlib.metadata import requires

    said = f"needs the package {missing!r}, which is not installed."
    try:
        requirements = requires(origin.distribution) or []
    except Exception:  # a single file, or a checkout that is not installed
        requirements = []
    wanted = missing.lower().replace("_", "-")
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*["']([^"']+)""", requirement)
        if name and extra and name[0].lower().replace("_", "-") == wanted:
            return f"{said} Run: pip install '{origin.distribution}[{extra[1]}]'"
    return f"{said} Run: pip install {missing}"
