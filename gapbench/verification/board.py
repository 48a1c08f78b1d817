"""Verifying a leaderboard: its records, its study, its pages and figures, its signatures, and its embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gapbench.errors import DataError
from gapbench.leaderboard.build import stale, tables_of
from gapbench.results.folder import PAGES
from gapbench.results.signatures import check_signatures
from gapbench.results.verify import verify_folder, with_recomputed
from gapbench.verification.expected import missing
from gapbench.verification.files import check_files

if TYPE_CHECKING:
    from pathlib import Path

    from gapbench.bench.materials import Materials
    from gapbench.host.installed import Installed
    from gapbench.model.study import Study
    from gapbench.results.verify import Verified


@dataclass(kw_only=True)
class Result:
    """All that was found.

    Parameters
    ----------
    folder, study, done
        The leaderboard, its study, and what came of its rows and files.
    stale
        Pages and tables that are not what the records give.
    recompute
        Whether computing again was asked for.
    """

    folder: Path
    study: Study
    done: Verified
    stale: list[str] = field(default_factory=list)
    recompute: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and something was computed again where that was asked for."""
        failed = self.done.failures or self.stale or any(verdict.reasons for verdict in self.done.verdicts)
        return not failed and not self.nothing_recomputed

    @property
    def nothing_recomputed(self) -> bool:
        """Whether computing again was asked for, and nothing was."""
        return self.recompute and not any(verdict.again for verdict in self.done.verdicts)


def verify(
    folder: Path,
    study: Study,
    installed: Installed,
    *,
    materials: Materials | None = None,
    signers: Path | None = None,
    figures: bool = False,
) -> Result:
    """Check a leaderboard; what exactly is checked, the docs list.

    Parameters
    ----------
    folder, study, installed
        The leaderboard, the study that it is of, and what is installed.
    materials
        Embeddings, to compute all values again where they are at hand; None: that is not done.
    signers
        A file of allowed signers; None: signatures are not looked at.
    figures
        Whether the pictures of pairs are drawn again as well.

    Raises
    ------
    UsageError
        Signatures cannot be checked here.
    """
    done = verify_folder(folder, installed)
    result = Result(folder=folder, study=study, done=done, recompute=materials is not None)
    if signers is not None:
        check_signatures(folder, signers, done)
    if materials is not None:
        from gapbench.bench.again import recompute

        with_recomputed(done, recompute(done.found, installed.registry, materials))
    if not done.answers and not study.reference:  # no line is a record
        result.stale = list(PAGES)
        return result
    specs = installed.registry.metric_specs()
    tables = tables_of(folder, specs, study, found=done.answers)
    for failures, remarks in (
        missing(study, done.answers, installed),
        check_files(folder, specs, tables, pairs=figures),
    ):
        done.failures += failures
        done.remarks += remarks
    try:
        result.stale = stale(folder, study, specs, tables)
    except DataError as error:  # the study beside the results is none
        done.failures.append(str(error))
    return result
