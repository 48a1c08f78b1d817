"""The errors that gapbench raises on purpose.

Each message names the thing, the cause and the way out. The command line prints them without a traceback
(``--strict`` shows it); the Python API raises them.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class GapbenchError(Exception):
    """Base of every error that gapbench raises on purpose."""


class UsageError(GapbenchError):
    """The request cannot be understood: an unknown name, a bad parameter, contradictory flags."""


class PluginError(GapbenchError):
    """A plugin, or something that it registered, breaks the contract."""


class NoPluginError(PluginError):
    """What was to be a plugin has no hook."""


class BrokenPluginError(PluginError):
    """A plugin was named that is broken, or a component that belongs to one (exit code 3)."""


class DataError(GapbenchError):
    """A file or an array is not what it should be: names the file, the array and the row."""


class UnwritableError(DataError):
    """What was to be kept cannot be written, to a full disk, say: names the path. What was kept before stays."""


class MissingAssetError(GapbenchError):
    """Weights or data are not on this machine: says what, how large, and how to supply them."""


class AlignerError(PluginError):
    """An aligner raised, gave what is no result, or ended its process."""


class UndeclaredData(PluginError):  # noqa: N818 - the contract's own word
    """An aligner or a metric asked for data that its spec does not declare in ``needs``."""


class NotMeasurable(GapbenchError):  # noqa: N818 - a statement about the data, not a failure
    """A metric has no meaning for this cell (too few rows, say): it is left out, with the reason."""


class MetricError(GapbenchError):
    """What a metric gave contradicts itself: it is left out, with the reason, and has no interval and no test."""


def first_of(names: Sequence[str], most: int = 5) -> str:
    """Return names in a row; of many the first ones, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def did_you_mean(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return a hint that ends a message about an unknown name."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(known)}." if known else ""


class GapbenchWarning(UserWarning):
    """Something was noticed and dealt with, such as stored embeddings that were damaged and are encoded again."""


# Each one is shown, also the second time; ``-W`` and other filters go before this one.
warnings.simplefilter("always", GapbenchWarning, append=True)
