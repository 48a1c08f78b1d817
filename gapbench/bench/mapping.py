"""Calling an aligner's maps and holding what they give to the contract."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.bench.rooms.room import Room
from gapbench.bench.rowwise import check_row_by_row
from gapbench.errors import AlignerError
from gapbench.specs import ActsOn

if TYPE_CHECKING:
    from collections.abc import Callable

    from gapbench.components import Float32
    from gapbench.specs import AlignerSpec


def checked_map(method: Any, rows: Float32, what: str, width: int | None = None) -> Float32:
    """Call one of an aligner's maps and hold its result to the contract.

    Raises
    ------
    AlignerError
        Wrong type or shape, or a value that is not finite.
    """
    given = np.asarray(rows, dtype=np.float32).view()
    given.flags.writeable = False
    try:
        out = method(given)
    except ValueError as error:
        if "read-only" in str(error):
            raise AlignerError(f"{what} changes its input: rows are read-only, work on a copy.") from error
        raise
    if not isinstance(out, np.ndarray) or out.ndim != 2 or len(out) != len(rows) or 0 in out.shape:  # noqa: PLR2004
        shape = f"shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise AlignerError(f"{what} gave {shape} for {len(rows)} rows; it must give an array ({len(rows)}, e).")
    if width is not None and out.shape[1] != width:
        raise AlignerError(f"{what} gave {out.shape[1]} dimensions where it, or the other side, gave {width}.")
    if out.dtype.kind != "f":
        raise AlignerError(f"{what} gave {out.dtype} values; it must give floating-point numbers.")
    finite = np.isfinite(out).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise AlignerError(f"{what} gave NaN or infinity, first in row {row} of a block ({np.sum(~finite)} rows).")
    return np.asarray(out, dtype=np.float32)


class Maps:
    """The maps of one fitted aligner.

    Parameters
    ----------
    aligner, spec
        The aligner after ``fit``.
    """

    def __init__(self, aligner: Any, spec: AlignerSpec) -> None:
        self.aligner = aligner
        self.spec = spec
        self.scores_only = spec.acts_on is ActsOn.SCORES
        self._looked_at: set[str] = set()

    def name(self, method: str) -> str:
        """Name a method for messages."""
        return f"Aligner {self.spec.name!r}: {method}()"

    def has(self, method: str) -> bool:
        """Whether a score-side aligner has a method."""
        return self.scores_only and hasattr(self.aligner, method)

    def moves(self, side: str) -> bool:
        """Whether there is a map for a side."""
        return not self.scores_only and getattr(self.aligner, side, None) is not None

    def rows(self, side: str, rows: Float32, width: int | None = None) -> Float32:
        """Map rows of one side; an aligner that does not act on a side need not have a method for it."""
        if self.scores_only:
            return rows
        method = getattr(self.aligner, side, None)
        if method is None:
            acts = {ActsOn.NOTHING: (), ActsOn.IMAGES: ("images",), ActsOn.TEXTS: ("texts",)}
            if side in acts.get(self.spec.acts_on, ("images", "texts")):
                raise AlignerError(
                    f"Aligner {self.spec.name!r} acts on {self.spec.acts_on} but has no method {side}()."
                )
            return rows
        out = checked_map(method, rows, self.name(side), width)
        self._look_at(side, lambda few: checked_map(method, few, self.name(side), out.shape[1]), rows, out)
        return out

    def bias(self, method: str, rows: Float32) -> Float32 | None:
        """Give the bias of some rows; None where the aligner has none."""
        if not self.has(method):
            return None
        bias = self._bias(method, rows)
        self._look_at(method, partial(self._bias, method), rows, bias)
        return bias

    def _look_at(self, method: str, call: Callable[[Float32], Float32], rows: Float32, given: Float32) -> None:
        """Hold the first answer of each method to being row by row."""
        if method not in self._looked_at:
            self._looked_at.add(method)
            with self.aligner.apart() if isinstance(self.aligner, Room) else nullcontext():
                check_row_by_row(self.name(method), call, rows, given)

    def _bias(self, method: str, rows: Float32) -> Float32:
        bias = np.asarray(getattr(self.aligner, method)(rows), dtype=np.float32)
        if bias.shape != (len(rows),) or not np.isfinite(bias).all():
            raise AlignerError(f"{self.name(method)} must give {len(rows)} finite numbers, one a row.")
        return bias

    def scores(self, queries: Float32, gallery: Float32, method: str = "scores") -> Float32:
        """Return the scores ``(n, m)`` of an aligner that has no vector form; those of a query depend on no other query."""
        scores = self._scores(queries, gallery, method)
        self._look_at(method, partial(self._scores, gallery=gallery, method=method), queries, scores)
        return scores

    def _scores(self, queries: Float32, gallery: Float32, method: str) -> Float32:
        scores = np.asarray(getattr(self.aligner, method)(queries, gallery), dtype=np.float32)
        if scores.shape != (len(queries), len(gallery)) or not np.isfinite(scores).all():
            raise AlignerError(f"{self.name(method)} must give finite scores ({len(queries)}, {len(gallery)}).")
        return scores

    def score_texts(self, x: Float32, t: Float32, of: Float32 | None = None) -> Float32:
        """Scores ``(n, m)`` as aligned images rank aligned texts.

        Parameters
        ----------
        x, t
            Aligned rows.
        of
            The rows that biases belong to, where ``t`` is how they are stored.
        """
        if self.has("scores"):
            return self.scores(x, t)
        bias = self.bias("text_bias", t if of is None else of)
        return x @ t.T if bias is None else x @ t.T + bias

    def score_images(self, t: Float32, x: Float32) -> Float32:
        """Scores ``(m, n)`` as aligned texts rank aligned images."""
        if self.has("text_scores"):
            return self.scores(t, x, "text_scores")
        if self.has("scores"):
            return np.ascontiguousarray(self.scores(x, t).T)
        bias = self.bias("image_bias", x)
        return t @ x.T if bias is None else t @ x.T + bias
