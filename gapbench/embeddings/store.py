"""The store: embeddings are encoded once, ever, and found again by their content.

::

    <root>/images/<key>/img_emb/img_emb_0.npy     raw float32 (N, d), as clip-retrieval names it
                        metadata/identity.json    what was encoded by what
                        checksums.json  DONE
    <root>/texts/<encoder>/<batch>/text_emb/text_emb_0.npy
                                   metadata/texts_0.jsonl    one string a line, in row order
                                   checksums.json  DONE
    <root>/memo/<kind>/<key>.json                 identities and manifests, valid while their files are unchanged

An entry is written into a temporary folder, flushed to disk, marked ``DONE`` and renamed: what is there is whole, whatever
kills the process. Two processes that want the same key wait for each other. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from gapbench import __version__
from gapbench.embeddings.fingerprint import canonical_json, fingerprint, hash_file, stamp
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gapbench.components import Float32, Rows

IMAGES = Path("img_emb/img_emb_0.npy")
TEXTS = Path("text_emb/text_emb_0.npy")
STRINGS = Path("metadata/texts_0.jsonl")
IDENTITY = Path("metadata/identity.json")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in the store."""

    kind: str
    key: str
    what: str
    rows: int
    dim: int
    size: int
    complete: bool
    path: Path


class ImageWriter:
    """Takes rows in order and writes them into an ``.npy`` file of known size."""

    def __init__(self, path: Path, n: int, dim: int) -> None:
        path.parent.mkdir(parents=True)
        self._rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, dim))
        self.written = 0

    def append(self, rows: Float32) -> None:
        """Write the next rows."""
        self._rows[self.written : self.written + len(rows)] = rows
        self.written += len(rows)

    def close(self) -> None:
        """Flush; all rows must have come."""
        if self.written != len(self._rows):
            raise DataError(f"Only {self.written} of {len(self._rows)} rows were encoded; nothing is kept.")
        self._rows.flush()


class Store:
    """A folder of embeddings, addressed by content.

    Parameters
    ----------
    root
        The folder; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._strings: dict[str, tuple[set[str], dict[str, tuple[Path, int]]]] = {}

    # -- images -------------------------------------------------------------------------------------------------

    @staticmethod
    def image_key(encoder: str, items: str) -> str:
        """Key of the embeddings of some items by some encoder, both given by their fingerprints."""
        return fingerprint({"encoder": encoder, "items": items})

    def _image_folder(self, key: str) -> Path:
        return self.root / "images" / key

    def has_images(self, key: str) -> bool:
        """Whether the embeddings are there, whole."""
        return (self._image_folder(key) / "DONE").is_file()

    def images(self, key: str) -> Rows:
        """Memory-map the embeddings: raw float32 ``(N, d)``."""
        return _mapped(self._image_folder(key) / IMAGES)

    @contextmanager
    def write_images(self, key: str, identity: Mapping[str, Any], n: int, dim: int) -> Iterator[ImageWriter]:
        """Write an entry; on any exception nothing is left."""
        with self._new(self._image_folder(key)) as folder:
            writer = ImageWriter(folder / IMAGES, n, dim)
            yield writer
            writer.close()
            _write(folder / IDENTITY, json.dumps(dict(identity), indent=1, sort_keys=True).encode())

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Let one process at a time work on a key."""
        from filelock import FileLock

        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            yield

    # -- texts --------------------------------------------------------------------------------------------------

    def _where(self, encoder: str) -> dict[str, tuple[Path, int]]:
        """Map each known string of an encoder to its file and row; folders that came since are added."""
        seen, where = self._strings.setdefault(encoder, (set(), {}))
        for done in sorted((self.root / "texts" / encoder).glob("*/DONE")):
            folder = done.parent
            if folder.name not in seen:
                lines = (folder / STRINGS).read_text(encoding="utf-8").splitlines()
                for row, line in enumerate(lines):
                    where.setdefault(json.loads(line), (folder / TEXTS, row))
                seen.add(folder.name)
        return where

    def missing_texts(self, encoder: str, strings: Sequence[str]) -> list[str]:
        """Give the strings that are not there yet, each once, in order."""
        where = self._where(encoder)
        return [text for text in dict.fromkeys(strings) if text not in where]

    def texts(self, encoder: str, strings: Sequence[str]) -> Float32:
        """Read the rows of some strings, in order: raw float32 ``(M, d)``."""
        where = self._where(encoder)
        places = [where[text] for text in strings]
        files = {path: _mapped(path) for path in {path for path, _ in places}}
        dim = next(iter(files.values())).shape[1]
        out = np.empty((len(places), dim), dtype=np.float32)
        for path, rows in files.items():
            mine = np.array([i for i, place in enumerate(places) if place[0] == path])
            out[mine] = rows[np.array([places[i][1] for i in mine])]
        return out

    def write_texts(self, encoder: str, strings: Sequence[str], rows: Float32) -> None:
        """Keep the rows of some strings."""
        batch = fingerprint([encoder, list(strings)])[:32]
        with self._new(self.root / "texts" / encoder / batch) as folder:
            (folder / TEXTS).parent.mkdir(parents=True)
            np.save(folder / TEXTS, np.asarray(rows, dtype=np.float32), allow_pickle=False)
            lines = "".join(json.dumps(text, ensure_ascii=True) + "\n" for text in strings)
            _write(folder / STRINGS, lines.encode())

    # -- memos --------------------------------------------------------------------------------------------------

    def _memo(self, kind: str, name: str) -> Path:
        return self.root / "memo" / kind / f"{fingerprint([name, __version__])}.json"

    def recall(self, kind: str, name: str, files: Sequence[Path]) -> dict[str, Any] | None:
        """Give what was remembered under a name, if the files it came from are unchanged."""
        try:
            memo = json.loads(self._memo(kind, name).read_bytes())
            value = memo["value"] if memo["files"] == stamp(files) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # never written, torn, or a file is gone: find out anew
        return value if isinstance(value, dict) else None

    def remember(self, kind: str, name: str, files: Sequence[Path], value: Mapping[str, Any]) -> None:
        """Remember something that was read from some files."""
        path = self._memo(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{uuid4().hex}.tmp")
        _write(temporary, canonical_json({"name": name, "files": stamp(files), "value": dict(value)}))
        temporary.replace(path)

    # -- keeping house ------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """List what is there, halves that a crash left included."""
        found = []
        for kind, pattern, array in (("images", "images/*", IMAGES), ("texts", "texts/*/*", TEXTS)):
            for folder in sorted(self.root.glob(pattern)):
                found.append(_entry(kind, folder, array))
        return found

    def verify(self) -> list[tuple[Entry, str]]:
        """Compare every complete entry with its checksums; give what is wrong."""
        problems = []
        for entry in self.entries():
            if not entry.complete:
                continue
            try:
                sums = json.loads((entry.path / "checksums.json").read_bytes())
                for name, expected in sums.items():
                    if hash_file(entry.path / name) != expected:
                        problems.append((entry, f"{name} does not match its checksum"))
            except (OSError, ValueError) as error:
                problems.append((entry, f"cannot be read: {error}"))
        return problems

    def remove(self, entry: Entry) -> None:
        """Delete an entry: first its mark, so that a crash in between leaves nothing that looks whole."""
        (entry.path / "DONE").unlink(missing_ok=True)
        shutil.rmtree(entry.path)
        self._strings.clear()

    @contextmanager
    def _new(self, folder: Path) -> Iterator[Path]:
        """Give a temporary folder that becomes ``folder`` at the end, whole or not at all."""
        temporary = folder.with_name(f"{folder.name}.{uuid4().hex}.tmp")
        temporary.mkdir(parents=True)
        try:
            yield temporary
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            sums = {path.relative_to(temporary).as_posix(): hash_file(path) for path in files}
            _write(temporary / "checksums.json", canonical_json(sums))
            for path in files:
                _sync(path)
            _write(temporary / "DONE", b"")
            if (folder / "DONE").exists():  # somebody else was faster; theirs is as good
                shutil.rmtree(temporary)
            else:
                shutil.rmtree(folder, ignore_errors=True)
                temporary.rename(folder)
                _sync(folder.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def default_root() -> Path:
    """Give the store's folder: ``GAPBENCH_CACHE``, else the user's cache folder."""
    if chosen := os.environ.get("GAPBENCH_CACHE"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("gapbench", appauthor=False))


def _entry(kind: str, folder: Path, array: Path) -> Entry:
    complete = (folder / "DONE").is_file() and not folder.name.endswith(".tmp")
    rows = dim = 0
    what = "left by an interrupted run"
    if complete:
        try:
            rows, dim = _mapped(folder / array).shape
        except DataError as error:
            what, complete = str(error), False
        else:
            what = _describe(kind, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Entry(kind=kind, key=folder.name, what=what, rows=rows, dim=dim, size=size, complete=complete, path=folder)


def _describe(kind: str, folder: Path) -> str:
    if kind == "texts":
        with (folder / STRINGS).open(encoding="utf-8") as file:
            return f"{json.loads(file.readline())!r} and others"
    identity = json.loads((folder / IDENTITY).read_bytes())
    return " / ".join(str(identity.get(part, "?")) for part in ("encoder_name", "dataset_name", "split"))


def _mapped(path: Path) -> Float32:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} in the store cannot be read ({error}). Run `gapbench cache prune` to remove it."
        ) from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    """Flush a file or a folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
