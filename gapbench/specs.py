"""Specs: what a plugin hands over, in strings, numbers and enums.

A *spec* describes a component and names its implementation as ``"module:attribute"``, so that listing and planning never
import the implementation, nor NumPy, nor torch. What an implementation does is in `gapbench.components`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: What encoders and datasets have on their two sides, if they do not say otherwise.
MODALITIES = ("image", "text")


class Need(StrEnum):
    """What an aligner or a metric reads. Anything that is not declared cannot be read."""

    UNPAIRED_IMAGES = "unpaired-images"  # image rows of the fit split
    UNPAIRED_TEXTS = "unpaired-texts"  # text rows of the fit split, of the kind that is scored (prompts or captions)
    PAIRS = "pairs"  # captions where the dataset has them, else image and class prompt
    LABELS = "labels"  # the class of each image
    CLASS_TEXTS = "class-texts"  # one text row a class; the scored texts are class prompts
    CAPTIONS = "captions"  # metrics only: the scored texts are captions, so that retrieval has a meaning
    CLASS_NAMES = "class-names"  # the names of the classes, as prompts use them
    CAPTION_STRINGS = "caption-strings"  # the captions themselves; the scored texts are captions
    VALIDATION = "validation"  # a slice of the fit split, set apart for choosing parameters
    TEST_IMAGES = "test-images"  # unlabelled test images: transductive
    TEST_TEXTS = "test-texts"  # the test texts: transductive


class ActsOn(StrEnum):
    """What an aligner changes."""

    NOTHING = "nothing"
    IMAGES = "images"
    TEXTS = "texts"
    BOTH = "both"
    SCORES = "scores"


class Offer(StrEnum):
    """What a dataset has besides images."""

    LABELS = "labels"
    CAPTIONS = "captions"


class Pooling(StrEnum):
    """How the prompts of one class become its score."""

    MEAN = "mean"  # average the unit rows, normalise: one prototype a class, made before alignment
    NEAREST = "nearest"  # keep all prompts: the class of the nearest one wins


class Better(StrEnum):
    """Which way a metric is read."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"  # it describes; more is not better


class MetricFamily(StrEnum):
    """Task metrics rank; gap metrics are shown beside them and never rank."""

    TASK = "task"
    GAP = "gap"


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter of a component: a keyword of its factory, settable as ``name[key=value]``.

    ``low`` and ``high`` are inclusive bounds, ``choices`` the only values allowed. The type is that of ``default``.
    Where there is a ``grid``, ``name[key=auto]`` of an aligner chooses among its values on a validation slice of the fit
    split.
    """

    default: bool | int | float | str
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[bool | int | float | str, ...] = ()
    grid: tuple[bool | int | float | str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Download:
    """What would have to be fetched: ``size`` in bytes (None where unknown), where from, and its checksum."""

    size: int | None
    source: str
    checksum: str = ""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something that is not on this machine: what, how large in bytes, how to supply it, and where --download puts it."""

    what: str
    size: int | None
    how: str
    folder: Path | None = None


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What all specs share.

    Parameters
    ----------
    name
        Lower-case letters, digits and ``- _ . @``; unique within its kind over all plugins.
    factory
        ``"module:attribute"``, imported only when the component is built.
    summary
        One line for ``gapbench list``.
    argument
        Empty for a plain component. For a family (``open_clip:MODEL/PRETRAINED``) the placeholder of the argument that
        follows the colon; the factory then takes it as its last positional argument.
    params
        Keywords of the factory that a user may set, as ``name[key=value]``; a value that is set is part of the name in
        records and tables.
    options
        Keywords given to the factory, so that one factory can serve many specs.
    default
        Whether a run that names no component of this kind takes it.
    expected_failures
        Checks of the conformance suite (`gapbench check`) that this component is known to fail, each with the reason.
    """

    name: str
    factory: str
    summary: str
    argument: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    default: bool = True
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the mappings, so that no component can change another's spec."""
        object.__setattr__(self, "params", _frozen(self.params))
        object.__setattr__(self, "options", _frozen(self.options))
        object.__setattr__(self, "expected_failures", _frozen(self.expected_failures))


def base_name(label: str) -> str:
    """Return a component's own name: without the argument of a family, and without parameters."""
    return label.partition(":")[0].partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """An encoder. The factory is called as ``factory(context[, argument], **options, **params)`` and gives an `Encoder`.

    ``modalities`` are the words for what it encodes as images and as texts: an encoder of videos says
    ``("video", "text")``. It is paired with the datasets that say the same.
    """

    weights: Download | None = None
    modalities: tuple[str, str] = MODALITIES


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A dataset. The factory is called as ``factory(context[, argument], **options, **params)`` and gives a `Dataset`.

    ``splits`` maps the names to their number of items (None where only the data tells). ``test`` is scored; ``train``,
    where it exists, is fitted on. ``precomputed`` says that the dataset brings embeddings instead of images and
    gives a `PrecomputedDataset`. ``modalities`` are as an encoder's.
    """

    offers: frozenset[Offer]
    splits: Mapping[str, int | None]
    licence: str
    download: Download | None = None
    precomputed: bool = False
    modalities: tuple[str, str] = MODALITIES

    def __post_init__(self) -> None:
        """Freeze the mappings."""
        super().__post_init__()
        object.__setattr__(self, "splits", _frozen(self.splits))


@dataclass(frozen=True, kw_only=True)
class PromptSpec(Spec):
    """A prompt strategy.

    The factory is called as ``factory([argument], **options, **params)`` and gives a `PromptStrategy`.
    """


@dataclass(frozen=True, kw_only=True)
class AlignerSpec(Spec):
    """An aligner. The factory is called as ``factory([argument], **options, **params)`` and gives an `Aligner`.

    ``raw`` asks for rows as the encoder gave them; otherwise the aligner receives unit rows. A ``control`` is no method: it
    is shown beside the others and not ranked. ``common_space`` false says that it maps between spaces: it then also runs on
    images and texts of two encoders, whose rows may have different numbers of dimensions.
    """

    family: str
    needs: frozenset[Need]
    acts_on: ActsOn
    stochastic: bool = False
    raw: bool = False
    control: bool = False
    common_space: bool = True
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A metric. The factory is called as ``factory([argument], **options, **params)`` and gives a `Metric`.

    ``needs`` may hold `Need.LABELS` (the scored texts are class prompts), `Need.CAPTIONS` (the scored texts are
    captions) or `Need.PAIRS` (either); where the cell has none of it, the metric is left out.
    """

    unit: str
    better: Better
    family: MetricFamily
    needs: frozenset[Need] = frozenset()
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class PromptContext:
    """What prompts are written for: ``dataset`` is the name of the component, ``argument`` what a family was given."""

    dataset: str
    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class FitContext:
    """What a method that learns computes on: ``device`` and ``dtype`` as the run was asked for (`Context`)."""

    device: str = "auto"
    dtype: str = "float32"

    def torch_device(self) -> Any:
        """Return the device for PyTorch: the one that was asked for, or the best that there is; imports torch.

        Raises
        ------
        UsageError
            It is not there.
        """
        from gapbench.devices import torch_device

        return torch_device(self.device)


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a dataset or an encoder finds its files, and what it may do.

    ``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``dtype`` is ``float32``, ``bfloat16`` or
    ``float16``. ``offline`` forbids any use of the network, ``download`` allows fetching. ``skip_unreadable`` lets gapbench
    leave out pictures that cannot be decoded.
    """

    data_root: Path
    device: str = "auto"
    dtype: str = "float32"
    offline: bool = False
    download: bool = False
    skip_unreadable: bool = False
