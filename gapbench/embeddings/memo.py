"""Memos: what was found out once, at some cost, and holds while the files that it came from are unchanged.

A memo is one line of JSON, ``{"sha256":"...","memo":{...}}``; the checksum covers the bytes of what follows it. One that
does not hold is told and found out anew.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from gapbench.embeddings.disk import discard, read_regular, reason, scratch, tell, write
from gapbench.embeddings.fingerprint import canonical_json, fingerprint, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HEAD, MIDDLE, TAIL = b'{"sha256":"', b'","memo":', b"}"
START = len(HEAD) + 64 + len(MIDDLE)


def sealed(memo: bytes) -> bytes:
    """Put a memo behind its checksum."""
    return HEAD + hashlib.sha256(memo).hexdigest().encode() + MIDDLE + memo + TAIL


def unsealed(content: bytes) -> dict[str, Any]:
    """Read a memo that was sealed.

    Raises
    ------
    ValueError
        It is not, byte by byte, what was written.
    """
    memo = content[START:-1]
    if content != sealed(memo):
        raise ValueError("it does not match its checksum")
    value = json.loads(memo)
    if not isinstance(value, dict):
        raise ValueError("it is no memo")  # noqa: TRY004 - the same kind of damage
    return value


class Memos:
    """The memos of a store.

    Parameters
    ----------
    root
        The store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cannot_remember = False

    def path(self, kind: str, name: str) -> Path:
        """Return where a memo lies."""
        return self._root / "memo" / kind / f"{fingerprint(name)}.json"

    def recall(self, kind: str, name: str, files: Sequence[Path]) -> dict[str, Any] | None:
        """Return what was remembered under a name, if the files that it came from are unchanged."""
        path = self.path(kind, name)
        try:
            memo = unsealed(read_regular(path))
            if memo["name"] != name:
                raise ValueError("it belongs to another name")
            value = memo["value"]
            if not isinstance(value, dict):
                raise ValueError("it holds no fields")  # noqa: TRY004 - the same kind of damage
            known = memo["files"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, RecursionError) as error:
            self.distrust(kind, name, reason(error))
            return None
        try:
            return value if known == stamp(files) else None
        except OSError:  # a file is gone
            return None

    def distrust(self, kind: str, name: str, why: str) -> None:
        """Tell that a memo does not hold."""
        tell(f"The memo {self.path(kind, name)} in the store is damaged ({why}); what it held is found out anew.")

    def remember(self, kind: str, name: str, files: Sequence[Path], value: Mapping[str, Any]) -> None:
        """Remember something that was read from some files; a store that cannot be written to is told of once."""
        path = self.path(kind, name)
        try:
            memo = canonical_json({"name": name, "files": stamp(files), "value": dict(value)})
            with scratch(self._root) as temporary:
                write(temporary, sealed(memo))
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_symlink() or not path.is_file():
                    discard(self._root, path)
                temporary.replace(path)
        except OSError as error:
            if not self._cannot_remember:
                tell(
                    f"The store at {self._root} cannot be written to ({reason(error)}), so that what datasets and encoders "
                    "are is found out at every run. GAPBENCH_CACHE names another folder."
                )
            self._cannot_remember = True

    def problem(self, path: Path) -> str | None:
        """Say what is wrong with a memo; None where nothing is."""
        try:
            unsealed(read_regular(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            return reason(error)
        return None
