"""Selection: ``name``, globs, ``family:argument`` and sweeps ``name[param=1,2,5]``, the same syntax everywhere."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

from gapbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gapbench.host.registry import Component, Kind, Registry
    from gapbench.specs import Param

Value = bool | int | float | str

#: The largest whole number that a parameter may be: what fits into 64 bits with a sign.
LARGEST = 2**63 - 1

#: The value of a parameter that is chosen on a validation slice of the fit split.
AUTO = "auto"

#: The largest number of combinations of parameters that one selection may stand for.
MOST_COMBINATIONS = 1_000

#: Parameters in brackets at the end: ``[name=value,value,name=value]``.
BRACKETS = re.compile(r"^(?P<name>.*?)\[(?P<params>\s*\w+\s*=.*)\]$", re.DOTALL)

#: The same after the argument of a family, which may hold brackets of its own: the last ones count.
LAST_BRACKETS = re.compile(r"^(?P<argument>.*)\[(?P<params>\s*\w+\s*=[^\[\]]*)\]$", re.DOTALL)


@dataclass(frozen=True)
class Selected:
    """One component with its argument and all its parameters, defaults included."""

    component: Component
    argument: str | None = None
    params: Mapping[str, Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name, with the argument of a family: ``open_clip:ViT-B-32/openai``."""
        base = self.component.spec.name
        if self.argument is None:
            return base
        ambiguous = _quoted(self.argument) or self.argument != self.argument.strip()
        ambiguous = ambiguous or bool(params_of(self.component) and LAST_BRACKETS.match(self.argument))
        return f'{base}:"{self.argument}"' if ambiguous else f"{base}:{self.argument}"

    @property
    def label(self) -> str:
        """Name with the parameters that differ from their defaults; selecting it gives the same again."""
        declared = params_of(self.component)
        changed = [
            f"{key}={_written(value)}" for key, value in sorted(self.params.items()) if value != declared[key].default
        ]
        return f"{self.name}[{','.join(changed)}]" if changed else self.name

    @property
    def automatic(self) -> dict[str, tuple[Value, ...]]:
        """The parameters that are to be chosen, each with the values to choose from."""
        declared = params_of(self.component)
        return {k: declared[k].grid for k, value in self.params.items() if value == AUTO and declared[k].grid}

    def with_params(self, chosen: Mapping[str, Value]) -> Selected:
        """Give the same component with other values of some parameters."""
        return Selected(self.component, self.argument, {**self.params, **chosen})

    def __hash__(self) -> int:
        """Hash by label: parameters are a mapping."""
        return hash((self.component.kind, self.label))


def select(registry: Registry, kind: Kind, patterns: Sequence[str] = ()) -> list[Selected]:
    """Resolve patterns to components, each once, in the order of the patterns.

    Parameters
    ----------
    patterns
        None at all: everything of that kind that needs no argument and is there by default.

    Raises
    ------
    UsageError
        An unknown name or parameter, a value that is not allowed, a glob without a match, a family without its argument.
    BrokenPluginError
        A name that belongs to a broken plugin.
    """
    if not patterns:
        known = registry.components(kind).items()
        patterns = [name for name, component in known if not component.spec.argument and component.spec.default]
    chosen: dict[str, Selected] = {}
    for pattern in patterns:
        for selected in _resolve(registry, kind, pattern.strip()):
            chosen.setdefault(selected.label, selected)
    return list(chosen.values())


def params_of(component: Component) -> Mapping[str, Param]:
    """Give the parameters that a component declares."""
    return component.spec.params


def _resolve(registry: Registry, kind: Kind, pattern: str) -> Iterator[Selected]:
    base, colon, argument = pattern.partition(":")
    if colon and base in registry.components(kind):
        yield from _members(registry.get(kind, base), argument)
        return
    brackets = BRACKETS.match(pattern)
    name, sweep = (brackets["name"], brackets["params"]) if brackets else (pattern, "")
    base, colon, _ = name.partition(":")
    if any(sign in base for sign in "*?"):
        matches = [known for known in registry.components(kind) if fnmatchcase(known, name)]
        matches = [known for known in matches if not registry.components(kind)[known].spec.argument]
        if not matches:
            raise UsageError(f"No {kind} matches {name!r}.{did_you_mean(name.strip('*?'), registry.components(kind))}")
    else:
        matches = [base if colon else name]
    for match in matches:
        component = registry.get(kind, match)
        if component.spec.argument:
            raise UsageError(f"{kind.capitalize()} {match!r} needs an argument: {match}:{component.spec.argument}")
        for params in _combinations(component, sweep):
            yield Selected(component, None, params)


def _members(component: Component, text: str) -> Iterator[Selected]:
    """Resolve what follows the colon: an argument, and a sweep only where the family has parameters."""
    base = component.spec.name
    if not component.spec.argument:
        raise UsageError(f"{component.kind.capitalize()} {base!r} takes no argument; write {base!r} alone.")
    brackets = LAST_BRACKETS.match(text) if params_of(component) else None
    argument, sweep = (brackets["argument"], brackets["params"]) if brackets else (text, "")
    for params in _combinations(component, sweep):
        yield Selected(component, _unquoted(argument, base, component), params)


def _quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _unquoted(argument: str, base: str, component: Component) -> str:
    if _quoted(argument):
        argument = argument[1:-1]
    if not argument:
        raise UsageError(f"{base!r} needs an argument: {base}:{component.spec.argument}")
    return argument


def _combinations(component: Component, sweep: str) -> Iterator[dict[str, Value]]:
    """Give all combinations of a sweep, with the defaults filled in."""
    declared = params_of(component)
    values: dict[str, list[Value]] = {}
    key = ""
    for token in sweep.split(",") if sweep else ():
        left, equals, right = token.partition("=")
        if equals:
            key = left.strip()
            if key not in declared:
                raise UsageError(
                    f"{component.kind.capitalize()} {component.spec.name!r} has no parameter {key!r}."
                    f"{did_you_mean(key, declared) or ' It has none at all.'}"
                )
            if key in values:
                raise UsageError(f"Parameter {key!r} of {component.spec.name!r} is given twice.")
            values[key] = []
        written = (right if equals else token).strip()
        values[key].append(parse_value(component.spec.name, key, declared[key], written, component.kind))
    if prod(map(len, values.values())) > MOST_COMBINATIONS:
        raise UsageError(
            f"{component.kind.capitalize()} {component.spec.name!r} is given more than {MOST_COMBINATIONS:,} combinations "
            "of parameters; give fewer values."
        )
    for combination in itertools.product(*values.values()):
        yield {name: param.default for name, param in declared.items()} | dict(zip(values, combination, strict=True))


def parse_value(owner: str, key: str, param: Param, text: str, kind: str = "aligner") -> Value:
    """Read a parameter's value by the type of its default, and check its range.

    Raises
    ------
    UsageError
        Names the parameter, the value and what is allowed.
    """
    value: Value
    if text == AUTO and param.grid and kind == "aligner":
        return AUTO
    try:
        if isinstance(param.default, bool):
            value = {"true": True, "false": False, "yes": True, "no": False}[text.lower()]
        elif isinstance(param.default, int):
            value = int(_ascii(text))
        elif isinstance(param.default, float):
            value = float(_ascii(text))
        else:
            value = text
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[type(param.default)]
        why = (
            "has no grid to choose from"
            if kind == "aligner"
            else f"belongs to the kind {kind}, and only an aligner's is chosen"
        )
        hint = f" It {why}, so it cannot be 'auto'." if text == AUTO else ""
        raise UsageError(f"{owner}[{key}={text}]: {key!r} must be {wanted}.{hint}") from None
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{owner}[{key}={text}]: {key!r} must be a finite number.")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UsageError(f"{owner}[{key}={text}]: {key!r} must lie between -2^63 and 2^63.")
    if param.choices and value not in param.choices:
        raise UsageError(f"{owner}[{key}={text}]: {key!r} must be one of {', '.join(map(str, param.choices))}.")
    if isinstance(value, int | float) and not isinstance(value, bool) and not _within(value, param):
        raise UsageError(f"{owner}[{key}={text}]: {key!r} must lie in {param.low}..{param.high}.")
    return value


def _ascii(text: str) -> str:
    """Return the text of a number; Python would also read digits of other scripts, and underscores between digits."""
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return text


def _within(value: float, param: Param) -> bool:
    return (param.low is None or value >= param.low) and (param.high is None or value <= param.high)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
