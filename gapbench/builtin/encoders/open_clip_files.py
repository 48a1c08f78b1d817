"""Files of an open_clip model: where they lie, whether they are whole, and how they are fetched.

A file in the cache of a hub is held to the checksum that names it there: the SHA-256 of large files, Git's SHA-1 of
small ones. A file that was fetched by its address is held to the SHA-256 that stands in it. Checksums are remembered while
a file does not change (`gapbench.embeddings.sums`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapbench.builtin.fetching import BUSY_HUB, WrongContentError, retried
from gapbench.embeddings.sums import remembered_sum

#: What Hugging Face tokenizers and text towers read from a repository besides weights.
TEXT_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "config.json",
)

#: Where open_clip keeps what it fetches by address.
BY_ADDRESS = Path("~/.cache/clip")

_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file: in a folder, in a hub repository (the first of ``names`` that exists), or at an address.

    ``beside`` are further files of the repository that are read with it, where they exist.
    """

    names: tuple[str, ...] = ()
    folder: Path | None = None
    repository: str = ""
    url: str = ""
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say where it comes from."""
        return self.url or f"{self.repository or self.folder}, {self.names[0]}"

    @property
    def home(self) -> Path:
        """The folder that it is fetched into."""
        if self.folder is not None:
            return self.folder
        if self.url:
            return BY_ADDRESS.expanduser()
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE)

    @property
    def page(self) -> str:
        """The address of its repository; empty where it is in none."""
        if not self.repository:
            return ""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/{self.repository}"

    def locate(self) -> Path | None:
        """Find it on this machine."""
        if self.folder is not None:
            return next((self.folder / name for name in self.names if (self.folder / name).is_file()), None)
        if self.url:
            path = self.home / self.url.rpartition("/")[2]
            return path if path.is_file() else None
        return cached_file(self.repository, self.names)

    def damage(self) -> str:
        """Return which file of it is not the one that was published; empty where all are, or nobody can tell."""
        path = self.locate()
        if path is None:
            return ""
        if self.url:
            return _differs(path, "sha256", *_published_beginning(self.url))
        if not self.repository:
            return ""
        files = [path, *(path.parent / name for name in self.beside if (path.parent / name).is_file())]
        return next((why for file in dict.fromkeys(files) if (why := cache_damage(file))), "")

    def fetch(self, bar: type[Any] | None = None) -> None:
        """Get it from the network, also where there is a damaged one; ``bar`` shows or counts what has come.

        Raises
        ------
        WrongContentError
            What came is not what was announced.
        """
        again = self.locate() is not None
        if self.url:
            retried(lambda: _fetch_address(self.url, self.home, bar), BUSY_HUB)
        elif self.beside:
            retried(lambda: fetch_all(self.repository, (*self.names, *self.beside), again=again, bar=bar), BUSY_HUB)
        elif self.repository:
            fetch_first(self.repository, self.names, again=again, bar=bar)
        if why := self.damage():
            raise WrongContentError(f"{why}.")


def cache_damage(path: Path) -> str:
    """Return how a file of the hub's cache differs from its checksum; empty where it does not, or has none.

    The cache names what it holds by the hub's own checksum, the server's ``X-Linked-Etag`` or ``ETag``.
    """
    blob = path.resolve()
    if blob.parent.name != "blobs":
        return ""
    if _SHA256.fullmatch(blob.name):
        return _differs(path, "sha256", blob.name)
    if _SHA1.fullmatch(blob.name) and remembered_sum(blob, "sha1") != blob.name:  # some mirrors name all files so
        return _differs(path, "git", blob.name)
    return ""


def _differs(path: Path, algorithm: Any, *beginnings: str) -> str:
    found = remembered_sum(path, algorithm) if beginnings else ""
    if not beginnings or found.startswith(beginnings[0]):
        return ""
    name = "SHA-256" if algorithm == "sha256" else "SHA-1 (of Git)"
    return (
        f"{path} is damaged: its {name} begins with {found[:12]}, that of the published file with {beginnings[0][:12]}"
    )


def _published_beginning(url: str) -> tuple[str, ...]:
    """Return the SHA-256, or its beginning, that stands in the address of a weight file, in an own part or after a dash."""
    folder, _, name = url.rpartition("/")
    parts = (folder.rpartition("/")[2], Path(name).stem.rpartition("-")[2])
    return tuple(part for part in parts if re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", part))[:1]


def _fetch_address(url: str, home: Path, bar: type[Any] | None) -> None:
    """Fetch by address into a file beside the one that it becomes once it is whole."""
    from huggingface_hub.file_download import http_get

    home.mkdir(parents=True, exist_ok=True)
    path = home / url.rpartition("/")[2]
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            http_get(url, file, headers={}, tqdm_class=bar)
        if why := _differs(part, "sha256", *_published_beginning(url)):
            raise WrongContentError(f"{why}.")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def fetch_first(repository: str, names: tuple[str, ...], *, again: bool = False, bar: type[Any] | None = None) -> None:
    """Download the first of these files that a hub repository has.

    Only where the hub says that there is no such file the next one is asked for: the first may be a safetensors file and
    the next a pickle, and no passing error of a server makes one of the other.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    options: dict[str, Any] = {"force_download": again, "tqdm_class": bar}
    for name in names:
        try:
            path = retried(lambda name=name: hf_hub_download(repository, name, **options), BUSY_HUB)  # type: ignore[misc]
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError) or name == names[-1]:  # the hub was not reached, or has none
                raise
            continue
        _check_announced(Path(path), repository, name)
        return


def _check_announced(path: Path, repository: str, name: str) -> None:
    """Hold a file to the server's checksum where the cache does not name it so: on disks without links."""
    if path.resolve().parent.name == "blobs":
        return
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    etag = retried(lambda: get_hf_file_metadata(hf_hub_url(repository, name)), BUSY_HUB).etag or ""
    if _SHA256.fullmatch(etag) and (why := _differs(path, "sha256", etag)):
        path.unlink()
        raise WrongContentError(f"{why}.")


def fetch_all(repository: str, names: tuple[str, ...], *, again: bool = False, bar: type[Any] | None = None) -> None:
    """Download those of these files that a hub repository has."""
    from huggingface_hub import snapshot_download

    snapshot_download(repository, allow_patterns=list(names), force_download=again, tqdm_class=bar)


def cached_file(repository: str, names: tuple[str, ...]) -> Path | None:
    """Find a file of a hub repository on this machine, without any network."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            return Path(found)
    return None
