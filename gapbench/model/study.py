"""Studies: named, frozen selections, each a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.errors import UsageError, did_you_mean
from gapbench.model.names import path_name
from gapbench.model.record import IN_SAMPLE
from gapbench.model.request import OPTIONS, FitSize, IndexName, ProtocolName
from gapbench.model.values import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.model.request import Request

BUILTIN_STUDIES = Path(__file__).parent.parent / "studies"

#: The name of a run without ``--study``: all that is registered and available.
LOCAL = "local"

#: The largest study file, in bytes.
LARGEST_FILE = 262_144

#: The largest number of dots in a line of a study file: reading a key of n parts takes memory as n squared.
MOST_DOTS = 100


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A protocol with its fit size: a number of images, or of images a class (``shots``), or None for all."""

    name: ProtocolName
    fit_size: int | None = None
    shots: int | None = None

    @property
    def fits_on_test(self) -> bool:
        """Whether test items are in the fit."""
        return self.name == IN_SAMPLE


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published number, shown beside ours and marked as reported."""

    metric: str
    value: float
    source: str
    prompts: str
    aligner: str = "identity"


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What runs. An empty list stands for everything that is registered and takes no argument.

    ``fit_size`` None stands for the protocol's own default: all items for ``held-out`` and ``transductive``, 100 for
    ``in-sample``; ``"all"`` for all items. A list of sizes, or of ``shots`` (images of each class), is an axis.
    ``primary`` is the metric that tables are ranked by, where they have it; empty leaves it to gapbench. ``download`` says
    that weights or images have to be fetched, so that the command on its leaderboard does.
    """

    name: str
    title: str = ""
    about: str = ""
    encoders: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    split: str | None = None
    limit: int | None = None
    prompts: tuple[str, ...] = ()
    aligners: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    primary: str = ""
    protocol: ProtocolName = OPTIONS["protocol"].default
    fit_size: FitSize | tuple[FitSize, ...] | None = None
    shots: tuple[int, ...] = ()
    seeds: tuple[int, ...] = OPTIONS["seeds"].default
    index: IndexName = OPTIONS["index"].default
    figure_aligner: str = "procrustes"
    figure_prompts: tuple[str, ...] = ("photo", "captions", "given")
    reference: tuple[Reference, ...] = ()
    download: bool = False

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocol with each of its fit sizes, or shots."""
        if self.shots:
            return tuple(Protocol(name=self.protocol, shots=shots) for shots in self.shots)
        if self.fit_size is None:
            return (Protocol(name=self.protocol, fit_size=100 if self.protocol == IN_SAMPLE else None),)
        sizes = self.fit_size if isinstance(self.fit_size, tuple) else (self.fit_size,)
        items = dict.fromkeys(None if size == "all" else size for size in sizes)
        return tuple(Protocol(name=self.protocol, fit_size=size) for size in items)


def study_names() -> list[str]:
    """Names of the studies that ship with gapbench."""
    return sorted(path.stem for path in BUILTIN_STUDIES.glob("*.toml"))


def load_study(name: str) -> Study:
    """Read a study by its name or from a TOML file.

    Raises
    ------
    UsageError
        No such study or file, or the file is not a study.
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    known = study_names()
    if name not in known:
        raise UsageError(f"There is no study {shown(name)}.{did_you_mean(name, known)} Or write a file, FILE.toml.")
    return _read(BUILTIN_STUDIES / f"{name}.toml")


def chosen_study(request: Request) -> tuple[Study, tuple[str, ...]]:
    """Read the study of a request and apply what the request says otherwise.

    Returns
    -------
    study, changed
        The study, called `LOCAL` where it is not as its file has it, and the names of the fields that the request changes.

    Raises
    ------
    UsageError
        There is no such study, or its file is not a study.
    """
    study = Study(name=LOCAL, title="Local run") if request.study is None else load_study(request.study)
    said: dict[str, Any] = {
        name: value
        for name, declared in OPTIONS.items()
        if declared.selects and (value := getattr(request, name)) != declared.unset
    }
    if "fit_size" in said:
        said |= {"fit_size": _fit_size(said["fit_size"]), "shots": ()}
    elif "shots" in said:
        said["fit_size"] = None
    changed = tuple(sorted(name for name, value in said.items() if getattr(study, name) != value))
    if not changed:
        return study, ()
    return msgspec.structs.replace(study, name=LOCAL, **said), changed


def _fit_size(sizes: tuple[FitSize, ...]) -> FitSize | tuple[FitSize, ...]:
    return sizes[0] if len(sizes) == 1 else sizes


def study_from_fields(fields: Mapping[str, Any], where: str) -> Study:
    """Make a study of what a file says; fields that are options are held to the declaration of the option.

    Parameters
    ----------
    fields
        By name; those that are left out have their defaults.
    where
        The file, to begin messages with.

    Raises
    ------
    UsageError
        They are no study, or its name cannot be that of a folder; names the field.
    """
    for name in fields:
        if name not in Study.__struct_fields__:
            raise UsageError(
                f"{where} has the unknown field {shown(name)}.{did_you_mean(name, Study.__struct_fields__)}"
            )
    read = {name: OPTIONS[name].check(value, where) if name in OPTIONS else value for name, value in fields.items()}
    if "fit_size" in read:
        read["fit_size"] = _fit_size(read["fit_size"])
    if read.get("shots") and "fit_size" in read:
        raise UsageError(f"{where}: fit_size and shots are two ways of saying how much is fitted on; give one.")
    try:
        study = msgspec.convert(read, Study)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is not a study: {error}.") from error
    path_name(study.name, f"{where}: name")
    for number in study.reference:
        if not isfinite(number.value):
            raise UsageError(f"{where}: a reference has the value {number.value}; it must be a finite number.")
    return study


def fields_of_study(study: Study) -> dict[str, Any]:
    """Return the fields of a study that are not the defaults, as plain values: `study_from_fields` makes it of them."""
    plain, default = msgspec.to_builtins(study), msgspec.to_builtins(Study(name=""))
    return {name: value for name, value in plain.items() if value != default[name]}


def _read(path: Path) -> Study:
    """Read a TOML file."""
    return study_from_fields(_fields(path), str(path))


def _fields(path: Path) -> dict[str, Any]:
    """Read what a TOML file says, whatever it may be."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            what = f"{path} is a folder" if path.is_dir() else f"There is no file {path}"
            what = what if path.is_dir() or not path.exists() else f"{path} is no ordinary file"
            raise UsageError(f"{what}. Write FILE.toml, or one of the studies {', '.join(study_names())}.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{path} has more than {LARGEST_FILE:,} bytes, so it is not a study.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a study: it is not UTF-8 (byte {error.start}).") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > MOST_DOTS:
            raise UsageError(f"{path}, line {number} has more than {MOST_DOTS} dots; write it as several lines.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not a study: {error}.") from error
    except RecursionError:
        raise UsageError(f"{path} is not a study: it is nested too deeply.") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise UsageError(f"{path} is not a study: it has a number of thousands of digits.") from None
