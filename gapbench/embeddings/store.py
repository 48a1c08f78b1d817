"""The store: embeddings are encoded once, and found again by their content.

::

    <root>/images/<key>/<code>/img_emb/img_emb_0.npy     raw float32 (N, d), as clip-retrieval names it
                               metadata/identity.json    what was encoded by what, and by which code
                               checksums.json            SHA-256 of each of these files
    <root>/texts/<encoder>/<batch>/text_emb/text_emb_0.npy
                                   metadata/texts_0.jsonl    one string a line, in row order
                                   metadata/identity.json, checksums.json
    <root>/memo/<kind>/<key>.json        what datasets and encoders are, while their files are unchanged
    <root>/tmp/<name>.tmp                what is being written, with a lock beside it
    <root>/locks/<key>.lock

An entry is written into a scratch folder, flushed to disk and renamed: what is in its place is whole, whatever kills the
process. It is checked before it is used; one that is damaged is told, not used, and encoded again. Two processes that
want the same key wait for each other. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from gapbench.embeddings.disk import discard, locked, reason, remove, writing
from gapbench.embeddings.entry import IMAGES, TEXTS, DamagedEntry, Stored, check, find, new_entry
from gapbench.embeddings.fingerprint import fingerprint
from gapbench.embeddings.memo import Memos
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from gapbench.components import Float32, Rows
    from gapbench.embeddings.entry import Layout, Writer


class Store:
    """A folder of embeddings, addressed by content.

    Rows are found by what was encoded, by the identity of the encoder and by the hash of the code that made them; of other
    code they are found after `agree` said that it gives the same. An empty hash stands for code that is not known: it
    agrees with nothing, and what is said of it holds for this store object alone.

    Parameters
    ----------
    root
        The folder; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.memos = Memos(self.root)
        self._agreed: set[tuple[str, str]] = set()
        self._places: dict[tuple[str, str], tuple[list[tuple[Path, str]], dict[str, tuple[Stored, int]]]] = {}

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Let one process at a time work on a key."""
        path = lock_file(self.root, key)
        with ExitStack() as held:
            with writing(self.root):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_symlink() or not path.is_file():
                    remove(path)
                held.enter_context(locked(path))
            yield

    # -- whose code made it -------------------------------------------------------------------------------------

    def agree(self, stored: Stored, code: str) -> None:
        """Keep that this code gives the rows of an entry as well."""
        self._agreed.add((stored.checksum, code))
        if code:
            self.memos.remember("agreement", f"{stored.checksum}|{code}", (), {})

    def _accepts(self, stored: Stored, code: str) -> bool:
        if (code and stored.code == code) or (stored.checksum, code) in self._agreed:
            return True
        if not code or self.memos.recall("agreement", f"{stored.checksum}|{code}", ()) is None:
            return False
        self._agreed.add((stored.checksum, code))
        return True

    def _found(self, folders: Sequence[Path], layout: Layout) -> Iterator[Stored]:
        """Find entries one by one, those that hold."""
        for folder in folders:
            if (stored := find(folder, layout)) is not None:
                yield stored

    # -- images -------------------------------------------------------------------------------------------------

    @staticmethod
    def image_key(encoder: str, items: str) -> str:
        """Key of the embeddings of some items by some encoder, both given by their fingerprints."""
        return fingerprint({"encoder": encoder, "items": items})

    def _image_folders(self, key: str, code: str) -> list[Path]:
        """List the entries of a key, that of this code first."""
        own = _code_name(code)
        return sorted(_folders(self.root / "images" / key), key=lambda folder: (folder.name != own, folder.name))

    def _images(self, key: str, code: str) -> Stored | None:
        found = self._found(self._image_folders(key, code), IMAGES)
        return next((stored for stored in found if self._accepts(stored, code)), None)

    def has_images(self, key: str, code: str) -> bool:
        """Whether the embeddings are there, whole, as this code makes them."""
        return self._images(key, code) is not None

    def images(self, key: str, code: str) -> Rows:
        """Memory-map the embeddings: raw float32 ``(N, d)``.

        Raises
        ------
        DataError
            They are not there.
        """
        stored = self._images(key, code)
        if stored is None:
            raise DataError(f"The embeddings {self.root / 'images' / key} are not in the store any more. Run again.")
        return stored.rows()

    def images_by_others(self, key: str, code: str) -> list[Stored]:
        """List the entries of the same items that other code made."""
        found = self._found(self._image_folders(key, code), IMAGES)
        return [stored for stored in found if not self._accepts(stored, code)]

    @contextmanager
    def write_images(self, key: str, identity: Mapping[str, Any], n: int, dim: int, *, code: str) -> Iterator[Writer]:
        """Write an entry; on any exception nothing is left."""
        folder = self.root / "images" / key / (_code_name(code) or uuid4().hex)
        with self._new(folder, IMAGES, {**identity, "code": code}, n, dim) as writer:
            yield writer
        self._made(folder, IMAGES, code)

    # -- texts --------------------------------------------------------------------------------------------------

    def _where(self, encoder: str, code: str) -> dict[str, tuple[Stored, int]]:
        """Map each known string of an encoder to its entry and row; made anew when entries came, went or changed."""
        found = self._found(_folders(self.root / "texts" / encoder), TEXTS)
        entries = [stored for stored in found if self._accepts(stored, code)]
        checksums = [(stored.folder, stored.checksum) for stored in entries]
        known = self._places.get((encoder, code))
        if known is None or known[0] != checksums:
            where: dict[str, tuple[Stored, int]] = {}
            for stored in entries:
                for row, text in enumerate(stored.strings):
                    where.setdefault(text, (stored, row))
            known = self._places[encoder, code] = (checksums, where)
        return known[1]

    def missing_texts(self, encoder: str, code: str, strings: Sequence[str]) -> list[str]:
        """List the strings that are not there yet as this code encodes them, each once, in order."""
        where = self._where(encoder, code)
        return [text for text in dict.fromkeys(strings) if text not in where]

    def texts(self, encoder: str, code: str, strings: Sequence[str]) -> Float32:
        """Read the rows of some strings, in order: raw float32 ``(M, d)``.

        Raises
        ------
        DataError
            One is not there.
        """
        where = self._where(encoder, code)
        if lost := next((text for text in strings if text not in where), None):
            raise DataError(f"The embedding of the text {lost!r} is not in the store {self.root} any more. Run again.")
        places = [where[text] for text in strings]
        entries = {stored.folder: stored for stored, _ in places}
        out: Float32 | None = None
        for folder, stored in entries.items():
            rows = stored.rows()
            mine = np.array([i for i, (entry, _) in enumerate(places) if entry.folder == folder])
            if out is None:
                out = np.empty((len(places), rows.shape[1]), dtype=np.float32)
            out[mine] = rows[np.array([places[i][1] for i in mine])]
        return np.empty((0, 0), dtype=np.float32) if out is None else out

    def cut_texts(self, encoder: str, code: str, strings: Sequence[str]) -> list[str]:
        """Return for each string of which the encoder did not read the end a hash of what it read, else an empty string."""
        places = map(self._where(encoder, code).get, strings)
        return ["" if place is None else place[0].cut.get(str(place[1]), "") for place in places]

    def texts_by_others(self, encoder: str, code: str, strings: Sequence[str]) -> list[Stored]:
        """List the entries by other code that hold one of these strings."""
        wanted = set(strings)
        found = self._found(_folders(self.root / "texts" / encoder), TEXTS)
        return [stored for stored in found if not self._accepts(stored, code) and not wanted.isdisjoint(stored.strings)]

    def write_texts(
        self,
        encoder: str,
        strings: Sequence[str],
        rows: Float32,
        *,
        code: str,
        identity: Mapping[str, Any] | None = None,
        cut: Sequence[str] = (),
    ) -> None:
        """Keep the rows of some strings; damaged entries of the encoder, which they stand in for, are removed.

        ``cut`` has for each string what was read of it, where that is not all, else an empty string.
        """
        read = {str(row): fingerprint(one)[:32] for row, one in enumerate(cut) if one}
        folder = self.root / "texts" / encoder / fingerprint([encoder, code or uuid4().hex, list(strings)])[:32]
        with self._new(folder, TEXTS, {**(identity or {}), "code": code, "cut": read}, *rows.shape) as writer:
            writer.append(rows)
            writer.strings(strings)
        self._made(folder, TEXTS, code)
        for other in _folders(self.root / "texts" / encoder):
            if find(other, TEXTS) is None:
                with writing(self.root):
                    discard(self.root, other)

    def _new(
        self, folder: Path, layout: Layout, identity: Mapping[str, Any], n: int, dim: int
    ) -> AbstractContextManager[Writer]:
        return new_entry(self.root, folder, layout, identity, n, dim)

    def _made(self, folder: Path, layout: Layout, code: str) -> None:
        """Accept what was just written, unknown code included."""
        try:
            self._agreed.add((check(folder, layout).checksum, code))
        except (FileNotFoundError, DamagedEntry) as error:
            raise DataError(f"{folder} is not what was just written there ({error}). Check the disk.") from error


def default_root() -> Path:
    """Return the store's folder: ``GAPBENCH_CACHE``, else the user's cache folder."""
    if chosen := os.environ.get("GAPBENCH_CACHE"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("gapbench", appauthor=False))


def lock_file(root: Path, key: str) -> Path:
    """Return the lock of a key."""
    return root / "locks" / f"{key}.lock"


def text_lock(encoder: str) -> str:
    """Return the key under which the texts of an encoder are written."""
    return f"texts-{encoder}"


def _code_name(code: str) -> str:
    """Name an entry's folder after the code that made it; what is written into the entry is the whole hash."""
    return code[:32]


def _folders(folder: Path) -> list[Path]:
    """List what lies in a folder, by name; nothing where there is none."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{folder} in the store cannot be read ({reason(error)}). Allow reading it.") from error
