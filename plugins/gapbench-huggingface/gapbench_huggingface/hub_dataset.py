"""The family ``hf-dataset:ORG/NAME``: pictures with labels or captions that the library `datasets` reads."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench import Dataset, Missing, Offer, Split
from gapbench.errors import DataError, UsageError
from gapbench_huggingface.choices import Chosen, choose, drawn
from gapbench_huggingface.columns import Columns, find_columns
from gapbench_huggingface.copies import HubCopy
from gapbench_huggingface.repository import local_folder
from gapbench_huggingface.rows import distinct, read_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gapbench import Context


class HubDataset(Dataset):
    """A dataset of a hub repository, or of a folder.

    A folder holds what ``save_to_disk`` wrote, or data files as a repository has them (Parquet, class folders, a table of
    metadata beside pictures). A repository is fetched with ``--download`` into the folder of data, and read from there.

    Parameters
    ----------
    context
        The folder of data, and whether anything may be fetched.
    argument
        A folder, or ``ORG/NAME``.
    config
        The configuration; empty: the only one, or the default.
    split
        The split that is scored; empty: test, else validation, else the only one.
    image, label, caption
        Names of columns; empty: by their types. ``caption`` may be a glob of several.
    limit
        Number of items of each split that are read; 0: all.
    streaming
        Read (and fetch) the first ``limit`` items of each split and no more.
    revision
        Branch, tag or commit of the repository.

    Raises
    ------
    UsageError
        Streaming without a limit, or no such folder.
    """

    def __init__(  # noqa: PLR0913 - one argument for each parameter of the spec
        self,
        context: Context,
        argument: str,
        *,
        config: str = "",
        split: str = "",
        image: str = "",
        label: str = "",
        caption: str = "",
        limit: int = 0,
        streaming: bool = False,
        revision: str = "",
    ) -> None:
        if streaming and not limit:
            raise UsageError(f"hf-dataset:{argument}: streaming reads the first items; say how many, [limit=1000].")
        self.context = context
        self.where = f"hf-dataset:{argument}"
        self.argument, self.config, self.wanted = argument, config, split
        self.given = (image, label, caption)
        self.limit, self.streaming, self.revision = limit, streaming, revision

    # -- where it is --------------------------------------------------------------------------------------------

    @cached_property
    def _copy(self) -> HubCopy | None:
        """The copy of a repository; None where a folder is read."""
        if local_folder(self.argument) is None:
            first = self.limit if self.streaming else 0
            return HubCopy(self.context, self.argument, config=self.config, revision=self.revision, first=first)
        if self.revision:
            raise UsageError(f"{self.where} is a folder and has no revisions; leave out revision=.")
        return None

    @property
    def _folder(self) -> Path:
        return Path(self.argument).expanduser() if self._copy is None else self._copy.folder

    def missing(self) -> Missing | None:
        """Say so where the repository has not been fetched."""
        if self._copy is None or self._copy.complete:
            return None
        return Missing(what=f"the dataset {self.argument}", size=None, how=self._copy.how)

    def download(self) -> None:
        """Fetch the repository, or with ``streaming`` its first items."""
        assert self._copy is not None
        self._copy.fetch()

    def files(self) -> Sequence[Path]:
        """Return all files of the folder that may be read; none while it is not there."""
        if self.missing():
            return ()
        return sorted(path for path in self._folder.rglob("*") if path.is_file() and ".cache" not in path.parts)

    # -- what it holds ------------------------------------------------------------------------------------------

    @cached_property
    def _loaded(self) -> Mapping[str, Any]:
        """The library's datasets by the names of its splits; nothing is decoded."""
        config = "" if self._copy is not None and self.streaming else self.config  # the copy holds that one alone
        return load(self._folder, config, self.where, self._first)

    @property
    def _first(self) -> int:
        """How many items of each split are streamed from the folder; 0: it is read as a whole."""
        return self.limit if self.streaming and self._copy is None else 0

    @cached_property
    def _chosen(self) -> Chosen:
        return choose(list(self._loaded), self.wanted, self.where)

    @cached_property
    def _columns(self) -> Columns:
        return find_columns(self._loaded[self._chosen.scored].features, *self.given, self.where)

    def offers(self) -> frozenset[Offer]:
        """Return which of labels and captions the columns hold."""
        found = {Offer.LABELS: bool(self._columns.label), Offer.CAPTIONS: bool(self._columns.captions)}
        return frozenset(offer for offer, there in found.items() if there)

    def splits(self) -> Mapping[str, int]:
        """Return ``train`` (where there is one) and ``test``."""
        sizes = {name: len(self._loaded[own]) for name, own in self._chosen.names.items()}
        return {name: min(size, self.limit or size) for name, size in sizes.items()}

    @cached_property
    def _classes(self) -> Sequence[Any]:
        """Names of the classes of all splits that are read."""
        label = self._columns.label
        if not label:
            return ()
        parts = [self._loaded[own] for own in self._chosen.names.values()]
        names = getattr(parts[0].features[label], "names", None)
        return list(names) if names is not None else distinct(parts, label)

    def split(self, name: str) -> Split:
        """Read one split.

        Raises
        ------
        DataError
            No such split, or items that cannot be read.
        """
        if name not in self._chosen.names:
            raise DataError(f"{self.where} has no split {name!r}; it has {', '.join(self._chosen.names)}.")
        own = self._chosen.names[name]
        table = self._loaded[own]
        missing = set(self._columns_read) - set(table.features)
        if missing:
            raise DataError(f"{self.where}: split {own!r} has no column {min(missing)!r}.")
        rows = drawn(map(str, range(len(table))), self.limit if self.limit < len(table) else 0)
        notices = list(self._chosen.notices) if name == "test" else []
        if len(rows) < len(table):
            notices.append(f"{len(rows):,} of {len(table):,} items are read, drawn by their positions.")
        if self.streaming:
            notices.append(f"Of {own!r} the first {self.limit:,} items are read, whatever their order is.")
        return read_split(table.select(rows), self._columns, self._classes, f"{self.where}, split {own!r}", notices)

    @property
    def _columns_read(self) -> list[str]:
        columns = self._columns
        return [columns.image, *columns.captions, *([columns.label] if columns.label else [])]


def load(folder: Path, config: str, where: str, first: int = 0) -> dict[str, Any]:
    """Load the splits of a folder, pictures as bytes.

    Parameters
    ----------
    folder
        What ``save_to_disk`` wrote, or data files.
    config
        The configuration; empty: the only one, or the default.
    where
        The dataset, for messages.
    first
        Number of items of each split that are streamed; 0: all is loaded.

    Raises
    ------
    DataError
        The library cannot read it; says what it said.
    """
    import datasets

    saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
    if saved and config:
        raise UsageError(f"{where} was saved by save_to_disk and has no configurations; leave out config=.")
    try:
        if saved:
            found = datasets.load_from_disk(folder)
        elif first:
            streams = datasets.load_dataset(str(folder), config or None, streaming=True)
            found = {name: head(stream, first) for name, stream in streams.items()}
        else:
            found = datasets.load_dataset(str(folder), config or None)
    except Exception as error:
        cause = " ".join(str(error).split())[:300]
        hint = " Name one, [config=NAME]." if "config name" in cause.lower() else ""
        raise DataError(f"{where} cannot be read ({type(error).__name__}: {cause}).{hint}") from error
    if isinstance(found, datasets.Dataset):
        found = {str(found.split or "test"): found}
    return {str(name): _undecoded(part) for name, part in found.items()}


def head(stream: Any, first: int) -> Any:
    """Return the first items of a stream as a dataset in memory, pictures as bytes."""
    import datasets

    plain = _undecoded(stream)
    return datasets.Dataset.from_list(list(plain.take(first)), features=plain.features)


def _undecoded(table: Any) -> Any:
    """Have pictures given as their bytes."""
    from datasets import Image

    for name, feature in (table.features or {}).items():
        if isinstance(feature, Image):
            table = table.cast_column(name, Image(decode=False))
    return table
