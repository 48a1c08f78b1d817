"""What every dataset must do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.host.registry import Kind
from gapbench.specs import Missing, Offer
from gapbench.testing.checks import DoesNotApplyError, Subject, check
from gapbench.testing.guards import no_global_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gapbench.components import Split

HEX = re.compile(r"[0-9a-f]{32,}")

#: Pictures that are looked at, of each split.
LOOKED_AT = 12


def here(subject: Subject) -> Any:
    """Build the dataset; without its files nothing else can be checked."""
    if subject.spec.precomputed:
        raise DoesNotApplyError("it gives embeddings, not pictures")
    dataset = subject.build()
    missing = getattr(dataset, "missing", lambda: None)()
    if missing is not None:
        raise DoesNotApplyError(f"{missing.what} is not on this machine: {missing.how}")
    return dataset


def offers(subject: Subject) -> frozenset[Offer]:
    """Return which of labels and captions there are: what the dataset, or else its spec, says."""
    dataset, declared = here(subject), subject.spec.offers
    found: frozenset[Offer] = frozenset(dataset.offers()) if hasattr(dataset, "offers") else declared
    assert found <= declared, f"it offers {', '.join(sorted(found - declared))}, which its spec does not"
    assert found, "it offers neither labels nor captions"
    return found


def splits(subject: Subject) -> Mapping[str, Split]:
    """Read all splits that the dataset, or else its spec, names."""
    dataset = here(subject)
    names = dataset.splits() if hasattr(dataset, "splits") else subject.spec.splits
    return {name: dataset.split(name) for name in names}


@check("says what is missing", Kind.DATASET)
def says_missing(subject: Subject) -> None:
    """``missing()`` gives None, or what is missing and how to supply it."""
    missing = getattr(subject.build(), "missing", lambda: None)()
    assert missing is None or (isinstance(missing, Missing) and missing.what and missing.how), (
        f"missing() gives {missing!r}; it must give None or a gapbench.Missing"
    )


@check("has the splits that it names", Kind.DATASET)
def sizes(subject: Subject) -> None:
    """Each split can be read and has as many items as the spec says."""
    declared = subject.spec.splits
    for name, split in splits(subject).items():
        n = len(split.images)
        assert n > 0, f"split {name!r} is empty"
        assert not declared.get(name) or declared[name] == n, (
            f"split {name!r} has {n} items, its spec says {declared[name]}"
        )


@check("has one hash an item", Kind.DATASET)
def hashes(subject: Subject) -> None:
    """Hashes are hexadecimal, one an item, and no item is in two splits."""
    seen: dict[str, str] = {}
    for name, split in splits(subject).items():
        found = list(split.item_hashes)
        assert len(found) == len(split.images), f"split {name!r} has {len(split.images)} items and {len(found)} hashes"
        bad = [one for one in found if not HEX.fullmatch(one)]
        assert not bad, f"split {name!r} has a hash {bad[0]!r}, which is not 32 hexadecimal digits or more"
        for one in found:
            assert seen.setdefault(one, name) == name, f"an item is in {seen[one]!r} and in {name!r}"


@check("gives pictures", Kind.DATASET)
def images(subject: Subject) -> None:
    """Items are RGB pictures of at least one pixel, the same each time."""
    for name, split in splits(subject).items():
        for number in range(min(LOOKED_AT, len(split.images))):
            one, again = split.images[number], split.images[number]
            assert getattr(one, "mode", "") == "RGB", f"item {number} of {name!r} is no RGB picture"
            assert one.width > 0 and one.height > 0, f"item {number} of {name!r} has no pixel"  # noqa: PT018
            assert one.tobytes() == again.tobytes(), f"item {number} of {name!r} is another picture each time"


@check("labels every item with a class", Kind.DATASET)
def labels(subject: Subject) -> None:
    """Where it offers labels: distinct class names, one label in range for each item, the same classes in every split."""
    if Offer.LABELS not in offers(subject):
        raise DoesNotApplyError("it offers no labels")
    classes: set[tuple[str, ...]] = set()
    for name, split in splits(subject).items():
        names: tuple[Any, ...] = tuple(split.classes)  # whatever it really holds
        classes.add(names)
        assert names, f"split {name!r} has no class names"
        assert all(isinstance(one, str) and one.strip() for one in names), f"split {name!r} has an empty class name"
        assert len(set(names)) == len(names), f"split {name!r} has a class name twice"
        assert split.labels is not None, f"split {name!r} has no labels"
        found = np.asarray(split.labels)
        assert found.shape == (len(split.images),), f"split {name!r} has {found.shape} labels"
        assert found.dtype.kind in "iu", f"labels of {name!r} are {found.dtype}; they must be whole numbers"
        assert found.min() >= 0 and found.max() < len(names), f"a label of {name!r} is out of range"  # noqa: PT018
    assert len(classes) <= 1, "its splits have different classes, or another order of them"


@check("captions every item", Kind.DATASET)
def captions(subject: Subject) -> None:
    """Where it offers captions: a list of strings for each item, none of them empty."""
    if Offer.CAPTIONS not in offers(subject):
        raise DoesNotApplyError("it offers no captions")
    for name, split in splits(subject).items():
        assert split.captions is not None, f"split {name!r} has no captions"
        found: list[Any] = list(split.captions)
        assert len(found) == len(split.images), f"split {name!r} has {len(found)} lists of captions"
        bare = sum(not texts for texts in found)
        assert not bare, f"{bare} of {len(found)} items of {name!r} have no caption; leave them out of the dataset"
        strings = [texts for texts in found if isinstance(texts, str)]
        assert not strings, f"captions of an item of {name!r} are a string; they must be a list of strings"
        assert all(isinstance(text, str) and text.strip() for texts in found for text in texts), (
            f"split {name!r} has an empty caption"
        )


@check("is the same each time", Kind.DATASET)
def repeatable(subject: Subject) -> None:
    """Two builds give the same items in the same order."""
    one, other = splits(subject), splits(subject)
    for name, split in one.items():
        assert list(split.item_hashes) == list(other[name].item_hashes), f"split {name!r} differs from build to build"


@check("refuses a split that is not there", Kind.DATASET)
def unknown_split(subject: Subject) -> None:
    """Asking for another split raises, and does not give something else."""
    dataset = here(subject)
    try:
        dataset.split("no-such-split")
    except Exception:  # any error says so; which one is the author's choice
        return
    raise AssertionError("split('no-such-split') gives something")


@check("leaves global state alone", Kind.DATASET)
def global_state(subject: Subject) -> None:
    """Random generators and the environment are as before."""
    splits(subject)  # what the first reading imports is not watched
    with no_global_changes():
        splits(subject)
