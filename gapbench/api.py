"""Running gapbench from Python: `run` gives typed results; nothing is printed and no logging is configured."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gapbench.errors import GapbenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType

    from gapbench.bench.study import FitSize, Study
    from gapbench.leaderboard.table import Table
    from gapbench.model.record import Record
    from gapbench.results.comparisons import Compared
    from gapbench.specs import MetricSpec

#: Columns of `Results.to_pandas`, one row for each cell and metric.
COLUMNS = (
    "encoder", "dataset", "prompts", "aligner", "protocol", "fit_items", "seed",
    "metric", "value", "low", "high", "n", "delta", "p", "p_holm", "cell_id",
)  # fmt: skip


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
    metrics
        What is known of the metrics, by name.
    """

    compared: Sequence[Compared]
    tables: Sequence[Table]
    skipped: Sequence[tuple[str, str]] = ()
    failures: Sequence[tuple[str, str]] = ()
    changes: Sequence[str] = ()
    metrics: Mapping[str, MetricSpec] = field(default_factory=dict, repr=False)

    @property
    def records(self) -> list[Record]:
        """One for each cell, as it was measured; a failed cell has ``status`` and ``reason``."""
        return [one.answer.record for one in self.compared]

    @property
    def failed(self) -> list[Record]:
        """Records of cells that ended badly, as a whole or in a metric."""
        from gapbench.bench.execute import has_failed

        return [record for record in self.records if has_failed(record)]

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
        for one in self.compared:
            record = one.answer.record
            of = (record.encoder.name, record.dataset.name, record.prompts.name, record.label, record.protocol.name)
            for name, value in record.metrics.items():
                low, high = value.ci95 or (None, None)
                found = one.differences.get(name)
                difference = (None, None, None) if found is None else (found.delta, found.p, found.p_holm)
                numbers = (name, value.value, low, high, value.n, *difference)
                yield (*of, record.protocol.fit_items, record.seed, *numbers, record.cell_id)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        """Show the tables in a terminal."""
        from gapbench.leaderboard.terminal import parts

        for table in self.tables:
            yield from parts(table, self.metrics, options.max_width)

    def _repr_html_(self) -> str:
        """Show the tables in a notebook."""
        from gapbench.leaderboard.notebook import html

        return html(self.tables, self.metrics)


def run(  # noqa: PLR0913 - one keyword for each option of the command line
    study: str | Path | None = None,
    *,
    encoders: Sequence[str] = (),
    datasets: Sequence[str] = (),
    prompts: Sequence[str] = (),
    aligners: Sequence[str] = (),
    metrics: Sequence[str] = (),
    protocol: str | None = None,
    fit_size: FitSize | Sequence[FitSize] | None = None,
    shots: Sequence[int] = (),
    seeds: Sequence[int] = (),
    plugins: Sequence[Path | str | object] = (),
    out: Path | str | None = None,
    jobs: int = 1,
    timeout: float | None = None,
    strict: bool = False,
    download: bool = False,
    data_root: Path | str | None = None,
    device: str = "auto",
) -> Results:
    """Run what ``gapbench run`` runs, and give the results.

    Parameters
    ----------
    study
        Name of a study or a TOML file; without it everything that is registered and available.
    encoders, datasets, prompts, aligners, metrics
        Selections as on the command line: names, globs, ``family:argument``, ``name[param=1,2]``.
    protocol, fit_size, shots, seeds
        As the options of the same names.
    plugins
        Further plugins: files, or objects (modules, classes, instances) with hooks.
    out
        Folder that keeps records and outcomes, so that a later run goes on from them; without it nothing is kept but the
        embeddings in the store.
    jobs, timeout, strict, download, data_root, device
        As the options of the same names.

    Returns
    -------
    Results
        Records, tables, and what did not run.

    Raises
    ------
    UsageError
        A selection or an option that is not understood.
    BrokenPluginError
        A name that belongs to a broken plugin.
    """
    from gapbench.bench.execute import Options, Runner, question
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.embeddings.store import Store, default_root
    from gapbench.host.discovery import discover
    from gapbench.leaderboard.assemble import build_tables, only
    from gapbench.results import journal
    from gapbench.results.answers import answers
    from gapbench.results.comparisons import compare, without_outcomes

    changes: dict[str, Any] = {
        "encoders": tuple(encoders), "datasets": tuple(datasets), "prompts": tuple(prompts),
        "aligners": tuple(aligners), "metrics": tuple(metrics), "protocol": protocol,
        "fit_size": tuple(fit_size) if isinstance(fit_size, list | tuple) else fit_size,
        "shots": tuple(shots), "seeds": tuple(seeds),
    }  # fmt: skip
    chosen = _study(study, {name: value for name, value in changes.items() if value not in (None, ())})
    files = [Path(plugin) for plugin in plugins if isinstance(plugin, str | Path)]
    objects = [plugin for plugin in plugins if not isinstance(plugin, str | Path)]
    if objects and jobs > 1:
        raise UsageError(
            "Plugins that are objects are known to this process only; write jobs=1, or put them into a file."
        )
    registry = discover(plugin_files=files, objects=objects, strict=strict)
    materials = Materials(Store(default_root()), _context(data_root, device=device, download=download))
    plan = make_plan(chosen, registry, materials)
    with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
        folder = Path(out) if out is not None else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(
            folder=folder, jobs=jobs, timeout=timeout, strict=strict, plugin_files=tuple(p.resolve() for p in files)
        )
        runner = Runner(plan, chosen.name, materials, registry, options)
        outcome = runner.run()
        specs = registry.metric_specs()
        groups = list(compare(answers(journal.read_folder(folder))))
        tables = build_tables(groups, specs, chosen.reference)
        asked = [one for group in groups for one in group if question(one.answer.record) in outcome.asked]
    return Results(
        compared=[without_outcomes(one) for one in asked],
        tables=only(tables, lambda record: question(record) in outcome.asked),
        skipped=[(skip.what, skip.reason) for skip in plan.skips],
        failures=outcome.failures,
        changes=outcome.changes,
        metrics=specs,
    )


def _study(name: str | Path | None, changes: dict[str, Any]) -> Study:
    """Read a study and hold it, with its changes, to the types that a TOML file is held to."""
    from gapbench.bench.study import LOCAL, Study, check_study, load_study

    study = Study(name=LOCAL) if name is None else load_study(str(name))
    changed = {key: value for key, value in changes.items() if getattr(study, key) != value}
    if "shots" in changed:
        changed.setdefault("fit_size", None)
    elif "fit_size" in changed:
        changed["shots"] = ()
    if changed:
        study = msgspec.structs.replace(study, name=LOCAL, **changed)
    try:
        study = msgspec.convert(msgspec.to_builtins(study), Study)
    except msgspec.ValidationError as error:
        raise UsageError(f"run() cannot be understood: {error}.") from error
    return check_study(study, "run()")


def _context(data_root: Path | str | None, *, device: str, download: bool) -> Any:
    import platformdirs

    from gapbench.specs import Context

    root = Path(platformdirs.user_data_dir("gapbench", appauthor=False)) if data_root is None else Path(data_root)
    return Context(data_root=root, device=device, dtype="float32", offline=False, download=download)
