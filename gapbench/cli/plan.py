"""``gapbench plan``: what a run would do, without doing it and without torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from gapbench.cli.console import console, echo, echo_json
from gapbench.cli.options import context_from, registry_from, request_options, results_folder, study_from
from gapbench.model.request import Request

if TYPE_CHECKING:
    from gapbench.bench.plan import Plan


@click.command("plan")
@request_options
@click.option("--check", is_flag=True, help="Open every file of the data: what was understood, what cannot be read.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(**options: Any) -> int:
    """Show cells, skips with their reasons, what is to be encoded, what is to be measured again, and the data.

    Exit code 1: with --check, something would stop the run.
    """
    request = Request.from_command_line(options)
    study = study_from(request)
    context = context_from(replace(request, download=False))
    registry = registry_from(request.plugins, request.no_plugin, strict=request.strict)

    from gapbench.bench.execute import Runner
    from gapbench.bench.look import look_at
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import count_work, make_plan
    from gapbench.bench.workers import Options
    from gapbench.cli.look import show_look
    from gapbench.embeddings.encode import encoding_progress
    from gapbench.embeddings.store import Store, default_root

    materials = Materials(Store(default_root()), context)
    plan = make_plan(study, registry, materials)
    with encoding_progress(console(err=True)) as progress:
        look = look_at(plan, materials, check=options["check"], progress=progress)
    count_work(plan, materials)
    runner = Runner(plan, study.name, materials, registry, Options(folder=results_folder(request, study)))
    changes = runner.changes()
    if options["as_json"]:
        echo_json(_as_json(plan) | {"changes": changes, "data": asdict(look)})
    else:
        _show(plan)
        show_look(look, console())
        for line in changes:
            echo(line)
    return 1 if look.faults or any(split.unreadable for split in look.splits) else 0


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "cells": [str(cell) for cell in plan.cells],
        "metrics": [metric.name for metric in plan.metrics],
        "encode": [asdict(job) for job in plan.jobs],
        "texts_to_encode": plan.texts,
        "skips": [
            {"what": skip.what, "reason": skip.reason, "bytes": skip.size, "folder": skip.folder and str(skip.folder)}
            for skip in plan.skips
        ],
        "fetch_bytes": sum(skip.size or 0 for skip in plan.skips),
    }


def _show(plan: Plan) -> None:
    from rich.markup import escape
    from rich.table import Table

    from gapbench.cli.report import PLAIN_BOX, print_skips

    out = console()
    cells = Table("encoder", "dataset", "prompts", "cells", title=f"{len(plan.cells)} cells", box=PLAIN_BOX)
    counts = Counter((c.source.encoder_name, c.source.dataset_name, c.prompts_name) for c in plan.cells)
    for (encoder, dataset, prompts), n in counts.items():
        cells.add_row(*map(escape, (encoder, dataset, prompts)), str(n))
    out.print(cells)
    aligners = list(dict.fromkeys(cell.aligner.label for cell in plan.cells))
    out.print(escape(f"aligners: {', '.join(aligners) or 'none'}"))
    if plan.jobs:
        jobs = Table("encoder", "dataset", "split", "images", "to encode", title="images", box=PLAIN_BOX)
        for job in plan.jobs:
            numbers = ["?" if n is None else f"{n:,}" for n in (job.images, job.missing)]
            numbers[1] += f" once {job.awaits} are fetched" if job.awaits else ""
            jobs.add_row(escape(job.encoder), escape(job.dataset), job.split, *numbers)
        out.print(jobs)
        now, later = (
            sum(job.missing or 0 for job in plan.jobs if bool(job.awaits) is awaits) for awaits in (False, True)
        )
        more = f"; {later:,} more images once all is fetched" if later else ""
        echo(f"to encode: {now:,} images, {plan.texts:,} texts (texts of unread datasets not counted){more}")
    if plan.skips:
        print_skips(plan.skips, out)
    for line in _to_fetch(plan):
        echo(line)


def _to_fetch(plan: Plan) -> list[str]:
    """Say how much --download would fetch, and where it would put it."""
    from gapbench.cli.report import size

    wanted = [skip for skip in plan.skips if skip.folder is not None]
    if not wanted:
        return []
    unknown = sum(skip.size is None for skip in wanted)
    more = f", and {unknown} of unknown size" if unknown else ""
    lines = [f"--download would fetch about {size(sum(skip.size or 0 for skip in wanted)) or '0 MB'}{more}:"]
    for folder in dict.fromkeys(skip.folder for skip in wanted):
        names = [skip.what for skip in wanted if skip.folder == folder]
        lines.append(f"  into {folder}: {', '.join(names)}")
    return lines
