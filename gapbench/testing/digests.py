"""A hash of what a component gives on toy data, to compare processes by."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from gapbench.host.registry import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.testing.checks import Subject


def _hash(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()


def of_aligner(subject: Subject) -> str:
    """Hash the scores of a toy fit."""
    from gapbench.testing.aligner_checks import fitted, toy
    from gapbench.testing.fits import all_scores

    split = toy(subject)
    return _hash(all_scores(fitted(subject, split), subject.spec, split))


def of_encoder(subject: Subject) -> str:
    """Hash the embeddings of toy pictures and strings."""
    from gapbench.testing.encoder_checks import TEXTS, encoded, here, pictures

    encoder = here(subject)
    return _hash(
        encoded(encoder, pictures()), encoder.encode_texts(TEXTS), json.dumps(encoder.identity(), sort_keys=True)
    )


def of_dataset(subject: Subject) -> str:
    """Hash the hashes, labels and captions of all splits."""
    from gapbench.testing.dataset_checks import splits

    parts: list[object] = []
    for name, split in splits(subject).items():
        labels = None if split.labels is None else np.asarray(split.labels)
        parts += [name, list(split.item_hashes), list(split.classes), labels, split.captions and list(split.captions)]
    return _hash(*parts)


def of_prompts(subject: Subject) -> str:
    """Hash the prompts of toy classes."""
    from gapbench.testing.prompt_checks import classes_for, written

    found = written(subject, classes_for(subject))
    return _hash(list(found.prompts), [int(owner) for owner in found.owner], str(found.pooling))


def of_metric(subject: Subject) -> str:
    """Hash the value on toy data."""
    from gapbench.testing.metric_checks import measured

    found = measured(subject)
    return _hash(found.value, found.n, found.outcomes)


DIGESTS: dict[Kind, Callable[[Subject], str]] = {
    Kind.ALIGNER: of_aligner,
    Kind.ENCODER: of_encoder,
    Kind.DATASET: of_dataset,
    Kind.PROMPTS: of_prompts,
    Kind.METRIC: of_metric,
}
