"""Where a model lies: a folder, or the snapshot of a hub repository in the library's cache. No torch, no network."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench import Missing
from gapbench.errors import DataError, MissingAssetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gapbench import Context

#: What is fetched of a repository: weights in safetensors, and small text files. No pickles, no code.
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")

#: What a configuration says of where it comes from, and not of the model.
_TRANSIENT = ("_name_or_path", "transformers_version", "_commit_hash")


def local_folder(argument: str) -> Path | None:
    """Return the folder that an argument names; None where it names a repository.

    Raises
    ------
    UsageError
        It is neither a folder that is there nor the name of a repository.
    """
    path = Path(argument).expanduser()
    if path.is_dir():
        return path
    parts = argument.split("/")
    if argument.startswith(("/", "~", ".")) or not 1 <= len(parts) <= 2 or not all(parts):  # noqa: PLR2004
        raise UsageError(f"There is no folder {argument!r}, and a repository is written ORG/NAME.")
    return None


@dataclass(frozen=True)
class Repository:
    """A model's files.

    Parameters
    ----------
    argument
        A folder, or ``ORG/NAME``.
    revision
        Branch, tag or commit; empty: the main branch.
    family
        What the encoder is called on the command line, for messages.
    """

    argument: str
    revision: str = ""
    family: str = "hf"

    @cached_property
    def folder(self) -> Path | None:
        """The folder of the files; None where none is on this machine.

        Raises
        ------
        UsageError
            A folder that is not there, or one with a revision.
        """
        if (path := local_folder(self.argument)) is not None:
            if self.revision:
                raise UsageError(f"{self.argument!r} is a folder and has no revisions; leave out revision=.")
            return path
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.argument, revision=self.revision or None, local_files_only=True))
        except LocalEntryNotFoundError:
            return None
        except HFValidationError as error:
            raise UsageError(f"{self.argument!r} is no name of a repository ({error}).") from error

    def weights(self, folder: Path) -> list[Path]:
        """Return the weight files below a folder that the library would load; empty where some are not there."""
        single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
        if single.is_file():
            return [single]
        if not index.is_file():
            return []
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{index} is no index of weights ({type(error).__name__}: {error}).") from error
        found = [folder / name for name in names]
        return found if all(path.is_file() for path in found) else []

    def missing(self, lacking: Sequence[str]) -> Missing | None:
        """Say that files are not here; ``lacking`` names what the encoder has not found in the folder.

        Raises
        ------
        DataError
            There are weights, but only as pickles.
        """
        folder = self.folder
        if folder is None:
            return Missing(what=f"the model {self.argument}", size=None, how=self._how)
        if not lacking:
            return None
        if "weights" in lacking and (pickles := [path for kind in PICKLES for path in folder.glob(kind)]):
            raise _pickles(self.argument, pickles[0].name)
        how = self._how if local_folder(self.argument) is None else "save model and processor there (save_pretrained)"
        return Missing(what=f"{' and '.join(lacking)} of {self.argument}", size=None, how=how)

    @property
    def _how(self) -> str:
        return f"run again with --download, or give a folder: -e {self.family}:FOLDER"

    def download(self, context: Context) -> None:
        """Fetch the repository into the library's cache.

        Raises
        ------
        MissingAssetError
            It may not be fetched, or cannot be.
        DataError
            It has no weights in safetensors.
        """
        what = f"{self.family}:{self.argument}"
        if context.offline or not context.download:
            raise MissingAssetError(f"{what} may be fetched only with --download, not offline.")
        if local_folder(self.argument) is not None:
            raise MissingAssetError(f"{what} is a folder: save model and processor there with save_pretrained.")
        from huggingface_hub import HfApi, snapshot_download

        try:
            names = HfApi().list_repo_files(self.argument, revision=self.revision or None)
            if not any(name.endswith(".safetensors") for name in names):
                pickles = [name for name in names if Path(name).suffix in {kind[1:] for kind in PICKLES}]
                raise _pickles(self.argument, pickles[0] if pickles else "")
            snapshot_download(self.argument, revision=self.revision or None, allow_patterns=list(PATTERNS))
        except DataError:
            raise
        except Exception as error:
            cause = " ".join(str(error).split())[:300]
            raise MissingAssetError(
                f"{what} could not be fetched ({type(error).__name__}: {cause}). Check the name and the network; where the "
                "repository is gated, log in first (hf auth login). Or give a folder with its files."
            ) from error
        self.__dict__.pop("folder", None)


def _pickles(argument: str, name: str) -> DataError:
    has = f"only pickles ({name})" if name else "none"
    return DataError(
        f"{argument} has no weights in safetensors, {has}. A pickle may run any code and is never loaded. Where you trust "
        "it, load the model in Python, save it with save_pretrained, and give that folder."
    )


def text_files(folder: Path, *, below: bool = False) -> list[Path]:
    """Return the small files beside the weights that say what the model is, and with ``below`` those of folders in it."""
    kinds = (".json", ".txt", ".model", ".jinja")
    found = (path for path in folder.glob("**/*" if below else "*") if path.suffix in kinds and path.is_file())
    return sorted(path for path in found if not path.name.endswith(".index.json") and ".cache" not in path.parts)


def digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its path in the folder; of a configuration only what describes the model."""
    return {path.relative_to(folder).as_posix(): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    if path.name == "config.json":
        config = {key: value for key, value in read_json(path).items() if key not in _TRANSIENT}
        return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    DataError
        The file holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no JSON object.")
    return value


@contextlib.contextmanager
def no_progress_bars() -> Iterator[None]:
    """Let transformers draw no progress bars while it loads a model: a run has its own."""
    from transformers import utils

    logging: Any = utils.logging
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def library(name: str) -> Mapping[str, str]:
    """Return the version of a library that makes numbers, without its last part: patches repair, and change no rows."""
    return {name: ".".join(version(name).split(".")[:2])}
