"""The store: embeddings are encoded once, and found again by their content.

::

    <root>/images/<encoder>/<segment>/img_emb/img_emb_0.npy    raw float32 (N, d), as clip-retrieval names it
                                      metadata/items_0.npy     a digest of each item, in row order
                                      metadata/identity.json   what was encoded by what, and by which code
                                      checksums.json           SHA-256 of each of these files
    <root>/texts/<encoder>/<segment>/text_emb/text_emb_0.npy
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

from gapbench.embeddings.arrays import PickedRows, in_order
from gapbench.embeddings.disk import discard, locked, reason, remove, writing
from gapbench.embeddings.entry import IMAGES, TEXTS, DamagedEntry, Stored, check, find, new_entry
from gapbench.embeddings.fingerprint import canonical_json, fingerprint, hash_bytes
from gapbench.embeddings.items import DIGEST
from gapbench.embeddings.memo import Memos
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from gapbench.components import Float32, Int64, Rows
    from gapbench.embeddings.entry import Layout, Writer
    from gapbench.embeddings.items import Digests


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
        self._indexes: dict[tuple[str, str], _Index] = {}
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

    def _image_index(self, encoder: str, code: str) -> _Index:
        """Map each known item of an encoder to its segment and row; made anew when segments came, went or changed."""
        found = self._found(_folders(self.root / "images" / encoder), IMAGES)
        segments = [stored for stored in found if self._accepts(stored, code)]
        known = self._indexes.get((encoder, code))
        if known is None or known.segments != segments:
            known = self._indexes[encoder, code] = _Index(segments)
        return known

    def missing_images(self, encoder: str, code: str, digests: Digests) -> Int64:
        """Positions of the items that are not there yet as this code encodes them, each item once, in order."""
        missing = np.flatnonzero(self._image_index(encoder, code).places(digests) < 0)
        _, first = np.unique(digests[missing], return_index=True)
        return np.asarray(missing[np.sort(first)], dtype=np.int64)

    def images(self, encoder: str, code: str, digests: Digests) -> Rows:
        """Map the embeddings of some items, in order: raw float32 ``(N, d)``.

        They are one memory map where they lie in one segment in that order.

        Raises
        ------
        DataError
            One is not there, or their segments have different numbers of dimensions.
        """
        index = self._image_index(encoder, code)
        places = index.places(digests)
        if len(lost := np.flatnonzero(places < 0)):
            folder = self.root / "images" / encoder
            raise DataError(f"{len(lost):,} embeddings of {folder} are not in the store any more. Run again.")
        segment, row = index.segment[places], index.row[places]
        used, number = np.unique(segment, return_inverse=True)
        shards = [index.segments[one].rows() for one in used]
        if len({shard.shape[1] for shard in shards}) > 1:
            raise DataError(f"{self.root / 'images' / encoder} has rows of several numbers of dimensions. Remove it.")
        picked = in_order(row)
        return shards[0][picked] if len(shards) == 1 and isinstance(picked, slice) else PickedRows(shards, number, row)

    def images_by_others(self, encoder: str, code: str, digests: Digests) -> list[Stored]:
        """List the segments by other code that hold one of these items."""
        found = self._found(_folders(self.root / "images" / encoder), IMAGES)
        others = [stored for stored in found if not self._accepts(stored, code)]
        return [one for one in others if one.digests is not None and np.isin(one.digests, digests).any()]

    def write_images(
        self, encoder: str, digests: Digests, rows: Float32, *, code: str, identity: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the rows of some items as a segment; damaged segments of the encoder, which it stands in for, are removed."""
        name = hash_bytes(canonical_json([encoder, code or uuid4().hex]) + digests.tobytes())[:32]
        folder = self.root / "images" / encoder / name
        with self._new(folder, IMAGES, {**(identity or {}), "code": code}, *rows.shape) as writer:
            writer.append(rows)
            writer.digests(digests)
        self._made(folder, IMAGES, code)
        self._remove_damaged(folder.parent, IMAGES)

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
        self._remove_damaged(folder.parent, TEXTS)

    def _remove_damaged(self, folder: Path, layout: Layout) -> None:
        for other in _folders(folder):
            if find(other, layout) is None:
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


def lock_name(kind: str, encoder: str) -> str:
    """Return the key under which images or texts of an encoder are written."""
    return f"{kind}-{encoder}"


class _Index:
    """Where the items of some segments are.

    Parameters
    ----------
    segments
        Of one encoder; an item that is in several is taken from the first.
    """

    def __init__(self, segments: Sequence[Stored]) -> None:
        self.segments = list(segments)
        digests = [stored.digests for stored in segments if stored.digests is not None]
        every = np.concatenate(digests) if digests else np.empty(0, dtype=DIGEST)
        sizes = [len(some) for some in digests]
        order = np.argsort(every, kind="stable")
        self._sorted = every[order]
        #: ``(K,)`` segment and row of each known item, in the order of the digests.
        self.segment: Int64 = np.repeat(np.arange(len(sizes)), sizes)[order]
        self.row: Int64 = np.concatenate([np.arange(0), *map(np.arange, sizes)])[order]

    def places(self, digests: Digests) -> Int64:
        """``(N,)`` positions of some items in ``segment`` and ``row``; -1 where they are unknown."""
        if not len(self._sorted):
            return np.full(len(digests), -1, dtype=np.int64)
        at = np.searchsorted(self._sorted, digests)
        at[at == len(self._sorted)] = 0
        return np.where(self._sorted[at] == digests, at, -1)


def _folders(folder: Path) -> list[Path]:
    """List what lies in a folder, by name; nothing where there is none."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"{folder} in the store cannot be read ({reason(error)}). Allow reading it.") from error
