"""The plan: which cells run, which are left out and why, and what has to be encoded first.

Planning matches what aligners and metrics need with what datasets offer, looks for files on this machine, and consults
the store. It reads no pictures, loads no weights and imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gapbench.bench.isolation import calling
from gapbench.bench.materials import optional, prompt_set
from gapbench.bench.protocol import depends_on_seed
from gapbench.bench.public_names import public_names
from gapbench.errors import GapbenchError, UsageError
from gapbench.host.registry import Kind, Registry
from gapbench.host.selection import Selected, params_of, select
from gapbench.model.record import CAPTIONS, GIVEN, PRECOMPUTED
from gapbench.specs import AlignerSpec, DatasetSpec, EncoderSpec, MetricFamily, MetricSpec, Need, Offer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gapbench.bench.materials import Materials
    from gapbench.model.study import Protocol, Study
    from gapbench.specs import Missing

OF_CLASSES = frozenset({Need.LABELS, Need.CLASS_TEXTS, Need.CLASS_NAMES})
#: The largest number of cells of one run.
MOST_CELLS = 200_000

TRANSDUCTIVE = frozenset({Need.TEST_IMAGES, Need.TEST_TEXTS})


@dataclass(frozen=True, kw_only=True)
class Source:
    """One encoder (None: the embeddings are given) on one dataset; the names are those of records."""

    encoder: Selected | None
    dataset: Selected
    encoder_name: str
    dataset_name: str
    offers: frozenset[Offer]
    splits: dict[str, int | None]
    dims: tuple[int, int] | None = None  # of images and of texts; None where both come from one encoder

    @property
    def encoder_key(self) -> str:
        """Full name of the encoder."""
        return PRECOMPUTED if self.encoder is None else self.encoder.label

    @property
    def has_train(self) -> bool:
        """Whether there is a split of its own to fit on."""
        return "train" in self.splits


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The unit of work, caching and record. ``prompts`` None: the texts are captions or given."""

    source: Source
    prompts: Selected | None
    prompts_name: str
    aligner: Selected
    protocol: Protocol
    seed: int

    @property
    def captioned(self) -> bool:
        """Whether the scored texts are captions."""
        return self.prompts_name == CAPTIONS

    def __str__(self) -> str:
        """Name the cell for people."""
        parts = (self.source.encoder_name, self.source.dataset_name, self.prompts_name, self.aligner.label)
        return " / ".join(parts) + (f" / seed {self.seed}" if self.seed else "")


@dataclass(frozen=True)
class Skip:
    """Something that does not run: what, why, how many bytes would have to be fetched, and into which folder.

    ``failed`` marks what is broken rather than merely absent: the run then ends with exit code 1.
    """

    what: str
    reason: str
    size: int | None = None
    failed: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class EncodeJob:
    """What one encoder has to encode of one dataset's split, and how many of its images that are; None: not known yet.

    ``awaits`` names what has to be fetched before that, weights or images or both; the numbers are then the spec's.
    """

    encoder: str
    dataset: str
    split: str
    images: int | None
    missing: int | None
    awaits: str = ""


@dataclass(kw_only=True)
class Plan:
    """What will happen."""

    cells: list[Cell] = field(default_factory=list)
    metrics: list[Selected] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    jobs: list[EncodeJob] = field(default_factory=list)
    texts: int = 0
    index: str = "flat"

    @property
    def sources(self) -> list[Source]:
        """Encoders and datasets in the order of their first cell."""
        return list({id(cell.source): cell.source for cell in self.cells}.values())


def make_plan(study: Study, registry: Registry, materials: Materials) -> Plan:
    """Plan a study.

    Raises
    ------
    UsageError, BrokenPluginError
        A selection that cannot be resolved.
    """
    plan = Plan(metrics=_metrics(study, registry), index=study.index)
    aligners = select(registry, Kind.ALIGNER, study.aligners)
    prompts = public_names(select(registry, Kind.PROMPTS, study.prompts))
    unfit: dict[tuple[str, str], dict[str, None]] = {}
    for source in _sources(study, registry, materials, plan):
        if study.shots and Offer.LABELS not in source.offers:
            plan.skips.append(
                Skip(f"dataset {source.dataset.label}", "shots are images of a class, and it has no classes")
            )
            continue
        for name, strategy in _texts(study, source, prompts, plan):
            for protocol in study.protocols:
                reasons = {
                    aligner.label: why_unfit(_aligner_spec(aligner), source.offers, protocol.name, name, source.dims)
                    for aligner in aligners
                }
                for label, reason in reasons.items():
                    if reason:
                        unfit.setdefault((source.dataset.label, reason), {})[label] = None
                fitting = [aligner for aligner in aligners if not reasons[aligner.label]]
                seeds = _seeds(study, source, protocol, fitting)
                if len(plan.cells) + len(seeds) * len(fitting) > MOST_CELLS:
                    raise UsageError(
                        f"This is more than {MOST_CELLS:,} cells; choose fewer seeds, sizes or parameters."
                    )
                plan.cells += [
                    Cell(
                        source=source,
                        prompts=strategy,
                        prompts_name=name,
                        aligner=aligner,
                        protocol=protocol,
                        seed=seed,
                    )
                    for seed in seeds
                    for aligner in fitting
                ]
    if any(cell.protocol.name == "transductive" for cell in plan.cells) and not any(
        _aligner_spec(cell.aligner).needs & TRANSDUCTIVE for cell in plan.cells
    ):
        reason = "no aligner of this run reads unlabelled test items; plugins such as gapbench-hubness bring some"
        plan.skips.append(Skip("protocol transductive", reason))
    for (dataset, reason), labels in unfit.items():
        plan.skips.append(Skip(f"aligner{'s'[: len(labels) - 1]} {', '.join(labels)} on {dataset}", reason))
    return plan


def _metrics(study: Study, registry: Registry) -> list[Selected]:
    """Select the metrics, which the one that is ranked by must be among."""
    metrics = select(registry, Kind.METRIC, study.metrics)
    if study.primary and study.primary not in {metric.label for metric in metrics}:
        raise UsageError(
            f"The study {study.name!r} ranks by {study.primary!r}, which is none of its metrics. Add it to them, or take "
            "'primary' out."
        )
    if study.primary and not any(_is_task(metric) for metric in metrics if metric.label == study.primary):
        raise UsageError(
            f"The study {study.name!r} ranks by {study.primary!r}, which is no task metric: others never rank."
        )
    return metrics


def _is_task(metric: Selected) -> bool:
    return isinstance(metric.component.spec, MetricSpec) and metric.component.spec.family is MetricFamily.TASK


def _seeds(study: Study, source: Source, protocol: Protocol, aligners: Sequence[Selected]) -> tuple[int, ...]:
    """Give the seeds that make a difference: the first alone where nothing is drawn."""
    n_fit = source.splits.get("test" if protocol.fits_on_test else "train")
    seeded = depends_on_seed(protocol, n_fit, has_train=source.has_train)
    stochastic = any(isinstance(a.component.spec, AlignerSpec) and a.component.spec.stochastic for a in aligners)
    chosen = any(aligner.automatic or _validates(aligner) for aligner in aligners)  # the validation slice is drawn
    return study.seeds if seeded or stochastic or chosen else study.seeds[:1]


def _aligner_spec(aligner: Selected) -> AlignerSpec:
    spec = aligner.component.spec
    assert isinstance(spec, AlignerSpec)
    return spec


def _validates(aligner: Selected) -> bool:
    return isinstance(aligner.component.spec, AlignerSpec) and Need.VALIDATION in aligner.component.spec.needs


def _sources(study: Study, registry: Registry, materials: Materials, plan: Plan) -> Iterator[Source]:
    """Pair datasets with encoders, those that are on this machine."""
    datasets = public_names(chosen_datasets(study, registry))
    given = {name: dataset for name, dataset in datasets.items() if _spec(dataset).precomputed}
    drawn = {name: dataset for name, dataset in datasets.items() if name not in given}
    yield from _given_sources(given, materials, plan)
    if not drawn:
        reason = "embedding files bring the embeddings of their own encoder"
        plan.skips += [Skip(f"encoder {name}", reason) for name in study.encoders if name != PRECOMPUTED]
        return
    encoders = public_names(select(registry, Kind.ENCODER, study.encoders))
    there = {name: _presence(encoder, materials, plan) for name, encoder in encoders.items()}
    for dataset_name, dataset in drawn.items():
        presence = _presence(dataset, materials, plan)
        if presence == "broken":
            continue
        try:
            with calling(dataset):
                splits, offers = dict(_spec(dataset).splits), _spec(dataset).offers
                if presence == "here":
                    splits = optional(materials.dataset(dataset), "splits", splits)
                    offers = optional(materials.dataset(dataset), "offers", offers)
        except GapbenchError as error:
            plan.skips.append(Skip(f"dataset {dataset.label}", str(error), failed=True))
            continue
        for encoder_name, encoder in encoders.items():
            if there[encoder_name] == "broken":
                continue
            if (theirs := _modalities(encoder)) != (mine := _modalities(dataset)):
                what = f"encoder {encoder_name} on {dataset_name}"
                plan.skips.append(
                    Skip(what, f"it encodes {' and '.join(theirs)}, and the data are {' and '.join(mine)}")
                )
                continue
            source = Source(
                encoder=encoder,
                dataset=dataset,
                encoder_name=encoder_name,
                dataset_name=dataset_name,
                offers=offers,
                splits=dict(splits),
            )
            awaits = {"weights": there[encoder_name], "images": presence}
            if lacking := " and ".join(what for what, where in awaits.items() if where == "missing"):
                plan.jobs += [
                    EncodeJob(encoder.label, dataset.label, split, splits.get(split), splits.get(split), awaits=lacking)
                    for split in needed_splits(source, study.protocols[0])
                ]
            else:
                yield source


def chosen_datasets(study: Study, registry: Registry) -> list[Selected]:
    """Select the datasets, with the split and the number of items that the study says for all of them.

    Raises
    ------
    UsageError
        One of them has no such parameter, or says otherwise itself.
    """
    datasets = select(registry, Kind.DATASET, study.datasets)
    said = {name: value for name in ("split", "limit") if (value := getattr(study, name)) is not None}
    for name, value in said.items():
        for dataset in datasets:
            declared = params_of(dataset.component).get(name)
            if declared is None:
                raise UsageError(f"--{name} {value}: dataset {dataset.label!r} has no {name} to choose. Leave it out.")
            if dataset.params[name] not in (declared.default, value):
                raise UsageError(f"--{name} {value}: dataset {dataset.label!r} says otherwise. Say one of them.")
    return [dataset.with_params(said) for dataset in datasets]


def _given_sources(datasets: Mapping[str, Selected], materials: Materials, plan: Plan) -> Iterator[Source]:
    """Open embedding files, those that are on this machine; a bad one costs itself alone."""
    for name, dataset in datasets.items():
        if _presence(dataset, materials, plan) != "here":
            continue
        try:
            file = materials.precomputed(dataset)
            with calling(dataset):
                source = Source(
                    encoder=None,
                    dataset=dataset,
                    encoder_name=PRECOMPUTED,
                    dataset_name=name,
                    offers=file.offers(),
                    splits=dict(file.splits()),
                    dims=optional(file, "dims", None),
                )
        except GapbenchError as error:
            plan.skips.append(Skip(f"dataset {dataset.label}", str(error), failed=True))
        else:
            yield source


def _spec(dataset: Selected) -> DatasetSpec:
    spec = dataset.component.spec
    assert isinstance(spec, DatasetSpec)
    return spec


def _modalities(selected: Selected) -> tuple[str, str]:
    spec = selected.component.spec
    assert isinstance(spec, EncoderSpec | DatasetSpec)
    return spec.modalities


def _presence(selected: Selected, materials: Materials, plan: Plan) -> Literal["here", "missing", "broken"]:
    """Say whether a dataset or an encoder is on this machine; it is fetched where that is allowed."""
    what = f"{selected.component.kind} {selected.label}"
    try:
        built = materials.built(selected)
        with calling(selected):
            missing: Missing | None = optional(built, "missing", None)
            if missing is None:
                return "here"
            if materials.context.download and not materials.context.offline:
                built.download()
                return "here"
        reason = f"{missing.what} is not on this machine: {missing.how}"
        plan.skips.append(Skip(what, reason, missing.size, folder=missing.folder))
    except GapbenchError as error:
        plan.skips.append(Skip(what, str(error), failed=True))
        return "broken"
    return "missing"


def _texts(
    study: Study, source: Source, prompts: Mapping[str, Selected], plan: Plan
) -> Iterator[tuple[str, Selected | None]]:
    """Give the text sets of a source: prompts of its classes, its captions, or what the file gives."""
    captioned = Offer.CAPTIONS in source.offers
    if source.encoder is None:
        if study.prompts and not captioned and GIVEN not in study.prompts:
            plan.skips.append(Skip(f"prompts on {source.dataset.label}", "the file gives its own class texts"))
        yield (CAPTIONS if captioned else GIVEN), None
        return
    for name, strategy in prompts.items():
        if name == CAPTIONS and captioned:
            yield CAPTIONS, None
        elif name != CAPTIONS and Offer.LABELS in source.offers:
            yield name, strategy
        elif study.prompts and len(study.datasets) == 1:  # asked for in so many words
            lacks = "captions" if name == CAPTIONS else "classes to write prompts for"
            plan.skips.append(Skip(f"prompts {name} on {source.dataset.label}", f"the dataset has no {lacks}"))


def why_unfit(
    spec: AlignerSpec,
    offers: frozenset[Offer],
    protocol: str,
    prompts: str,
    dims: tuple[int, int] | None = None,
) -> str:
    """Return which need of an aligner is not met, in words; empty where all are.

    ``dims`` are the numbers of dimensions of images and of texts, where they may differ.
    """
    widths = " and ".join(map(str, dims or ()))
    apart = dims is not None and dims[0] != dims[1] and spec.common_space
    transductive = protocol == "transductive"
    unmet = {
        f"it needs one space, and images and texts are of two encoders ({widths} dimensions)": apart,
        "it needs classes, which the dataset does not have": spec.needs & OF_CLASSES and Offer.LABELS not in offers,
        "it needs class texts, but captions are scored": Need.CLASS_TEXTS in spec.needs and prompts == CAPTIONS,
        "it needs classes, but captions are scored": Need.LABELS in spec.needs and prompts == CAPTIONS,
        "it needs the captions themselves, but class prompts are scored": (
            Need.CAPTION_STRINGS in spec.needs and prompts != CAPTIONS
        ),
        "it reads unlabelled test items: run it with --protocol transductive": (
            spec.needs & TRANSDUCTIVE and not transductive
        ),
        "it reads no test items, so it belongs to --protocol held-out": (
            transductive and not spec.needs & TRANSDUCTIVE and spec.name != "identity"
        ),
    }
    return next((reason for reason, holds in unmet.items() if holds), "")


def wanted_metrics(metrics: Sequence[Selected], source: Source, *, captioned: bool) -> list[Selected]:
    """Give the metrics that have a meaning for a cell."""
    has = {Need.PAIRS, Need.CAPTIONS if captioned else Need.LABELS}
    if not captioned and Offer.LABELS not in source.offers:
        has = set()
    return [m for m in metrics if isinstance(m.component.spec, MetricSpec) and m.component.spec.needs <= has]


def count_work(plan: Plan, materials: Materials) -> None:
    """Fill in what would have to be encoded, as far as the store remembers it; each thing once."""
    strings: dict[str, set[str]] = {}
    for source in plan.sources:
        if source.encoder is None:
            continue
        cells = [cell for cell in plan.cells if cell.source is source]
        for split in needed_splits(source, cells[0].protocol):
            manifest = materials.manifest(source.dataset, split, read=False)
            missing = None
            if manifest is not None:
                missing = materials.missing_images(source.encoder, source.dataset, split)
                known = strings.setdefault(source.encoder.label, set())
                known.update(manifest.caption_strings)
                for strategy in {c.prompts_name: c.prompts for c in cells if c.prompts is not None}.values():
                    known.update(prompt_set(strategy, manifest.classes, source.dataset).prompts)
            images = source.splits.get(split) if manifest is None else manifest.n
            missing = images if missing is None else missing
            plan.jobs.append(EncodeJob(source.encoder.label, source.dataset.label, split, images, missing))
    by_name = {source.encoder.label: source.encoder for source in plan.sources if source.encoder is not None}
    for name, texts in strings.items():
        plan.texts += len(materials.missing_texts(by_name[name], sorted(texts)))


def needed_splits(source: Source, protocol: Protocol) -> list[str]:
    """Give the splits that a protocol reads."""
    return ["test", "train"] if source.has_train and not protocol.fits_on_test else ["test"]
