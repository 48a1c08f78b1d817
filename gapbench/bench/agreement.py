"""Whether an encoder whose code changed still gives what is stored: a sample is encoded again and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gapbench.embeddings.encode import checked, encoded_batches
from gapbench.embeddings.fingerprint import derive_rng

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from gapbench.components import Encoder, Float32
    from gapbench.embeddings.entry import Stored
    from gapbench.embeddings.items import Digests

#: How many items are encoded again.
SAMPLE = 32

#: By compute dtype, how far an embedding may lie from the stored one, in shares of its length. The sample forms other
#: batches than the whole did, and that may change the order of sums: a thousand roundings of float32 (2^-24) are allowed,
#: and four of the half types (2^-11, 2^-8), whose sums are kept in float32.
TOLERANCE = {"float32": 2.0**-14, "float16": 4 * 2.0**-11, "bfloat16": 4 * 2.0**-8}


@dataclass(frozen=True)
class Comparison:
    """What came of encoding a sample of an entry again: how many items, and the largest distance found."""

    stored: Stored
    n: int
    distance: float
    agrees: bool


def compare_images(
    stored: Stored, encoder: Encoder, images: Sequence[Image], digests: Digests, dtype: str
) -> Comparison:
    """Encode a sample of those pictures again that an entry holds, and compare."""
    assert stored.digests is not None
    _, theirs, mine = np.intersect1d(stored.digests, digests, return_indices=True)
    chosen = _sample(len(mine))
    again = np.concatenate(list(encoded_batches(encoder, [images[int(mine[place])] for place in chosen])))
    return _comparison(stored, theirs[chosen].tolist(), again, dtype)


def compare_texts(stored: Stored, encoder: Encoder, dtype: str) -> Comparison:
    """Encode a sample of the strings of an entry again."""
    places = _sample(stored.n)
    again = checked(encoder.encode_texts([stored.strings[place] for place in places]), len(places), "texts")
    return _comparison(stored, places, again, dtype)


def _sample(n: int) -> list[int]:
    """Draw places among ``n``, without repetition; the same ones each time."""
    rng = derive_rng(purpose="agreement", n=n)
    return sorted(rng.choice(n, min(SAMPLE, n), replace=False).tolist())


def _comparison(stored: Stored, places: Sequence[int], again: Float32, dtype: str) -> Comparison:
    known = stored.rows()[np.asarray(places)]
    distance = float("inf")
    if known.shape == again.shape:
        lengths = np.linalg.norm(known.astype(np.float64), axis=1)
        apart = np.linalg.norm(again.astype(np.float64) - known, axis=1)
        distance = float(np.max(apart / np.maximum(lengths, np.finfo(np.float32).tiny)))
    return Comparison(stored, len(places), distance, distance <= TOLERANCE.get(dtype, TOLERANCE["float32"]))


def sentence(name: str, what: str, found: Sequence[Comparison], code: str) -> str:
    """Tell what came of a comparison, for one encoder and one kind of items."""
    n = sum(one.n for one in found)
    total = sum(one.stored.n for one in found)
    whose = "its code" if what == "texts" else "its code or that of the dataset"
    changed = f"{whose} {'changed' if code and all(one.stored.code for one in found) else 'cannot be told'}"
    if all(one.agrees for one in found):
        return f"Encoder {name}: {changed}; {n} {what} encoded again are equal, and {total} stored embeddings are kept."
    worst = max(one.distance for one in found)
    apart = "have another shape" if worst == float("inf") else f"differ by up to {100 * worst:.2g} % of their length"
    return f"Encoder {name}: {changed}, and {what} encoded again {apart}; all {total} are encoded again."
