"""What the cells of one encoder and one dataset are made of: manifests, fingerprints and embeddings.

A *manifest* is all of a dataset that is not pictures: item hashes, labels, captions, class names. It is remembered in
the store while the dataset's files are unchanged, and so is an encoder's identity; a plan, or a run with nothing to
encode, then reads neither pictures nor weights, and does not import torch.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.isolation import calling
from gapbench.components import EmbeddedSplit, PromptSet, Texts
from gapbench.embeddings.encode import encode_images, encode_texts
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.errors import DataError, PluginError
from gapbench.host.build import build
from gapbench.specs import Pooling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress

    from gapbench.components import Dataset, Encoder, PrecomputedDataset, PromptStrategy, Split
    from gapbench.embeddings.store import Store
    from gapbench.host.selection import Selected
    from gapbench.specs import Context

#: Reserved names: the encoder of an embedding file, its class texts, and a dataset's own captions.
PRECOMPUTED, GIVEN, CAPTIONS = "precomputed", "given", "captions"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A split without its pictures."""

    fingerprint: str
    n: int
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None
    captions: tuple[tuple[str, ...], ...] | None = None

    @property
    def caption_strings(self) -> list[str]:
        """All captions, in the order of their images."""
        return [caption for own in self.captions or () for caption in own]

    @property
    def caption_owner(self) -> list[int]:
        """For each caption the row of its image."""
        return [row for row, own in enumerate(self.captions or ()) for _ in own]


def optional(component: Any, method: str, default: Any) -> Any:
    """Call a method that a component may leave out."""
    found = getattr(component, method, None)
    return default if found is None else found()


def manifest_of(split: Split, name: str) -> Manifest:
    """Check a split and describe it.

    Raises
    ------
    DataError
        Empty, sizes that do not match, a label outside the classes.
    """
    n = len(split.images)
    if n == 0:
        raise DataError(f"{name} has no images.")
    if len(split.item_hashes) != n:
        raise DataError(f"{name} has {n} images but {len(split.item_hashes)} item hashes.")
    labels = None
    if split.labels is not None:
        array = np.asarray(split.labels)
        if array.shape != (n,) or array.dtype.kind not in "iu":
            raise DataError(f"{name}: labels must be {n} integers, not {array.dtype} of shape {array.shape}.")
        outside = np.flatnonzero((array < 0) | (array >= len(split.classes)))
        if len(outside):
            row = int(outside[0])
            raise DataError(f"{name}: label {array[row]} of item {row} is outside 0..{len(split.classes) - 1}.")
        if empty := sorted(set(range(len(split.classes))) - set(array.tolist())):
            raise DataError(
                f"{name}: class {split.classes[empty[0]]!r} has no image ({len(empty)} of {len(split.classes)} classes are "
                "empty). Leave it out of the classes or give it images."
            )
        labels = tuple(array.tolist())
    captions = None if split.captions is None else tuple(tuple(own) for own in split.captions)
    if captions is not None and len(captions) != n:
        raise DataError(f"{name} has {n} images but captions for {len(captions)}.")
    return Manifest(
        fingerprint=fingerprint([list(split.item_hashes), labels, list(split.classes), captions]),
        n=n,
        classes=tuple(split.classes),
        labels=labels,
        captions=captions,
    )


class Materials:
    """Builds encoders and datasets when needed, remembers what they are, and gives embedded splits.

    Parameters
    ----------
    store
        Where embeddings are kept.
    context
        Given to encoders and datasets.
    """

    def __init__(self, store: Store, context: Context) -> None:
        self.store = store
        self.context = context
        self.encode_seconds: dict[tuple[str, str], float] = {}
        self._built: dict[tuple[str, str], Any] = {}
        self._manifests: dict[tuple[str, str], Manifest] = {}
        self._fingerprints: dict[str, str] = {}

    def built(self, selected: Selected) -> Any:
        """Build a dataset or an encoder (once)."""
        key = (selected.component.kind, selected.name)
        if key not in self._built:
            self._built[key] = build(selected, self.context)
        return self._built[key]

    def encoder(self, selected: Selected) -> Encoder:
        """Build an encoder (once)."""
        return self.built(selected)  # type: ignore[no-any-return]

    def dataset(self, selected: Selected) -> Dataset:
        """Build a dataset (once)."""
        return self.built(selected)  # type: ignore[no-any-return]

    def precomputed(self, selected: Selected) -> PrecomputedDataset:
        """Build a dataset of embeddings (once)."""
        return self.built(selected)  # type: ignore[no-any-return]

    def identity(self, selected: Selected) -> dict[str, Any]:
        """Everything that changes an encoder's embeddings; remembered while its files are unchanged."""
        encoder, name = self.encoder(selected), f"{_origin(selected)}|{selected.name}|{self.context.dtype}"
        with calling(selected):
            files = optional(encoder, "files", ())
        known = self.store.recall("encoder", name, files) if files else None
        if known is None:
            with calling(selected):
                known = dict(encoder.identity())
            if files:
                self.store.remember("encoder", name, files, known)
        return dict(known)

    def encoder_fingerprint(self, selected: Selected) -> str:
        """Identify an encoder by its content."""
        if selected.name not in self._fingerprints:
            self._fingerprints[selected.name] = fingerprint(self.identity(selected))
        return self._fingerprints[selected.name]

    def manifest(self, selected: Selected, split: str, *, read: bool = True) -> Manifest | None:
        """Describe a split; None where it is not remembered and ``read`` is false."""
        key = (selected.name, split)
        if key not in self._manifests:
            dataset = self.dataset(selected)
            name = f"{_origin(selected)}|{selected.name}|{split}"
            with calling(selected):
                files = optional(dataset, "files", ())
            known = self.store.recall("dataset", name, files) if files else None
            if known is not None:
                self._manifests[key] = msgspec.convert(known, Manifest, strict=False)
            elif not read:
                return None
            else:
                with calling(selected):
                    manifest = manifest_of(dataset.split(split), f"{selected.name}, split {split!r}")
                if files:
                    self.store.remember("dataset", name, files, msgspec.to_builtins(manifest))
                self._manifests[key] = manifest
        return self._manifests[key]

    def known_manifest(self, selected: Selected, split: str) -> Manifest:
        """Describe a split, reading it if need be."""
        manifest = self.manifest(selected, split)
        assert manifest is not None
        return manifest

    def image_key(self, encoder: Selected, dataset: Selected, split: str) -> str:
        """Key of the embeddings of a split in the store."""
        return self.store.image_key(self.encoder_fingerprint(encoder), self.known_manifest(dataset, split).fingerprint)

    def encode(self, encoder: Selected, dataset: Selected, split: str, progress: Progress | None = None) -> None:
        """Encode the pictures of a split unless the store has them."""
        manifest, key = self.known_manifest(dataset, split), self.image_key(encoder, dataset, split)
        if self.store.has_images(key):
            return
        with calling(dataset):
            pictures = self.dataset(dataset).split(split)
            again = manifest_of(pictures, dataset.name)
        if again.fingerprint != manifest.fingerprint:
            raise DataError(f"{dataset.name}, split {split!r}, changed while it was being read; run again.")
        identity = {
            "encoder": self.identity(encoder),
            "encoder_name": encoder.name,
            "dataset_name": dataset.name,
            "split": split,
            "items": manifest.fingerprint,
        }
        with calling(encoder):
            seconds = encode_images(self.encoder(encoder), pictures, self.store, key, identity, progress=progress)
        self._add_seconds(encoder, dataset, seconds)

    def encode_strings(
        self, encoder: Selected, dataset: Selected, strings: Sequence[str], progress: Progress | None = None
    ) -> None:
        """Encode the strings that the store does not have yet."""
        fp = self.encoder_fingerprint(encoder)
        if missing := self.store.missing_texts(fp, strings):
            start = perf_counter()
            with calling(encoder):
                encode_texts(self.encoder(encoder), fp, missing, self.store, progress=progress)
            self._add_seconds(encoder, dataset, perf_counter() - start)

    def _add_seconds(self, encoder: Selected, dataset: Selected, seconds: float) -> None:
        key = (encoder.name, dataset.name)
        self.encode_seconds[key] = self.encode_seconds.get(key, 0.0) + seconds

    def embedded(self, encoder: Selected, dataset: Selected, prompts: PromptSet | None, split: str) -> EmbeddedSplit:
        """Give a split after encoding; everything must be in the store."""
        manifest, fp = self.known_manifest(dataset, split), self.encoder_fingerprint(encoder)
        captions = None
        if manifest.captions is not None:
            strings = manifest.caption_strings
            owner = np.asarray(manifest.caption_owner, dtype=np.int64)
            captions = Texts(rows=self.store.texts(fp, strings), owner=owner, strings=strings)
        given = None
        if prompts is not None:
            given = Texts(
                rows=self.store.texts(fp, prompts.prompts),
                owner=np.asarray(prompts.owner, dtype=np.int64),
                strings=prompts.prompts,
            )
        return EmbeddedSplit(
            images=self.store.images(self.image_key(encoder, dataset, split)),
            fingerprint=manifest.fingerprint,
            classes=manifest.classes,
            labels=None if manifest.labels is None else np.asarray(manifest.labels, dtype=np.int64),
            prompts=given,
            pooling=Pooling.MEAN if prompts is None else Pooling(prompts.pooling),
            captions=captions,
        )


def prompt_set(selected: Selected, classes: Sequence[str]) -> PromptSet:
    """Write a strategy's prompts for some classes, checked.

    Raises
    ------
    PluginError
        Something else than strings, an owner outside the classes, a class without a prompt, or one prompt of two classes.
    """
    strategy: PromptStrategy = build(selected)
    with calling(selected):
        prompts = strategy.prompts(tuple(classes))
    what = f"Prompt strategy {selected.name!r}"
    if not isinstance(prompts, PromptSet):
        raise PluginError(f"{what} gave {type(prompts).__name__} where a PromptSet is wanted.")
    if len(prompts.prompts) != len(prompts.owner) or not all(isinstance(text, str) for text in prompts.prompts):
        raise PluginError(f"{what} must give as many strings as owners.")
    if extra := sorted(set(prompts.owner) - set(range(len(classes)))):
        raise PluginError(f"{what}: owner {extra[0]} is not a class; there are {len(classes)}.")
    if bare := sorted(set(range(len(classes))) - set(prompts.owner)):
        raise PluginError(f"{what} gives class {classes[bare[0]]!r} no prompt.")
    owners: dict[str, int] = {}
    for text, owner in zip(prompts.prompts, prompts.owner, strict=True):
        if owners.setdefault(text, owner) != owner:
            raise PluginError(
                f"{what} gives the classes {classes[owners[text]]!r} and {classes[owner]!r} the same prompt {text!r}: they "
                "cannot be told apart. Write the class name into every prompt."
            )
    return prompts


def _origin(selected: Selected) -> str:
    """Name the code that gives a component its meaning: a new version forgets what an old one remembered."""
    origin = selected.component.origin
    return f"{origin.distribution} {origin.version}"
