"""Protocols: what the implementation of a component does, and what passes between it and the host.

The protocols can be subclassed for their default methods; matching their shape is enough. What a plugin hands over at
start-up are specs, in `gapbench.specs`.

Row conventions: ``images`` is ``(N, d)``, ``texts`` is ``(M, d)``, both float32. *Raw* rows are as the encoder gave
them, *unit rows* are normalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - read at run time, with the types of an intake
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from gapbench.specs import Pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from gapbench.specs import FitContext, Missing, Offer

    Float32: TypeAlias = NDArray[np.float32]
    Float64: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]
    Keys: TypeAlias = NDArray[np.uint64]


class Rows(Protocol):
    """``(N, d)`` float32 rows that may lie on disk in several files; NumPy arrays and memory maps are such."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, d)``."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, key: slice | Int64) -> Float32:
        """Read a block or a selection of rows."""
        ...


class Encoder(Protocol):
    """Turns images and strings into embeddings of one space.

    Building one must be cheap: no torch, no weights in memory. Work starts with the first call of an ``encode`` method.
    """

    def identity(self) -> Mapping[str, Any]:
        """Everything that changes the embeddings, as JSON values; it becomes the fingerprint.

        Architecture after overrides, hash of the weight file that is really loaded, image transform, tokenizer,
        compute dtype. Not the batch size, nor the number of workers.
        """
        ...

    def files(self) -> Sequence[Path]:
        """Give the files that `identity` was read from: while they are unchanged, a remembered identity is valid."""
        return ()

    def missing(self) -> Missing | None:
        """Say what is not on this machine; None where all is here."""
        return None

    def download(self) -> None:
        """Fetch what is missing. Called only with ``--download``."""

    def prepare(self, image: Image) -> Any:
        """Turn one picture into what `encode_images` takes. Called in worker threads, ahead of the model."""
        return image

    def encode_images(self, batch: Sequence[Any]) -> Float32:
        """Encode prepared pictures: raw rows ``(len(batch), d)``."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Encode strings: raw rows ``(len(texts), d)``."""
        ...

    def cut_texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Return what is read of each string of which the end is not, as any string; empty where all is read.

        Of two texts these strings are equal exactly where the same is read. May be left out by encoders that read texts
        of any length.
        """
        return [""] * len(texts)


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What was understood of a source when it was read, and what it held besides.

    Parameters
    ----------
    read_as
        What it was taken for, such as ``class folders`` or ``Karpathy JSON, split test``.
    skipped
        How many things were there and not read, by kind: ``{"hidden files": 2, "blank captions": 1}``. A run tells it, and
        the record has it.
    notices
        Whole sentences about what is odd, and makes no wrong number; a run tells them.
    published
        False where the data are known not to be the published ones that the dataset's name stands for, such as own files
        in their layout: no published number is then shown beside results.
    """

    read_as: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[str] = ()
    published: bool = True


@dataclass(frozen=True, kw_only=True)
class Split:
    """The items of one split, in a fixed order.

    Parameters
    ----------
    images
        Sequence of RGB pictures, decoded on access.
    item_hashes
        One content hash an item (hex), in order; with the labels they make the dataset's fingerprint.
    classes
        Class names as prompts use them; empty where the dataset has no labels.
    labels
        ``(N,)`` int64, positions in ``classes``.
    captions
        For each item its captions (`gapbench check` wants at least one); None where the dataset has no captions.
    intake
        What was noticed while it was read.
    """

    images: Sequence[Image]
    item_hashes: Sequence[str]
    classes: Sequence[str] = ()
    labels: Int64 | None = None
    captions: Sequence[Sequence[str]] | None = None
    intake: Intake = Intake()


class Dataset(Protocol):
    """Images with class labels and/or captions, in named splits. Building one touches no data.

    Optional, where only the data tell: ``splits()`` gives the splits with their numbers of items, and ``offers()`` those of
    the spec's offers that there are.
    """

    def files(self) -> Sequence[Path]:
        """Give the files that the splits are read from: while they are unchanged, a remembered manifest is valid.

        Without files nothing is remembered, and the splits are read each time.
        """
        return ()

    def missing(self) -> Missing | None:
        """Say what is not on this machine; None where all is here."""
        return None

    def download(self) -> None:
        """Fetch what is missing. Called only with ``--download``."""

    def split(self, name: str) -> Split:
        """Read one of the splits that the spec names."""
        ...


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Embedded texts: raw rows ``(M, d)``, and for each row its owner.

    The owner of a class prompt is its class, the owner of a caption is the row of the image that it describes. ``keys``
    ``(M,)`` are hashes of the strings that were encoded; without them the rows themselves are hashed where texts are drawn.
    ``cut`` ``(M,)`` says of which strings the encoder did not read the end; None where it is not known. ``weights`` ``(M,)``
    say how much a class prompt counts in the mean of its class; None: all the same.
    """

    rows: Rows
    owner: Int64
    strings: Sequence[str] = ()
    keys: Keys | None = None
    cut: Bools | None = None
    weights: Float64 | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddedSplit:
    """One split after encoding: all that fitting and scoring ever see.

    ``images`` is ``(N, d)`` raw, possibly memory-mapped. ``prompts`` (class prompts, with their ``pooling``)
    goes with ``labels`` and ``classes``; ``captions`` with images that have captions. ``fingerprint`` identifies the
    items (not the encoder). ``keys`` ``(N,)`` are hashes of the pictures; without them the rows themselves are hashed where
    items are drawn. ``intake`` is what was noticed while the source was read.
    """

    images: Rows
    fingerprint: str
    classes: Sequence[str] = ()
    labels: Int64 | None = None
    prompts: Texts | None = None
    pooling: Pooling = Pooling.MEAN
    captions: Texts | None = None
    keys: Keys | None = None
    intake: Intake = Intake()

    @property
    def dims(self) -> tuple[int, int]:
        """Number of dimensions of images and of texts."""
        texts = self.captions or self.prompts
        image_dim = self.images.shape[1]
        return image_dim, image_dim if texts is None else texts.rows.shape[1]


class PrecomputedDataset(Protocol):
    """Embeddings that somebody else computed; the encoder is then called ``precomputed``."""

    def files(self) -> Sequence[Path]:
        """Give the files that the embeddings are read from."""
        ...

    def missing(self) -> Missing | None:
        """Say what is not on this machine; None where all is here."""
        return None

    def download(self) -> None:
        """Fetch what is missing. Called only with ``--download``."""

    def offers(self) -> frozenset[Offer]:
        """Say which of labels and captions this file has."""
        ...

    def splits(self) -> Mapping[str, int]:
        """Give the splits and their numbers of images; ``test`` alone where the source has one set."""
        ...

    def dims(self) -> tuple[int, int]:
        """Return the number of dimensions of images and of texts; may be left out where they share one space."""
        ...

    def embedded(self, name: str) -> EmbeddedSplit:
        """Read one split; big arrays are memory-mapped."""
        ...


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts, each owned by a class (a position in the class names), with a pooling rule.

    ``weights``, one for each prompt and of any scale, say how much it counts in the mean of its class; None: all the same.
    """

    prompts: Sequence[str]
    owner: Sequence[int]
    pooling: Pooling = Pooling.MEAN
    weights: Sequence[float] | None = None


class PromptStrategy(Protocol):
    """Class names to prompts."""

    def prompts(self, classes: Sequence[str]) -> PromptSet:
        """Write the prompts of all classes; every class owns at least one.

        A strategy that writes otherwise for other datasets takes a second argument, a `gapbench.PromptContext`.
        """
        ...


class RowMoments(Protocol):
    """Sums over one set of rows, in float64."""

    n: int

    @property
    def mean(self) -> Float64:
        """``(d,)`` mean."""
        ...

    @property
    def covariance(self) -> Float64:
        """``(d, d)`` covariance, divided by n."""
        ...

    @property
    def second(self) -> Float64:
        """``(d, d)`` sum of outer products, not centred."""
        ...


class PairMoments(Protocol):
    """Sums over pairs of an image row and a text row, in float64."""

    @property
    def n(self) -> int:
        """Number of pairs."""
        ...

    @property
    def images(self) -> RowMoments:
        """The image side."""
        ...

    @property
    def texts(self) -> RowMoments:
        """The text side."""
        ...

    @property
    def cross(self) -> Float64:
        """``(d, d)`` sum of ``outer(image, text)``, not centred."""
        ...


class ClassMoments(Protocol):
    """Sums of the image rows of each class."""

    @property
    def counts(self) -> Int64:
        """``(C,)`` number of images of each class."""
        ...

    @property
    def sums(self) -> Float64:
        """``(C, d)`` sum of the rows of each class."""
        ...

    @property
    def within(self) -> Float64:
        """``(d, d)`` pooled second moment of the rows around the mean of their class, summed."""
        ...


class Moments(Protocol):
    """The sums that closed-form aligners fit from; each part obeys the same ``needs`` as the rows themselves."""

    @property
    def images(self) -> RowMoments:
        """Image rows (`Need.UNPAIRED_IMAGES`)."""
        ...

    @property
    def texts(self) -> RowMoments:
        """Text rows (`Need.UNPAIRED_TEXTS`)."""
        ...

    @property
    def pairs(self) -> PairMoments:
        """Pairs (`Need.PAIRS`)."""
        ...

    @property
    def classes(self) -> ClassMoments:
        """Image rows by class (`Need.LABELS`)."""
        ...


class FitData(Protocol):
    """What an aligner may fit from: exactly what its spec declares, read-only.

    Reading anything else raises `gapbench.errors.UndeclaredData`. Rows are unit rows unless the spec says ``raw``. Images
    (with their labels), texts (with their strings) and pairs each come in an order that their content decides, whatever it
    is in the file: the first n of them are a random sample.
    """

    rng: np.random.Generator
    moments: Moments
    context: FitContext
    image_dim: int
    text_dim: int

    @property
    def dim(self) -> int:
        """Number of dimensions d of both sides; raises `gapbench.errors.DataError` where they differ."""
        ...

    @property
    def images(self) -> Float32:
        """``(N, d)`` image rows (`Need.UNPAIRED_IMAGES`)."""
        ...

    @property
    def texts(self) -> Float32:
        """``(M, d)`` text rows (`Need.UNPAIRED_TEXTS`)."""
        ...

    @property
    def pairs(self) -> tuple[Float32, Float32]:
        """Two ``(P, d)`` arrays, row by row a pair (`Need.PAIRS`)."""
        ...

    def image_blocks(self) -> Iterator[Float32]:
        """Return ``images`` block by block, so that they need not fit into memory."""
        ...

    def text_blocks(self) -> Iterator[Float32]:
        """Return ``texts`` block by block."""
        ...

    def pair_blocks(self) -> Iterator[tuple[Float32, Float32]]:
        """Return ``pairs`` block by block."""
        ...

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image (`Need.LABELS`)."""
        ...

    @property
    def class_texts(self) -> Float32:
        """``(C, d)`` one text row a class (`Need.CLASS_TEXTS`)."""
        ...

    @property
    def class_names(self) -> Sequence[str]:
        """C names of the classes (`Need.CLASS_NAMES`)."""
        ...

    @property
    def caption_strings(self) -> Sequence[str]:
        """M captions, of which ``texts`` are the rows (`Need.CAPTION_STRINGS`)."""
        ...

    @property
    def validation(self) -> FitData:
        """A slice that is not in the rows above, under the same rules (`Need.VALIDATION`)."""
        ...

    @property
    def test_images(self) -> Float32:
        """Unlabelled test image rows (`Need.TEST_IMAGES`, protocol ``transductive`` only)."""
        ...

    @property
    def test_texts(self) -> Float32:
        """Test text rows (`Need.TEST_TEXTS`, protocol ``transductive`` only)."""
        ...


class Aligner(Protocol):
    """A gap-closing method. Maps are row by row: the result for a row must not depend on the rows around it.

    Where ``acts_on`` is ``scores``, implement instead of ``images`` and ``texts`` one of: ``text_bias(t) -> (M,)`` and
    ``image_bias(x) -> (N,)``, added to the inner product when texts or images are ranked, or ``scores(x, t) -> (N, M)``;
    beside it ``text_scores(t, x) -> (M, N)`` where text queries are scored by other numbers than the transpose.

    Optional: ``notes() -> dict`` gives JSON values for the record, and ``fused(x, t, weight) -> (n, e)`` makes documents
    that have an image and a text; without it they are ``weight`` times the aligned unit text row plus ``1 - weight``
    times the aligned unit image row.
    """

    def fit(self, data: FitData) -> Self:
        """Learn from the fit split; never sees the test split."""
        ...

    def images(self, x: Float32) -> Float32:
        """Map image rows ``(N, d)`` to ``(N, e)``. The aligner decides whether to renormalise."""
        return x

    def texts(self, t: Float32) -> Float32:
        """Map text rows ``(M, d)`` to ``(M, e)``."""
        return t


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a metric gives back.

    Parameters
    ----------
    value
        The number; a fraction in 0..1 where the unit is a share, never a percentage.
    outcomes
        ``(n,)`` per-item values whose mean is ``value``: bool for 0/1 outcomes (Wilson interval, exact McNemar), float
        otherwise (paired bootstrap).
    jackknife
        ``(G,)`` values with one of G groups of items left out, for numbers that are no mean over items.
    ci95
        95 % interval of a number that has a method of its own; otherwise it is made from the above.
    n
        Number of items that the value rests on.
    """

    value: float
    n: int
    outcomes: Bools | Float64 | None = None
    jackknife: Float64 | None = None
    ci95: tuple[float, float] | None = None


class Sample(Protocol):
    """At most 2,000 items of the test split, drawn once a table: what metrics of pairs of items are computed on.

    All rows are aligned *unit rows*, in the order of `ScoredSplit.order`: the first n items are a sample of the sample.
    ``own[i]`` is the row of ``texts`` that belongs to image i: one of its captions (then texts and images go row by row), or
    the text of its class. Matrices are made when first asked for and shared.
    """

    index: Int64  # (n,) positions of the images in the test split
    images: Float32  # (n, e)
    texts: Float32  # (m, e)
    own: Int64  # (n,)
    labels: Int64 | None  # (n,) class of each image
    text_labels: Int64 | None  # (m,) class of each text

    @property
    def groups(self) -> Int64:
        """``(n,)`` jackknife group of each image, from 0 and in turn; equal images are in one group."""
        ...

    def similarity(self, left: str, right: str) -> Float32:
        """Cosines between ``images`` or ``texts`` and ``images`` or ``texts``."""
        ...

    def neighbours(self, left: str, right: str, k: int) -> Int64:
        """``(n, k)`` nearest rows of ``right`` for each row of ``left``, nearest first; a row is not its own neighbour."""
        ...

    def ranked(self, queries: str) -> Float32:
        """Scores as retrieval ranks them: ``images`` gives ``(n, m)``, ``texts`` gives ``(m, n)``; biases are in it."""
        ...


class ScoredSplit(Protocol):
    """What a metric may read: the test split after alignment. Shared parts are computed once a cell.

    ``texts`` are the rows that are scored: class prototypes or prompts, or captions; ``owner`` says for each text its
    class or its image. With captions, pairs are (image ``owner[j]``, text ``j``); with prompts (image, text of its
    class).
    """

    n_images: int
    classes: Sequence[str]
    texts: Float32
    owner: Int64
    rng: np.random.Generator

    @property
    def captioned(self) -> bool:
        """Whether the scored texts are captions."""
        ...

    @property
    def embeds(self) -> bool:
        """Whether the aligner changes embeddings; false where it changes scores alone."""
        ...

    @property
    def has_labels(self) -> bool:
        """Whether images have classes; captioned data may."""
        ...

    @property
    def labels(self) -> Int64:
        """``(N,)`` class of each image."""
        ...

    @property
    def before(self) -> ScoredSplit:
        """The same rows without alignment; shared by all cells of a table."""
        ...

    @property
    def order(self) -> Int64:
        """``(N,)`` positions of the images in the order to draw in: the first n of them are a random sample.

        What the images are decides it (hashes of the pictures, or of the rows before alignment), not where they stand in a
        file; it is the same for every aligner.
        """
        ...

    @property
    def text_order(self) -> Int64:
        """``(M,)`` positions of the texts, likewise."""
        ...

    @property
    def sample(self) -> Sample:
        """A sample of items, with similarities and neighbours."""
        ...

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """Give what ``compute`` gave when this cell first asked for ``name``: shared by the metrics of a cell."""
        ...

    def image_blocks(self) -> Iterator[tuple[slice, Float32]]:
        """Aligned image rows, block by block, as the aligner gave them."""
        ...

    def image_rows(self, rows: Int64) -> Float32:
        """Aligned rows of a few images."""
        ...

    def input_images(self, rows: Int64) -> Float32:
        """Rows of a few images as the aligner receives them."""
        ...

    def map_images(self, x: Float32) -> Float32:
        """Align other image rows than those of the split."""
        ...

    def best_texts(self, x: Float32, stored: Float32 | None = None) -> Int64:
        """``(n,)`` best text of aligned image rows, biases included.

        ``stored`` ``(M, e)`` are the aligned texts as they are stored, where that is not what they are; biases are stored
        beside them as they are.
        """
        ...

    def fused_rows(self, images: Int64, texts: Int64, weight: float) -> Float32:
        """``(n, e)`` unit rows of documents that have an image and a text."""
        ...

    def pair_rows(self) -> Iterator[tuple[Float32, Float32]]:
        """Aligned pairs as *unit rows*, block by block (`Need.PAIRS`)."""
        ...

    @property
    def groups(self) -> Int64:
        """``(N,)`` jackknife group of each image, as in `gap_sums`."""
        ...

    def gap_sums(self) -> GapSums:
        """Sums over aligned *unit rows*, in groups: enough for every metric of first moments."""
        ...

    def class_scores(self, rows: Int64) -> Float32:
        """``(n, C)`` score of each class, that of its best prompt, for a few images (`Need.LABELS`)."""
        ...

    def top_classes(self, k: int) -> Int64:
        """``(N, min(k, C))`` classes by descending score (`Need.LABELS`)."""
        ...

    def image_to_text_ranks(self) -> Int64:
        """``(N,)`` position, from 0, of the best own caption of each image (`Need.CAPTIONS`)."""
        ...

    def own_caption_ranks(self) -> Int64:
        """``(M,)`` position, from 0, of each caption in the ranking of its own image (`Need.CAPTIONS`)."""
        ...

    def text_to_image_ranks(self) -> Int64:
        """``(M,)`` position, from 0, of the own image of each caption (`Need.CAPTIONS`)."""
        ...


@dataclass(frozen=True, kw_only=True)
class GapSums:
    """Sums over unit rows, split into G groups of items for the jackknife. All float64.

    With captions the texts of an item are in its group; class prompts belong to no group (they are few and fixed):
    their sums then have one group, which is never left out.
    """

    image_count: Float64  # (G,)
    image_sum: Float64  # (G, d)
    text_count: Float64  # (G,) or (1,)
    text_sum: Float64  # (G, d) or (1, d)
    pair_count: Float64  # (G,)
    pair_dot: Float64  # (G,) sum of inner products of pairs


class Metric(Protocol):
    """A number about one cell."""

    def measure(self, data: ScoredSplit) -> Measurement:
        """Measure the aligned test split."""
        ...
