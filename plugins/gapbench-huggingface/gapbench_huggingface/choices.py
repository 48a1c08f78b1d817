"""Which split is scored, which is fitted on, and which items are read: one rule for all datasets of this distribution."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Names of splits in any case; of those that are not for fitting, the first that is there is scored.
TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The source's names of the splits that are scored and fitted on, and what is to be told of the choice."""

    scored: str
    fitted: str | None
    notices: tuple[str, ...]

    @property
    def names(self) -> dict[str, str]:
        """The source's names by gapbench's."""
        return {**({} if self.fitted is None else {"train": self.fitted}), "test": self.scored}


def choose(names: Sequence[str], wanted: str, where: str) -> Chosen:
    """Choose among the splits of a source.

    Parameters
    ----------
    names
        The splits that there are.
    wanted
        The one that is to be scored; empty: the first of `HELD_OUT`, else the only one.
    where
        The source, for messages.

    Raises
    ------
    DataError
        No such split, or none that is called like one to be scored.
    """
    known = {name.lower(): name for name in names}
    there = f"it has {', '.join(names)}"
    scored = known.get(wanted.lower()) if wanted else _held_out(known)
    if scored is None:
        lacks = f"no split {wanted!r}" if wanted else "no split that is called like one to be scored"
        raise DataError(f"{where} has {lacks}; {there}. Name one, [split={names[0] if names else 'NAME'}].")
    fitted = next((known[name] for name in TRAIN if name in known and known[name] != scored), None)
    notices = []
    if not wanted and scored.lower() not in ("test", "testing"):
        notices.append(f"There is no split 'test': {scored!r} is scored.")
    unread = [name for name in names if name not in (scored, fitted)]
    notices += [f"The split {name!r} is not read; [split={name}] scores it." for name in unread]
    return Chosen(scored=scored, fitted=fitted, notices=tuple(notices))


def _held_out(known: dict[str, str]) -> str | None:
    found = next((known[name] for name in HELD_OUT if name in known), None)
    if found is None and len(known) == 1:
        (found,) = known.values()
    return found


def drawn(keys: Iterable[str], limit: int) -> list[int]:
    """Positions of ``limit`` items in their order, as good as random and the same each time; 0: all."""
    digests = [blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest() for key in keys]
    rows = range(len(digests))
    return sorted(sorted(rows, key=lambda row: (digests[row], row))[:limit]) if limit else list(rows)
