"""Keeping a fitted aligner in a file: safetensors for its arrays, JSON for the rest, no pickle.

What an aligner has learnt are its attributes. They can be kept where they are plain data: arrays, numbers, strings,
None, lists, tuples, dicts with string keys, and dataclasses of these that the aligner's own distribution defines.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "gapbench-aligner"


def save_aligner(aligner: object, path: Path) -> None:
    """Write what a fitted aligner has learnt.

    Raises
    ------
    DataError
        An attribute that is no plain data; says which.
    """
    from safetensors.numpy import save_file

    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = {name: _pack(value, name, arrays) for name, value in vars(aligner).items()}
    save_file(arrays, path, metadata={_KEY: json.dumps(tree)})


def load_aligner(aligner: object, path: Path) -> None:
    """Give a newly built aligner of the same class and parameters what `save_aligner` wrote.

    Raises
    ------
    DataError
        The file was not written by `save_aligner`, or for an aligner of another distribution.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tree = json.loads((file.metadata() or {})[_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        package = type(aligner).__module__.partition(".")[0]
        learnt = {name: _unpack(value, arrays, package) for name, value in tree.items()}
    except DataError:
        raise
    except Exception as error:  # of a damaged file safetensors, JSON and dataclasses raise many kinds
        raise DataError(f"{path} does not hold a fitted aligner ({error}); write it with save_aligner.") from error
    vars(aligner).update(learnt)


def _pack(value: Any, where: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """Write a value as JSON; arrays go to ``arrays``, anything but plain JSON is marked."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        if np.asarray(value).dtype.kind not in "fiub":
            raise DataError(f"Attribute {where} holds {np.asarray(value).dtype} values, which cannot be kept.")
        arrays[where] = np.ascontiguousarray(value).reshape(np.shape(value))
        return {"array": where, "scalar": isinstance(value, np.generic)}
    if isinstance(value, list | tuple):
        items = [_pack(item, f"{where}.{number}", arrays) for number, item in enumerate(value)]
        return {type(value).__name__ if type(value) in (list, tuple) else "tuple": items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, f"{where}.{key}", arrays) for key, item in value.items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: _pack(getattr(value, name), f"{where}.{name}", arrays) for name in names}
        return {"dataclass": [type(value).__module__, type(value).__qualname__], "fields": fields}
    raise DataError(
        f"Attribute {where} is a {type(value).__name__}, which cannot be kept; "
        "keep what was learnt as arrays, numbers and strings."
    )


def _unpack(value: Any, arrays: dict[str, np.ndarray[Any, Any]], package: str) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[value["array"]]
        return array[()] if value["scalar"] else array
    if "list" in value or "tuple" in value:
        kind = list if "list" in value else tuple
        return kind(_unpack(item, arrays, package) for item in value[kind.__name__])
    if "dict" in value:
        return {key: _unpack(item, arrays, package) for key, item in value["dict"].items()}
    module, name = value["dataclass"]
    if module.partition(".")[0] not in {package, "gapbench"}:
        raise DataError(f"The file wants a {name} of {module}, which is not of the aligner's own distribution.")
    found = getattr(importlib.import_module(module), name, None)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise DataError(f"The file wants a {name} of {module}, which is no dataclass there.")
    return found(**{key: _unpack(item, arrays, package) for key, item in value["fields"].items()})
