"""Encoding: pictures and strings through an encoder into the store, with progress."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.readable import refusal, unreadable
from gapbench.embeddings.store import text_lock
from gapbench.errors import DataError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from PIL.Image import Image
    from rich.console import Console
    from rich.progress import Progress

    from gapbench.components import Encoder, Float32, Split
    from gapbench.embeddings.store import Store

#: Threads that decode and resize pictures ahead of the model, and how many batches they may be ahead.
PREPARING, AHEAD = 2, 4
BATCH, TEXT_BATCH = 64, 256


def encode_images(
    encoder: Encoder,
    split: Split,
    store: Store,
    key: str,
    identity: Mapping[str, Any],
    *,
    code: str = "",
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> float:
    """Encode all pictures of a split into the store; returns the seconds that it took.

    Parameters
    ----------
    key, identity, code
        Where they are kept, what is written beside them, and the hash of the encoder's code (empty: unknown).

    Raises
    ------
    PluginError
        The encoder gave something else than finite float rows, one a picture.
    DataError
        The store cannot be written to.
    """
    with store.lock(key):
        if store.has_images(key, code):
            return 0.0
        start = perf_counter()
        task = (
            None
            if progress is None
            else progress.add_task(str(identity.get("dataset_name", "images")), total=len(split.images))
        )
        encoded = encoded_batches(encoder, split.images, batch_size, progress)
        first = next(encoded)
        with store.write_images(key, identity, len(split.images), first.shape[1], code=code) as writer:
            for rows in chain([first], encoded):
                if rows.shape[1] != first.shape[1]:
                    raise PluginError(f"The encoder changed from {first.shape[1]} to {rows.shape[1]} dimensions.")
                writer.append(rows)
                if progress is not None and task is not None:
                    progress.advance(task, len(rows))
        return perf_counter() - start


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
    with store.lock(text_lock(encoder_fingerprint)):
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
    """Make a progress display: items per second and time left; nothing but the last state where it is no terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")

    return Progress(
        TextColumn("encoding {task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
