"""Datasets with one fault each."""

import contextlib
import dataclasses
import hashlib
import random
import socket
import time

import numpy as np
from PIL import Image
from testing.mutants import Plants

import gapbench
from gapbench.host.registry import Kind
from gapbench.specs import DatasetSpec, Offer

EACH, HASHES, DIFFER = (
    "gives all of it the same each time",
    "hashes what is in the pictures",
    "has pictures that differ",
)
CHEAP, ANY, SIZES = "builds without reading the data", "reads its items in any order", "has the splits that it names"
ONE_HASH, PICTURES, LABELS = "has one hash an item", "gives pictures", "labels every item with a class"
CAPTIONS, UNKNOWN, GLOBAL = "captions every item", "refuses a split that is not there", "leaves global state alone"
NETWORK, CLOCK, FILES, PROCESS = (
    "uses no network", "does not depend on the clock", "leaves no files behind", "is the same in another process",
)  # fmt: skip
MISSING = "says what is missing"

BOTH = frozenset({Offer.LABELS, Offer.CAPTIONS})


def made(**fields):
    return DatasetSpec(
        **{"summary": "s", "licence": "MIT", "offers": BOTH, "splits": {"train": 40, "test": 20}, **fields}
    )


plant = Plants(Kind.DATASET, __name__, made)
CLASSES, COLOURS = ("red", "green", "blue"), ((200, 0, 0), (0, 200, 0), (0, 0, 200))


def changed(split, /, **fields):
    return dataclasses.replace(split, **fields)


def mixed(n):
    return np.random.default_rng().permutation(n)


@plant()
class Squares:
    """Correct: noisy squares of three colours, with labels and captions."""

    sizes = {"train": 40, "test": 20}

    def __init__(self, context):
        self.context = context

    def raw(self, name):
        labels = np.arange(self.sizes[name]) % 3
        first = 0 if name == "train" else 1000
        noise = [np.random.default_rng(first + i).integers(0, 50, (8, 8, 3)) for i in range(len(labels))]
        colours = np.array(COLOURS)
        return [
            Image.fromarray((e + colours[label]).astype(np.uint8)) for e, label in zip(noise, labels, strict=True)
        ], labels

    def hashes(self, images, name):
        return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]

    def split(self, name):
        images, labels = self.raw(name)
        captions = [[f"a {CLASSES[label]} square", f"something {CLASSES[label]}"] for label in labels]
        hashes = self.hashes(images, name)
        return gapbench.Split(images=images, item_hashes=hashes, classes=CLASSES, labels=labels, captions=captions)


class Lazy:
    """A sequence that decodes on access."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.images[number].copy()


@plant(offers=frozenset({Offer.LABELS}))
class Decoded(Squares):
    """Correct: pictures are decoded when they are read, and there are no captions."""

    def split(self, name):
        split = super().split(name)
        return changed(split, images=Lazy(split.images), captions=None)


@plant()
class OffersLess(Decoded):
    """Correct: its data have no captions, and it says so where its spec cannot know."""

    def offers(self):
        return frozenset({Offer.LABELS})


@plant("it offers captions that its data do not have", CAPTIONS)
class OffersWhatIsNotThere(Decoded):
    def offers(self):
        return BOTH


@plant("it offers neither labels nor captions", LABELS, CAPTIONS)
class OffersNone(Decoded):
    def offers(self):
        return frozenset()


@plant("train and test hold the same pictures, under other hashes", HASHES)
class SamePicturesInBoth(Squares):
    def raw(self, name):
        return tuple(x[: self.sizes[name]] for x in Squares.raw(self, "train"))

    def hashes(self, images, name):
        return [hashlib.sha256(name.encode() + image.tobytes()).hexdigest() for image in images]


@plant("one picture of train is in test", HASHES, ONE_HASH)
class OneInBoth(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        return ([*images[:-1], Squares.raw(self, "train")[0][2]], labels) if name == "test" else (images, labels)


@plant("two pictures share a hash", HASHES)
class SharedHash(Squares):
    def hashes(self, images, name):
        found = super().hashes(images, name)
        found[3] = found[7]
        return found


@plant("equal pictures have different hashes", HASHES)
class HashesByNumber(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        images[3] = images[0]
        return images, labels

    def hashes(self, images, name):
        return [hashlib.sha256(f"{name} {number}".encode()).hexdigest() for number in range(len(images))]


@plant("pictures come in another order each time, hashes and labels do not", EACH)
class PicturesShuffled(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, images=[split.images[i] for i in mixed(len(split.images))])


@plant("labels come in another order each time", EACH)
class LabelsShuffled(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, labels=split.labels[mixed(len(split.labels))])


@plant("captions come in another order each time", EACH)
class CaptionsShuffled(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=[split.captions[i] for i in mixed(len(split.captions))])


@plant("all of it comes in another order each time", EACH, "is the same each time")
class AllShuffled(Squares):
    def split(self, name):
        split, order = super().split(name), mixed(self.sizes[name])
        return changed(
            split,
            images=[split.images[i] for i in order],
            item_hashes=[split.item_hashes[i] for i in order],
            labels=split.labels[order],
            captions=[split.captions[i] for i in order],
        )


@plant("classes come in another order in the second build", EACH)
class ClassesShuffled(Squares):
    builds = 0

    def __init__(self, context):
        super().__init__(context)
        type(self).builds += 1
        self.turned = self.builds % 2

    def split(self, name):
        split = super().split(name)
        return changed(split, classes=CLASSES[::-1] if self.turned else CLASSES)


@plant("noise is drawn on each access", PICTURES, EACH)
class NoisyAccess(Squares):
    def split(self, name):
        split = super().split(name)

        class Noisy(Lazy):
            def __getitem__(self, number):
                pixels = np.asarray(self.images[number]).astype(int)
                return Image.fromarray((pixels + np.random.default_rng().integers(0, 2, pixels.shape)).astype(np.uint8))

        return changed(split, images=Noisy(split.images))


@plant("what is read depends on what was read before", ANY, PICTURES)
class OrderOfAccess(Squares):
    def split(self, name):
        split = super().split(name)

        class Next(Lazy):
            at = 0

            def __getitem__(self, number):
                self.at += 1
                return self.images[self.at % len(self.images)]

        return changed(split, images=Next(split.images))


@plant("an item has no caption", CAPTIONS)
class EmptyCaptions(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=[[] if i == 3 else c for i, c in enumerate(split.captions)])


@plant("a caption is blank", CAPTIONS)
class BlankCaption(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=[[" "] if i == 3 else c for i, c in enumerate(split.captions)])


@plant("a caption is None", CAPTIONS)
class NoneCaption(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=[[None] if i == 3 else c for i, c in enumerate(split.captions)])


@plant("captions are strings in place of lists", CAPTIONS)
class StringCaptions(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=[c[0] for c in split.captions])


@plant("fewer captions than pictures", CAPTIONS)
class FewCaptions(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, captions=split.captions[:-1])


@plant("offers captions and has none", CAPTIONS)
class NoCaptions(Squares):
    def split(self, name):
        return changed(super().split(name), captions=None)


@plant("all items are one picture, with different labels", DIFFER)
class OneItemManyTimes(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        return [images[0]] * len(images), labels


@plant("a picture has two labels", DIFFER)
class TwoLabels(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        images[1] = images[0]
        return images, labels


@plant("building it reads all data", CHEAP)
class ReadsWhenBuilt(Squares):
    def __init__(self, context):
        super().__init__(context)
        self.kept = {name: Squares.split(self, name) for name in self.sizes}
        time.sleep(0.7)


@plant("labels are no whole numbers", LABELS)
class FloatLabels(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, labels=split.labels + 0.4)


@plant("a label is no class", LABELS)
class LabelTooLarge(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, labels=np.where(np.arange(len(split.labels)) == 2, 3, split.labels))


@plant("a label is -1", LABELS)
class NegativeLabel(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, labels=split.labels - 1)


@plant("fewer labels than pictures", LABELS)
class FewLabels(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, labels=split.labels[:-1])


@plant("offers labels and has none", LABELS)
class NoLabels(Squares):
    def split(self, name):
        return changed(super().split(name), labels=None)


@plant("a class name occurs twice", LABELS)
class ClassTwice(Squares):
    def split(self, name):
        return changed(super().split(name), classes=("red", "green", "red"))


@plant("a class name is empty", LABELS)
class EmptyClass(Squares):
    def split(self, name):
        return changed(super().split(name), classes=("red", "", "blue"))


@plant("test has other classes than train", LABELS)
class OtherClasses(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, classes=CLASSES[::-1] if name == "test" else CLASSES)


@plant("fewer hashes than pictures", ONE_HASH)
class FewHashes(Squares):
    def hashes(self, images, name):
        return super().hashes(images, name)[:-1]


@plant("hashes are file names", ONE_HASH)
class NamesForHashes(Squares):
    def hashes(self, images, name):
        return [f"{name}/{number}.png" for number in range(len(images))]


@plant("grey pictures", PICTURES)
class GreyPictures(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        return [image.convert("L") for image in images], labels


@plant("arrays in place of pictures", PICTURES, HASHES)
class Arrays(Squares):
    def split(self, name):
        split = super().split(name)
        return changed(split, images=[np.asarray(image) for image in split.images])


@plant("fewer items than its spec says", SIZES)
class FewItems(Squares):
    sizes = {"train": 40, "test": 18}


@plant("an empty split", SIZES, splits={"train": None, "test": 20})
class EmptySplit(Squares):
    sizes = {"train": 0, "test": 20}


@plant("gives train for a split that is not there", UNKNOWN)
class AnySplit(Squares):
    def split(self, name):
        return super().split(name if name in self.sizes else "train")


@plant("asks a server", NETWORK)
class AsksNetwork(Squares):
    def split(self, name):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 0.05)
        return super().split(name)


@plant("depends on the time", CLOCK)
class DependsOnTime(Squares):
    def raw(self, name):
        images, labels = super().raw(name)
        start = int(time.time()) % len(images)
        return images[start:] + images[:start], np.roll(labels, -start)


@plant("unpacks into the working folder", FILES)
class UnpacksHere(Squares):
    def split(self, name):
        split = super().split(name)
        split.images[0].save(f"{name}.png")
        return split


@plant("seeds the global generators", GLOBAL)
class Seeds(Squares):
    def split(self, name):
        random.seed(5)
        return super().split(name)


@plant("goes over a set", PROCESS)
class GoesOverASet(Squares):
    def split(self, name):
        split = super().split(name)
        order = [int(one) for one in {str(number) for number in range(len(split.images))}]
        return changed(
            split, item_hashes=[split.item_hashes[i] for i in order], images=[split.images[i] for i in order]
        )


@plant("says in a word that something is missing", MISSING)
class MissingWord(Squares):
    def missing(self):
        return "the archive"


@gapbench.hookimpl
def gapbench_datasets():
    """Register all of them, for a process of their own."""
    return [one.spec for one in plant.all]
