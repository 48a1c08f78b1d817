"""The request: what is to run and how. Each option is declared here, once.

From here it reaches the command line (`gapbench.cli.options` makes click's options of it), `gapbench.run` (a test holds its
keywords, defaults and docstring to it), study files (the fields that choose cells), and the command that a row shows
(`Request.words`).
"""

# ruff: noqa: RUF009 - each default is the declaration of an option, and is never changed
from __future__ import annotations

import os
import warnings
from collections.abc import Sized
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from gapbench.errors import GapbenchWarning, UsageError
from gapbench.model.values import Choice, File, Flag, Many, Number, Numbers, Text, Unfit, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gapbench.specs import Context

ProtocolName = Literal["held-out", "in-sample", "transductive"]
IndexName = Literal["flat", "hnsw", "ivf"]
DTypeName = Literal["float32", "bfloat16", "float16"]
EngineName = Literal["loky", "dask", "ray"]
FitSize = int | Literal["all"]

#: Commands that take an option.
RUN, PLAN, EMBED = ("run",), ("run", "plan"), ("run", "plan", "embed")
EVERY = (*EMBED, "others")

#: The folder of datasets, where ``--data-root`` does not say it.
DATA = "GAPBENCH_DATA"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Option:
    """The declaration of one option.

    Parameters
    ----------
    name
        Its name in Python and in a study file.
    flags
        Its names on the command line; the last one is used in messages, the first one in commands that are written.
    values
        What it takes, with the limits.
    help
        One line, the same on the command line and in the docstring of ``gapbench.run``.
    unset
        Stands for an option that is not given.
    default
        What then holds.
    metavar
        Stands for its value in the help.
    commands
        The commands that take it.
    selects
        Whether it chooses cells: a study file may say it, and saying it differently makes a run local.
    python
        Whether ``gapbench.run`` takes it.
    """

    name: str
    flags: tuple[str, ...]
    values: Values
    help: str
    unset: Any
    default: Any
    metavar: str
    commands: tuple[str, ...]
    selects: bool
    python: bool

    @property
    def flag(self) -> str:
        """Its long name on the command line."""
        return self.flags[-1]

    @property
    def note(self) -> str:
        """Default and limits, as the help shows them."""
        default = "" if self.default in (None, (), False) else self.default
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        return "; ".join(part for part in (f"default: {text}" if text else "", self.values.limits) if part)

    def parse(self, given: Any) -> Any:
        """Read what the command line found: a text, several, or whether a flag is there.

        Raises
        ------
        UsageError
            Names the option, what it takes and what was given.
        """
        return self.unset if given in (None, ()) else self._told(self.flag, self.values.parse, given)

    def check(self, value: Any, where: str) -> Any:
        """Check what Python or a study file gives; ``where`` begins the message.

        Raises
        ------
        UsageError
            Names the place, the option, what it takes and what was given.
        """
        return self._told(f"{where}: {self.name}", self.values.check, value)

    def _told(self, label: str, read: Callable[[Any], Any], given: Any) -> Any:
        try:
            return read(given)
        except Unfit as error:
            raise UsageError(f"{label} {error}{'' if str(error).endswith('?') else '.'}") from None


def option(
    *flags: str,
    values: Values,
    help: str,  # noqa: A002 - click's word
    default: Any = None,
    metavar: str = "",
    commands: tuple[str, ...] = PLAN,
    selects: bool = False,
    python: bool = True,
) -> Any:
    """Declare an option as a field of `Request`."""
    unset = () if isinstance(values, Many | Numbers) else None if selects or isinstance(values, File) else default
    declared = Option(
        name="", flags=flags, values=values, help=help, unset=unset, default=default, metavar=metavar,
        commands=commands, selects=selects, python=python,
    )  # fmt: skip
    return field(default=unset, metadata={"option": declared})


SELECTIONS = Many(Text(10_000))


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; an option that is not given leaves the choice to the study, or to gapbench."""

    study: str | None = option(
        "--study", values=Text(), metavar="NAME|FILE.toml", help="A named study (without: all that is available)."
    )
    encoders: tuple[str, ...] = option(
        "-e",
        "--encoder",
        values=SELECTIONS,
        metavar="ENCODER",
        selects=True,
        default=(),
        help="Names and globs.",
        commands=EMBED,
    )
    datasets: tuple[str, ...] = option(
        "-d", "--dataset", values=SELECTIONS, metavar="DATASET", selects=True, default=(),
        help="Names and globs; such as folder:DIR.", commands=EMBED,
    )  # fmt: skip
    split: str | None = option(
        "--split",
        values=Text(),
        metavar="NAME",
        selects=True,
        help="Split to score, of data with several (else test or val).",
        commands=EMBED,
    )
    limit: int | None = option(
        "--limit", values=Number(int, "a number of items", 1, 1_000_000_000), metavar="N", selects=True,
        help="Read N items of each split alone, always the same.", commands=EMBED,
    )  # fmt: skip
    prompts: tuple[str, ...] = option(
        "-p",
        "--prompts",
        values=SELECTIONS,
        metavar="PROMPTS",
        selects=True,
        default=(),
        help="Names and globs.",
        commands=EMBED,
    )
    aligners: tuple[str, ...] = option(
        "-a", "--aligner", values=SELECTIONS, metavar="ALIGNER", selects=True, default=(),
        help="Such as 'gap-shift[delta=0.2,0.4]'.",
    )  # fmt: skip
    metrics: tuple[str, ...] = option(
        "-m", "--metric", values=SELECTIONS, metavar="METRIC", selects=True, default=(), help="Names and globs."
    )
    protocol: ProtocolName | None = option(
        "--protocol", values=Choice(get_args(ProtocolName)), selects=True, default="held-out",
        help="Items to fit on, and items to score.",
    )  # fmt: skip
    fit_size: tuple[FitSize, ...] = option(
        "--fit-size", metavar="N,N|all", selects=True, help="Images to fit on (in-sample: 100, else all).",
        values=Numbers("numbers of images", "sizes", "10,100 or all", low=1, most=100, word="all"),
    )  # fmt: skip
    shots: tuple[int, ...] = option(
        "--shots", metavar="K,K", selects=True, default=(), help="Images of each class to fit on instead.",
        values=Numbers("numbers of images of a class", "numbers", "1,5", low=1, most=100),
    )  # fmt: skip
    seeds: tuple[int, ...] = option(
        "--seeds", metavar="0:5", selects=True, default=(0,), help="A range or a list of numbers below 2^63.",
        values=Numbers("numbers", "seeds", "0:5 for 0 to 4, or 0,3,7", low=0, most=10_000, ranges=True, alone=False),
    )  # fmt: skip
    index: IndexName | None = option(
        "--index", values=Choice(get_args(IndexName)), selects=True, default="flat", help="Index over the prompts."
    )
    device: str = option(
        "--device", values=Text(), metavar="DEVICE", default="auto", help="cuda, mps, cpu or auto.", commands=EMBED
    )
    dtype: DTypeName = option(
        "--dtype",
        values=Choice(get_args(DTypeName)),
        metavar="TYPE",
        default="float32",
        help="float32, bfloat16 or float16.",
        commands=EMBED,
    )
    download: bool = option(
        "--download", values=Flag(), default=False, help="Fetch weights and data that are missing.", commands=EMBED
    )
    offline: bool = option("--offline", values=Flag(), default=False, help="Never use the network.", commands=EMBED)
    skip_unreadable: bool = option(
        "--skip-unreadable",
        values=Flag(),
        default=False,
        help="Leave out pictures that cannot be read, and count them.",
        commands=EMBED,
    )
    data_root: Path | None = option(
        "--data-root",
        values=File(),
        metavar="DIR",
        default=f"${DATA}",
        commands=(*EMBED, "check"),
        help="Where datasets lie, or are put.",
    )
    jobs: int = option(
        "--jobs",
        values=Number(int, "a whole number", 1, 1_024),
        metavar="N",
        default=1,
        commands=RUN,
        help="Processes for the cells.",
    )
    engine: EngineName = option(
        "--engine", values=Choice(get_args(EngineName)), default="loky", commands=RUN, help="What runs the processes."
    )
    timeout: float | None = option(
        "--timeout",
        values=Number(float, "a number of seconds", 0.1, 10_000_000),
        metavar="SECONDS",
        commands=RUN,
        help="Longest time of one cell.",
    )
    memory: float | None = option(
        "--memory",
        values=Number(float, "a number of gigabytes", 0.25, 1_000_000),
        metavar="GB",
        commands=RUN,
        help="Most memory of one aligner's process.",
    )
    in_process: bool = option(
        "--in-process", values=Flag(), default=False, commands=RUN, help="No processes for aligners (for debuggers)."
    )
    out: Path | None = option(
        "--out", values=File(), metavar="DIR", commands=PLAN, default="leaderboards/STUDY", help="Where results go."
    )
    no_figures: bool = option(
        "--no-figures", values=Flag(), default=False, commands=RUN, python=False, help="Draw nothing."
    )
    plugins: tuple[Path, ...] = option(
        "--plugin",
        values=Many(File()),
        metavar="PATH.py",
        default=(),
        commands=EVERY,
        help="A plugin that is one file.",
    )
    no_plugin: tuple[str, ...] = option(
        "--no-plugin", values=Many(Text()), metavar="NAME", default=(), commands=EVERY, help="A plugin to leave out."
    )
    strict: bool = option(
        "--strict", values=Flag(), default=False, commands=EVERY, help="Raise at the first error, with its traceback."
    )

    @classmethod
    def from_python(cls, given: Mapping[str, Any], where: str) -> Request:
        """Check keywords; None stands for one that is not given. Of what chooses cells an empty list chooses nothing.

        Raises
        ------
        UsageError
            Names the keyword, what it takes and what was given.
        """
        for name, value in given.items():
            if OPTIONS[name].selects and isinstance(value, Sized) and not isinstance(value, str) and not len(value):
                raise UsageError(f"{where}: {name} is empty, so nothing would run; leave it out for the usual ones.")
        known = {name: OPTIONS[name].check(value, where) for name, value in given.items() if value is not None}
        request = cls(**known)
        request.check(lambda declared: declared.name, f"{where}: ")
        return request

    @classmethod
    def from_command_line(cls, found: Mapping[str, Any]) -> Request:
        """Take what the options of a command read; what is not an option of a request is passed over.

        Raises
        ------
        UsageError
            Options that contradict each other.
        """
        request = cls(**{name: value for name, value in found.items() if name in OPTIONS})
        request.check(lambda declared: declared.flag)
        return request

    def check(self, label: Callable[[Option], str], before: str = "") -> None:
        """See to it that the options agree; ``label`` names one in a message, which begins with ``before``.

        Raises
        ------
        UsageError
            Two of them contradict each other.
        """
        if self.download and self.offline:
            names = f"{label(OPTIONS['download'])} and {label(OPTIONS['offline'])}"
            raise UsageError(f"{before}{names} contradict each other; leave one out.")
        if self.fit_size and self.shots:
            names = f"{label(OPTIONS['fit_size'])} and {label(OPTIONS['shots'])}"
            raise UsageError(f"{before}{names} are two ways of saying how much is fitted on; give one.")
        if self.data_root is not None and not self.data_root.is_dir() and not self.download:
            warnings.warn(
                f"{before}{label(OPTIONS['data_root'])}: there is no folder {self.data_root}, so no dataset is found in it.",
                GapbenchWarning,
                stacklevel=2,
            )
        if self.in_process and (self.timeout is not None or self.memory is not None):
            limit = label(OPTIONS["timeout" if self.timeout is not None else "memory"])
            raise UsageError(
                f"{before}{limit} limits the process of an aligner, and with {label(OPTIONS['in_process'])} it has none; "
                "leave one out."
            )

    def words(self) -> list[str]:
        """Write it as the words of a command line, without the command: the same request is read from them."""
        return [
            word
            for declared in OPTIONS.values()
            if (value := getattr(self, declared.name)) != declared.unset
            for word in declared.values.words(declared.flags[0], value)
        ]

    def context(self) -> Context:
        """Return what encoders and datasets are made with."""
        from gapbench.specs import Context

        root = self.data_root
        if root is None and os.environ.get(DATA):
            root = OPTIONS["data_root"].check(os.environ[DATA], DATA)
        if root is None:
            import platformdirs

            root = Path(platformdirs.user_data_dir("gapbench", appauthor=False))
        return Context(
            data_root=root,
            device=self.device,
            dtype=self.dtype,
            offline=self.offline,
            download=self.download,
            skip_unreadable=self.skip_unreadable,
        )


def _declared() -> dict[str, Option]:
    return {one.name: replace(one.metadata["option"], name=one.name) for one in fields(Request)}


#: All options by name, in the order of the help.
OPTIONS: Mapping[str, Option] = _declared()
