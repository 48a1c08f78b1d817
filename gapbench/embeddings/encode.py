"""Encoding: pictures and strings through an encoder into the store, with progress."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.embeddings.readable import Picked, refusal, unreadable
from gapbench.embeddings.store import lock_name
from gapbench.errors import DataError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from PIL.Image import Image
    from rich.console import Console
    from rich.progress import Progress

    from gapbench.components import Encoder, Float32
    from gapbench.embeddings.items import Digests
    from gapbench.embeddings.store import Store

#: Threads that decode and resize pictures ahead of the model, and how many batches they may be ahead.
PREPARING, AHEAD = 2, 4
BATCH, TEXT_BATCH = 64, 256

#: A segment of the store is closed after so many rows or seconds.
SEGMENT_ROWS, SEGMENT_S = 8_192, 60.0


def encode_images(  # noqa: PLR0913 - what, by what, into what
    encoder: Encoder,
    encoder_fingerprint: str,
    images: Sequence[Image],
    digests: Digests,
    store: Store,
    *,
    code: str = "",
    identity: Mapping[str, Any] | None = None,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> None:
    """Encode pictures, each once, into the store; those that it has already are left alone.

    What was encoded is kept in segments, of `SEGMENT_ROWS` rows or what was encoded in `SEGMENT_S` seconds: a kill costs the
    segment that is open, anything else nothing.

    Parameters
    ----------
    digests
        ``(N,)``, what each picture is found by (`item_digests`).
    code, identity
        The hash of the encoder's code (empty: unknown), and what is written beside the rows.

    Raises
    ------
    PluginError
        The encoder gave something else than finite float rows, one a picture.
    DataError
        A picture cannot be read, or the store cannot be written to.
    """
    with store.lock(lock_name("images", encoder_fingerprint)):
        wanted = store.missing_images(encoder_fingerprint, code, digests)
        if not len(wanted):
            return
        name = str((identity or {}).get("dataset_name", "images"))
        task = None if progress is None else progress.add_task(name, total=len(wanted))

        def keep(rows: Float32, first: int) -> None:
            mine = digests[wanted[first : first + len(rows)]]
            store.write_images(encoder_fingerprint, mine, rows, code=code, identity=identity)

        picked: Sequence[Image] = Picked(images, wanted.tolist())  # type: ignore[assignment]
        with Segments(keep) as segments:
            for rows in encoded_batches(encoder, picked, batch_size, progress):
                segments.append(rows)
                if progress is not None and task is not None:
                    progress.advance(task, len(rows))


class Segments:
    """Rows on their way into the store, kept segment by segment; what is left is kept at the end, however it comes.

    Parameters
    ----------
    keep
        Is given rows, and the position of the first of them.
    """

    def __init__(self, keep: Callable[[Float32, int], None]) -> None:
        self._keep = keep
        self._open: list[Float32] = []
        self._kept = 0
        self._since = perf_counter()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the rest."""
        self._close()

    def append(self, rows: Float32) -> None:
        """Take the next rows."""
        if self._open and rows.shape[1] != self._open[0].shape[1]:
            raise PluginError(f"The encoder changed from {self._open[0].shape[1]} to {rows.shape[1]} dimensions.")
        self._open.append(rows)
        if sum(map(len, self._open)) >= SEGMENT_ROWS or perf_counter() - self._since >= SEGMENT_S:
            self._close()

    def _close(self) -> None:
        if self._open:
            rows, self._open = np.concatenate(self._open), []
            self._keep(rows, self._kept)
            self._kept += len(rows)
        self._since = perf_counter()


def encoded_batches(
    encoder: Encoder, images: Sequence[Image], batch_size: int = BATCH, progress: Progress | None = None
) -> Iterator[Float32]:
    """Encode batch by batch, in order, while threads prepare the next batches.

    Raises
    ------
    DataError
        A picture cannot be read: all others are looked at, so that the message names every one.
    """
    pictures = iter(range(len(images)))
    prepare: Callable[[Image], Any] = getattr(encoder, "prepare", lambda image: image)  # an encoder may leave it out

    def prepared(items: list[int]) -> list[Any]:
        return [prepare(read(item)) for item in items]

    def read(item: int) -> Image:
        try:
            return images[item]
        except DataError as error:
            raise _Unreadable(item) from error

    with ThreadPoolExecutor(PREPARING, thread_name_prefix="gapbench-prepare") as pool:
        waiting: deque[Future[list[Any]]] = deque()

        def fill() -> None:
            while len(waiting) < AHEAD and (items := list(islice(pictures, batch_size))):
                waiting.append(pool.submit(prepared, items))

        try:
            fill()
            while waiting:
                batch = waiting.popleft().result()
                fill()
                yield checked(encoder.encode_images(batch), len(batch), "images")
        except _Unreadable as error:
            pool.shutdown(cancel_futures=True)
            raise refusal([*unreadable(images, error.item, progress).values()] or [str(error.__cause__)]) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Unreadable(Exception):  # noqa: N818 - passed from a thread to the loop above
    """A picture cannot be read."""

    def __init__(self, item: int) -> None:
        super().__init__(item)
        self.item = item


def encode_texts(
    encoder: Encoder,
    encoder_fingerprint: str,
    strings: Sequence[str],
    store: Store,
    *,
    code: str = "",
    identity: Mapping[str, Any] | None = None,
    batch_size: int = TEXT_BATCH,
    progress: Progress | None = None,
) -> None:
    """Encode strings, each once, into the store; those that it has already are left alone.

    Raises
    ------
    PluginError
        The encoder gave something else than finite float rows, one a string.
    DataError
        The store cannot be written to.
    """
    with store.lock(lock_name("texts", encoder_fingerprint)):
        wanted = store.missing_texts(encoder_fingerprint, code, strings)
        if not wanted:
            return
        task = None if progress is None else progress.add_task("texts", total=len(wanted))
        rows: list[Float32] = []
        cut: list[str] = []
        for start in range(0, len(wanted), batch_size):
            batch = wanted[start : start + batch_size]
            rows.append(checked(encoder.encode_texts(batch), len(batch), "texts"))
            cut += _cut(encoder, batch)
            if progress is not None and task is not None:
                progress.advance(task, len(batch))
        store.write_texts(encoder_fingerprint, wanted, np.concatenate(rows), code=code, identity=identity, cut=cut)


def _cut(encoder: Encoder, texts: Sequence[str]) -> list[str]:
    """Ask what is read of each text of which the end is not; empty for the others."""
    if not hasattr(encoder, "cut_texts"):  # an encoder may leave it out
        return [""] * len(texts)
    read = list(encoder.cut_texts(texts))
    if len(read) != len(texts) or not all(isinstance(one, str) for one in read):
        raise PluginError(f"The encoder's cut_texts must give a string for each of {len(texts)} texts.")
    return read


def checked(rows: Any, n: int, what: str) -> Float32:
    """Hold an encoder's output to the contract."""
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != n or rows.shape[1] == 0:  # noqa: PLR2004
        shape = f"shape {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise PluginError(f"The encoder gave {shape} for {n} {what}; it must give an array ({n}, d).")
    if rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise PluginError(f"The encoder gave {what} of type {rows.dtype} with NaN or infinity; rows must be finite.")
    return np.asarray(rows, dtype=np.float32)


def encoding_progress(console: Console) -> Progress:
    """Make a progress display: items per second and time left; where it is no terminal, a line as each work begins."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    class Lines(Progress):
        def add_task(self, description: str, *arguments: Any, **options: Any) -> TaskID:
            if not self.console.is_terminal:
                total = options.get("total") or 0
                self.console.print(Text(f"encoding {description}: {total:,.0f} to do"), soft_wrap=True)
            return super().add_task(description, *arguments, **options)

    return Lines(
        TextColumn("encoding {task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
