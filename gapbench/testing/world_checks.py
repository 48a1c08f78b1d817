"""What no component may depend on, or leave behind, whatever its kind: network, files, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.host.registry import Kind
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.digests import DIGESTS
from gapbench.testing.guards import clock_ahead, no_files, no_network

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that the clock is put forward by: the next one, one of another minute, one of another month.
AHEAD = (1.0, 61.0, 2_764_801.0)


def _result(subject: Subject) -> Callable[[], str]:
    kind = subject.selected.component.kind
    DIGESTS[kind](subject)  # what is imported or loaded at first is not watched
    return lambda: DIGESTS[kind](subject)


@check("uses no network", *Kind)
def network(subject: Subject) -> None:
    """Nothing is looked up or connected to: what has to be fetched is fetched by ``download()``."""
    with no_network():
        DIGESTS[subject.selected.component.kind](subject)


@check("does not depend on the clock", *Kind)
def clock(subject: Subject) -> None:
    """A second, a minute and a month later the result is the same, bit by bit."""
    result = _result(subject)
    now = result()
    for seconds in AHEAD:
        with clock_ahead(seconds):
            later = result()
        assert later == now, f"{seconds:.0f} seconds later it gives another result"


@check("leaves no files behind", *Kind)
def files(subject: Subject) -> None:
    """The working folder is as before."""
    if subject.selected.argument is not None:
        raise DoesNotApplyError("its argument may be a path from the working folder")
    result = _result(subject)
    with no_files():
        result()
