"""What a fresh process is asked: which heavy modules start-up imports, and what the component then gives."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind, Origin
from gapbench.host.validate import components_of, describe, hooks_of

if TYPE_CHECKING:
    from types import ModuleType

#: Modules that cost a start-up more than it has.
HEAVY = frozenset(
    {"numpy", "torch", "faiss", "scipy", "sklearn", "matplotlib", "pandas", "open_clip", "tensorflow", "jax"}
)

#: Characters that are told of what is printed.
LONGEST = 200


def main() -> None:
    """Answer one request as a line of JSON."""
    request = json.loads(sys.argv[1])
    kind = Kind(request["kind"])
    entry_point = "--plugin" if request["file"] else "entry"
    origin = Origin(request["module"], "", entry_point, request["module"])
    answers = os.dup(1)
    with (
        tempfile.TemporaryFile() as file
    ):  # the answer alone goes to standard output, whatever a plugin prints, and when
        os.dup2(file.fileno(), 1)
        components = components_of(hooks_of(_module(request["module"], request["file"])), origin)
        sys.stdout.flush()
        file.seek(0)
        printed = file.read(LONGEST).decode(errors="replace")
    os.dup2(2, 1)
    heavy = sorted(HEAVY & set(sys.modules))
    component = next(c for c in components if c.kind is kind and c.spec.name == request["name"])

    from gapbench.testing.checks import DoesNotApplyError, subject_of
    from gapbench.testing.digests import DIGESTS

    answer: dict[str, object] = {"heavy": heavy, "printed": printed}
    try:
        answer["result"] = DIGESTS[kind](subject_of(component, request["argument"]))
    except DoesNotApplyError as error:
        answer["skipped"] = str(error)
    except BaseException as error:  # what start-up costs is known all the same
        told = isinstance(error, GapbenchError) and str(error)
        answer["error"] = told or f"it raises {describe(error)}"
    with os.fdopen(answers, "w") as file:
        json.dump(answer, file)


def _module(name: str, file: str) -> ModuleType:
    if not file:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
