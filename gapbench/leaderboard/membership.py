"""Which leaderboard a record belongs to."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from gapbench.model.record import Record
from gapbench.results import journal

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.model.study import Study


def study_of(file: Path) -> str | None:
    """Give the study that the first sound record of a file names; None where there is none."""
    return next((found.study for _, found in journal.scan(file) if isinstance(found, Record)), None)


def _is_named(name: str, asked: str) -> bool:
    """Whether a name in a record is what a study asks for; of a path a record may have the last part alone."""
    if name == asked or fnmatchcase(name, asked):
        return True
    (family, colon, shown), (wanted, _, path) = name.partition(":"), asked.partition(":")
    return bool(colon) and family == wanted and "/" in path and path.rpartition("/")[2] == shown.rpartition("/")[2]


def outside(record: Record, study: Study) -> str:
    """Say why a record is no part of a study, or nothing.

    Encoder, data set, prompts and protocol must be those of the study; the aligner may be anybody's: that is what
    leaderboards are for.
    """
    for kind, name, allowed in (
        ("encoder", record.encoder.name, study.encoders),
        ("dataset", record.dataset.name, study.datasets),
        ("prompt strategy", record.prompts.name, study.prompts),
    ):
        if allowed and not any(_is_named(name, one) for one in allowed):
            return f"its {kind} {name!r} is no part of the study {study.name!r} ({', '.join(allowed)})"
    if study.datasets:  # the study is known: its protocol is as well
        fitted = [(one.name, one.fit_size, one.shots) for one in study.protocols]
        mine = (record.protocol.name, record.protocol.fit_size, record.protocol.shots)
        if mine not in fitted:
            size = (
                f"{record.protocol.shots} shots" if record.protocol.shots else record.protocol.fit_size or "all items"
            )
            return (
                f"it was fitted {record.protocol.name} on {size}, which is not the protocol of the study {study.name!r}"
            )
    return ""
