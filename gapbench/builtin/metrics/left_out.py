"""The jackknife: values with one group of items left out, from sums that are brought up to date rather than made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gapbench.components import Float64, GapSums, Int64, Sample

#: Rows of each modality in what needs a decomposition for each interval.
DECOMPOSED = 1_000

#: Groups of items where each costs a decomposition. They divide the groups of a sample evenly.
FEW_GROUPS = 25


def with_jackknife(sums: GapSums, value: Callable[..., Float64], *parts: Float64) -> Measurement:
    """Compute a value from totals, and from totals with each group left out; class prompts alone are never left out."""
    n = int(sums.image_count.sum())
    whole = value(*(part.sum(axis=0, keepdims=True) for part in parts))
    jackknife = value(*(_without(part) for part in parts)) if 2 < len(sums.image_count) <= n else None  # noqa: PLR2004
    varies = jackknife is not None and len(jackknife) > 1
    return Measurement(value=float(whole[0]), n=n, jackknife=jackknife if varies else None)


def _without(parts: Float64) -> Float64:
    """Totals with each group left out ``(G, ...)``; a single group is never left out."""
    total: Float64 = parts.sum(axis=0, keepdims=True)
    return total - parts if len(parts) > 1 else total


def jackknife_of(values: Float64) -> Float64 | None:
    """Give the values with a group left out ``(G,)`` of a value and these ``(1 + G,)``, where they can be used."""
    rest = values[1:]
    return rest if len(rest) > 2 and np.isfinite(rest).all() else None  # noqa: PLR2004


def left_out(groups: Int64) -> range:
    """Numbers of the groups that are left out in turn; none of fewer than three, which give no interval."""
    count = int(groups.max()) + 1
    return range(count if count > 2 else 0)  # noqa: PLR2004


def few_groups(sample: Sample) -> Int64:
    """``(n,)`` one of at most `FEW_GROUPS` groups for each of the first `DECOMPOSED` items of a sample."""
    groups: Int64 = sample.groups[:DECOMPOSED] % FEW_GROUPS
    return groups


def scatters(rows: Float64, groups: Int64) -> Iterator[Float64]:
    r"""Yield matrices whose eigenvalues are the squared singular values of centred rows: of all, then without each group.

    The smaller one of :math:`X_c^\top X_c` and :math:`X_c X_c^\top`; the others are zero. Leaving out :math:`X_g` of n rows
    takes :math:`X_g^\top X_g` from the first, and :math:`s s^\top / (n - n_g)` with its sum s, since the mean moves. O(n d
    min(n, d)) for all, O(n_g d^2) or O(n^2) for each group.

    Parameters
    ----------
    rows
        ``(n, d)`` rows.
    groups
        ``(n,)`` group of each row.
    """
    centred = rows - rows.mean(axis=0)
    n, d = rows.shape
    if n <= d:
        yield from left_out_centred(centred @ centred.T, groups)
        return
    second = centred.T @ centred
    yield second
    for group in left_out(groups):
        part = centred[groups == group]
        total = part.sum(axis=0)
        yield second - part.T @ part - np.outer(total, total) / (n - len(part))


def left_out_centred(products: Float64, groups: Int64) -> Iterator[Float64]:
    """Yield products of rows with rows ``(n, n)``, both sides centred: of all, then without each group of them.

    Parameters
    ----------
    products
        Inner products of all pairs of rows, which may be centred already.
    groups
        ``(n,)`` group of each row.
    """
    for group in (None, *left_out(groups)):
        kept = np.arange(len(groups)) if group is None else np.flatnonzero(groups != group)
        rest = products[np.ix_(kept, kept)]
        yield rest - rest.mean(axis=0) - rest.mean(axis=1, keepdims=True) + rest.mean()
