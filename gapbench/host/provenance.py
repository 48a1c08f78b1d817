"""Provenance: which code answers. A version stays while its author works on a method; the hash of its package does not.

Of an installed distribution the whole package counts, helper modules and data included. Of a plugin that is one file,
the file counts, with the modules and folders of modules that it, or these, import from beside it. Of gapbench itself the
parts that compute count: not the command line, pages and figures. What a plugin imports from other distributions, or
reads from elsewhere, is not covered.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench import __version__
from gapbench.host import imports
from gapbench.host.imports import GAPBENCH, Stamp, stamp
from gapbench.host.registry import OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gapbench.host.registry import Component, Origin, Registry
    from gapbench.model.record import Code


#: What decides the numbers of gapbench itself; weights are identified by their encoder.
COMPUTES = (
    "bench", "bootstrap.py", "builtin", "components.py", "embeddings", "exact.py", "model/units.py", "retrieval.py",
    "specs.py", "stats.py",
)  # fmt: skip
WEIGHTS = ".safetensors"

#: Endings of files that are imported.
MODULES = frozenset({".py", ".so", ".pyd"})

#: Folders of installed packages: what lies beside a module there belongs to others.
SHARED_FOLDERS = frozenset({"site-packages", "dist-packages"})

#: Files of the plugins that this process has imported, by distribution, as they were then.
_loaded: dict[str, dict[Path, Stamp]] = {}

#: Hashes of files, while their stamp is unchanged.
_hashes: dict[tuple[Path, Stamp], bytes] = {}


class Provenance:
    """The code of a registry's distributions, as it is now; each is looked at once, when it is asked for.

    Parameters
    ----------
    registry
        What is installed.
    """

    def __init__(self, registry: Registry) -> None:
        self._origins: dict[str, list[Origin]] = {}
        for plugin in registry.plugins:
            self._origins.setdefault(plugin.origin.distribution, []).append(plugin.origin)
        self._found: dict[str, Code] = {}

    def code(self, distribution: str) -> Code | None:
        """Return version and hash of a distribution, or of a one-file plugin by its name; None where it is not there."""
        if distribution not in self._found and distribution in self._origins:
            self._found[distribution] = code_of(self._origins[distribution])
        return self._found.get(distribution)

    def origins(self, distribution: str) -> tuple[Origin, ...]:
        """Return the plugins of a distribution."""
        return tuple(self._origins.get(distribution, ()))

    def codes(self, distributions: Iterable[str]) -> dict[str, Code]:
        """Return the code of several distributions; gapbench itself always takes part."""
        found = {name: self.code(name) for name in sorted({GAPBENCH, *distributions})}
        return {name: code for name, code in found.items() if code is not None}


def files_of(file: Path) -> list[Path]:
    """Return the file of a plugin that is one file, and what it imports from beside it: what its hash covers."""
    return [path for _, path in _with_neighbours(file, None)]


def code_hash(component: Component) -> str:
    """Return the hash of the code behind a component; empty where it cannot be told."""
    return code_of([component.origin]).sha256


def code_of(origins: list[Origin]) -> Code:
    """Return version and hash of the code of a distribution, given all its plugins."""
    from gapbench.model.record import Code

    if origins[0].distribution == GAPBENCH:
        return gapbench_code()
    origin = origins[0]
    # What an object of this process returns, and what was edited since it was imported, is in no file.
    untold = origin.entry_point == OBJECT or "__main__" in origin.modules or unknown(origin.distribution)
    return Code(version=origin.version, sha256="" if untold else _hash_files(dict(_named_files(origins))))


def as_run(code: Mapping[str, Code]) -> dict[str, Code]:
    """Return the code that took part after it ran: without a hash where it was edited, or imported what no hash covers."""
    import msgspec

    return {
        name: msgspec.structs.replace(one, sha256="") if one.sha256 and unknown(name) else one
        for name, one in code.items()
    }


@cache
def gapbench_code() -> Code:
    """Return the code of gapbench as this process runs it."""
    from gapbench.model.record import Code

    root = Path(__file__).resolve().parent.parent
    parts = [path for part in COMPUTES for path in _below(root / part) if path.suffix != WEIGHTS]
    return Code(version=__version__, sha256=_hash_files({path.relative_to(root).as_posix(): path for path in parts}))


def imported(origin: Origin) -> None:
    """Note the files of a plugin as they are when it is imported: what runs in this process is what they hold now."""
    if origin.distribution != GAPBENCH:
        seen = _loaded.setdefault(origin.distribution, {})
        for _, path in _named_files([origin]):
            seen.setdefault(path, stamp(path))


def refresh(origin: Origin) -> None:
    """Forget the imported modules of a plugin whose files have changed, so that it is imported as it is now."""
    stale = set(_loaded.pop(origin.distribution, {})) if edited(origin.distribution) else set()
    if not stale and not origin.file:  # an installed plugin is imported once; a file is read each time
        return
    changed = stale | set(imports.found(origin.distribution))
    imports.forget(origin.distribution)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).resolve() in changed:
            del sys.modules[name]
            package, _, module_name = name.rpartition(".")
            if package in sys.modules:  # a folder without __init__.py stays, and would still hold it
                vars(sys.modules[package]).pop(module_name, None)
            with contextlib.suppress(OSError, ValueError, NotImplementedError):
                # Python takes a compiled file for current while the second and the size of its source are the same.
                Path(importlib.util.cache_from_source(file)).unlink()
    importlib.invalidate_caches()


def as_imported() -> dict[str, dict[Path, Stamp]]:
    """Return the files of all plugins as this process has imported them."""
    return {name: dict(files) for name, files in _loaded.items()}


def adopt(known: Mapping[str, dict[Path, Stamp]]) -> None:
    """Know what another process has imported of plugins that this one has not."""
    for name, files in known.items():
        _loaded.setdefault(name, files)


def edited(distribution: str) -> bool:
    """Whether the files of a plugin are others now than those that this process has imported."""
    known = {**imports.found(distribution), **_loaded.get(distribution, {})}
    return any(stamp(path) != seen for path, seen in known.items())


def unknown(distribution: str) -> bool:
    """Whether what this process has imported for a distribution is in no file any more, or in one that is not hashed."""
    found = imports.found(distribution)
    return edited(distribution) or any(not any(path in hashed for hashed in _loaded.values()) for path in found)


def _named_files(origins: Iterable[Origin]) -> Iterator[tuple[str, Path]]:
    """Walk over the files that plugins consist of, each with a name that is the same on every machine."""
    for origin in origins:
        if origin.file:
            yield from _with_neighbours(Path(origin.file), None)
        for module in dict.fromkeys(origin.modules or (origin.module.partition(":")[0],)):
            if module.partition(".")[0] not in (GAPBENCH, Path(origin.file).stem):
                yield from _module_files(module, origin.distribution)


def _module_files(module: str, distribution: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of the top-level package, or module, that a module belongs to."""
    file = _file_of(module)
    if file is None:
        yield f"unknown:{module}", Path(os.devnull) / module  # cannot be read, so the hash is empty
    elif file.name == "__init__.py":
        root = file.parent
        yield from ((path.relative_to(root.parent).as_posix(), path) for path in _below(root))
    elif file.parent.name in SHARED_FOLDERS:
        yield from _with_neighbours(file, _own_modules(distribution))
    else:
        yield from _with_neighbours(file, None)


def _file_of(module: str) -> Path | None:
    """Find the file of a module's top-level package (below a namespace: of the first package with a file)."""
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}".lstrip(".")
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None:
            try:
                spec = importlib.util.find_spec(name)
            except (ImportError, ValueError, AttributeError):
                return None
            file = spec.origin if spec is not None and spec.has_location else None
        if file is not None:
            return Path(file).resolve()
    return None


def _own_modules(distribution: str) -> frozenset[str]:
    """Name the top-level modules of an installed distribution, as far as its metadata tells."""
    from importlib.metadata import files

    try:
        return frozenset(path.parts[0].removesuffix(".py") for path in files(distribution) or ())
    except Exception:  # damaged metadata: the module alone counts
        return frozenset()


def _with_neighbours(file: Path, allowed: frozenset[str] | None) -> Iterator[tuple[str, Path]]:
    """Yield a module's file and what it imports from beside it; only ``allowed`` modules where that is not None.

    What these import from there is followed in turn. A folder counts whole, whether or not it has an ``__init__.py``.
    """
    file = file.resolve()
    waiting, seen = [file], {file}
    while waiting:
        one = waiting.pop()
        yield one.relative_to(file.parent).as_posix(), one
        names = _imported(one) if one.suffix == ".py" else set()
        for name in sorted(names - {GAPBENCH}):
            if allowed is None or name in allowed:
                found = [path for path in _beside(file.parent, name) if path not in seen]
                seen.update(found)
                waiting += found


def _beside(folder: Path, name: str) -> list[Path]:
    """List the files in a folder that may be a top-level module: source, compiled modules, or all of a package."""
    alone = [path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in MODULES and path.is_file()]
    package = _below(folder / name) if (folder / name).is_dir() else []
    # Any word of a file may name a folder, of data or results, say: without modules it is no package.
    return alone + (package if any(path.suffix in MODULES for path in package) else [])


def _imported(file: Path) -> set[str]:
    """Name the top-level modules that a file imports, wherever it does; literal names of ``import_module`` included."""
    import ast

    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:  # noqa: PLR2004
            name = node.value.partition(":")[0].partition(".")[0]  # "module:attribute", or of import_module
            found.update({name} if name.isidentifier() else ())
    return found


def _below(path: Path) -> list[Path]:
    """List the files of a package in a fixed order: no caches, no compiled and no hidden files."""
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        found += [
            Path(folder, name) for name in sorted(names) if not name.startswith(".") and not name.endswith(".pyc")
        ]
    return found


def _hash_files(files: dict[str, Path]) -> str:
    """Hash names and contents; empty where there is nothing, or something cannot be read."""
    digest = hashlib.sha256()
    try:
        for name, path in sorted(files.items()):
            digest.update(name.encode() + b"\0" + _hash_file(path))
    except OSError:
        return ""
    return digest.hexdigest() if files else ""


def _hash_file(path: Path) -> bytes:
    key = path, stamp(path)
    if key not in _hashes:
        _hashes[key] = hashlib.sha256(path.read_bytes()).digest()
    return _hashes[key]
