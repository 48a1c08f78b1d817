"""``gapbench embed``: write what an encoder makes of a dataset as an embedding file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gapbench.cli import complete
from gapbench.cli.console import console, echo
from gapbench.cli.options import Once, context_from, registry_from, request_options, study_from
from gapbench.model.request import Request


@click.command("embed")
@request_options
@click.option(
    "--out", "target", cls=Once, required=True, metavar="FILE", shell_complete=complete.paths(),
    help="FILE.safetensors, FILE.npz, or a folder as clip-retrieval writes it.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there.")
def command(*, target: str, force: bool, **options: Any) -> int:
    """Write the embeddings of one dataset by one encoder, for `-d embeddings:FILE` and for other programs.

    What a run has encoded is taken from the store, the rest is encoded. A run on the file gives the numbers of a run on the
    dataset itself.
    """
    request = replace(Request.from_command_line(options), aligners=("identity",))
    path = Path(target).expanduser()

    from gapbench.embeddings.write import arrays_of, check_target, write_embeddings

    check_target(path, force=force)
    study = study_from(request)
    context = context_from(request)
    registry = registry_from(request.plugins, request.no_plugin, strict=request.strict)

    from gapbench.bench.export import encoded, only_cell, words_of
    from gapbench.bench.materials import Materials
    from gapbench.bench.plan import make_plan
    from gapbench.cli.report import print_skips
    from gapbench.embeddings.encode import encoding_progress
    from gapbench.embeddings.store import Store, default_root
    from gapbench.intake import intake_sentences

    err = console(err=True)
    materials = Materials(Store(default_root()), context)
    plan = make_plan(study, registry, materials)
    if not plan.cells:
        print_skips(plan.skips, err)
        err.print("[bold red]Nothing could be encoded.[/] Supply what is missing, or choose something else.")
        return 1
    cell = only_cell(plan)
    check_target(path, force=force, captioned=cell.captioned)
    with encoding_progress(err) as progress:
        splits = encoded(cell, materials, progress)
    for name, split in splits.items():
        for sentence in intake_sentences(f"{cell.source.dataset_name} ({name})", split.intake):
            echo(f"note: {sentence}", err=True)
    arrays = arrays_of(splits, captioned=cell.captioned)
    for sentence in write_embeddings(path, arrays, words_of(cell, splits["test"]), force=force):
        echo(f"note: {sentence}", err=True)
    echo(f"{path}: {cell.source.encoder_name} on {cell.source.dataset_name}, {cell.prompts_name}")
    for name, array in arrays.items():
        echo(f"  {name} {array.shape} {array.dtype}")
    echo(f"Score it with -d embeddings:{path}")
    return 0
