"""Downloads: told while they last, tried again where a server is busy, and explained where they fail."""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from gapbench.embeddings.disk import tell
from gapbench.heartbeat import heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

_T = TypeVar("_T")

#: Answers of a server that may be another one soon, and the seconds to wait before each further try.
BUSY = frozenset({408, 429, 500, 502, 503, 504})
WAITS = (1.0, 3.0, 9.0)
#: Those that a hub's own client does not wait for; it does for the others (408, 429).
BUSY_HUB = BUSY - {408, 429}

_MEGA = 1_000_000
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_NETWORK = frozenset(
    {
        "ConnectionError",
        "TimeoutError",
        "URLError",
        "gaierror",
        "TransportError",
        "TimeoutException",
        "ContentTooShortError",
    }
)


class WrongContentError(Exception):
    """What came is not what the server announced, or what the checksum says."""


@contextmanager
def told(what: str) -> Iterator[type[Any] | None]:
    """Tell how far a download is: by a bar on a terminal (yields None), else by lines, and a class of bars that counts."""
    if sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bars: list[Any] = []

    class Counter(tqdm):  # type: ignore[misc]
        """Counts in silence."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})
            bars.append(self)

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            return None

    def line() -> str:
        here, whole = sum(bar.n for bar in bars), sum(bar.total or 0 for bar in bars)
        of = f" of {whole / _MEGA:,.0f} MB" if whole else " MB"
        return f"fetching {what}: {here / _MEGA:,.0f}{of}"

    _say(f"fetching {what}")
    with heartbeat(line, _say):
        yield Counter


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def retried(call: Callable[[], _T], statuses: Collection[int] = BUSY) -> _T:
    """Call; where the server is busy (one of these HTTP statuses), tell it, wait, and call again a few times."""
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            status = status_of(error)
            if status not in statuses or _was_retried(error):
                raise
            tell(f"The server answers {status}; the next try is in {wait:.0f} s.")
            sleep(wait)
    return call()


def _was_retried(error: BaseException) -> bool:
    """Whether the hub's client has waited and asked again itself: it does before it says that a file is not here."""
    return type(error).__name__ == "LocalEntryNotFoundError"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it comes from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error comes from; None where it comes from none."""
    for one in _chain(error):
        status = getattr(getattr(one, "response", None), "status_code", None) or getattr(one, "code", None)
        if isinstance(status, int):
            return status
        if found := re.search(r"HTTP Error (\d{3})", str(one)):  # torchvision keeps no more of the errors of mirrors
            return int(found[1])
    return None


def is_absent(error: BaseException) -> bool:
    """Whether the hub said that a repository has no such file; not that it could not be asked."""
    return any(type(one).__name__ == "RemoteEntryNotFoundError" for one in _chain(error))


def cause(error: BaseException, *, page: str = "", files: str = "", folder: Path) -> str:
    """Return in whole sentences why a download failed, and what to do about this cause.

    Parameters
    ----------
    error
        What was raised.
    page
        Address of the hub repository, where it comes from one.
    files
        The files that are wanted, for people.
    folder
        Where they go.
    """
    chain = list(_chain(error))
    kinds = {cls.__name__ for one in chain for cls in type(one).__mro__}
    numbers = {one.errno for one in chain if isinstance(one, OSError)}
    if numbers & _FULL:
        return f"The disk is full at {folder}. Free some space, or let the files go elsewhere ({_elsewhere(page)})."
    if numbers & _CLOSED:
        return f"{folder} cannot be written to. Let the files go elsewhere ({_elsewhere(page)})."
    if "WrongContentError" in kinds:
        return f"{_words(error)} Nothing of it is used. Run it again; if it stays, the server or a proxy changes files."
    if "OfflineModeIsEnabled" in kinds:
        return f"{offline_variable()} is set in the environment and forbids it. Unset it, and run it again."
    if page and (said := _of_repository(kinds, page, files)):
        return said
    return _of_status(status_of(error), page) or _of_network(chain, kinds) or f"{type(error).__name__}: {_words(error)}"


def offline_variable() -> str:
    """Name the variable that keeps huggingface_hub off the network."""
    named = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(name)]
    return named[0] if named else "HF_HUB_OFFLINE"


def _elsewhere(page: str) -> str:
    return "set HF_HOME" if page else "--data-root"


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _of_repository(kinds: set[str], page: str, files: str) -> str:
    """Return what is wrong with a hub repository, or one's access to it."""
    access = "set HF_TOKEN to a token of yours, or run: hf auth login"
    if "GatedRepoError" in kinds:
        return f"The repository is gated. Accept the conditions on {page}, then {access}"
    if "RepositoryNotFoundError" in kinds:
        return f"There is no repository {page}, or it is private. Check its name; for a private one {access}"
    if "RemoteEntryNotFoundError" in kinds:
        return f"The repository {page} has none of the files {files}. Check its name: is it that of an open_clip model?"
    return ""


def _of_status(status: int | None, page: str) -> str:
    """Return what an HTTP status means for whoever waits."""
    if status is None:
        return ""
    if status == 429:  # noqa: PLR2004
        more = " A token of yours in HF_TOKEN raises the limit." if page else ""
        return f"The server was asked too often (429). Run it again in some minutes.{more}"
    if status in BUSY:
        return f"The server has trouble ({status}), also after some waiting. Run it again later."
    if status in (401, 403):
        private = " For a private repository set HF_TOKEN, or run: hf auth login" if page else ""
        return f"The server refuses it ({status}); this may pass, or a proxy forbids it. Run it again later.{private}"
    return f"The server answers {status}: the file may have moved."


def _of_network(chain: list[BaseException], kinds: set[str]) -> str:
    """Say that there is no connection, or that it broke."""
    if not kinds & _NO_NETWORK:
        return ""
    words = next((text for one in reversed(chain) if (text := _words(one))), type(chain[-1]).__name__)
    return f"No connection, or it broke off ({words}). Check the network (HTTPS_PROXY names a proxy), and run it again."
