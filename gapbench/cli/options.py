"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gapbench.cli.console import echo
from gapbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gapbench.bench.study import Study
    from gapbench.host.registry import Kind, Registry
    from gapbench.specs import Context

    Command = TypeVar("Command", bound=Callable[..., Any])


def plugin_options(command: Command) -> Command:
    """Add --plugin, --no-plugin and --strict."""
    for option in (
        click.option("--strict", is_flag=True, help="Raise at the first error, with its traceback."),
        click.option("--no-plugin", "blocked", multiple=True, metavar="NAME", help="Leave out a plugin."),
        click.option(
            "--plugin",
            "plugin_files",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="PATH.py",
            help="Add a plugin that is one file.",
        ),
    ):
        command = option(command)
    return command


def selection_options(command: Command) -> Command:
    """Add what chooses the cells; the same for `run` and `plan`."""
    for option in reversed(
        (
            click.option(
                "--study", metavar="NAME|FILE.toml", help="Run a named study (without: all that is available)."
            ),
            click.option("-e", "--encoder", "encoders", multiple=True, metavar="ENCODER", help="Repeatable; globs."),
            click.option("-d", "--dataset", "datasets", multiple=True, metavar="DATASET", help="Repeatable; globs."),
            click.option("-p", "--prompts", multiple=True, metavar="PROMPTS", help="Repeatable; globs."),
            click.option(
                "-a", "--aligner", "aligners", multiple=True, metavar="ALIGNER", help="E.g. 'gap-shift[delta=0.2,0.4]'."
            ),
            click.option("-m", "--metric", "metrics", multiple=True, metavar="METRIC", help="Repeatable; globs."),
            click.option("--protocol", type=click.Choice(["held-out", "in-sample", "transductive"])),
            click.option("--fit-size", metavar="N,N|all", help="Images to fit on (in-sample: 100, otherwise all)."),
            click.option("--shots", metavar="K,K", help="Images of each class to fit on, instead of --fit-size."),
            click.option("--seeds", metavar="0:5", help="Seeds, a range or a list."),
            click.option("--index", type=click.Choice(["flat", "hnsw", "ivf"]), help="Index over the prompts."),
            click.option("--device", default="auto", show_default=True, help="cuda, mps, cpu or auto."),
            click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16."),
            click.option("--download", is_flag=True, help="Fetch weights and data that are missing."),
            click.option("--offline", is_flag=True, help="Never use the network."),
            click.option(
                "--data-root",
                type=click.Path(path_type=Path),
                envvar="GAPBENCH_DATA",
                metavar="DIR",
                help="Where datasets lie, or are put.",
            ),
        )
    ):
        command = option(command)
    return command


def kind_named(name: str) -> Kind:
    """Read a kind; its plural is understood as well.

    Raises
    ------
    UsageError
        There is no such kind.
    """
    from gapbench.host.registry import Kind, did_you_mean

    plain = name.lower().rstrip("s")
    for kind in Kind:
        if plain == kind.rstrip("s"):
            return kind
    raise UsageError(f"There is no kind {name!r}.{did_you_mean(name, [str(kind) for kind in Kind])}")


def registry_from(plugin_files: Sequence[Path], blocked: Sequence[str], *, strict: bool) -> Registry:
    """Find the plugins; a broken one gets a line on stderr."""
    from gapbench.host.discovery import discover

    registry = discover(plugin_files=plugin_files, blocked=blocked, strict=strict)
    for broken in registry.broken:
        echo(f"warning: plugin {broken.origin} is broken: {broken.cause} {broken.fix}", err=True)
    return registry


def context_from(options: dict[str, Any]) -> Context:
    """Make the context of encoders and datasets, and see to it that nothing is fetched behind its back."""
    import os

    from gapbench.specs import Context

    if options["download"] and options["offline"]:
        raise UsageError("--download and --offline contradict each other; leave one out.")
    if not options["download"]:  # the hub's own library would look for newer files by itself
        os.environ["HF_HUB_OFFLINE"] = "1"
    root = options["data_root"]
    if root is None:
        import platformdirs

        root = Path(platformdirs.user_data_dir("gapbench", appauthor=False))
    return Context(
        data_root=root,
        device=options["device"],
        dtype=options["dtype"],
        offline=options["offline"],
        download=options["download"],
    )


def study_from(options: dict[str, Any]) -> tuple[Study, bool]:
    """Read the study and apply the flags; also says whether it is the study as it stands in its file."""
    import msgspec

    from gapbench.bench.study import LOCAL, Study, load_study, parse_seeds

    study = load_study(options["study"]) if options["study"] else Study(name=LOCAL, title="Local run")
    changes: dict[str, Any] = {
        name: tuple(options[name])
        for name in ("encoders", "datasets", "prompts", "aligners", "metrics")
        if options[name]
    }
    changes |= {name: options[name] for name in ("protocol", "index") if options[name]}
    if options["seeds"]:
        changes["seeds"] = parse_seeds(options["seeds"])
    if options["fit_size"] and options["shots"]:
        raise UsageError("--fit-size and --shots are two ways of saying how much is fitted on; give one.")
    if options["fit_size"]:
        sizes = tuple(_size(text, "--fit-size", options["fit_size"]) for text in options["fit_size"].split(","))
        changes |= {"fit_size": sizes[0] if len(sizes) == 1 else sizes, "shots": ()}
    if options["shots"]:
        shots = tuple(_size(text, "--shots", options["shots"]) for text in options["shots"].split(","))
        changes |= {"shots": shots, "fit_size": None}
    changed = {name: value for name, value in changes.items() if getattr(study, name) != value}
    if not options["study"] or not changed:
        return msgspec.structs.replace(study, **changes), bool(options["study"])
    echo(
        f"note: this changes the study {study.name!r} ({', '.join(sorted(changed))}), so its results are local.",
        err=True,
    )
    return msgspec.structs.replace(study, name=LOCAL, **changes), False


def _size(text: str, option: str, whole: str) -> int | str:
    text = text.strip()
    if text == "all" and option == "--fit-size":
        return "all"
    if not text.isdigit() or int(text) < 1:
        unit = "numbers of images, at least 1, or 'all'" if option == "--fit-size" else "numbers of images of a class"
        raise UsageError(f"{option} {whole!r} is not understood; write {unit}, such as {option} 10,100.")
    return int(text)
