"""Finding plugins: built-ins, installed distributions (entry-point group ``gapbench``) and single files.

pluggy can load entry points itself, but all or nothing: the first one that raises ends the loading, a misspelt hook
registers in silence, and one raising hook drops everybody's results. So each entry point is loaded, checked and called
in a guard of its own, and only what is whole is registered.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pluggy

from gapbench import __version__, hookspecs
from gapbench.errors import BrokenPluginError, PluginError, UsageError
from gapbench.host.imports import watched
from gapbench.host.interrupts import by_user
from gapbench.host.provenance import imported, refresh
from gapbench.host.registry import HOOKS, MODULE, OBJECT, UNKNOWN, Broken, Kind, Origin, Plugin, Registry
from gapbench.host.streams import printing_to_stderr
from gapbench.host.validate import components_of, describe, hooks_of
from gapbench.specs import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from importlib.metadata import EntryPoint
    from pathlib import Path

BUILTIN = Origin("gapbench", __version__, "builtin", "gapbench.builtin")

#: Comma list of distributions or entry points that may load; empty: no third-party plugin.
LIMIT = "GAPBENCH_PLUGINS"


def discover(
    *,
    plugin_files: Sequence[Path] = (),
    objects: Sequence[object] = (),
    blocked: Sequence[str] = (),
    strict: bool = False,
    computes: bool = False,
) -> Registry:
    """Find and check all plugins.

    Parameters
    ----------
    plugin_files
        Single-file plugins.
    objects
        Objects with hooks, such as a module or a class that is made in a notebook.
    blocked
        Names of distributions, entry points or files' stems that are left out.
    strict
        Raise at once where a plugin is broken.
    computes
        Whether this process will compute: then functions of libraries that a plugin replaces while it is imported are put
        back, and told.

    Raises
    ------
    UsageError
        A plugin file that is not there.
    """
    host = _Host(strict=strict, computes=computes)
    host.add(BUILTIN, lambda: importlib.import_module(BUILTIN.module))
    allowed, left_out = _allowed(), {_plain(name) for name in blocked}
    known: set[str] = set()
    for origin, entry_point in _installed():
        names = {_plain(origin.distribution), _plain(origin.entry_point)}
        known |= names
        if names & left_out or (allowed is not None and not names & allowed):
            continue
        host.add(origin, entry_point.load)
    for path in {os.path.realpath(file): file for file in plugin_files}.values():  # one given twice counts once
        if not path.is_file():
            raise UsageError(f"There is no plugin file {str(path)!r}. Check the path.")
        names = {_plain(path.stem), _plain(path.name)}
        known |= names
        if not names & left_out:
            host.add(Origin(path.name, "", "--plugin", path.stem, str(path.resolve())), partial(load_file, path))
    for plugin in objects:
        name = str(getattr(plugin, "__name__", type(plugin).__name__))
        home = name if isinstance(plugin, ModuleType) else str(getattr(plugin, "__module__", type(plugin).__module__))
        kind = MODULE if isinstance(plugin, ModuleType) else OBJECT
        host.add(Origin(name, "", kind, home), partial(_itself, plugin))
    return host.registry([name for name in blocked if _plain(name) not in known])


def built_in() -> Registry:
    """Return the components of gapbench itself."""
    host = _Host(strict=True)
    host.add(BUILTIN, lambda: importlib.import_module(BUILTIN.module))
    return host.registry()


def _itself(plugin: object) -> object:
    return plugin


class _Host:
    """Loads plugins one by one, each in its own guard."""

    def __init__(self, *, strict: bool, computes: bool = False) -> None:
        self._strict = strict
        self._computes = computes
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Plugin] = []
        self._broken: list[Broken] = []

    def add(self, origin: Origin, load: Callable[[], Any]) -> None:
        if origin == BUILTIN:
            self._add(origin, load)
            return
        with printing_to_stderr(), self._libraries_kept(origin):
            self._add(origin, load)

    def _libraries_kept(self, origin: Origin) -> contextlib.AbstractContextManager[None]:
        if not self._computes:
            return contextlib.nullcontext()
        from gapbench.host.unchanged import functions_kept

        return functions_kept(f"Plugin {origin}, while it was imported,")

    def _add(self, origin: Origin, load: Callable[[], Any]) -> None:
        refresh(origin)
        try:
            with watched([origin.distribution]):
                module = load()
        except BaseException as error:
            if by_user(error):
                raise
            self._fail(
                origin, "discover", f"importing it raises {describe(error)}.", _how_to_mend(origin, error), error
            )
            return
        try:
            hooks = hooks_of(module)
            components = components_of(hooks, origin)
            # The checked hooks alone: pluggy would look at every other name of the module as well.
            self._manager.register(
                SimpleNamespace(**{HOOKS[kind]: hook for kind, hook in hooks.items()}),
                name=f"{origin.distribution}:{origin.entry_point}:{origin.module}",
            )
        except BaseException as error:  # a plugin's objects can raise whenever they are touched
            if by_user(error):
                raise
            cause = str(error) if isinstance(error, PluginError) else f"checking it raises {describe(error)}."
            self._fail(origin, "validate", cause, _ask_author(origin), error, _claimed(module))
            return
        whole = components[0].origin if components else origin
        imported(whole)
        self._plugins.append(Plugin(whole, tuple(HOOKS[kind] for kind in hooks), tuple(components)))

    def _fail(
        self,
        origin: Origin,
        stage: str,
        cause: str,
        fix: str,
        error: BaseException | None,
        components: Sequence[tuple[Kind, str]] = (),
    ) -> None:
        if self._strict:
            refused = BrokenPluginError if origin.named else PluginError
            raise refused(f"Plugin {origin}: {cause} {fix}") from error
        self._broken.append(Broken(origin, stage, cause, fix, tuple(components), error))

    def registry(self, unknown: Sequence[str] = ()) -> Registry:
        """Take out name clashes: a built-in keeps its name, between others neither wins."""
        owners: dict[tuple[Kind, str], list[Plugin]] = {}
        for plugin in self._plugins:
            for component in plugin.components:
                owners.setdefault((component.kind, component.spec.name), []).append(plugin)
        clashing: dict[Origin, tuple[Plugin, Kind, str, list[Plugin]]] = {}
        for (kind, name), plugins in owners.items():
            if len(plugins) > 1:
                for plugin in plugins:
                    if plugin.origin != BUILTIN:
                        clashing.setdefault(plugin.origin, (plugin, kind, name, plugins))
        for plugin, kind, name, plugins in clashing.values():
            others = " and ".join(
                f"{other.origin} (entry point {other.origin.entry_point})"
                if other.origin.distribution == plugin.origin.distribution
                else str(other.origin)
                for other in plugins
                if other is not plugin
            )
            self._plugins.remove(plugin)
            self._fail(
                plugin.origin,
                "validate",
                f"its {kind} {name!r} has the name of one of {others}.",
                _ways_out(plugin.origin, [other.origin for other in plugins if other is not plugin]),
                None,
                [(component.kind, component.spec.name) for component in plugin.components],
            )
        return Registry(self._plugins, self._broken, unknown)


def _installed() -> Iterator[tuple[Origin, EntryPoint]]:
    """Walk over the entry points of all installed distributions, in a fixed order."""
    from importlib.metadata import entry_points

    found: Iterable[EntryPoint]
    try:
        found = entry_points(group=hookspecs.PROJECT)
    except Exception:  # one unreadable entry_points.txt, of whatever package, ends the standard library's walk
        found = _readable_entry_points()
    named = [(_origin(entry_point), entry_point) for entry_point in found]
    yield from sorted(named, key=lambda pair: (pair[0].distribution, pair[0].entry_point))


def _readable_entry_points() -> Iterator[EntryPoint]:
    """Read distribution by distribution, without those that cannot be read; slower, so only after a failure."""
    from importlib.metadata import distributions

    seen = set()
    for dist in distributions():
        try:
            name = _plain(dist.name)
            if name not in seen:  # the first on the path hides the others, as it does for imports
                seen.add(name)
                yield from [entry_point for entry_point in dist.entry_points if entry_point.group == hookspecs.PROJECT]
        except Exception:  # noqa: S112 - pip says what is wrong with it; the host goes on without it
            continue


def _origin(entry_point: EntryPoint) -> Origin:
    """Say where an entry point comes from, as far as damaged metadata tells."""
    try:
        dist: Any = entry_point.dist
        name, version = dist.name, dist.version
    except Exception:
        name, version = None, None
    return Origin(str(name or UNKNOWN), str(version or ""), entry_point.name, entry_point.value)


def _allowed() -> set[str] | None:
    limit = os.environ.get(LIMIT)
    return None if limit is None else {_plain(name) for name in limit.split(",") if name.strip()}


def _plain(name: str) -> str:
    """Spell a name as package indexes compare it."""
    return name.strip().lower().replace("_", "-").replace(".", "-")


def load_file(path: Path) -> Any:
    """Import a file as a module of its own name."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import find_spec, module_from_spec, spec_from_loader

    if not path.stem.isidentifier():
        raise ImportError(f"{path.stem!r} is no name that Python can import; rename the file")
    # Also modules that are not imported yet: a plugin called numpy.py must not become everybody's NumPy.
    known = sys.modules.get(path.stem)
    home = find_spec(path.stem) if known is None else None
    taken = getattr(known, "__file__", "") if known is not None else home.origin if home is not None else None
    if taken is not None and taken != str(path.resolve()):
        raise ImportError(f"the name {path.stem!r} is taken by another module; rename the file")
    if path.suffix != ".py":
        raise ImportError(f"{path} is no Python file; its name must end in .py")

    class AsItIs(SourceFileLoader):
        """Compiles the file itself: a compiled copy may be of an older text of the same second and size."""

        def get_code(self, fullname: str) -> Any:
            return self.source_to_code(self.get_data(self.get_filename(fullname)), self.path)

    spec = spec_from_loader(path.stem, AsItIs(path.stem, str(path.resolve())))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # factories name it as "stem:attribute"
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _claimed(module: Any) -> list[tuple[Kind, str]]:
    """Give the names that a broken plugin would have brought, as far as its hooks can tell."""
    claimed = []
    for kind, hook in HOOKS.items():
        try:
            specs = list(getattr(module, hook)())
            claimed += [(kind, spec.name) for spec in specs if isinstance(spec, Spec) and isinstance(spec.name, str)]
        except BaseException as error:  # it is known to be broken; this only improves later messages
            if by_user(error):
                raise
    return claimed


def _how_to_mend(origin: Origin, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        beside = os.path.dirname(origin.file)  # noqa: PTH120 - as a string, whatever it is
        if origin.file and any(os.path.exists(os.path.join(beside, error.name + end)) for end in ("", ".py")):  # noqa: PTH110, PTH118
            return f"It lies beside the plugin: set PYTHONPATH={beside}, or start there with `python -m gapbench`."
        return f"Install {error.name.partition('.')[0]!r}, or leave the plugin out with --no-plugin {origin.handle}."
    return _ask_author(origin)


def _ways_out(origin: Origin, others: Sequence[Origin]) -> str:
    """Return what to do about a name that two plugins have."""
    if not origin.named:
        return f"Uninstall one of them, or leave one out with --no-plugin {origin.handle}."
    away = [other.handle for other in others if other != BUILTIN]
    leave = f", or leave the other out with --no-plugin {away[0]}" if away else ""
    return f"Choose another name in {origin.distribution}{leave}."


def _ask_author(origin: Origin) -> str:
    if origin.named:
        return f"Mend {origin.distribution}."
    return f"Upgrade or uninstall {origin.distribution}, or leave it out with --no-plugin {origin.handle}."
