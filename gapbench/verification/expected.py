"""What a study says that its leaderboard has: rows, seeds and metrics that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.bench.plan import why_unfit
from gapbench.errors import GapbenchError
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.leaderboard.membership import outside
from gapbench.model.record import CAPTIONS, PRECOMPUTED
from gapbench.model.study import LOCAL
from gapbench.results.answers import BASELINE, names_key
from gapbench.results.checks import OWN
from gapbench.specs import AlignerSpec, MetricSpec, Need, Offer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gapbench.host.installed import Installed
    from gapbench.host.selection import Selected
    from gapbench.model.study import Study
    from gapbench.results.answers import Answer


def missing(study: Study, answers: Sequence[Answer], installed: Installed) -> tuple[list[str], list[str]]:
    """Say what a leaderboard lacks that its study has.

    A local run has no study to be held against, and where a study lists no aligners, every machine has its own.

    Returns
    -------
    failures, remarks
        What is no part of the study, and rows, seeds and metrics that its tables lack; and what is no failure: tables
        without ``identity``.
    """
    tables: dict[tuple[object, ...], list[Answer]] = {}
    for answer in answers:
        tables.setdefault(names_key(answer.record), []).append(answer)
    failures: list[str] = []
    remarks: list[str] = []
    try:
        aligners = select(installed.registry, Kind.ALIGNER, study.aligners) if study.aligners else []
        metrics = select(installed.registry, Kind.METRIC, study.metrics)
    except GapbenchError as error:
        return [], [f"the rows of the study cannot be told here: {error}"]
    held = study.name != LOCAL and bool(aligners)
    for table in tables.values():
        first = table[0].record
        title = f"the table {first.encoder.name} / {first.dataset.name} / {first.prompts.name}"
        other = outside(first, study) if held else ""
        if other:
            failures.append(f"{title} is no part of the study: {other}")
        elif held:
            failures += [f"the study has {what}, and {title} has not" for what in _lacking(table, study, aligners)]
            failures += [
                f"the study has the metric {metric}, and {label} in {title} has not"
                for label, metric in _unmeasured(table, study, aligners, metrics, installed)
            ]
        elif not any(answer.record.aligner.name == BASELINE for answer in table):
            remarks.append(f"{title} has no {BASELINE}, so nothing in it is compared")
    return failures, remarks


def _lacking(table: Sequence[Answer], study: Study, aligners: Sequence[Selected]) -> Iterator[str]:
    """Name the rows and seeds that a table of a study lacks."""
    first = table[0].record
    there = {(answer.record.label, answer.record.seed) for answer in table}
    seeds = {seed for _, seed in there}
    offers = frozenset({Offer.CAPTIONS} if first.prompts.name == CAPTIONS else {Offer.LABELS})
    apart = first.encoder.component == PRECOMPUTED and not any(
        _needs_one_space(aligner) for aligner in aligners if aligner.label in {label for label, _ in there}
    )
    for aligner in aligners:
        spec = aligner.component.spec
        assert isinstance(spec, AlignerSpec)
        if why_unfit(spec, offers, first.protocol.name, first.prompts.name) or (apart and spec.common_space):
            continue
        absent = sorted(seed for seed in seeds if (aligner.label, seed) not in there)
        if len(absent) == len(seeds):
            yield aligner.label
        elif absent:
            yield f"{aligner.label} with the seed {', '.join(map(str, absent))}"
    if seeds != {study.seeds[0]} and not seeds >= set(study.seeds):  # one seed alone: nothing is drawn
        yield f"the seeds {', '.join(map(str, sorted(set(study.seeds) - seeds)))}"


def _needs_one_space(aligner: Selected) -> bool:
    return isinstance(aligner.component.spec, AlignerSpec) and aligner.component.spec.common_space


def _unmeasured(
    table: Sequence[Answer],
    study: Study,
    aligners: Sequence[Selected],
    metrics: Sequence[Selected],
    installed: Installed,
) -> Iterator[tuple[str, str]]:
    """Yield rows of a study with the metrics that they lack; without a list of metrics, gapbench's own defaults count."""
    labels = {aligner.label for aligner in aligners}
    captioned = table[0].record.prompts.name == CAPTIONS
    has = {Need.PAIRS, Need.CAPTIONS if captioned else Need.LABELS}
    for answer in table:
        record = answer.record
        if record.label not in labels or record.status != "ok":
            continue
        if not study.metrics and installed.code(record).get(OWN) != "as recorded":
            continue
        for metric in metrics:
            spec = metric.component.spec
            assert isinstance(spec, MetricSpec)
            mine = study.metrics or metric.component.origin.distribution == OWN
            if mine and spec.needs <= has and metric.label not in {**record.metrics, **record.unmeasured}:
                yield record.label, metric.label
