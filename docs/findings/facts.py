"""What the records say: values, counts and rank correlations, for the template to put into words."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from reading import CLOSED, GAP, GAPS, NAMES, SPECS, STRONG, TASKS, lower, maps, merged, place, real, tau, trained
from splits import Split, split, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gapbench.leaderboard.table import Table


#: An order of aligners is one where so many of them are told apart from identity.
FEWEST = 5


def taus(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Return for each table and task the rank correlation with every gap metric, and whether it counts.

    It does not where the encoder has learnt nothing, or where fewer than `FEWEST` aligners are told apart from identity:
    the order of the others is noise.
    """
    found = []
    for table, (task, metric) in product(tables, TASKS.items()):
        rows = [row for row in maps(table) if metric in row.values]
        if rows:
            values = {gap: tau(rows, gap, metric) for gap in GAPS}
            counts = trained(table) and sum(row.values[metric].significant for row in rows) >= FEWEST
            found.append(
                {"where": place(table), "task": task, "values": values, "aligners": len(rows), "counts": counts}
            )
    return found


def blind(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Count for each metric how often a control is called better than identity, not told apart, or worse.

    Encoders that have learnt nothing are left out: there is nothing to destroy.
    """
    counts: dict[str, dict[str, int]] = {}
    for table in filter(trained, tables):
        for row in table.rows:
            for metric, value in row.values.items() if row.control else ():
                if SPECS[metric].better == "neither" or value.delta is None or value.p_holm is None:
                    continue
                gain = -value.delta if lower(metric) else value.delta
                key = "same" if not value.significant else "better" if gain > 0 else "worse"
                counts.setdefault(metric, {"better": 0, "same": 0, "worse": 0})[key] += 1
    order = list(SPECS)
    return [{"metric": metric, **counts[metric]} for metric in sorted(counts, key=order.index)]


def curves(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Return value and gap of every Procrustes variant by number of fitted images, for each data set and protocol."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table in tables:
        curve = found.setdefault(
            (place(table), table.protocol),
            {"where": place(table), "protocol": table.protocol, "n": table.n, "metric": table.primary, "lines": {}},
        )
        for row in table.rows:
            point = (table.fitted_items, row.values[table.primary], row.values[GAP].value)
            curve["lines"].setdefault(row.label, []).append(point)
    for curve in found.values():
        for line in curve["lines"].values():
            line.sort(key=lambda point: point[0])
    return list(found.values())


def summary(splits: list[Split]) -> dict[str, Any]:
    """Count at one task what is better where the tables could see it, and what is worse where they could see that."""
    rise, fall = [part for part in splits if part.can_rise], [part for part in splits if part.can_fall]
    seen = [part.detectable for part in splits if part.detectable is not None and (part.can_rise or part.can_fall)]
    return {
        "tables": len(splits),
        "rise": len(rise),
        "of_rise": sum(part.closed for part in rise),
        "better": sum(part.n_better for part in rise),
        "fall": len(fall),
        "of_fall": sum(part.closed for part in fall),
        "worse": sum(part.n_worse for part in fall),
        "detectable": (min(seen), max(seen)) if seen else None,
    }


def silent(splits: Iterable[Split]) -> dict[str, dict[str, list[str]]]:
    """List, of trained encoders, the tasks and their places where nothing better could be seen, or nothing worse."""
    found: dict[str, dict[str, list[str]]] = {"better": {}, "worse": {}}
    for part in (part for part in splits if part.trained):
        for way, sees in (("better", part.can_rise), ("worse", part.can_fall)):
            if not sees:
                found[way].setdefault(part.task, []).append(part.where)
    return found


def ranking(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count how the centroid distance orders the aligners as the task does, over the rows that count."""
    values = [row["values"][GAP] for row in rows if row["counts"]]
    return {
        "rows": len(values),
        "below": sum(value < 0 for value in values),
        "strong": sum(value > STRONG for value in values),
    }


def everything(tables: dict[str, list[Table]]) -> dict[str, Any]:
    """Collect all that the template and the figures need."""
    main = [*tables["classes"], *tables["captions"]]
    splits = [
        split(table, task, metric)
        for task, metric in TASKS.items()
        for table in main
        if any(metric in row.values for row in real(table))
    ]
    by_task = {task: [part for part in splits if part.task == task] for task in TASKS}
    correlations = taus(main)
    in_sample = [
        value for table in tables["procrustes-in-sample"] for row in table.rows for value in row.values.values()
    ]
    return {
        "tables": tables,
        "tasks": TASKS,
        "splits": splits,
        "by_task": by_task,
        "summaries": {task: summary(parts) for task, parts in by_task.items()},
        "silent": silent(splits),
        "verdict": verdict(splits),
        "untrained": list(dict.fromkeys(part.where for part in splits if not part.trained)),
        "merged": merged(main),
        "taus": correlations,
        "ranking": ranking(correlations),
        "gaps": GAPS,
        "blind": blind(main),
        "curves": curves([*tables["procrustes-in-sample"], *tables["procrustes-held-out"]]),
        "in_sample_tested": any(value.p_holm is not None for value in in_sample),
        "strategies": sorted({table.prompts for table in tables["procrustes-held-out"]} - {"captions"}),
        "coco": next(table for table in tables["captions"] if place(table) == "COCO, CLIP ViT-B/16"),
        "files": max(table.n for table in tables["captions"] if table.dataset in NAMES),
        "class_encoders": sorted({table.encoder for table in tables["classes"]}),
        "closed": CLOSED,
        "strong": STRONG,
        "fewest": FEWEST,
        "cells": sum(len(row.records) for study in tables.values() for table in study for row in table.rows),
        "names": NAMES,
        "place": place,
        "specs": SPECS,
    }


def percent(value: float, digits: int = 1) -> str:
    """Write a share in per cent."""
    return f"{100 * value:.{digits}f}"


def signed(value: float | None, digits: int = 1, scale: float = 100) -> str:
    """Write a difference with its sign."""
    return "" if value is None else f"{scale * value:+.{digits}f}".replace("-", "−")


def code(names: Iterable[str] | str) -> str:
    """Write names as code."""
    return ", ".join(f"`{name}`" for name in ([names] if isinstance(names, str) else names))
