"""The exact command that makes a row again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.bench.study import Study
    from gapbench.leaderboard.table import Row, Table
    from gapbench.model.record import Record

#: A data set of an embedding file, which brings its encoder along.
FILE = "embeddings:"


def study_command(study: Study) -> str:
    """Give the shell command that runs a study."""
    return f"gapbench run --study {shlex.quote(study.name)}{' --download' if study.download else ''}"


def row_command(table: Table, row: Row, study: Study) -> str:
    """Give the shell command that runs the cells of a row again, with those of ``identity`` to compare with.

    The same code, data and weights give records of the same cell ids. For a published number it is the command of the
    study, whose own result then stands beside it.
    """
    if not row.records:
        return study_command(study)
    first = row.records[0]
    words = ["gapbench", "run"]
    if not table.dataset.startswith(FILE):
        words += ["-e", table.encoder]
    words += ["-d", table.dataset, "-p", table.prompts, *_aligners(row.label)]
    words += [part for name in _metrics(row.records) for part in ("-m", name)]
    words += ["--protocol", table.protocol, *_fitted(first)]
    words += ["--seeds", ",".join(str(seed) for seed in sorted({record.seed for record in row.records}))]
    words += ["--index", first.index] if first.index != "flat" else []
    words += ["--download"] if study.download else []
    plugins = {name: code.version for name, code in first.code.items() if name != "gapbench"}
    words += [part for name in plugins if name.endswith(".py") for part in ("--plugin", name)]
    line = shlex.join(words)
    installed = [shlex.quote(f"{name}=={version}") for name, version in plugins.items() if not name.endswith(".py")]
    return f"pip install {' '.join(installed)} && {line}" if installed else line


def _aligners(label: str) -> list[str]:
    return ["-a", label] if label == BASELINE else ["-a", BASELINE, "-a", label]


def _metrics(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.metrics))


def _fitted(record: Record) -> list[str]:
    if record.protocol.shots is not None:
        return ["--shots", str(record.protocol.shots)]
    return ["--fit-size", "all" if record.protocol.fit_size is None else str(record.protocol.fit_size)]
