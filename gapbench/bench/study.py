"""Studies: named, frozen selections, each a TOML file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

import msgspec

from gapbench.bench.protocol import Protocol, ProtocolName
from gapbench.errors import UsageError
from gapbench.model.names import path_name

BUILTIN_STUDIES = Path(__file__).parent.parent / "studies"

#: The name of a run without ``--study``: all that is registered and available.
LOCAL = "local"

FitSize = int | Literal["all"]


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
    ``download`` says that weights or images have to be fetched, so that the command on its leaderboard does.
    """

    name: str
    title: str = ""
    about: str = ""
    encoders: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    aligners: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    protocol: ProtocolName = "held-out"
    fit_size: FitSize | tuple[FitSize, ...] | None = None
    shots: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    index: Literal["flat", "hnsw", "ivf"] = "flat"
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
            return (Protocol(name=self.protocol, fit_size=100 if self.protocol == "in-sample" else None),)
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
    path = Path(name) if name.endswith(".toml") else BUILTIN_STUDIES / f"{name}.toml"
    if not path.is_file():
        known = study_names()
        close = difflib.get_close_matches(name, known, n=1)
        hint = (
            f" Did you mean {close[0]!r}?"
            if close
            else f" Known studies: {', '.join(known)}; or give a file, FILE.toml."
        )
        raise UsageError(f"There is no study {name!r}.{hint}")
    try:
        study = msgspec.toml.decode(path.read_bytes(), type=Study)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a study: {error}.") from error
    return check_study(study, str(path))


def check_study(study: Study, where: str) -> Study:
    """Check what the types of its fields do not say.

    Raises
    ------
    UsageError
        Begins with ``where``.
    """
    path_name(study.name, f"{where}: name")
    for protocol in study.protocols:
        if protocol.fit_size is not None and protocol.fit_size < 1:
            raise UsageError(f'{where}: fit_size must be at least 1 or "all", not {protocol.fit_size}.')
        if protocol.shots is not None and protocol.shots < 1:
            raise UsageError(f"{where}: shots must be at least 1, not {protocol.shots}.")
    if study.shots and study.fit_size is not None:
        raise UsageError(f"{where}: fit_size and shots are two ways of saying how much is fitted on; give one.")
    if not study.seeds:
        raise UsageError(f"{where}: seeds is empty; give at least one, such as [0].")
    return study


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``0:5`` (a half-open range), ``0,3,7`` or ``4``.

    Raises
    ------
    UsageError
        Not of that form, or empty.
    """
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, colon, last = part.partition(":")
            seeds.extend(range(int(first), int(last)) if colon else [int(first)])
    except ValueError:
        raise UsageError(f"--seeds {text!r} is not understood; write 0:5 for 0 to 4, or 0,3,7.") from None
    if not seeds or min(seeds) < 0:
        raise UsageError(f"--seeds {text!r} names no seed; write 0:5 for 0 to 4, or 0,3,7 (none below 0).")
    return tuple(dict.fromkeys(seeds))
