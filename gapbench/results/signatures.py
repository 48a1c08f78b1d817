"""Signatures of submissions, made and checked by OpenSSH's ``ssh-keygen -Y``; gapbench has no cryptography of its own.

A signature is a file beside the records, ``<hash>.jsonl.sig``. It covers the records and, by the hashes in them, the
outcomes. Whose key it is, a file of allowed signers says (``man ssh-keygen``, ALLOWED SIGNERS).
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.embeddings.disk import read_regular, reason
from gapbench.errors import UsageError
from gapbench.results import journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.results.verify import Verdict, Verified

SIGNATURE = ".sig"

#: A signature for another purpose is none for a submission.
NAMESPACE = "gapbench"

#: Where the allowed signers are, below the folder of all leaderboards.
SIGNERS = "allowed_signers"

_TOOL = "ssh-keygen"
_SECONDS = 60


def sign(content: bytes, key: Path) -> bytes:
    """Return the signature of some bytes.

    Parameters
    ----------
    content
        The records file.
    key
        A private key of OpenSSH; or a public one whose private one the agent holds.

    Raises
    ------
    UsageError
        There is no such key, it cannot be used, or ssh-keygen is not installed.
    """
    done = _run(["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)], content)
    if done.returncode or b"BEGIN SSH SIGNATURE" not in done.stdout:
        raise UsageError(f"{key} cannot sign: {_told(done)}. Name a key of OpenSSH, such as ~/.ssh/id_ed25519.")
    return done.stdout


def signer(content: bytes, signature: Path, signers: Path) -> tuple[str, str]:
    """Return who signed some bytes, or why the signature does not hold.

    Parameters
    ----------
    content
        The records file.
    signature, signers
        The signature, and the allowed signers.

    Returns
    -------
    name, problem
        One of them is empty.

    Raises
    ------
    UsageError
        ssh-keygen is not installed.
    """
    failed: dict[str, str] = {}
    for name in _owners(signature, signers):
        done = _run(["-Y", "verify", "-n", NAMESPACE, "-I", name, "-s", str(signature), "-f", str(signers)], content)
        if not done.returncode:
            return name, ""
        failed[name] = _told(done)
    if not failed:
        return "", f"its signature is of nobody that {signers.name} names"
    return "", f"its signature by {' or '.join(failed)} does not hold ({'; '.join(dict.fromkeys(failed.values()))})"


def _owners(signature: Path, signers: Path) -> Iterator[str]:
    """Yield whose key made a signature: a key may stand in several lines, each with limits of its own.

    ssh-keygen names the owners in the first of these lines only, so it is asked line by line.
    """
    with tempfile.TemporaryDirectory(prefix="gapbench-") as scratch:
        alone = Path(scratch, "line")
        for line in signers.read_bytes().splitlines():
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            alone.write_bytes(line + b"\n")
            told = _run(["-Y", "find-principals", "-s", str(signature), "-f", str(alone)], b"")
            if not told.returncode:
                yield from (name.strip() for name in told.stdout.decode(errors="replace").splitlines() if name.strip())


def check_signatures(folder: Path, signers: Path, done: Verified) -> None:
    """Add to the verdicts of a folder who signed each submission; a signature that does not hold fails its rows.

    Raises
    ------
    UsageError
        There is no such file of signers, or ssh-keygen is not installed.
    """
    if not signers.is_file():
        raise UsageError(
            f"There is no file {signers} of allowed signers; write lines such as 'NAME ssh-ed25519 AAAA...'."
        )
    unsigned = []
    by_file: dict[str, list[Verdict]] = {}
    for verdict in done.verdicts:
        by_file.setdefault(verdict.file, []).append(verdict)
    for path in journal.files(folder):
        signature = path.with_name(path.name + SIGNATURE)
        if signature.is_symlink() or not signature.is_file():
            unsigned.append(path.name)
            continue
        try:
            name, problem = signer(read_regular(path), signature, signers)
        except OSError as error:
            name, problem = "", f"its signature is of a file that cannot be read ({reason(error)})"
        for verdict in by_file.get(path.name, []):
            verdict.signer = name
            verdict.reasons += [problem] if problem else []
    if unsigned:
        done.remarks.append(f"not signed: {', '.join(unsigned)}")


def _run(arguments: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        with tempfile.TemporaryFile() as given:
            given.write(content)
            given.seek(0)
            command = [_TOOL, *arguments]
            return subprocess.run(command, stdin=given, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
    except FileNotFoundError:
        raise UsageError(f"Signatures need {_TOOL}, which is not installed; it is part of OpenSSH.") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{_TOOL} did not answer in {_SECONDS} seconds; is it waiting for a passphrase?") from None


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join((done.stderr or done.stdout).decode(errors="replace").split()) or f"exit code {done.returncode}"
