"""What the cells of one encoder and one dataset are made of: manifests, fingerprints and embeddings.

A *manifest* is all of a dataset that is not pictures: item hashes, labels, captions, class names. It is remembered in
the store while the dataset's files and code are unchanged, and so is an encoder's identity; a plan, or a run with nothing to
encode, then reads neither pictures nor weights, and does not import torch.
"""

from __future__ import annotations

from inspect import signature
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gapbench.bench.agreement import Comparison, compare_images, compare_texts, sentence
from gapbench.bench.isolation import calling
from gapbench.bench.long_texts import check_classes, cut_of
from gapbench.bench.manifest import Manifest, manifest_of
from gapbench.components import EmbeddedSplit, PromptSet, Texts
from gapbench.embeddings.disk import tell
from gapbench.embeddings.encode import encode_images, encode_texts
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.embeddings.items import string_keys
from gapbench.embeddings.readable import without_unreadable
from gapbench.errors import DataError, PluginError
from gapbench.host.build import build
from gapbench.host.provenance import code_hash
from gapbench.specs import Pooling, PromptContext

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.progress import Progress

    from gapbench.components import Dataset, Encoder, PrecomputedDataset, PromptStrategy, Split
    from gapbench.embeddings.store import Store
    from gapbench.host.selection import Selected
    from gapbench.specs import Context


def optional(component: Any, method: str, default: Any, *arguments: Any) -> Any:
    """Call a method that a component may leave out."""
    found = getattr(component, method, None)
    return default if found is None else found(*arguments)


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
        self._codes: dict[tuple[str, str], str] = {}

    def built(self, selected: Selected) -> Any:
        """Build a dataset or an encoder (once)."""
        key = (selected.component.kind, selected.label)
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

    def code(self, selected: Selected) -> str:
        """Hash of the code of a dataset or an encoder; empty where it cannot be told, and then nothing is remembered."""
        key = (selected.component.kind, selected.component.spec.name)
        if key not in self._codes:
            self._codes[key] = code_hash(selected.component)
        return self._codes[key]

    def image_code(self, encoder: Selected, dataset: Selected) -> str:
        """Hash of all code that makes embeddings of pictures, which the dataset decodes; empty where one cannot be told."""
        both = [self.code(encoder), self.code(dataset)]
        return fingerprint(both) if all(both) else ""

    def identity(self, selected: Selected) -> dict[str, Any]:
        """Everything that changes an encoder's embeddings; remembered while its files and its code are unchanged."""
        encoder, name = self.encoder(selected), f"{self.code(selected)}|{selected.label}|{self.context.dtype}"
        files = self._files(selected, encoder)
        known = self.store.memos.recall("encoder", name, files) if files else None
        if known is None:
            with calling(selected):
                known = dict(encoder.identity())
            if files:
                self.store.memos.remember("encoder", name, files, known)
        return dict(known)

    def _files(self, selected: Selected, built: Any) -> Sequence[Path]:
        """List the files that a memo depends on; none where nothing may be remembered."""
        if not self.code(selected):
            return ()
        with calling(selected):
            return tuple(optional(built, "files", ()))

    def encoder_fingerprint(self, selected: Selected) -> str:
        """Identify an encoder by its content."""
        if selected.label not in self._fingerprints:
            self._fingerprints[selected.label] = fingerprint(
                {"identity": self.identity(selected), "dtype": self.context.dtype}
            )
        return self._fingerprints[selected.label]

    def manifest(self, selected: Selected, split: str, *, read: bool = True) -> Manifest | None:
        """Describe a split; None where it is not remembered and ``read`` is false."""
        key = (selected.label, split)
        if key not in self._manifests:
            dataset, name = self.dataset(selected), self._manifest_name(selected, split)
            files = self._files(selected, dataset)
            manifest = self._recalled(name, files) if files else None
            if manifest is None:
                if not read:
                    return None
                with calling(selected):
                    manifest = manifest_of(self._read(dataset, split), f"{selected.label}, split {split!r}")
                if files:
                    self._remember(name, files, manifest)
            self._manifests[key] = manifest
        return self._manifests[key]

    def _read(self, dataset: Dataset, split: str) -> Split:
        """Read a split, without the pictures that cannot be read where that is allowed."""
        found = dataset.split(split)
        return without_unreadable(found) if self.context.skip_unreadable else found

    def _manifest_name(self, selected: Selected, split: str) -> str:
        skipping = "|readable" if self.context.skip_unreadable else ""
        return f"{self.code(selected)}|{selected.label}|{split}{skipping}"

    def _remember(self, name: str, files: Sequence[Path], manifest: Manifest) -> None:
        value = {**msgspec.to_builtins(manifest), "fingerprint": manifest.fingerprint}
        self.store.memos.remember("dataset", name, files, value)

    def _recalled(self, name: str, files: Sequence[Path]) -> Manifest | None:
        """Recall a manifest, if its fingerprint is that of what it holds."""
        known = self.store.memos.recall("dataset", name, files)
        if known is None:
            return None
        try:
            manifest = msgspec.convert(known, Manifest, strict=False)
            if known.get("fingerprint") == manifest.fingerprint:
                return manifest
            why = "its fingerprint is not that of what it holds"
        except msgspec.ValidationError as error:
            why = str(error)
        self.store.memos.distrust("dataset", name, why)
        return None

    def known_manifest(self, selected: Selected, split: str) -> Manifest:
        """Describe a split, reading it if need be."""
        manifest = self.manifest(selected, split)
        assert manifest is not None
        return manifest

    def missing_images(self, encoder: Selected, dataset: Selected, split: str) -> int:
        """How many pictures of a split the store does not have as the encoder's code makes them now."""
        fp, code = self.encoder_fingerprint(encoder), self.image_code(encoder, dataset)
        return len(self.store.missing_images(fp, code, self.known_manifest(dataset, split).item_digests))

    def missing_texts(self, encoder: Selected, strings: Sequence[str]) -> list[str]:
        """List the strings that the store does not have as the encoder's code encodes them now."""
        return self.store.missing_texts(self.encoder_fingerprint(encoder), self.code(encoder), strings)

    def encode(self, encoder: Selected, dataset: Selected, split: str, progress: Progress | None = None) -> None:
        """Encode the pictures of a split unless the store has them; what other code made is kept if a sample agrees."""
        fp, code = self.encoder_fingerprint(encoder), self.image_code(encoder, dataset)
        digests = self.known_manifest(dataset, split).item_digests
        missing = self.store.missing_images(fp, code, digests)
        if not len(missing):
            return
        images = self.pictures(dataset, split).images
        built, start = self.encoder(encoder), perf_counter()
        with calling(encoder):
            others = self.store.images_by_others(fp, code, digests[missing])
            found = [compare_images(stored, built, images, digests, self.context.dtype) for stored in others]
        self._settle(encoder, f"pictures of {dataset.label} ({split})", found, code)
        identity = {
            "encoder": self.identity(encoder),
            "encoder_name": encoder.label,
            "dataset_name": dataset.label,
            "split": split,
        }
        with calling(encoder):
            encode_images(built, fp, images, digests, self.store, code=code, identity=identity, progress=progress)
        self._add_seconds(encoder, dataset, perf_counter() - start)

    def pictures(self, dataset: Selected, split: str) -> Split:
        """Read a split, and hold it to its manifest.

        Raises
        ------
        DataError
            It changed since it was described.
        """
        manifest = self.known_manifest(dataset, split)
        with calling(dataset):
            pictures = self._read(self.dataset(dataset), split)
            again = manifest_of(pictures, dataset.label)
        if again.fingerprint != manifest.fingerprint:
            if files := self._files(dataset, self.dataset(dataset)):
                self._remember(self._manifest_name(dataset, split), files, again)
            raise DataError(f"{dataset.label}, split {split!r}, is not what it was when it was read before; run again.")
        return pictures

    def encode_strings(
        self, encoder: Selected, dataset: Selected, strings: Sequence[str], progress: Progress | None = None
    ) -> None:
        """Encode the strings that the store does not have yet; what other code made is kept if a sample agrees."""
        missing = self.missing_texts(encoder, strings)
        if not missing:
            return
        fp, code, start = self.encoder_fingerprint(encoder), self.code(encoder), perf_counter()
        with calling(encoder):
            found = [
                compare_texts(stored, self.encoder(encoder), self.context.dtype)
                for stored in self.store.texts_by_others(fp, code, missing)
            ]
        self._settle(encoder, "texts", found, code)
        identity = {"encoder": self.identity(encoder), "encoder_name": encoder.label}
        with calling(encoder):
            encode_texts(
                self.encoder(encoder), fp, strings, self.store, code=code, identity=identity, progress=progress
            )
        self._add_seconds(encoder, dataset, perf_counter() - start)

    def _settle(self, encoder: Selected, what: str, found: Sequence[Comparison], code: str) -> None:
        """Keep the entries whose sample agrees, and tell of these and of the others."""
        agreeing = [one for one in found if one.agrees]
        for one in agreeing:
            self.store.agree(one.stored, code)
        for group in (agreeing, [one for one in found if not one.agrees]):
            if group:
                tell(sentence(encoder.label, what, group, code))

    def _add_seconds(self, encoder: Selected, dataset: Selected, seconds: float) -> None:
        key = (encoder.label, dataset.label)
        self.encode_seconds[key] = self.encode_seconds.get(key, 0.0) + seconds

    def check_prompts(self, encoder: Selected, dataset: Selected, prompts: PromptSet) -> None:
        """Hold the classes apart as far as the encoder reads their texts, after encoding (`check_classes`)."""
        read = self.store.cut_texts(self.encoder_fingerprint(encoder), self.code(encoder), prompts.prompts)
        check_classes(prompts, self.known_manifest(dataset, "test").classes, read, encoder.label)

    def embedded(self, encoder: Selected, dataset: Selected, prompts: PromptSet | None, split: str) -> EmbeddedSplit:
        """Give a split after encoding; everything must be in the store."""
        manifest = self.known_manifest(dataset, split)
        fp, code = self.encoder_fingerprint(encoder), self.code(encoder)
        captions = None
        if manifest.captions is not None:
            strings = manifest.caption_strings
            owner = np.asarray(manifest.caption_owner, dtype=np.int64)
            rows = self.store.texts(fp, code, strings)
            cut = cut_of(self.store.cut_texts(fp, code, strings))
            captions = Texts(rows=rows, owner=owner, strings=strings, keys=string_keys(strings), cut=cut)
        given = None
        if prompts is not None:
            given = Texts(
                rows=self.store.texts(fp, code, prompts.prompts),
                owner=np.asarray(prompts.owner, dtype=np.int64),
                strings=prompts.prompts,
                keys=string_keys(prompts.prompts),
                cut=cut_of(self.store.cut_texts(fp, code, prompts.prompts)),
                weights=None if prompts.weights is None else np.asarray(prompts.weights, dtype=np.float64),
            )
        return EmbeddedSplit(
            images=self.store.images(fp, self.image_code(encoder, dataset), manifest.item_digests),
            fingerprint=manifest.fingerprint,
            classes=manifest.classes,
            labels=None if manifest.labels is None else np.asarray(manifest.labels, dtype=np.int64),
            prompts=given,
            pooling=Pooling.MEAN if prompts is None else Pooling(prompts.pooling),
            captions=captions,
            keys=manifest.item_keys,
            intake=manifest.intake,
        )


def prompt_set(selected: Selected, classes: Sequence[str], dataset: Selected) -> PromptSet:
    """Write a strategy's prompts for the classes of a dataset, checked.

    Raises
    ------
    PluginError
        Something else than strings, an owner outside the classes, a class without a prompt, one prompt for all classes, or
        weights that weigh nothing.
    """
    context = PromptContext(dataset=dataset.component.spec.name, argument=dataset.argument or "")
    strategy = build(selected)
    with calling(selected):
        return prompts_of(strategy, selected.label, classes, context)


def prompts_of(strategy: PromptStrategy, name: str, classes: Sequence[str], context: PromptContext) -> PromptSet:
    """Call a strategy and check what it wrote, as `prompt_set` does."""
    wants_context = len(signature(strategy.prompts).parameters) > 1
    prompts = strategy.prompts(tuple(classes), *([context] if wants_context else []))
    what = f"Prompt strategy {name!r}"
    if not isinstance(prompts, PromptSet):
        raise PluginError(f"{what} gave {type(prompts).__name__} where a PromptSet is wanted.")
    if len(prompts.prompts) != len(prompts.owner) or not all(isinstance(text, str) for text in prompts.prompts):
        raise PluginError(f"{what} must give as many strings as owners.")
    if extra := sorted(set(prompts.owner) - set(range(len(classes)))):
        raise PluginError(f"{what}: owner {extra[0]} is not a class; there are {len(classes)}.")
    if bare := sorted(set(range(len(classes))) - set(prompts.owner)):
        raise PluginError(f"{what} gives class {classes[bare[0]]!r} no prompt.")
    if len(set(classes)) > 1 and len(set(prompts.prompts)) == 1:
        raise PluginError(
            f"{what} gives all {len(classes)} classes the prompt {prompts.prompts[0]!r}: no two can be told apart. Write "
            "the class name into every prompt."
        )
    if prompts.weights is not None:
        _check_weights(what, prompts, classes)
    return prompts


def _check_weights(what: str, prompts: PromptSet, classes: Sequence[str]) -> None:
    """Hold the weights of prompts to their meaning: shares of a mean."""
    weights = np.asarray(prompts.weights, dtype=np.float64)
    if weights.shape != (len(prompts.prompts),) or not np.isfinite(weights).all() or weights.min(initial=0) < 0:
        raise PluginError(f"{what} must give as many weights as prompts, numbers of at least 0.")
    if Pooling(prompts.pooling) is not Pooling.MEAN:
        raise PluginError(f"{what} gives weights, which only pooling 'mean' has a use for.")
    whole = np.bincount(np.asarray(prompts.owner, dtype=np.int64), weights, minlength=len(classes))
    if not whole.all():
        raise PluginError(f"{what} weighs all prompts of class {classes[int(np.argmin(whole))]!r} with 0.")
