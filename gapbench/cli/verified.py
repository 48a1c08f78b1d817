"""What ``gapbench leaderboard verify`` tells: a summary by kind with the failures, or each row in full as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from gapbench.results.verify import Verdict
    from gapbench.verification.board import Result

#: Rows that are told in the terminal, and reasons of each; --json has all.
MOST_ROWS, MOST_REASONS = 20, 5

STALE = "is not what the records give; `gapbench leaderboard build` writes it"


def as_json(result: Result) -> dict[str, Any]:
    """Return everything, row by row."""
    rows = [_row(verdict) for verdict in result.done.verdicts]
    rows += [
        {"file": "", "line": 0, "name": f"{r.prompts} / {r.aligner} / {r.metric}", "state": "reported", "reasons": [],
         "remarks": [r.source]}
        for r in result.study.reference
    ]  # fmt: skip
    return {
        "ok": result.ok,
        "rows": rows,
        "stale": result.stale,
        "failures": [*result.done.failures, *(["nothing could be recomputed"] if result.nothing_recomputed else [])],
        "remarks": result.done.remarks,
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    return {
        "file": verdict.file,
        "line": verdict.line,
        "name": verdict.name,
        "state": verdict.state,
        "reasons": verdict.reasons,
        "remarks": verdict.remarks,
        "from_outcomes": {"values": verdict.values, "intervals": verdict.intervals, "as_told": verdict.as_told},
        "labels_compared_with": verdict.labels,
        "code": verdict.code,
        "runs_that_agree": verdict.runs,
        "from_embeddings": f"{verdict.again} code" if verdict.again else None,
        "not_from_embeddings": verdict.not_again or None,
        "signed_by": verdict.signer or None,
    }


def show(result: Result, out: Console) -> None:
    """Print failures first, then what was checked, by kind."""
    done = result.done
    _failures(result, out)
    if not done.verdicts:
        out.print(
            f"{escape(str(result.folder))}: not run here yet; {len(result.study.reference)} numbers are reported (published)"
        )
        return
    states = Counter(verdict.state for verdict in done.verdicts)
    records = len(done.verdicts) - states["no result"]
    good = states["verified"] + states["reproduced"]
    out.print(
        f"{escape(str(result.folder))}: {good} of {records} records verified: every check that could be made passed"
    )
    if states["reproduced"]:
        out.print(f"{states['reproduced']} of them reproduced: another run of the same cell gave the same")
    if states["no result"]:
        out.print(f"{states['no result']} lines without a result")
    if result.study.reference:
        out.print(f"{len(result.study.reference)} numbers are reported (published), not run")
    _what_was_checked(result, out)
    for line in _grouped([*done.remarks, *(remark for verdict in done.verdicts for remark in verdict.remarks)]):
        out.print(f"note: {escape(line)}")


def _failures(result: Result, out: Console) -> None:
    failed = [verdict for verdict in result.done.verdicts if verdict.reasons]
    for verdict in failed[:MOST_ROWS]:
        out.print(f"[red]failed[/] {escape(verdict.file)}, line {verdict.line}: {escape(verdict.name)}")
        for reason in verdict.reasons[:MOST_REASONS]:
            out.print(f"  {escape(reason)}")
        if len(verdict.reasons) > MOST_REASONS:
            out.print(f"  and {len(verdict.reasons) - MOST_REASONS} more")
    if len(failed) > MOST_ROWS:
        out.print(f"[red]failed[/] and {len(failed) - MOST_ROWS} more rows; --json tells all")
    for line in result.done.failures[:MOST_ROWS]:
        out.print(f"[red]failed[/] {escape(line)}")
    if len(result.done.failures) > MOST_ROWS:
        out.print(f"[red]failed[/] and {len(result.done.failures) - MOST_ROWS} more; --json tells all")
    for name in result.stale:
        out.print(f"[red]stale[/] {escape(name)} {STALE}")
    if result.nothing_recomputed:
        out.print("[red]failed[/] nothing was recomputed: no cell could be computed again on this machine")


def _what_was_checked(result: Result, out: Console) -> None:
    verdicts = [verdict for verdict in result.done.verdicts if verdict.record is not None]
    values, intervals = (sum(len(names) for names in part) for part in _parts(verdicts))
    out.print(f"{values:,} values and {intervals:,} intervals computed again from the outcomes of every item")
    if told := sorted({name for verdict in verdicts for name in verdict.as_told}):
        again = sum(bool(verdict.again) for verdict in verdicts)
        if again < len(verdicts):
            out.print(f"not means over items, so their values are taken as told: {escape(', '.join(told))}")
    if labels := sum(verdict.labels > 0 for verdict in verdicts):
        out.print(f"outcomes of {labels} records held against those of other rows of the same items")
    states = Counter((name, state) for verdict in verdicts for name, state in verdict.code.items())
    for (name, state), count in sorted(states.items()):
        out.print(f"code of {escape(name)}: {state} ({count} records)")
    if signers := Counter(verdict.signer for verdict in verdicts if verdict.signer):
        out.print(f"signed by {escape(', '.join(f'{name} ({count} records)' for name, count in signers.items()))}")
    if result.recompute:
        _recomputed(verdicts, out)
    else:
        out.print("not recomputed from embeddings; --recompute does, where data and code are here")


def _parts(verdicts: Sequence[Verdict]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return [verdict.values for verdict in verdicts], [verdict.intervals for verdict in verdicts]


def _recomputed(verdicts: Sequence[Verdict], out: Console) -> None:
    for by, words in (("recorded", "the recorded code"), ("other", "other code than the recorded")):
        agreeing = [verdict for verdict in verdicts if verdict.again == by]
        if agreeing:
            out.print(
                f"all values of {len(agreeing)} records computed again from the embeddings, gap metrics too, by {words}"
            )
    for why, count in Counter(verdict.not_again for verdict in verdicts if verdict.not_again).most_common():
        out.print(f"{count} records could not be computed again: {escape(why)}")


def _grouped(lines: Iterable[str]) -> list[str]:
    """Tell equal lines once, with their number, and not too many."""
    counts = Counter(lines).most_common()
    told = [line if count == 1 else f"{line} ({count} times)" for line, count in counts[:MOST_ROWS]]
    return told if len(counts) <= MOST_ROWS else [*told, f"and {len(counts) - MOST_ROWS} more; --json tells all"]
