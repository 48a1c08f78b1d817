"""The family ``mind-the-gap:NAME``: the published features of Figure 1 of *Mind the Gap* (Liang et al., NeurIPS 2022).

Each file is an array ``(2, N, d)`` in float32 of unit rows: block 0 the images (videos), block 1 the texts, row by row a
pair. `clip` is OpenAI's ViT-B/16 on 500 images of COCO val2017 with one caption each, `convirt` is ConVIRT on 500
radiographs of MIMIC-CXR with texts of their reports, `videoclip` is VideoCLIP on 100 videos with their captions; `-random`
is the same architecture with random weights: a gap without meaning. MIT licence, Copyright (c) 2022, of the repository
Weixin-Liang/Modality-Gap.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import PrecomputedDataset
from gapbench.embeddings.disk import reason, write_whole
from gapbench.embeddings.npz import open_npy
from gapbench.embeddings.readers.found import Found
from gapbench.embeddings.schema import splits_of
from gapbench.errors import DataError, MissingAssetError, UsageError, did_you_mean
from gapbench.specs import Missing, Offer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.components import EmbeddedSplit
    from gapbench.specs import Context

#: Where the files are, at the commit that the checksums are of; another address may stand in an environment variable.
SOURCE = (
    "https://raw.githubusercontent.com/Weixin-Liang/Modality-Gap/8e20cb24efa4c5f89aad694f2f65eb43ffc46d10/"
    "Figure_1_Modality_Gap/"
)
MIRROR = "GAPBENCH_MIND_THE_GAP"

#: Seconds without a byte after which a transfer is given up.
PATIENCE = 30


@dataclass(frozen=True)
class Published:
    """One file: its name, its size in bytes and its SHA-256."""

    file: str
    size: int
    sha256: str


FILES: Mapping[str, Published] = {
    "clip": Published(
        "features_clip.npy", 2_048_128, "7227280ace0f145d2c45afa8ab507a1cb280e9460aa271fe9052d08e35342adb"
    ),
    "convirt": Published(
        "features_convirt.npy", 2_048_128, "8cfb9c31888d12726a3f8b551bed64f04b25d1c76d5353b0a3e9efeceb43edb9"
    ),
    "videoclip": Published(
        "features_videoclip.npy", 614_528, "53255cac6105c5c47dd1850d77de084957d5f83841ba9ae9254bf7ae998573da"
    ),
    "clip-random": Published(
        "features_clip_random.npy", 2_048_128, "c6a5f9ca3fba36d635fd47d20b3cdd5b9ac78dc462070240fdc2ee2786110403"
    ),
    "convirt-random": Published(
        "features_convirt_random.npy", 2_048_128, "2fd5698e712d5e0d72256a1b29044b2059818f0575ab12bfcb2c5ae13092007f"
    ),
    "videoclip-random": Published(
        "features_videoclip_random.npy", 614_528, "c57ee05a606c4a9da0d71ad8b5d5c964d780af816890064a693eb178492c0f3b"
    ),
}


class MindTheGap(PrecomputedDataset):
    """One of the published files: 500 pairs of ``clip`` (COCO) or ``convirt`` (radiographs), 100 of ``videoclip``.

    ``clip-random``, ``convirt-random`` and ``videoclip-random`` are the same architectures with random weights. Fetched with
    ``--download``, verified by SHA-256, MIT licence, Copyright (c) 2022.

    Parameters
    ----------
    context
        Tells the data root, below which the file lies in ``mind-the-gap/``.
    name
        One of `FILES`.
    """

    def __init__(self, context: Context, name: str) -> None:
        if name not in FILES:
            raise UsageError(f"There are no features 'mind-the-gap:{name}'.{did_you_mean(name, list(FILES))}")
        self.context = context
        self.name = name
        self.published = FILES[name]
        self.path = context.data_root / "mind-the-gap" / self.published.file

    def files(self) -> Sequence[Path]:
        """Return the file."""
        return (self.path,)

    def missing(self) -> Missing | None:
        """Say that the file is not here, or is not the one that was published."""
        if self.path.is_file() and self._fault(self.path.read_bytes()) == "":
            return None
        what = "is there and is not what was published" if self.path.exists() else "looked for"
        return Missing(
            what=f"the file of features {self.published.file} ({self.path}, {what})",
            size=self.published.size,
            how=f"run again with --download, or put the file there yourself, from {self._address}",
        )

    @property
    def _address(self) -> str:
        return urllib.parse.urljoin(os.environ.get(MIRROR) or SOURCE, self.published.file)

    def _fault(self, content: bytes) -> str:
        """Return in what a file is not the published one; empty where it is."""
        if len(content) != self.published.size:
            return f"it has {len(content):,} bytes and should have {self.published.size:,}"
        found = hashlib.sha256(content).hexdigest()
        return "" if found == self.published.sha256 else f"its SHA-256 is {found} and should be {self.published.sha256}"

    def download(self) -> None:
        """Fetch the file, and keep it if it is the published one.

        Raises
        ------
        MissingAssetError
            The network does not give it, or gives something else; nothing is kept then.
        """
        way_out = f"Try again later, or put the file to {self.path} yourself."
        try:
            content = self._fetched()
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            cause: object = error
            if isinstance(error, urllib.error.HTTPError):
                cause = f"{error.code} {error.reason}"
                error.close()
            raise MissingAssetError(f"{self._address} could not be fetched ({cause}). {way_out}") from error
        if fault := self._fault(content):
            raise MissingAssetError(f"{self._address} is not the file that was published: {fault}. {way_out}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, content)
        except OSError as error:
            raise MissingAssetError(
                f"{self.path} cannot be written ({reason(error)}). Make room, or choose another folder with --data-root."
            ) from error

    def _fetched(self) -> bytes:
        """Read the file from its address: no more than its size, and one byte that tells that there is more."""
        if urllib.parse.urlsplit(self._address).scheme not in ("https", "http"):
            raise ValueError("it is no http address")
        with urllib.request.urlopen(self._address, timeout=PATIENCE) as answer:  # noqa: S310 - looked at above
            content: bytes = answer.read(self.published.size + 1)
        return content

    def offers(self) -> frozenset[Offer]:
        """Captions."""
        return frozenset({Offer.CAPTIONS})

    def splits(self) -> Mapping[str, int]:
        """One set, called ``test``."""
        return {"test": len(self._whole.images)}

    def dims(self) -> tuple[int, int]:
        """Return the number of dimensions of images and of texts."""
        return self._whole.dims

    def embedded(self, name: str) -> EmbeddedSplit:
        """Return the set."""
        assert name == "test"
        return self._whole

    @cached_property
    def _whole(self) -> EmbeddedSplit:
        try:
            fault = self._fault(self.path.read_bytes())
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({reason(error)}). Fetch it with --download.") from error
        if fault:
            raise DataError(f"{self.path} is not the file that was published: {fault}. Fetch it again with --download.")
        images, texts = open_npy(self.path)
        arrays = {"image": images, "text": texts, "pair": np.arange(len(images))}
        return splits_of(Found(path=self.path, read_as=f"published features, {self.name}", arrays=arrays))["test"]
