"""Running gapbench from Python: `run` gives typed results; nothing is printed and no logging is configured."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from gapbench.errors import GapbenchError, NoPluginError, UsageError
from gapbench.model.request import SELECTIONS, DTypeName, EngineName, FitSize, IndexName, ProtocolName, Request
from gapbench.model.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType

    from gapbench.leaderboard.table import Table
    from gapbench.model.record import Record
    from gapbench.results.comparisons import Compared
    from gapbench.specs import MetricSpec

P = ParamSpec("P")
R = TypeVar("R")

#: Columns of `Results.to_pandas`, one row for each cell and metric.
COLUMNS = (
    "encoder", "dataset", "prompts", "aligner", "protocol", "fit_items", "seed",
    "metric", "value", "low", "high", "n", "delta", "p", "p_holm", "cell_id",
)  # fmt: skip

#: A name of each kind, and what to write for one that is a file.
NAMED = {
    "encoders": ("mini-clip", ""),
    "datasets": ("digits", "embeddings:{0} (embeddings), folder:{0} (a folder a class) or captions:{0} (captions)"),
    "prompts": ("photo", "file:{0}"),
    "aligners": ("procrustes", ""),
    "metrics": ("top1", ""),
}

#: What the keyword of that name takes.
PLUGINS = "plugins takes paths of files, and modules, classes or instances with hooks: one, or a list of them."


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came of a run. In a notebook it shows itself; ``rich.print(results)`` shows it in a terminal.

    Parameters
    ----------
    compared
        One answer for each cell, with its comparisons.
    tables
        The same as ranked tables, one for each encoder, dataset, prompt strategy and protocol.
    skipped
        What did not run, each with the reason.
    failures
        What failed before it came to cells, each with the cause.
    changes
        What was measured again because its code changed.
    failed
        Records of cells that ended badly, as a whole or in a metric that was asked for.
    metrics
        What is known of the metrics, by name.
    """

    compared: Sequence[Compared]
    tables: Sequence[Table]
    skipped: Sequence[tuple[str, str]] = ()
    failures: Sequence[tuple[str, str]] = ()
    changes: Sequence[str] = ()
    failed: Sequence[Record] = ()
    metrics: Mapping[str, MetricSpec] = field(default_factory=dict, repr=False)

    @property
    def records(self) -> list[Record]:
        """One for each cell, as it was measured; a failed cell has ``status`` and ``reason``."""
        return [one.answer.record for one in self.compared]

    def to_pandas(self) -> pd.DataFrame:
        """Give all values as a data frame: one row for each cell and metric, with interval and comparison.

        Raises
        ------
        GapbenchError
            pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise GapbenchError("to_pandas() needs pandas, which is not installed. Run: pip install pandas") from error
        return pd.DataFrame(list(self._rows()), columns=list(COLUMNS))

    def _rows(self) -> Iterable[tuple[Any, ...]]:
        rows = {record.cell_id: row for table in self.tables for row in table.rows for record in row.records}
        for one in self.compared:
            record = one.answer.record
            of = (record.encoder.name, record.dataset.name, record.prompts.name, record.label, record.protocol.name)
            row = rows[record.cell_id]
            for name, value in record.metrics.items():
                low, high = value.ci95 or (None, None)
                found = one.differences.get(name)
                verdict = row.values[name].p_holm  # noqa: PD011 - no data frame
                difference = (None, None, None) if found is None else (found.delta, found.p, verdict)
                numbers = (name, value.value, low, high, value.n, *difference)
                yield (*of, record.items.fitted, record.seed, *numbers, record.cell_id)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        """Show the tables in a terminal."""
        from gapbench.leaderboard.terminal import parts

        for table in self.tables:
            yield from parts(table, self.metrics, options.max_width)

    def _repr_html_(self) -> str:
        """Show the tables in a notebook."""
        from gapbench.leaderboard.notebook import html

        return html(self.tables, self.metrics)


def _told(function: Callable[P, R]) -> Callable[P, R]:
    """Tell an unknown keyword as other mistakes are told, with the one that may be meant."""

    @wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        known = list(inspect.signature(function).parameters)
        for name in kwargs:
            if name not in known:
                from gapbench.errors import did_you_mean

                raise UsageError(f"run() has no keyword {name!r}.{did_you_mean(name, known)}")
        if len(args) > 1:
            raise UsageError(
                "run() takes one study by position; write all else with its keyword, such as seeds=[0, 1]."
            )
        return function(*args, **kwargs)

    return told


@_told
def run(  # noqa: PLR0913 - one keyword for each option
    study: str | PathLike[str] | None = None,
    *,
    encoders: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    split: str | None = None,
    limit: int | None = None,
    prompts: str | Sequence[str] | None = None,
    aligners: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    protocol: ProtocolName | None = None,
    fit_size: FitSize | Sequence[FitSize] | None = None,
    shots: int | Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    index: IndexName | None = None,
    device: str = "auto",
    dtype: DTypeName = "float32",
    download: bool = False,
    offline: bool = False,
    skip_unreadable: bool = False,
    data_root: str | PathLike[str] | None = None,
    jobs: int = 1,
    engine: EngineName = "loky",
    timeout: float | None = None,
    memory: float | None = None,
    in_process: bool = False,
    out: str | PathLike[str] | None = None,
    plugins: object = (),
    no_plugin: str | Sequence[str] = (),
    strict: bool = False,
) -> Results:
    """Run what ``gapbench run`` runs, and return the results.

    Each keyword is checked as the option of the command line is. Where a list is meant, one text, path or number alone
    stands for a list of one; but not of ``seeds``, since ``seeds=5`` could mean five of them. An empty list is a mistake
    where it would choose nothing.

    Parameters
    ----------
    study
        A named study (without: all that is available).
    encoders
        Names and globs.
    datasets
        Names and globs; such as folder:DIR.
    split
        Split to score, of data with several (else test or val).
    limit
        Read N items of each split alone, always the same. [1 to 1,000,000,000]
    prompts
        Names and globs.
    aligners
        Such as 'gap-shift[delta=0.2,0.4]'.
    metrics
        Names and globs.
    protocol
        Items to fit on, and items to score. [default: held-out]
    fit_size
        Images to fit on (in-sample: 100, else all). [up to 100 sizes]
    shots
        Images of each class to fit on instead. [up to 100 numbers]
    seeds
        A range or a list of numbers below 2^63. [default: 0; up to 10,000 seeds] Here a range is ``range(5)``.
    index
        Index over the prompts. [default: flat]
    device
        cuda, mps, cpu or auto. [default: auto]
    dtype
        float32, bfloat16 or float16. [default: float32]
    download
        Fetch weights and data that are missing.
    offline
        Never use the network.
    skip_unreadable
        Leave out pictures that cannot be read, and count them.
    data_root
        Where datasets lie, or are put. [default: $GAPBENCH_DATA]
    jobs
        Processes for the cells. [default: 1; 1 to 1,024]
    engine
        What runs the processes. [default: loky]
    timeout
        Longest time of one cell. [0.1 to 10,000,000]
    memory
        Most memory of one aligner's process. [0.25 to 1,000,000]
    in_process
        No processes for aligners (for debuggers).
    out
        Where results go. Without it nothing is kept but the embeddings in the store; with it, a later run goes on from
        there.
    plugins
        A plugin that is one file. Or an object (a module, a class, an instance) with hooks.
    no_plugin
        A plugin to leave out.
    strict
        Raise at the first error, with its traceback.

    Returns
    -------
    Results
        Records, tables, and what did not run.

    Raises
    ------
    UsageError
        A selection or an option that is not understood; names the keyword.
    BrokenPluginError
        One of ``plugins`` is broken, or a name belongs to a plugin that is.
    """
    given = dict(locals())
    given |= {keyword: _names(keyword, given[keyword]) for keyword in NAMED}
    given["plugins"], objects = _files_and_objects(plugins)
    from gapbench.host.interrupts import interrupts_noticed

    with interrupts_noticed():
        return _run(Request.from_python(given, "run()"), objects)


def _run(request: Request, objects: Sequence[object]) -> Results:
    from gapbench.bench.execute import Runner
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.bench.workers import Options
    from gapbench.devices import check_device
    from gapbench.embeddings.store import Store, default_root
    from gapbench.host.discovery import discover
    from gapbench.leaderboard.assemble import build_tables, only
    from gapbench.model.study import chosen_study
    from gapbench.results import journal
    from gapbench.results.answers import answers, question
    from gapbench.results.comparisons import compare, without_outcomes
    from gapbench.results.folder import check_folder

    if objects and request.jobs > 1:
        raise UsageError(
            "Plugins that are objects are known to this process only; write jobs=1, or put them into a file."
        )
    study, _ = chosen_study(request)
    registry = discover(
        plugin_files=request.plugins, objects=objects, blocked=request.no_plugin, strict=request.strict, computes=True
    )
    for broken in registry.broken:
        if isinstance(broken.error, NoPluginError) and broken.origin.named and not broken.origin.file:
            raise UsageError(f"run(): plugins: {broken.origin} is no plugin: {broken.cause} {PLUGINS}")
    registry.check_named()
    check_device(request.device)
    materials = Materials(Store(default_root()), request.context())
    plan = make_plan(study, registry, materials)
    with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
        folder = request.out if request.out is not None else Path(scratch)
        check_folder(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"run(): out: {folder} cannot be written ({error.strerror}).") from error
        options = Options(
            folder=folder,
            jobs=request.jobs,
            engine=request.engine,
            timeout=request.timeout,
            memory=None if request.memory is None else int(request.memory * 2**30),
            in_process=request.in_process,
            strict=request.strict,
            plugin_files=tuple(path.resolve() for path in request.plugins),
            blocked=request.no_plugin,
        )
        runner = Runner(plan, study.name, materials, registry, options)
        outcome = runner.run()
        specs = registry.metric_specs()
        asked: list[Compared] = []

        def compared() -> Iterator[list[Compared]]:
            for group in compare(answers(journal.read_folder(folder)), materials.store.memos):
                asked.extend(without_outcomes(one) for one in group if question(one.record) in outcome.asked)
                yield group

        tables = build_tables(compared(), specs, study)
    return Results(
        compared=asked,
        tables=only(tables, lambda record: question(record) in outcome.asked),
        skipped=[(skip.what, skip.reason) for skip in plan.skips],
        failures=outcome.failures,
        changes=outcome.changes,
        failed=outcome.failed,
        metrics=specs,
    )


def _names(keyword: str, value: Any) -> Any:
    """See to it that names are text: a class, an instance or a path in their place is told with what to write."""
    if value is None or isinstance(value, str):
        return value
    several = isinstance(value, Iterable) and not isinstance(value, bytes | Mapping | PathLike | type)
    listed = list(islice(value, SELECTIONS.most + 1)) if several else [value]
    for one in listed:
        if not isinstance(one, str):
            raise UsageError(f"run(): {keyword} {_wanted(keyword, one)}")
    return listed


def _wanted(keyword: str, given: object) -> str:
    example, family = NAMED[keyword]
    what = f"takes names, such as {example!r}"
    if isinstance(given, PathLike):
        path = fspath(given)
        return f"{what}, not the path {path}{f'; write {family.format(path)}' if family else ''}."
    plain = given is None or isinstance(given, int | float | complex | bytes | Iterable)
    if plain and not isinstance(given, type):
        return f"{what}, not {shown(given)}."
    named = getattr(given, "__name__", None)
    it = named if isinstance(named, str) else f"an instance of {type(given).__name__}"
    kind = keyword if keyword == "prompts" else keyword.removesuffix("s")
    return f"{what}, not {it}; what has hooks goes into plugins=[...], and the name of its {kind} here."


def _files_and_objects(plugins: Any) -> tuple[list[Any], list[object]]:
    """Tell plugins that are files from those that are objects; one alone stands for a list of one."""
    listed = plugins if isinstance(plugins, list | tuple) else [plugins]
    files = [plugin for plugin in listed if isinstance(plugin, str | PathLike)]
    return files, [plugin for plugin in listed if plugin is not None and not isinstance(plugin, str | PathLike)]
