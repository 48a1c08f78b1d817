"""The exact command that makes a row again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gapbench.model.record import PRECOMPUTED
from gapbench.model.request import OPTIONS, Request
from gapbench.results.answers import BASELINE

if TYPE_CHECKING:
    from gapbench.leaderboard.table import Row, Table
    from gapbench.model.record import Record
    from gapbench.model.request import DTypeName, IndexName, ProtocolName
    from gapbench.model.study import Study


def study_command(study: Study) -> str:
    """Return the shell command that runs a study."""
    return shell_command(Request(study=study.name, download=study.download))


def row_command(table: Table, row: Row, study: Study) -> str:
    """Return the shell command that runs the cells of a row again, with those of ``identity`` to compare with.

    The same code, data and weights give records of the same cell ids; distributions that the row used are installed first.
    For a published number it is the command of the study, whose own result then stands beside it.
    """
    if not row.records:
        return study_command(study)
    line = shell_command(row_request(table, row, study))
    used = {name: version for record in row.records for name, version in _plugins(record).items()}
    wanted = [f"{name}=={version}" for name, version in used.items() if version]
    return f"{shlex.join(['pip', 'install', *wanted])} && {line}" if wanted else line


def row_request(table: Table, row: Row, study: Study) -> Request:
    """Return what asks for the cells of a row, which has records, and for those of ``identity``."""
    first = row.records[0]
    fit_size, shots = first.protocol.fit_size, first.protocol.shots
    given = table.encoder == PRECOMPUTED
    used = dict.fromkeys(name for record in row.records for name in _plugins(record))
    return Request(
        encoders=() if given else (table.encoder,),
        datasets=(table.dataset,),
        prompts=() if given else (table.prompts,),
        aligners=tuple(dict.fromkeys((BASELINE, row.label))),
        metrics=tuple(dict.fromkeys(name for record in row.records for name in record.metrics)),
        protocol=cast("ProtocolName", table.protocol),
        fit_size=() if shots is not None else (fit_size or "all",),
        shots=() if shots is None else (shots,),
        seeds=tuple(sorted({record.seed for record in row.records})),
        index=cast("IndexName", first.index) if first.index != OPTIONS["index"].default else None,
        dtype=cast("DTypeName", first.encoder.dtype or OPTIONS["dtype"].default),
        download=study.download,
        plugins=tuple(Path(name) for name in used if name.endswith(".py")),
    )


def _plugins(record: Record) -> dict[str, str]:
    """Return the plugins that a record used, each with its version; one that is a file has none."""
    return {name: code.version for name, code in record.code.items() if name != "gapbench"}


def shell_command(request: Request) -> str:
    """Return the shell command that asks for the same."""
    return shlex.join(["gapbench", "run", *request.words()])
