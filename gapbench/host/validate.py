"""Holding a plugin to the contract before anything of it is registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from gapbench import __version__
from gapbench.errors import NoPluginError, PluginError, did_you_mean
from gapbench.hookspecs import CONTRACT, OLDEST_CONTRACT
from gapbench.host.interrupts import by_user
from gapbench.host.registry import HOOKS, SPEC_TYPES, Component, Kind, Origin
from gapbench.specs import (
    ActsOn,
    AlignerSpec,
    Better,
    DatasetSpec,
    Download,
    EncoderSpec,
    MetricFamily,
    MetricSpec,
    Need,
    Offer,
    Param,
    Spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]*")
FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

#: Names that stand for something else: what an embedding file brings.
RESERVED = {Kind.ENCODER: ("precomputed",), Kind.PROMPTS: ("given",)}

#: Types of the plain fields: a dataclass checks none, and a wrong one would come up far from here.
FIELDS: dict[type[Spec], dict[str, type | tuple[type, ...]]] = {
    Spec: {
        "summary": str,
        "argument": str,
        "params": Mapping,
        "options": Mapping,
        "default": bool,
        "expected_failures": Mapping,
    },
    EncoderSpec: {"weights": (Download, type(None))},
    DatasetSpec: {"splits": Mapping, "licence": str, "download": (Download, type(None)), "precomputed": bool},
    AlignerSpec: {
        "family": str,
        "acts_on": ActsOn,
        "stochastic": bool,
        "raw": bool,
        "control": bool,
        "common_space": bool,
        "reference": str,
    },
    MetricSpec: {"unit": str, "better": Better, "family": MetricFamily, "reference": str},
}

#: Characters of an exception's text that are told.
LONGEST_TEXT = 2_000


def hooks_of(plugin: Any) -> dict[Kind, Callable[[], Any]]:
    """Find a plugin's hook functions.

    Raises
    ------
    PluginError
        A contract of another version, a name that looks like a hook but is none, a hook that takes arguments, one without
        its mark.
    NoPluginError
        It has no hook at all.
    """
    _check_contract(plugin)
    kinds = {hook: kind for kind, hook in HOOKS.items()}
    found: dict[Kind, Callable[[], Any]] = {}
    for name in sorted(dir(plugin)):
        try:
            member = getattr(plugin, name)
            marked = isinstance(getattr(member, "gapbench_impl", None), dict)  # some objects have every attribute
        except BaseException as error:
            if by_user(error):
                raise
            if name.startswith("gapbench_"):
                raise PluginError(f"Reading its {name!r} raises {describe(error)}.") from error
            continue  # a lazy attribute or a proxy that cannot be had here: no hook, so no concern of the host
        if not marked and not (name.startswith("gapbench_") and callable(member)):
            continue
        if name not in kinds:
            raise PluginError(f"It has a function {name!r}, but there is no such hook.{did_you_mean(name, kinds)}")
        if not marked:
            raise PluginError(f"Its function {name!r} lacks the mark; write @gapbench.hookimpl above it.")
        code = getattr(member, "__code__", None)
        if code is not None and code.co_argcount + code.co_kwonlyargcount > (1 if hasattr(member, "__self__") else 0):
            raise PluginError(f"Its hook {name!r} takes arguments; hooks take none and return specs.")
        found[kinds[name]] = member
    if not found:
        raise NoPluginError(f"It has no hook; write a function such as {HOOKS[Kind.ALIGNER]} with @gapbench.hookimpl.")
    return found


def _check_contract(plugin: Any) -> None:
    """Refuse a plugin that was written for another version of the contract; one that names none is taken as it is."""
    spoken = vars(plugin).get("GAPBENCH_CONTRACT", CONTRACT) if hasattr(plugin, "__dict__") else CONTRACT
    if not isinstance(spoken, int) or isinstance(spoken, bool):
        raise PluginError(f"Its GAPBENCH_CONTRACT is {spoken!r}; it must be a whole number, such as {CONTRACT}.")
    if spoken > CONTRACT:
        raise PluginError(
            f"It speaks version {spoken} of the contract, and gapbench {__version__} speaks {CONTRACT}: upgrade gapbench."
        )
    if spoken < OLDEST_CONTRACT:
        raise PluginError(
            f"It speaks version {spoken} of the contract, and gapbench {__version__} speaks {CONTRACT}: install a newer "
            "version of it, or an older gapbench. What changed stands on the page 'Contract' of the docs."
        )


def components_of(hooks: Mapping[Kind, Callable[[], Any]], origin: Origin) -> list[Component]:
    """Call a plugin's hooks and check what they return.

    Raises
    ------
    PluginError
        A hook raises, returns no specs, or a spec is bad.
    """
    components: list[Component] = []
    for kind, hook in hooks.items():
        try:
            specs = hook()
            if isinstance(specs, str | Spec) or not isinstance(specs, Iterable):
                raise PluginError(
                    f"Its hook {HOOKS[kind]} returns {type(specs).__name__}; it must return a list of specs."
                )
            specs = list(specs)
        except PluginError:
            raise
        except BaseException as error:
            if by_user(error):
                raise
            raise PluginError(f"Its hook {HOOKS[kind]} raises {describe(error)}.") from error
        names = set()
        for spec in specs:
            check_spec(kind, spec)
            if spec.name in names:
                raise PluginError(f"It registers two {kind}s named {spec.name!r}.")
            names.add(spec.name)
            components.append(Component(kind, spec, origin))
    modules = {origin.module.partition(":")[0], *(found.spec.factory.partition(":")[0] for found in components)}
    whole = replace(origin, modules=tuple(sorted(modules)))
    return [replace(component, origin=whole) for component in components]


def check_spec(kind: Kind, spec: Any) -> None:
    """Check one spec.

    Raises
    ------
    PluginError
        Says which spec and what is wrong with it.
    """
    wanted = SPEC_TYPES[kind]
    if not isinstance(spec, wanted):
        raise PluginError(f"Its hook {HOOKS[kind]} gives {type(spec).__name__} where a {wanted.__name__} is wanted.")
    what = f"Its {kind} {spec.name!r}"
    name: Any = spec.name  # a dataclass checks no types: these can be anything
    factory: Any = spec.factory
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{what} has a bad name; use lower-case letters, digits and - _ . @")
    if spec.name in RESERVED.get(kind, ()):
        raise PluginError(f"{what} has a reserved name; choose another one.")
    if not isinstance(factory, str) or not FACTORY.fullmatch(factory):
        raise PluginError(f'{what} has the factory {spec.factory!r}; write it as "package.module:attribute".')
    _check_fields(what, spec)
    if isinstance(spec, AlignerSpec | MetricSpec):
        _check_members(f"{what} needs", spec.needs, Need)
    if isinstance(spec, DatasetSpec):
        _check_members(f"{what} offers", spec.offers, Offer)
    if isinstance(spec, DatasetSpec) and not spec.precomputed and "test" not in spec.splits:
        raise PluginError(f"{what} has no split 'test'; something must be scored.")
    if isinstance(spec, EncoderSpec | DatasetSpec):
        _check_modalities(what, spec.modalities)
    _check_params(what, spec.params)
    if both := sorted(spec.params.keys() & spec.options.keys()):
        raise PluginError(f"{what} has {both[0]!r} both as a parameter and as an option.")


def _check_fields(what: str, spec: Spec) -> None:
    for owner, fields in FIELDS.items():
        for name, wanted in fields.items() if isinstance(spec, owner) else ():
            value = getattr(spec, name)
            if not isinstance(value, wanted):
                word = (wanted[0] if isinstance(wanted, tuple) else wanted).__name__
                raise PluginError(f"{what} has {name}={value!r}; it must be of type {word}.")
    if not all(isinstance(name, str) for name in spec.options):
        raise PluginError(f"{what} has options that are no keywords: {', '.join(map(repr, spec.options))}.")


def _check_modalities(what: str, modalities: Any) -> None:
    words = isinstance(modalities, tuple) and len(modalities) == 2  # noqa: PLR2004
    if not words or not all(isinstance(word, str) and NAME.fullmatch(word) for word in modalities):
        raise PluginError(f'{what} has modalities={modalities!r}; write two words, such as ("image", "text").')


def _check_members(what: str, members: Any, wanted: type) -> None:
    if not isinstance(members, AbstractSet):
        raise PluginError(f"{what} {members!r}; write frozenset({{gapbench.{wanted.__name__}...}}).")
    for member in members:
        if not isinstance(member, wanted):
            raise PluginError(f"{what} {member!r}, which is no gapbench.{wanted.__name__}.")


def _check_params(what: str, params: Mapping[Any, Any]) -> None:
    for name, param in params.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise PluginError(f"{what} has a parameter {name!r}; it must be a keyword of the constructor.")
        _check_param(f"{what}, parameter {name!r},", param)


def _check_param(what: str, param: Any) -> None:
    if not isinstance(param, Param):
        raise PluginError(f"{what} is {type(param).__name__}; write gapbench.Param(default=..., doc=...).")
    if not isinstance(param.default, bool | int | float | str):
        raise PluginError(f"{what} has a default of type {type(param.default).__name__}; use a bool, number or string.")
    bounds: tuple[Any, ...] = (param.low, param.high)
    choices: Any = param.choices
    if not all(bound is None or isinstance(bound, int | float) for bound in bounds):
        raise PluginError(f"{what} has the bounds {param.low!r}..{param.high!r}; they must be numbers or None.")
    if not isinstance(choices, tuple):
        raise PluginError(f"{what} has choices={choices!r}; write a tuple.")
    if isinstance(param.default, float) and not isfinite(param.default):
        raise PluginError(f"{what} has the default {param.default}; it must be finite.")
    if param.choices and param.default not in param.choices:
        raise PluginError(f"{what} has the default {param.default!r}, which is not among its choices.")
    _check_grid(what, param)
    if isinstance(param.default, int | float) and not isinstance(param.default, bool):
        below = param.low is not None and param.default < param.low
        above = param.high is not None and param.default > param.high
        if below or above:
            raise PluginError(f"{what} has the default {param.default}, outside {param.low}..{param.high}.")


def _check_grid(what: str, param: Param) -> None:
    """Hold the values that ``auto`` chooses among to the type, the bounds and the choices of the parameter."""
    grid: Any = param.grid
    if not isinstance(grid, tuple):
        raise PluginError(f"{what} has grid={grid!r}; write a tuple.")
    for value in grid:
        same = type(value) is type(param.default)
        allowed = same and (not param.choices or value in param.choices)
        if allowed and isinstance(value, int | float) and not isinstance(value, bool):
            allowed = (param.low is None or value >= param.low) and (param.high is None or value <= param.high)
        if not allowed:
            raise PluginError(f"{what} has {value!r} in its grid, which the parameter itself does not allow.")


def describe(error: BaseException) -> str:
    """Return an exception in one line, whatever it holds."""
    try:
        text = " ".join(str(error)[:LONGEST_TEXT].split()).encode(errors="backslashreplace").decode()
    except Exception:  # a plugin's exceptions may raise when they are written
        text = "it has no text"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
