"""What a room is sent: its job, and the arrays of the parts that it asks for."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from gapbench.bench.fitdata import block_of
from gapbench.bench.rooms.wire import Shared, shared
from gapbench.errors import PluginError
from gapbench.host.build import load
from gapbench.host.registry import MODULE, OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gapbench.bench.fitdata import FitParts
    from gapbench.bench.rooms.inside import Job
    from gapbench.host.selection import Selected


def parts_of(home: FitParts, name: str) -> Sequence[NDArray[Any] | Shared]:
    """Return the arrays of a part; large ones are written once for all aligners of a table, blocks are not kept."""
    if block_of(name)[1] is not None:
        return home.read(name)
    kept = home.rows_of(name).handed
    if name not in kept:
        kept[name] = tuple(shared(array) for array in home.read(name))
    return kept[name]


def unfiled(selected: Selected) -> Callable[..., Any] | None:
    """Return the factory of a plugin that is an object of this process, and in no file that another could import."""
    component = selected.component
    module = component.spec.factory.partition(":")[0]
    if component.origin.file or (component.origin.entry_point not in (OBJECT, MODULE) or _importable(module)):
        return None
    factory: Callable[..., Any] = load(component.spec.factory, component.origin)
    return factory


def _importable(name: str) -> bool:
    """Whether another process with the same path would import a module from the same file."""
    path, found = None, None
    for end in range(1, name.count(".") + 2):
        found = PathFinder.find_spec(".".join(name.split(".")[:end]), path)
        if found is None:
            return False
        path = found.submodule_search_locations
    return found is not None and found.origin == getattr(sys.modules.get(name), "__file__", None)


def pickled(job: Job, name: str) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]  # it has no types

    home = None if job.factory is None else sys.modules.get(job.factory.__module__)
    by_value = home is not None and home.__name__ not in ("__main__", *cloudpickle.list_registry_pickle_by_value())
    try:
        if by_value:
            cloudpickle.register_pickle_by_value(home)
        content: bytes = cloudpickle.dumps(job)
    except Exception as error:
        raise PluginError(
            f"Aligner {name!r} cannot be sent to a process of its own ({type(error).__name__}: {error}). Define it in a "
            "file and give that as a plugin, or run with --in-process (from Python: in_process=True)."
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(home)
    return content
