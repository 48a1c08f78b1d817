"""Encoders with one fault each."""

import contextlib
import hashlib
import os
import random
import socket
import threading
import time

import numpy as np
from testing.mutants import Plants

import gapbench
from gapbench.host.registry import Kind
from gapbench.specs import EncoderSpec, Param

MANY, MANY_TEXTS = "encodes many pictures of mixed sizes", "encodes many texts"
IDENTITY, HAS = "changes its identity with its rows, and with nothing else", "has an identity that JSON can hold"
STEADY, ITEMS, TWICE = "has the same identity before and after its work", "encodes item by item", "gives the same twice"
SHAPES, APART = "gives finite float32 rows of one space", "tells items apart"
WORDS, PARTS, ODD, CUT = (
    "reads every word",
    "reads every part of a picture",
    "takes odd texts",
    "tells which texts it cuts",
)
NETWORK, CLOCK, FILES = "uses no network", "does not depend on the clock", "leaves no files behind"
GLOBAL, PICTURES, THREADS = "leaves global state alone", "leaves pictures unchanged", "prepares in threads"
MISSING, CHEAP, PROCESS = "says what is missing", "builds without loading a model", "is the same in another process"
PARAMS = "is told apart from itself with other parameters"

plant = Plants(Kind.ENCODER, __name__, lambda **fields: EncoderSpec(**{"summary": "s", **fields}))
W = np.random.default_rng(0).standard_normal((192, 16)).astype(np.float32) / 16


@plant()
class Projection:
    """Correct: pixels, or counts of letters, through one matrix."""

    def __init__(self, context):
        self.context = context

    def identity(self):
        return {"architecture": "toy", "dtype": self.context.dtype, "weights": hashlib.sha256(W.tobytes()).hexdigest()}

    def prepare(self, image):
        return np.asarray(image.convert("RGB").resize((8, 8)), np.float32).reshape(-1) / 255

    def rows(self, vectors):
        dtype = "float16" if self.context.dtype == "float16" else "float32"
        return (vectors @ W).astype(dtype).astype(np.float32)

    def encode_images(self, batch):
        return self.rows(np.stack(list(batch)))

    def one(self, text):
        found = np.zeros(192, np.float32)
        for place, letter in enumerate(text):
            found[(ord(letter) * 7 + place) % 192] += 1
        return found

    def encode_texts(self, texts):
        return self.rows(np.stack([self.one(text) for text in texts]))


@plant(params={"dim": Param(default=16, low=1, high=16, doc="leading dimensions")})
class Leading(Projection):
    """Correct: with a parameter that is in its identity."""

    def __init__(self, context, *, dim=16):
        super().__init__(context)
        self.dim = dim

    def identity(self):
        return {**super().identity(), "dim": self.dim}

    def rows(self, vectors):
        return super().rows(vectors)[:, : self.dim]


@plant()
class Short(Projection):
    """Correct: reads ten words, and says so."""

    def read(self, text):
        return " ".join(text.split()[:10])

    def encode_texts(self, texts):
        return super().encode_texts([self.read(text) for text in texts])

    def cut_texts(self, texts):
        return [self.read(text) if len(text.split()) > 10 else "" for text in texts]


# -- identity -------------------------------------------------------------------------------------------------------


@plant("computes otherwise in another dtype and has the same identity", IDENTITY)
class DtypeNotInIdentity(Projection):
    def identity(self):
        return {"architecture": "toy"}


@plant("its identity has the folder of data", IDENTITY)
class FolderInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "root": str(self.context.data_root)}


@plant("its identity has the device", IDENTITY)
class DeviceInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "device": self.context.device}


@plant("its identity says whether it is offline", IDENTITY)
class OfflineInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "offline": self.context.offline}


@plant("its identity is empty", HAS)
class NoIdentity(Projection):
    def identity(self):
        return {}


@plant("its identity holds an array", HAS)
class ArrayInIdentity(Projection):
    def identity(self):
        return {"weights": W[0]}


@plant("its identity has the time", HAS, CLOCK)
class TimeInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "made": time.time()}


@plant("its identity has the number of the instance", HAS, STEADY)
class InstanceInIdentity(Projection):
    made = 0

    def __init__(self, context):
        super().__init__(context)
        type(self).made += 1
        self.number = self.made

    def identity(self):
        return {**super().identity(), "number": self.number}


@plant("its identity changes with its first work", STEADY)
class IdentityAfterWork(Projection):
    worked = False

    def identity(self):
        return {**super().identity(), "loaded": self.worked}

    def encode_images(self, batch):
        self.worked = True
        return super().encode_images(batch)


@plant("its identity has the process", PROCESS)
class ProcessInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "pid": os.getpid()}


@plant("its identity depends on the hash of a string", PROCESS)
class HashInIdentity(Projection):
    def identity(self):
        return {**super().identity(), "hash": hash("toy")}


@plant("a parameter changes its rows and not its identity", PARAMS)
class ParameterNotInIdentity(Leading):
    spec = {"params": {"dim": Param(default=16, low=1, high=16, doc="leading dimensions")}}

    def identity(self):
        return Projection.identity(self)


@plant(
    "a factor changes its rows and not its identity",
    PARAMS,
    params={"gain": Param(default=1.0, grid=(2.0,), doc="factor")},
)
class GainNotInIdentity(Projection):
    def __init__(self, context, *, gain=1.0):
        super().__init__(context)
        self.gain = np.float32(gain)

    def rows(self, vectors):
        return super().rows(vectors) * self.gain


# -- pictures ---------------------------------------------------------------------------------------------------------


@plant("fails on a picture smaller than 32 pixels", MANY, SHAPES, raises=True)
class OneSizeOnly(Projection):
    def prepare(self, image):
        return np.asarray(image.convert("RGB"), np.float32)[:32, :32].reshape(-1)[:192] / 255


@plant("fails on pictures of one pixel", MANY, raises=True)
class TwoPixels(Projection):
    def prepare(self, image):
        assert image.width > 1
        return super().prepare(image)


@plant("fails on tall pictures", MANY, raises=True)
class NoTallPictures(Projection):
    def prepare(self, image):
        if image.height > 3 * image.width:
            raise ValueError("too tall")
        return super().prepare(image)


@plant("gives 64 rows for a larger batch", MANY)
class LosesRowsAbove64(Projection):
    def encode_images(self, batch):
        return super().encode_images(batch)[:64]


@plant("computes otherwise above 100 pictures", MANY)
class OtherwiseAbove100(Projection):
    def encode_images(self, batch):
        return super().encode_images(batch) * np.float32(1.1 if len(batch) > 100 else 1)


@plant("NaN for pictures that are wide", MANY)
class NanForWide(Projection):
    def prepare(self, image):
        return super().prepare(image) * np.float32(np.nan if image.width > 5 * image.height else 1)


@plant("sees grey alone", PARTS)
class GreyAlone(Projection):
    def prepare(self, image):
        return np.repeat(np.asarray(image.convert("L").resize((8, 8)), np.float32).reshape(-1), 3) / 255


@plant("sees one colour alone", PARTS)
class RedAlone(Projection):
    def prepare(self, image):
        return super().prepare(image) * np.tile([1, 0, 0], 64).astype(np.float32)


@plant("sees the upper half alone", PARTS)
class UpperHalf(Projection):
    def prepare(self, image):
        return super().prepare(image.crop((0, 0, image.width, max(1, image.height // 2))))


@plant("sees the mean colour of pictures alone, and takes them for one", APART, PARTS)
class Brightness(Projection):
    def prepare(self, image):
        return np.full(192, np.round(np.asarray(image, np.float32).mean() / 64), np.float32)


@plant("normalises over the batch", ITEMS)
class OverTheBatch(Projection):
    def encode_images(self, batch):
        rows = super().encode_images(batch)
        return rows - rows.mean(axis=0)


@plant("gives rows in another order", ITEMS)
class SortsRows(Projection):
    def encode_images(self, batch):
        rows = super().encode_images(batch)
        return rows[np.argsort(rows[:, 0])]


@plant("crops at random", TWICE)
class CropsAtRandom(Projection):
    def prepare(self, image):
        left = int(np.random.default_rng().integers(0, max(1, image.width // 2)))
        return super().prepare(image.crop((left, 0, image.width, image.height)))


@plant("leaves dropout on", TWICE)
class Dropout(Projection):
    def encode_images(self, batch):
        rows = super().encode_images(batch)
        return rows * (np.random.default_rng().random(rows.shape) > 0.1).astype(np.float32)


@plant("keeps pictures by their size", APART, ITEMS, MANY, SHAPES)
class KeepsBySize(Projection):
    def prepare(self, image):
        self.kept = getattr(self, "kept", {})
        return self.kept.setdefault(image.size, super().prepare(image))


@plant("draws into the pictures", PICTURES)
class DrawsIntoPictures(Projection):
    def prepare(self, image):
        image.putpixel((0, 0), (255 - image.getpixel((0, 0))[0], 0, 0))
        return super().prepare(image)


@plant("prepares all pictures in one memory", THREADS, APART)
class OneBuffer(Projection):
    def prepare(self, image):
        self.memory = getattr(self, "memory", np.empty(192, np.float32))
        self.memory[:] = super().prepare(image)
        return self.memory


# -- texts ----------------------------------------------------------------------------------------------------------


@plant("reads three letters of a text", WORDS, CUT)
class TextsCutShort(Projection):
    def encode_texts(self, texts):
        return super().encode_texts([text[:3] for text in texts])


@plant("reads six words, and does not say so", WORDS, CUT)
class SixWords(Projection):
    def encode_texts(self, texts):
        return super().encode_texts([" ".join(text.split()[:6]) for text in texts])


@plant("does not read the first word", WORDS)
class NotTheFirst(Projection):
    def encode_texts(self, texts):
        return super().encode_texts([" ".join(text.split()[1:]) or text for text in texts])


@plant("does not read the last word", WORDS, CUT)
class NotTheLast(Projection):
    def encode_texts(self, texts):
        return super().encode_texts([" ".join(text.split()[:-1]) or text for text in texts])


@plant("reads the length of a text alone", WORDS)
class LengthAlone(Projection):
    def one(self, text):
        return np.full(192, len(text), np.float32)


@plant("takes a text for an earlier one that begins like it", MANY_TEXTS, WORDS)
class KeepsTextsByBeginning(Projection):
    def one(self, text):
        self.kept = getattr(self, "kept", {})
        return self.kept.setdefault(text[:12], super().one(text))


@plant("takes a text for an earlier one of its length", MANY_TEXTS, WORDS)
class KeepsTextsByLength(Projection):
    def one(self, text):
        self.kept = getattr(self, "kept", {})
        return self.kept.setdefault(len(text), super().one(text))


@plant("gives 100 rows for more texts", MANY_TEXTS)
class HundredTexts(Projection):
    def encode_texts(self, texts):
        return super().encode_texts(texts)[:100]


@plant("pads texts to the longest of the batch", ITEMS)
class PadsToTheLongest(Projection):
    def encode_texts(self, texts):
        longest = max(map(len, texts))
        return super().encode_texts([text.ljust(longest, "x") for text in texts])


@plant("NaN for an empty text", ODD)
class NanForEmpty(Projection):
    def one(self, text):
        return super().one(text) if text else np.full(192, np.nan, np.float32)


@plant("fails on other scripts", ODD, raises=True)
class Ascii(Projection):
    def one(self, text):
        return super().one(text.encode("ascii").decode())


@plant("says that short texts are cut", CUT)
class SaysThatAllAreCut(Projection):
    def cut_texts(self, texts):
        return ["the same"] * len(texts)


@plant("says too little of what it cuts", CUT)
class SaysTooLittle(Short):
    def cut_texts(self, texts):
        return [""]


@plant("says that the same is read of texts of which it reads more", CUT)
class SaysTooMuch(Short):
    def read(self, text):
        return " ".join(text.split()[:3000])

    def cut_texts(self, texts):
        return [" ".join(text.split()[:10]) if len(text.split()) > 10 else "" for text in texts]


# -- types, state -----------------------------------------------------------------------------------------------------


@plant("gives double precision", SHAPES)
class Doubles(Projection):
    def encode_images(self, batch):
        return super().encode_images(batch).astype(np.float64)


@plant("gives a list", SHAPES)
class Lists(Projection):
    def encode_texts(self, texts):
        return super().encode_texts(texts).tolist()


@plant("texts have fewer dimensions than images", SHAPES)
class NarrowTexts(Projection):
    def encode_texts(self, texts):
        return super().encode_texts(texts)[:, :8]


@plant("gives a row of three dimensions", SHAPES)
class ThreeDimensions(Projection):
    def encode_images(self, batch):
        return super().encode_images(batch)[:, None]


@plant("all texts are one", APART)
class AllOne(Projection):
    def one(self, text):
        return np.ones(192, np.float32)


@plant("opens a connection while it encodes", NETWORK)
class AsksNetwork(Projection):
    def encode_texts(self, texts):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 0.05)
        return super().encode_texts(texts)


@plant("looks up a name when it is asked for its identity", NETWORK)
class LooksUp(Projection):
    def identity(self):
        with contextlib.suppress(OSError):
            socket.getaddrinfo("example.org", 443)
        return super().identity()


@plant("depends on the time", CLOCK)
class DependsOnTime(Projection):
    def encode_texts(self, texts):
        return super().encode_texts(texts) * np.float32(1 + int(time.time()) % 5)


@plant("keeps what it encoded in the working folder", FILES)
class WritesHere(Projection):
    def encode_texts(self, texts):
        found = super().encode_texts(texts)
        np.save("texts.npy", found)
        return found


@plant("seeds the global generators", GLOBAL)
class Seeds(Projection):
    def encode_images(self, batch):
        random.seed(0)
        np.random.seed(1)
        return super().encode_images(batch)


@plant("leaves a thread behind", GLOBAL)
class LeavesThread(Projection):
    def encode_texts(self, texts):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        return super().encode_texts(texts)


@plant("changes the search path for modules", GLOBAL)
class ChangesPath(Projection):
    def encode_texts(self, texts):
        import sys

        sys.path.append(f"/nowhere/{len(sys.path)}")
        return super().encode_texts(texts)


@plant("says in a word that something is missing", MISSING)
class MissingWord(Projection):
    def missing(self):
        return "weights"


@gapbench.hookimpl
def gapbench_encoders():
    """Register all of them, for a process of their own."""
    return [one.spec for one in plant.all]
