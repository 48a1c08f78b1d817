"""Copies of hub repositories of data in the folder of data: fetched once as a whole, read without the network."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.errors import DataError, MissingAssetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench import Context


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What of a repository is wanted, as the note beside a copy says it."""

    repository: str
    config: str
    revision: str
    first: int


class HubCopy:
    """A copy of a repository, and a note beside it that says that it is complete.

    Parameters
    ----------
    context
        The folder of data, and whether anything may be fetched.
    repository
        ``ORG/NAME``.
    config, revision
        The configuration and the branch, tag or commit; empty: the default.
    first
        Number of items of each split that are kept; 0: all.
    """

    def __init__(self, context: Context, repository: str, *, config: str, revision: str, first: int) -> None:
        self.context = context
        self.request = _Request(repository=repository, config=config, revision=revision, first=first)
        parts = [repository.replace("/", "--"), revision, config, f"first-{first}" if first else ""]
        name = "@".join(re.sub(r"[^\w.-]", "_", part) for part in parts if part)
        self.folder = context.data_root / "hf-dataset" / name
        self.note = self.folder.with_name(f"{name}.json")

    @property
    def complete(self) -> bool:
        """Whether all of it has been fetched."""
        return self.folder.is_dir() and self.note.is_file()

    @property
    def how(self) -> str:
        """How to supply it."""
        return "run again with --download, or give a folder: -d hf-dataset:FOLDER"

    def fetch(self) -> None:
        """Fetch what is wanted, and write the note.

        Raises
        ------
        MissingAssetError
            It may not be fetched, or cannot be.
        """
        what = f"hf-dataset:{self.request.repository}"
        if self.context.offline or not self.context.download:
            raise MissingAssetError(f"{what} may be fetched only with --download, not offline.")
        try:
            commit = self._fetch_first() if self.request.first else self._fetch_files()
        except DataError:
            raise
        except Exception as error:
            cause = " ".join(str(error).split())[:300]
            raise MissingAssetError(
                f"{what} could not be fetched ({type(error).__name__}: {cause}). Check the name and the network; where it "
                "is gated, log in first (hf auth login). Or give a folder with its files."
            ) from error
        self.note.write_text(json.dumps({**vars(self.request), "commit": commit}), encoding="utf-8")

    def _commit(self) -> str:
        from huggingface_hub import HfApi

        request = self.request
        return str(HfApi().dataset_info(request.repository, revision=request.revision or None).sha)

    def _fetch_files(self) -> str:
        """Fetch the files of the repository, or those that its card names for the configuration."""
        from huggingface_hub import snapshot_download

        commit, request = self._commit(), self.request
        self.note.unlink(missing_ok=True)

        def fetch(patterns: list[str] | None) -> None:
            snapshot_download(
                request.repository, repo_type="dataset", revision=commit, local_dir=self.folder, allow_patterns=patterns
            )

        fetch(["README.md"])
        fetch(card_patterns(self.folder / "README.md", request.config))
        return commit

    def _fetch_first(self) -> str:
        """Stream the first items of each split, and keep them."""
        import datasets

        commit, request = self._commit(), self.request
        streams = datasets.load_dataset(request.repository, request.config or None, revision=commit, streaming=True)
        self.keep_first(streams)
        return commit

    def keep_first(self, streams: Mapping[str, Any]) -> None:
        """Write the first items of each stream as ``save_to_disk`` does, pictures as their bytes."""
        import datasets
        import fsspec

        from gapbench_huggingface.hub_dataset import head

        def whole(value: Any) -> Any:
            """Read what lies in a file of its own."""
            if not isinstance(value, dict) or value.keys() != {"bytes", "path"} or value["bytes"] or not value["path"]:
                return value
            with fsspec.open(value["path"], "rb") as file:
                return {"bytes": file.read(), "path": Path(value["path"]).name}

        kept = {}
        for name, stream in streams.items():
            table = head(stream, self.request.first)
            rows = [{column: whole(value) for column, value in row.items()} for row in table]
            kept[name] = datasets.Dataset.from_list(rows, features=table.features)
        shutil.rmtree(self.folder, ignore_errors=True)
        datasets.DatasetDict(kept).save_to_disk(self.folder)


def card_patterns(card: Path, config: str) -> list[str] | None:
    """Return the files that a card names for a configuration; None where it names none, and all are wanted."""
    if not config or not card.is_file():
        return None
    from huggingface_hub import DatasetCard

    for entry in DatasetCard.load(card).data.to_dict().get("configs") or ():
        if entry.get("config_name") == config and entry.get("data_files"):
            found = entry["data_files"]
            found = [found] if isinstance(found, str | dict) else found
            paths = [one["path"] if isinstance(one, dict) else one for one in found]
            return ["README.md", *(path for one in paths for path in ([one] if isinstance(one, str) else one))]
    return None
